"""The error of a one-scale Lorenz-96 against a truth of two scales, learned from analyses: offline and online."""

import itertools
import time
from collections.abc import Sequence
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
from ...core import Model, Variable
from ...couplings.embedded.model_error import (
    ahead,
    corrected,
    online,
    taught_on_increments,
    taught_through_windows,
)
from ...couplings.series import Untaught
from ...descent import Descent
from ...learners.convolution import Convolution
from ...mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from ...mechanisms.flow.lorenz96_two_scale import Lorenz96TwoScale
from ...parameters import set_parameters
from ..study import Findings, Score

SETTLED, TEACHING = 20, 0.75
LEADS = {"forecast_rmse_0.25": 5, "forecast_rmse_0.5": 10, "forecast_rmse_1": 20}
WIDTHS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4)
ERRORS = (0.05, 0.1, 0.2, 0.4)
NAME = "embedded.model_error"


class World(NamedTuple):
    """The slow part of the truth (cycle + 1, sector) and what is seen of it (window, cycle, sector).

    The first windows up to `taught` teach, those up to `chosen` choose the widths, the rest judge.
    """

    truth: Array
    observed: Array
    taught: int
    chosen: int


class Run(NamedTuple):
    """Trajectories (window, cycle + 1, sector) by some method, the model that forecasts, and the widths it took.

    `chosen_at` is the analysis RMSE of the windows that choose, `seconds` what the run took.
    """

    path: Array
    step: Model
    width: float
    error: float | None
    chosen_at: float
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
    turns: int = 2,
    doubt: float = 3e-3,
    through: bool = True,
    seed: int,
) -> Findings:
    """A truth of two scales is observed in every `every`-th sector, and assimilated into a model of the slow one alone.

    Weak- and strong-constraint 4D-Var cycle through `windows` windows, three quarters of which teach, and then
    `judged` ones that judge. The width of the background and of the model's error are chosen by the analysis RMSE of
    the last quarter, for each method and each learned model anew (the corrected weak constraint takes the width of
    the corrected strong one). The learner sees analyses of the weak constraint, and in further turns those made with
    its own correction; of all `turns` the same quarter chooses one. `through` teaches by the gradient through the
    window after the increments. Online it goes on learning in every window.

    Bonavita & Laloyaux (2020), doi:10.1029/2020MS002232; Farchi et al. (2021), doi:10.1002/qj.4116.
    """
    key = jax.random.key(seed)
    world = _world(size, forcing, cycles, windows, judged, every, key)
    step = set_parameters(Lorenz96(size=size), {"forcing": model_forcing})
    runs = {"strong constraint": _chosen(step, world), "weak constraint": _chosen(step, world, WIDTHS, ERRORS)}
    network = partial(_network, filters, epochs, key)
    turned, explained = _taught(step, world, runs["weak constraint"].path, network, epochs, turns, through, key)
    kept = int(np.argmin([run.chosen_at for run in turned]))
    offline = runs[f"{NAME}, strong constraint"] = turned[kept]
    runs[f"{NAME}, weak constraint"] = _chosen(offline.step, world, (offline.width,), ERRORS)
    runs[f"{NAME}.online"] = _online(offline, world, doubt)
    scored = {method: _scored(run, world) for method, run in runs.items()}
    scores = [_score(m, metric, value, runs[m].seconds) for m, s in scored.items() for metric, value in s.items()]
    scores += [
        _score(m, f"{metric}_over_weak", value / scored["weak constraint"][metric], runs[m].seconds)
        for m, s in scored.items()
        if m.startswith(NAME)
        for metric, value in s.items()
    ]
    scores += [Score(NAME, "increment_variance_explained", explained)]
    notes = [f"{method}: width of the background {r.width}, model's error {r.error or 0}" for method, r in runs.items()]
    notes += [f"kept is what was taught in turn {kept + 1} of {turns}"]
    return Findings(scores, {"Error of the forecast": partial(_drawn, runs, world)}, notes)


def _world(size: int, forcing: float, cycles: int, windows: int, judged: int, every: int, key: Array) -> World:
    both = set_parameters(Lorenz96TwoScale(size=size, ripples=10, time_step=0.005, steps=10), {"forcing": forcing})
    nature = Assimilation(both, Pass(QUANTITY), ObservationError.of_variance(np.ones(size)))
    count = (windows + judged) * cycles
    draw, begin = jax.random.split(key)
    start = 0.1 * jax.random.normal(begin, (nature.size,))
    path, seen = eqx.filter_jit(lambda k, x: nature.nature(count, key=k, start=x, spin_up=200))(draw, start)
    truth = jax.vmap(lambda x: nature.fields_of(x)["atmospheric_quantity"])(path)
    seen = jnp.where(jnp.arange(size) % every == 0, seen[1:], jnp.nan)
    return World(truth, seen.reshape(-1, cycles, size), round(TEACHING * windows), windows)


def _system(step: Model) -> Assimilation:
    size = len(jnp.ravel(jnp.asarray(step.initial()["atmospheric_quantity"])))
    return Assimilation(step, Pass(QUANTITY), ObservationError.of_variance(np.ones(size)))


