"""Networks in the place of a whole model of the climate, with and without seasons."""

import math
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...compose import Dial, Rollout
from ...core import Model, Variable
from ...couplings.embedded.model_error import Corrected, Unmoved, corrected, taught_on_increments
from ...descent import Descent
from ...evaluation.climate import histogram_distance, lost
from ...learners.convolutional import Convolutional
from ...mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from ..study import Findings, Score

X, DIMS = QUANTITY.name, QUANTITY.dims
STEP, YEAR, LIMIT, SKILFUL = 0.1, 730, 100.0, 0.4  # half a day, and days in a year of such steps
CLOCK = (Variable("cosine_of_day_of_year", "1", DIMS), Variable("sine_of_day_of_year", "1", DIMS))
NAME = "embedded.whole_model"


def study(
    *,
    size: int = 40,
    forcing: float = 8.0,
    swing: float = 4.0,
    years: int = 12,
    steps: int = 10_000,
    members: int = 4,
    forecasts: int = 100,
    filters: int = 12,
    hidden: int = 24,
    epochs: int = 12,
    harder=((80, 8.0), (40, 16.0)),
    seed: int,
) -> Findings:
    """How a convolutional network that makes the state half a day ahead keeps the climate, and the seasons.

    Lorenz-96 of step 0.1 (half a day; 730 make a year) with F = 8, or with F = 8 + 4 sin(2 pi t / year). The network is
    taught on the changes over a step in `years` of each, with seasons once without and once with the day of the year
    among its inputs, and runs alone for `steps` from states that taught nothing. Seasons: the first harmonic of the
    mean and of the variance over sectors. Skill: for how many time units the RMSE of forecasts stays below 0.4 of the
    climate's deviation; also for more sectors and for a stronger forcing, which is a more chaotic model.
    Scher & Messori (2019), doi:10.5194/gmd-12-2797-2019.
    """
    key, net = jax.random.key(seed), {"filters": filters, "hidden": (hidden,)}
    how = partial(Convolutional, **net, descent=Descent(epochs=epochs, batch_size=128, learning_rate=3e-3, patience=0))
    cases = [("no seasons", size, 0.0, forcing, False), ("seasons", size, swing, forcing, False)]
    cases.append(("seasons, day of year told", size, swing, forcing, True))
    cases += [(f"{n} sectors, F = {f:g}", n, 0.0, f, False) for n, f in harder]
    scores, years_seen = [], {}
    for name, sectors, amplitude, mean, told in cases:
        begin, learn = jax.random.split(jax.random.fold_in(key, sectors + 1000 * round(amplitude)))
        forced = _forcing(mean, amplitude, years * YEAR + steps)
        truth = nature(sectors, forced, members, begin)
        taught, judged = truth[0, : years * YEAR], truth[:, years * YEAR :]
        began = time.perf_counter()
        step = _taught(taught, partial(how, key=learn), told, learn)
        score = partial(_score, f"{NAME}, {name}", seconds=time.perf_counter() - began)
        scores.append(score("step_error", _step_error(step, judged, years * YEAR), "offline"))
        pieces = _pieces(judged, forecasts)
        scores.append(score("valid_time", _valid_time(step, *pieces, judged, years * YEAR), "online", forecasts))
        if (sectors, mean) != (size, forcing):
            continue
        made = _run(step, judged[:, 0], np.arange(steps - 1) + years * YEAR)
        scores.append(score("climate_distance", histogram_distance(made, judged), "online", members))
        scores.append(score("members_lost", lost(made, LIMIT), "online", members))
        if amplitude:
            scores += [score(metric, value, "online", members) for metric, value in _seasons(made, judged).items()]
            years_seen[name] = _through_the_year(made)
            years_seen["truth"] = _through_the_year(judged)
    return Findings(scores, {"The mean over sectors through the year": partial(_drawn, years_seen)})


def _forcing(mean: float, swing: float, steps: int) -> np.ndarray:
    return mean + swing * np.sin(2 * np.pi * np.arange(steps) / YEAR)


def nature(size: int, forced: np.ndarray, runs: int, key: Array) -> np.ndarray:
    """Runs (run, time, sector) of the model, one state a step, after a year of settling."""
    model = Dial(Lorenz96(size=size, time_step=STEP / 2, steps=2), ["forcing"])
    drive = jnp.asarray(np.concatenate([forced[:YEAR], forced]), jnp.float32)
    run = eqx.filter_jit(jax.vmap(lambda x: Rollout(model, {X: x})({"forcing": drive})[X]))
    return np.asarray(run(3 + 3 * jax.random.normal(key, (runs, size))))[:, YEAR:]


def _clock(steps: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """What the calendar says of each step, the same at every sector (step, sector)."""
    turn = 2 * np.pi * np.asarray(steps) / YEAR
    return {v.name: np.repeat(f(turn)[:, None], size, 1) for v, f in zip(CLOCK, (np.cos, np.sin), strict=True)}


def _taught(states: np.ndarray, learner, told: bool, key: Array) -> Corrected:
    """A step that adds what a network says to the state, taught on one run (time, sector) that begins with a year."""
    size = states.shape[-1]
    nothing = Unmoved((QUANTITY,), {X: jnp.zeros(size)})
    step = corrected(nothing, learner, reads=CLOCK if told else ())
    before, change = jnp.asarray(states[:-1]), jnp.asarray(np.diff(states, axis=0))
    if not told:
        return taught_on_increments(step, before, change, key=key)
    inputs = {X: before} | {name: jnp.asarray(v, jnp.float32) for name, v in _clock(np.arange(len(before)), size).items()}
    network = step.learner.fit(inputs, {step.learner.outputs[0].name: change}, key=key)  # pyright: ignore
    return Corrected(nothing, network)


def _run(step: Model, begins: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Free runs (run, time, sector) from states (run, sector) over the given steps of the calendar."""
    clock = {name: jnp.asarray(v, jnp.float32) for name, v in _clock(steps, begins.shape[-1]).items()}
    told = {v.name: clock[v.name] for v in step.inputs if v.name != X}

    def one(state: Array, _) -> tuple[Array, Array]:
        made = step({X: state, **(_ or {})})[X]
        return made, made

    run = eqx.filter_jit(jax.vmap(lambda x: jax.lax.scan(one, x, told or None, length=len(steps))[1]))
    return np.asarray(run(jnp.asarray(begins)))


def _pieces(truth: np.ndarray, count: int, ahead: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Beginnings (piece,) in runs taken in turn, and the states (piece, time, sector) from there on."""
    begins = np.linspace(0, truth.shape[1] - ahead - 2, count).astype(int)
    return begins, np.stack([truth[place % len(truth), b : b + ahead + 1] for place, b in enumerate(begins)])


def _valid_time(step: Model, begins: np.ndarray, pieces: np.ndarray, truth: np.ndarray, first: int) -> float:
    """For how many time units forecasts are skilful; those of one season go together."""
    length, squares = pieces.shape[1] - 1, []
    for begin, piece in zip(begins, pieces, strict=True):
        squares.append((_run_one(step, piece[0], first + begin, length) - piece[1:]) ** 2)
    curve = np.sqrt(np.mean(squares, axis=(0, 2))) / np.std(truth)
    beyond = np.flatnonzero(~(curve < SKILFUL))
    return float((beyond[0] if len(beyond) else length) * STEP)
