"""Closures of one-scale Lorenz-96, learned from a run that resolves both scales."""

import time
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...core import Model, System
from ...couplings.embedded.replacement import offline, online, pseudo_observations
from ...couplings.embedded.stochastic import OneOf, RedNoise, red, told
from ...data.trajectories import Trajectories
from ...descent import Descent, stack
from ...evaluation.climate import histogram_distance, lost, spread_skill
from ...forecast import Forecast
from ...learners.mlp import MLP
from ...learners.polynomial import Polynomial
from ...mechanisms.flow.lorenz96 import Lorenz96
from ...mechanisms.flow.lorenz96_two_scale import Lorenz96TwoScale
from ...parameters import follow, replace_at, set_parameters
from ...training.growing import fit_growing
from ...training.offline import fit_offline
from ..study import Findings, Score

X, U = "atmospheric_quantity", "subgrid_flux"
STEP, FINE, SPIN_UP, APART, LIMIT = 0.02, 0.002, 5.0, 2.0, 100.0
POLYNOMIAL, OFFLINE, ONLINE = "polynomial closure", "embedded.replacement.offline", "embedded.replacement.online"


def study(
    *,
    forcings=(20.0, 8.0),
    runs: int = 32,
    units: float = 60.0,
    members: int = 100,
    long_run: float = 1000.0,
    short_run: float = 200.0,
    lengths=(5, 25, 50),
    epochs=(4, 4, 2),
    width: int = 16,
    seed: int,
) -> Findings:
    """How well a one-scale model forecasts, and keeps the climate, with closures taught by the two-scale one.

    K = 8, J = 32, h = 1, b = c = 10. Half of the runs teach, the other half are the truth. Pseudo-observations of the
    flux are what the one-scale model of step 0.02 would have to be told to follow the two-scale run. The polynomial
    (degree 4, local, least squares), the network taught alone (seven sectors around) and then online share them; red
    noise is what each leaves open, one-of-four a network drawn at random at every step. The forcing is then raised
    by a fifth without teaching. Wilks (2005), doi:10.1256/qj.04.03; Krasnopolsky et al. (2013),
    doi:10.1155/2013/485913.
    """
    key, how = jax.random.key(seed), [Descent(epochs=n, learning_rate=2e-3, patience=0) for n in epochs]
    scores: list[Score] = []
    figures: dict[str, Callable] = {}
    for place, forcing in enumerate(forcings):
        own = jax.random.fold_in(key, place)
        host = set_parameters(Lorenz96(size=8, time_step=STEP), {"forcing": forcing})
        truth = nature(forcing, runs, units, own)
        closed, seconds = taught(host, truth[: runs // 2], lengths, how, width, own)
        other = nature(1.2 * forcing, runs // 2, units, jax.random.fold_in(own, 1))
        judged = partial(_judged, seconds=seconds, key=own, forcing=forcing)
        climates = {}
        for name, step in closed.items():
            long = long_run if name in (POLYNOMIAL, ONLINE) else short_run
            found, climates[name] = judged(name, step, truth[runs // 2 :], long, members)
            scores += found
            if name in (POLYNOMIAL, OFFLINE, ONLINE):
                raised = set_parameters(step, {"forcing": 1.2 * forcing})
                scores += judged(
                    name, raised, other, long, members, split=f"F={1.2 * forcing:g}, taught at {forcing:g}"
                )[0]
        distance = histogram_distance(truth[: runs // 2], truth[runs // 2 :])
        scores.append(_score("two-scale model", "climate_distance", distance, f"F={forcing:g}"))
        figures[f"Climate at F = {forcing:g}"] = partial(_histograms, climates | {"truth": truth[runs // 2 :]})
    return Findings(scores, figures)


def nature(forcing: float, runs: int, units: float, key) -> np.ndarray:
    """Slow waves (run, time, 8) of the two-scale model after its spin-up, one state a step of the one-scale model."""
    fine = set_parameters(Lorenz96TwoScale(time_step=FINE, steps=round(STEP / FINE)), {"forcing": forcing})
    keys = jax.random.split(key)
    slow, fast = jax.random.normal(keys[0], (runs, 8)), jax.random.normal(keys[1], (runs, 256))
    settle = round(SPIN_UP / STEP)

    def run(x, y):
        settled = Forecast(fine, settle, save_every=settle)(_start(x, y))
        return Forecast(fine, round(units / STEP))(_start(settled[X][-1], settled["convective_quantity"][-1]))[X]

    return np.asarray(jax.jit(jax.vmap(run))(3 + 2 * slow, 0.1 * fast))


def taught(host: Lorenz96, truth: np.ndarray, lengths, how, width: int, key) -> tuple[dict[str, Model], dict]:
    """The host with each closure in its place, and the seconds that teaching took."""
    implied = jax.jit(jax.vmap(jax.vmap(lambda a, b: pseudo_observations(host, "closure", {X: a}, {X: b})[U])))
    fluxes, states = np.asarray(implied(truth[:, :-1], truth[:, 1:])), truth[:, :-1]
    held_out = max(1, len(states) // 4)
    pieces = Trajectories({X: states[:-held_out], U: fluxes[:-held_out]}, states=(X,), length=100)
    options = {"joint": "closure", "taught_by": "observations"}
    network = partial(MLP, width=width, key=key, descent=Descent(epochs=15, batch_size=1024))
    seconds, began = {}, time.perf_counter()
    polynomial = fit_offline(offline(Forecast(host, 1), Polynomial, **options), pieces, key=key)
    seconds[POLYNOMIAL], began = time.perf_counter() - began, time.perf_counter()
    system = online(Forecast(host, 1), network, neighbours=range(-3, 4), **options)
    alone = fit_offline(system, pieces, key=key)
    seconds[OFFLINE], began = time.perf_counter() - began, time.perf_counter()
    series = {X: states[:-held_out]}, {X: states[-held_out:]}
    (through,), _ = fit_growing(
        [alone], series[0], lengths=lengths, key=key, validation=series[1], how=how, stride=lengths[0] * 2
    )
    seconds[ONLINE] = seconds[OFFLINE] + time.perf_counter() - began
    steps = {POLYNOMIAL: polynomial, OFFLINE: alone, ONLINE: through}
    closed: dict[str, Model] = {"mechanism_only": host} | {name: s.model.step for name, s in steps.items()}  # pyright: ignore
    unseen = {X: jnp.asarray(states[-held_out:])}
    for name in (POLYNOMIAL, ONLINE):
        errors = fluxes[-held_out:] - np.asarray(told(closed[name].closure, unseen, U))  # pyright: ignore
        closed[f"{name}, red noise"] = RedNoise.of(closed[name], "closure", *red(errors))
    closed["one of four networks"] = replace_at(host, "closure", _four(system, {X: states, U: fluxes}, key))
    return closed, seconds


def _four(system: System, series: dict, key) -> OneOf:
    quarters = [{name: values[part::4] for name, values in series.items()} for part in range(4)]
    pieces = [Trajectories(one, states=(X,), length=100) for one in quarters]
    each = [fit_offline(system, one, key=jax.random.fold_in(key, n)) for n, one in enumerate(pieces)]
    return OneOf(stack([follow(one.model, "step.closure") for one in each]), 4)


def _judged(name, step, truth, long_run, members, *, seconds, key, forcing, split="") -> tuple[list[Score], np.ndarray]:
    score = partial(_score, name, split=split or f"F={forcing:g}", seconds=seconds.get(name, float("nan")))
    unit, starts = round(1 / STEP), np.arange(0, truth.shape[1] - round(1 / STEP), round(APART / STEP))
    begins, ends = (truth[:, starts + ahead].reshape(-1, 8) for ahead in (0, unit))
    random = isinstance(step, RedNoise) or isinstance(getattr(step, "closure", None), OneOf)
    count = 16 if random else 1
    told = _runs(step, np.repeat(begins, count, axis=0), unit, unit, key if random else None)
    told = told[:, -1].reshape(len(begins), count, 8)
    found = [score("forecast_rmse", float(np.sqrt(np.mean((told.mean(axis=1) - ends) ** 2))), n=len(begins))]
    if random:
        found.append(score("spread_over_error", spread_skill(told, ends), n=len(begins)))
    many = np.resize(begins, (members, 8))
    climate = _runs(step, many, round(long_run / STEP), round(0.5 / STEP), key if random else None)
    settled = climate[:, min(40, climate.shape[1] // 2) :]
    found.append(score("climate_distance", histogram_distance(settled, truth), n=members))
    return [*found, score("members_lost", lost(climate, LIMIT), n=members)], settled


def _runs(step: Model, starts: np.ndarray, length: int, every: int, key) -> np.ndarray:
    """Free runs from many states (run, saved time, 8)."""
    model = Forecast(step, length, given=(X,), save_every=every, remat=False)
    keys = None if key is None else jax.random.split(key, len(starts))
    run = eqx.filter_jit(jax.vmap(lambda x, k: model({f"initial_{X}": x}, key=k)[X]))
    return np.asarray(run(jnp.asarray(starts), keys))


def _score(name: str, metric: str, value: float, split: str, n: int = 1, seconds: float = float("nan")) -> Score:
    paradigm = "embedded" if name.startswith("embedded") else ""
    learner = "mlp" if name.startswith(("embedded", "one")) else "polynomial" if name.startswith("poly") else ""
    return Score(name, metric, value, "1", paradigm, learner, "flow.lorenz96", X, split, n, seconds)


def _start(x, y) -> dict:
    return {f"initial_{X}": x, "initial_convective_quantity": y}


def _histograms(climates: dict[str, np.ndarray], axes) -> None:
    edges = np.linspace(-15, 20, 71)
    for name in ("truth", POLYNOMIAL, OFFLINE, ONLINE):
        heights, _ = np.histogram(climates[name], edges, density=True)
        axes.plot(0.5 * (edges[1:] + edges[:-1]), heights, label=name, color="black" if name == "truth" else None)
    axes.set(xlabel="quantity in a sector", ylabel="density")
    axes.legend(frameon=False)