def _chosen(
    step: Model, world: World, widths: Sequence[float] = WIDTHS, errors: Sequence[float | None] = (None,)
) -> Run:
    """4D-Var with the widths of its background, and of its model's error, that are best on windows that choose."""
    pairs = list(itertools.product(widths, errors))
    paths = _cycled(step, world.truth[0], *_columns(pairs), world.observed[: world.chosen])
    found = [_analysis_rmse(path, world, world.taught, world.chosen) for path in paths]
    best = int(np.nanargmin(found))
    began = time.perf_counter()
    path = jax.block_until_ready(_cycled(step, world.truth[0], *_columns([pairs[best]]), world.observed)[0])
    return Run(path, step, *pairs[best], found[best], time.perf_counter() - began)


def _columns(pairs: Sequence[tuple[float, float | None]]) -> tuple[Array, Array | None]:
    widths, errors = zip(*pairs, strict=True)
    return jnp.asarray(widths), None if None in errors else jnp.asarray(errors)


@eqx.filter_jit
def _cycled(step: Model, first: Array, widths: Array, errors: Array | None, observed: Array) -> Array:
    """The trajectories (candidate, window, cycle + 1, sector) with each width and error, side by side."""
    system, unit = _system(step), jnp.eye(len(first))

    def one(width: Array, error: Array | None) -> Array:
        return four_d_var_windows(system, first, width * unit, observed, model_error=error).path

    return jax.vmap(one)(widths, errors)


def _online(offline: Run, world: World, doubt: float) -> Run:
    """4D-Var that goes on learning, from the model and with the width of the offline run."""
    began, root = time.perf_counter(), offline.width * jnp.eye(world.truth.shape[1])
    learned = online(_system(offline.step), world.truth[0], root, world.observed, doubt=doubt)
    path = jax.block_until_ready(learned.path)
    seconds = time.perf_counter() - began
    return offline._replace(path=path, step=learned.system.step, seconds=seconds)


def _network(
    filters: int, epochs: int, key: Array, inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> Convolution:
    how = Descent(epochs=4 * epochs, batch_size=64, learning_rate=3e-3)
    layers = {"width": (filters, 2 * filters), "kernels": (5, 5, 1), "bilinear": True, "activation": "relu"}
    return Convolution(inputs, outputs, **layers, descent=how, key=key)


def _taught(
    step: Model, world: World, path: Array, network: Untaught, epochs: int, turns: int, through: bool, key: Array
) -> tuple[list[Run], float]:
    """4D-Var with the model as it is after each turn, and the share of the first increments its learner explains."""
    cycles, how = path.shape[1] - 1, Descent(epochs=epochs, batch_size=32, learning_rate=2e-3)
    model, runs, shares = corrected(step, network), [], []
    for turn in range(turns):
        starts, ends = _pairs(path, world)
        if not turn or not through:
            increments = (ends - _reached(step, starts, cycles)) / cycles
            model = taught_on_increments(model, starts, increments, key=key)
            left = increments - _reached(model, starts, 1) + _reached(step, starts, 1)
            shares.append(float(1 - jnp.sum(left**2) / jnp.sum(increments**2)))
        if through:
            model = taught_through_windows(model, starts, ends, cycles, key=key, how=how)
        runs.append(_chosen(model, world))
        path = runs[-1].path
    return runs, shares[0]


def _pairs(path: Array, world: World) -> tuple[Array, Array]:
    """The starts of the windows that teach, and of those that follow them."""
    starts = path[SETTLED : world.taught, 0]
    return starts[:-1], starts[1:]


@eqx.filter_jit
def _reached(step: Model, starts: Array, steps: int) -> Array:
    return jax.vmap(lambda x: ahead(step, x, steps)[-1])(starts)


def _analysis_rmse(path: Array, world: World, begin: int, end: int) -> float:
    count = path.shape[1] - 1
    truth = world.truth[1:].reshape(-1, count, path.shape[2])[begin:end]
    return float(jnp.sqrt(jnp.mean((path[begin:end, 1:] - truth) ** 2)))


def _forecast_rmse(run: Run, world: World, steps: int) -> np.ndarray:
    """The RMSE (steps,) of forecasts from the ends of the windows that judge."""
    count = run.path.shape[1] - 1
    windows = np.arange(world.chosen, len(run.path))
    windows = windows[(windows + 1) * count + steps < len(world.truth)]
    made = jax.jit(jax.vmap(lambda x: ahead(run.step, x, steps)))(run.path[windows, -1])
    truth = jnp.stack([world.truth[(w + 1) * count + 1 : (w + 1) * count + 1 + steps] for w in windows])
    return np.sqrt(np.mean((np.asarray(made) - np.asarray(truth)) ** 2, axis=(0, 2)))


def _scored(run: Run, world: World) -> dict[str, float]:
    ahead_ = _forecast_rmse(run, world, max(LEADS.values()))
    analysis = _analysis_rmse(run.path, world, world.chosen, len(run.path))
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
