"""Closures of one-scale Lorenz-96, learned from a run that resolves both scales."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...core import Model
from ...couplings.embedded.guard import FALLBACK, Guarded
from ...couplings.embedded.stochastic import OneOf, RedNoise, told
from ...descent import Descent
from ...evaluation.climate import histogram_distance, lost, spread_skill
from ...forecast import Forecast
from ...mechanisms.flow.lorenz96 import tendency
from ...parameters import follow, set_parameters
from ..study import Findings, Score
from ._lorenz96_closures import (
    GUARDED,
    ONLINE,
    ORBIT,
    POLYNOMIAL,
    STEP,
    WIDE_POLYNOMIAL,
    Lessons,
    R,
    U,
    X,
    closures,
    host,
    nature,
    with_fluxes,
)

APART, LIMIT, SAVED, CHANGED = 2.0, 100.0, 0.5, (1.2, 0.8)
BLIND = (POLYNOMIAL, WIDE_POLYNOMIAL, ONLINE, GUARDED)


def study(
    *,
    forcings=(20.0, 8.0),
    runs: int = 32,
    units: float = 60.0,
    transients: int = 300,
    members: int = 100,
    long_run: float = 1000.0,
    short_run: float = 40.0,
    long_runs_of=(POLYNOMIAL, GUARDED),
    lengths=(5, 25),
    epochs=(3, 3),
    width: int = 16,
    seed: int,
) -> Findings:
    """How well a one-scale model forecasts, and keeps the climate, with closures taught by the two-scale one.

    K = 8, J = 32, h = 1, b = c = 10. Half of the runs teach, the other half are the truth. Pseudo-observations of the
    flux are what the one-scale model of step 0.02 would have to be told to follow the two-scale run. Wide examples add
    transients of two time units from starts scattered around the orbit. Then the forcing is raised by a fifth, and
    nothing is taught again; networks see the resolved tendency, of which the forcing is a part. Wilks (2005),
    doi:10.1256/qj.04.03; Krasnopolsky et al. (2013), doi:10.1155/2013/485913.
    """
    key, how = jax.random.key(seed), [Descent(epochs=n, batch_size=128, learning_rate=2e-3, patience=0) for n in epochs]
    scores: list[Score] = []
    figures: dict[str, Callable] = {}
    for place, forcing in enumerate(forcings):
        own = jax.random.fold_in(key, place)
        model, truth = host(forcing), nature(forcing, runs, units, own)
        far = nature(forcing, transients, 2.04, jax.random.fold_in(own, 2), scatter=True)
        taught, unseen = truth[: runs // 2], truth[runs // 2 :]
        closed, seconds = closures(forcing, Lessons.of(model, taught, far), lengths, how, width, own)
        worlds = {1.0: (unseen, with_fluxes(model, unseen[:4]))}
        worlds |= {times: _elsewhere(times * forcing, runs // 2, units, own) for times in CHANGED}
        judged = partial(_everywhere, worlds=worlds, forcing=forcing, seconds=seconds, key=own, members=members)
        climates = {}
        for name, step in {"mechanism_only": model, **closed}.items():
            found, climates[name] = judged(name, step, long_run if name in long_runs_of else short_run, short_run)
            scores += found
        distance = histogram_distance(taught, unseen)
        scores.append(_score("two-scale model", "climate_distance", distance, f"F={forcing:g}"))
        figures[f"Climate at F = {forcing:g}"] = partial(_histograms, climates | {"truth": unseen})
    return Findings(scores, figures)


def _everywhere(name, step, long, short, *, worlds, forcing, **how) -> tuple[list[Score], np.ndarray]:
    """The scores at the forcing of the teaching and at the others, and the climate at the former."""
    truth, seen = worlds[1.0]
    scores, climate = _judged(name, step, truth, seen, long, split=f"F={forcing:g}", **how)
    for times in CHANGED:
        if times > 1 or name in BLIND:
            moved = set_parameters(step, {"forcing": jnp.asarray(times * forcing)})
            (truth, seen), split = worlds[times], f"F={times * forcing:g}, taught at {forcing:g}"
            scores += _judged(name, moved, truth, seen, long if times > 1 else short, split=split, **how)[0]
    return scores, climate


def _elsewhere(forcing: float, runs: int, units: float, key) -> tuple[np.ndarray, dict]:
    """The truth at another forcing, with its fluxes."""
    truth = nature(forcing, runs, units, jax.random.fold_in(key, 1))
    return truth, with_fluxes(host(forcing), truth[:4])


def _judged(name, step, truth, seen, long_run, *, members, seconds, key, split) -> tuple[list[Score], np.ndarray]:
    score = partial(_score, name, split=split, seconds=seconds.get(name, float("nan")))
    unit, starts = round(1 / STEP), np.arange(0, truth.shape[1] - round(1 / STEP), round(APART / STEP))
    begins, ends = (truth[:, starts + ahead].reshape(-1, 8) for ahead in (0, unit))
    closure = follow(step, "step.closure" if isinstance(step, RedNoise) else "closure")
    random = isinstance(step, RedNoise) or isinstance(closure, OneOf)
    count = 16 if random else 1
    made = _runs(step, np.repeat(begins, count, axis=0), unit, unit, key if random else None)
    made = made[:, -1].reshape(len(begins), count, 8)
    errors = np.asarray(told(closure, {name: jnp.asarray(seen[name]) for name in (X, R)}, U)) - seen[U]
    found = [score("offline_rmse", float(np.sqrt(np.mean(errors**2))), n=errors[..., 0].size)]
    found.append(score("forecast_rmse", float(np.sqrt(np.mean((made.mean(axis=1) - ends) ** 2))), n=len(begins)))
    if random:
        found.append(score("spread_over_error", spread_skill(made, ends), n=len(begins)))
    many = np.resize(begins, (members, 8))
    climate = _runs(step, many, round(long_run / STEP), round(SAVED / STEP), key if random else None)
    settled = climate[:, min(40, climate.shape[1] // 2) :]
    found.append(score("climate_distance", histogram_distance(settled, truth), n=members))
    found.append(score("members_lost", lost(climate, LIMIT), n=members))
    if isinstance(closure, Guarded):
        states = jnp.asarray(settled)
        share = float(
            np.mean(told(closure, {X: states, R: tendency(states, follow(step, "forcing").value)}, FALLBACK.name))
        )
        found.append(score("fallback_share", share, n=members))
    return found, settled


def _runs(step: Model, starts: np.ndarray, length: int, every: int, key) -> np.ndarray:
    """Free runs from many states (run, saved time, 8)."""
    model = Forecast(step, length, given=(X,), save_every=every, remat=False)
    keys = None if key is None else jax.random.split(key, len(starts))
    return np.asarray(_free(model, jnp.asarray(starts), keys))


@eqx.filter_jit
def _free(model: Forecast, starts, keys):
    return jax.vmap(lambda x, k: model({f"initial_{X}": x}, key=k)[X])(starts, keys)


def _score(name: str, metric: str, value: float, split: str, n: int = 1, seconds: float = float("nan")) -> Score:
    paradigm = "embedded" if name.startswith("embedded") else ""
    learner = (
        "polynomial" if name.startswith("poly") else "" if name in ("mechanism_only", "two-scale model") else "mlp"
    )
    return Score(name, metric, value, "1", paradigm, learner, "flow.lorenz96", X, split, n, seconds)


def _histograms(climates: dict[str, np.ndarray], axes) -> None:
    edges = np.linspace(-15, 20, 71)
    for name in ("truth", POLYNOMIAL, ORBIT, ONLINE, GUARDED):
        heights, _ = np.histogram(climates[name], edges, density=True)
        axes.plot(0.5 * (edges[1:] + edges[:-1]), heights, label=name, color="black" if name == "truth" else None)
    axes.set(xlabel="quantity in a sector", ylabel="density")
    axes.legend(frameon=False)
