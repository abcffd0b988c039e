"""The error of a one-scale Lorenz-96 against a truth of two scales, learned from analyses: offline and online."""

import time
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...assimilation.cycle import Assimilation
from ...assimilation.error import ObservationError
from ...assimilation.windows import four_d_var_windows
from ...compose import Pass
from ...core import Model
from ...couplings.embedded.model_error import (
    Corrected,
    ahead,
    corrected,
    online,
    taught_on_increments,
    taught_through_windows,
)
from ...descent import Descent
from ...learners.convolution import Convolution
from ...mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from ...mechanisms.flow.lorenz96_two_scale import Lorenz96TwoScale
from ...parameters import set_parameters
from ..study import Findings, Score

SETTLED = 20
LEADS = {"forecast_rmse_0.25": 5, "forecast_rmse_0.5": 10, "forecast_rmse_1": 20}
WIDTHS, ERRORS = (0.5, 0.7, 1.0, 1.4), (0.05, 0.1, 0.2, 0.4)


class World(NamedTuple):
    """The slow part of the truth (cycle + 1, sector), what is seen (window, cycle, sector), windows that teach."""

    truth: Array
    observed: Array
    taught: int


class Run(NamedTuple):
    """Trajectories (window, cycle + 1, sector) by some method, the model that forecasts, and the seconds it took."""

    path: Array
    step: Model
    seconds: float


def study(
    *,
    size: int = 36,
    forcing: float = 10.0,
    model_forcing: float = 9.0,
    cycles: int = 10,
    windows: int = 240,
    judged: int = 160,
    every: int = 2,
    filters: int = 6,
    epochs: int = 15,
    doubt: float = 3e-3,
    through: bool = True,
    seed: int,
) -> Findings:
    """A truth of two scales is observed in every second sector, and assimilated into a model of the slow one alone.

    Weak- and strong-constraint 4D-Var cycle through `windows` windows that teach and `judged` ones that judge. The
    width of the background and of the model's error are chosen on the windows that teach, by the analysis RMSE, for
    each method. The learner sees analyses of the weak constraint, of the windows that teach; `through` teaches it by
    the gradient through the window after the increments. Online it goes on learning in every window.

    Bonavita & Laloyaux (2020), doi:10.1029/2020MS002232; Farchi et al. (2021), doi:10.1002/qj.4116.
    """
    key = jax.random.key(seed)
    world = _world(size, forcing, cycles, windows, judged, every, key)
    step = set_parameters(Lorenz96(size=size), {"forcing": model_forcing})
    strong, width = _chosen(step, world, None)
    weak, _ = _chosen(step, world, ERRORS)
    runs = {"strong constraint": strong, "weak constraint": weak}
    learned, explained = _taught(step, weak.path[SETTLED:windows], cycles, filters, epochs, through, key)
    name = "embedded.model_error"
    runs[f"{name}, strong constraint"], width = _chosen(learned, world, None)
    runs[f"{name}, weak constraint"], _ = _chosen(learned, world, ERRORS)
    began = time.perf_counter()
    going_on = online(_system(learned), world.truth[0], width * jnp.eye(size), world.observed, doubt=doubt)
    runs[f"{name}.online"] = Run(going_on.path, going_on.system.step, time.perf_counter() - began)
    scored = {method: _scored(run, world) for method, run in runs.items()}
    scores = [_score(m, metric, value, runs[m].seconds) for m, s in scored.items() for metric, value in s.items()]
    scores += [
        _score(m, f"{metric}_over_weak", value / scored["weak constraint"][metric], runs[m].seconds)
        for m, s in scored.items()
        if m.startswith(name)
        for metric, value in s.items()
    ]
    scores += [Score(name, "increment_variance_explained", explained)]
    return Findings(scores, {"Error of the forecast": partial(_drawn, runs, world)})


def _world(size: int, forcing: float, cycles: int, windows: int, judged: int, every: int, key: Array) -> World:
    both = set_parameters(Lorenz96TwoScale(size=size, ripples=10, time_step=0.005, steps=10), {"forcing": forcing})
    nature = Assimilation(both, Pass(QUANTITY), ObservationError.of_variance(np.ones(size)))
    count = (windows + judged) * cycles
    path, seen = eqx.filter_jit(lambda k: nature.nature(count, key=k, spin_up=200))(key)
    truth = jax.vmap(lambda x: nature.fields_of(x)["atmospheric_quantity"])(path)
    seen = jnp.where(jnp.arange(size) % every == 0, seen[1:], jnp.nan)
    return World(truth, seen.reshape(windows + judged, cycles, size), windows)


def _system(step: Model) -> Assimilation:
    size = len(jnp.ravel(jnp.asarray(step.initial()["atmospheric_quantity"])))
    return Assimilation(step, Pass(QUANTITY), ObservationError.of_variance(np.ones(size)))


def _chosen(step: Model, world: World, errors: tuple[float, ...] | None) -> tuple[Run, Array]:
    """4D-Var with the width of its background, and of its model's error, that is best on the windows that teach."""
    began, system, unit = time.perf_counter(), _system(step), jnp.eye(world.truth.shape[1])

    def run(width: Array, error: Array | None, seen: Array) -> Array:
        return four_d_var_windows(system, world.truth[0], width * unit, seen, model_error=error).path

    tried = [(jnp.asarray(b), None if q is None else jnp.asarray(q)) for b in WIDTHS for q in errors or (None,)]
    part = world.observed[: min(world.taught, 120)]
    costs = [_analysis_rmse(run(*pair, part), world, SETTLED, len(part)) for pair in tried]
    best = tried[int(np.nanargmin(costs))]
    return Run(run(*best, world.observed), step, (time.perf_counter() - began) / len(tried)), best[0]


def _taught(
    step: Model, path: Array, cycles: int, filters: int, epochs: int, through: bool, key: Array
) -> tuple[Corrected, float]:
    """The learner after the increments, and after the windows, and the share of the increments that it explains."""
    how = Descent(epochs=4 * epochs, batch_size=64, learning_rate=3e-3)
    layers = {"width": (filters, 2 * filters), "kernels": (5, 5, 1), "bilinear": True, "activation": "relu"}
    make = partial(Convolution, **layers, descent=how, key=key)
    starts, ends = path[:-1, 0], path[1:, 0]
    reached = jax.vmap(lambda x: ahead(step, x, cycles)[-1])(starts)
    increments = (ends - reached) / cycles
    model = taught_on_increments(corrected(step, make), starts, increments, key=key)
    said = jax.vmap(lambda x: ahead(model, x, 1)[-1] - ahead(step, x, 1)[-1])(starts)
    explained = float(1 - jnp.sum((said - increments) ** 2) / jnp.sum(increments**2))
    if through:
        how = Descent(epochs=epochs, batch_size=32, learning_rate=2e-3)
        model = taught_through_windows(model, starts, ends, cycles, key=key, how=how)
    return model, explained


def _analysis_rmse(path: Array, world: World, begin: int, end: int) -> float:
    count = path.shape[1] - 1
    truth = world.truth[1:].reshape(-1, count, path.shape[2])[begin:end]
    return float(jnp.sqrt(jnp.mean((path[begin:end, 1:] - truth) ** 2)))


def _forecast_rmse(run: Run, world: World, steps: int) -> np.ndarray:
    """The RMSE (steps,) of forecasts from the ends of the windows that judge."""
    count = run.path.shape[1] - 1
    windows = np.arange(world.taught, len(run.path))
    windows = windows[(windows + 1) * count + steps < len(world.truth)]
    made = jax.jit(jax.vmap(lambda x: ahead(run.step, x, steps)))(run.path[windows, -1])
    truth = jnp.stack([world.truth[(w + 1) * count + 1 : (w + 1) * count + 1 + steps] for w in windows])
    return np.sqrt(np.mean((np.asarray(made) - np.asarray(truth)) ** 2, axis=(0, 2)))


def _scored(run: Run, world: World) -> dict[str, float]:
    ahead_ = _forecast_rmse(run, world, max(LEADS.values()))
    analysis = _analysis_rmse(run.path, world, world.taught, len(run.path))
    return {"analysis_rmse": analysis, **{name: float(ahead_[lead - 1]) for name, lead in LEADS.items()}}


def _score(method: str, metric: str, value: float, seconds: float) -> Score:
    own = method.startswith("embedded")
    return Score(
        method,
        metric,
        value,
        "1",
        "embedded" if own else "",
        "convolution" if own else "",
        "flow.lorenz96",
        QUANTITY.name,
        seconds=seconds,
    )


def _drawn(runs: dict[str, Run], world: World, axes) -> None:
    for method, run in runs.items():
        error = _forecast_rmse(run, world, max(LEADS.values()))
        axes.plot(0.05 * np.arange(1, len(error) + 1), error, label=method)
    axes.set(xlabel="time units ahead", ylabel="RMSE", ylim=(0, None))
    axes.legend(frameon=False, fontsize=8)
