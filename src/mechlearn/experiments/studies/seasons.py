"""Networks in the place of a whole model of the climate, with and without seasons."""

import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...compose import Dial, Rollout
from ...core import Fields, Model
from ...couplings.embedded.model_error import Corrected, Unmoved, corrected
from ...couplings.embedded.whole_model import Seasonal, season
from ...descent import Descent
from ...evaluation.climate import histogram_distance, lost
from ...forecast import Forecast
from ...learners.convolution import Convolution
from ...mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from ..study import Findings, Score

X, CLOCK = QUANTITY.name, season(QUANTITY.dims)
STEP, YEAR, LIMIT, SKILFUL, AHEAD = 0.05, 1460, 100.0, 0.4, 80  # six hours; a year, and forecasts, of such steps
NAME = "embedded.whole_model"


def study(
    *,
    size: int = 40,
    forcing: float = 8.0,
    swing: float = 4.0,
    harder=((80, 8.0), (40, 16.0)),
    years: int = 5,
    steps: int = 10_000,
    members: int = 4,
    forecasts: int = 100,
    filters: int = 16,
    hidden: int = 32,
    epochs: int = 15,
    seed: int,
) -> Findings:
    """How a convolutional network that makes the state six hours ahead keeps the climate, and the seasons.

    Lorenz-96 of step 0.05 (six hours; 1,460 make a year) with F = 8, or with F = 8 + 4 sin(2 pi t / year). The network
    is taught on the changes over a step in `years` of each, with seasons once without and once with the day of the
    year among its inputs, and runs alone for `steps` from states that taught nothing. Seasons: the first harmonic, in
    the calendar, of the mean and of the variance over sectors, in the whole years before a member is lost. Skill: for
    how many time units the RMSE of forecasts stays below 0.4 of the climate's deviation; also for more sectors, and
    for a stronger forcing, which is a more chaotic model. Scher & Messori (2019), doi:10.5194/gmd-12-2797-2019.
    """
    how = Descent(epochs=epochs, batch_size=32, learning_rate=3e-3, patience=0)
    shape = {"width": (filters, hidden), "kernels": (5, 5, 1), "bilinear": True, "activation": "relu"}
    learner = partial(Convolution, **shape, descent=how)
    cases = [("no seasons", size, 0.0, forcing, False), ("seasons", size, swing, forcing, False)]
    cases += [("seasons, day of year told", size, swing, forcing, True)]
    cases += [(f"{n} sectors, F = {f:g}", n, 0.0, f, False) for n, f in harder]
    scores, cycles = [], {}
    for name, sectors, amplitude, mean, told in cases:
        begin, learn = jax.random.split(jax.random.fold_in(jax.random.key(seed), sectors + round(1000 * amplitude)))
        forced = mean + amplitude * np.sin(2 * np.pi * np.arange(years * YEAR + steps) / YEAR)
        truth = _nature(sectors, forced, members, begin)
        began, judged = time.perf_counter(), truth[:, years * YEAR :]
        step = _taught(truth[0, : years * YEAR], partial(learner, key=learn), told, learn)
        score = partial(_score, f"{NAME}, {name}", seconds=time.perf_counter() - began)
        errors, valid = _forecasts(step, judged, forecasts)
        scores += [score("step_error", errors, "offline"), score("valid_time", valid, "online", forecasts)]
        if (sectors, mean) != (size, forcing):
            continue
        made = _run(step, _fields(judged[:, 0], np.zeros(members)), judged.shape[1])
        scores.append(score("climate_distance", histogram_distance(made, judged), "online", members))
        scores.append(score("members_lost", lost(made, LIMIT), "online", members))
        if amplitude:
            scores += [score(metric, value, "online", members) for metric, value in _seasons(made, judged).items()]
            cycles |= {"truth": _through_the_year(judged), name: _through_the_year(made)}
    return Findings(scores, {"The mean over sectors through the year": partial(_drawn, cycles)})


def _nature(size: int, forced: np.ndarray, runs: int, key: Array) -> np.ndarray:
    """Runs (run, time, sector) of the model, one state a step, after a year of settling."""
    model = Dial(Lorenz96(size=size, time_step=STEP), ["forcing"])
    drive = jnp.asarray(np.concatenate([forced[:YEAR], forced]), jnp.float32)
    run = eqx.filter_jit(jax.vmap(lambda x: Rollout(model, {X: x})({"forcing": drive})[X]))
    return np.asarray(run(3 + 3 * jax.random.normal(key, (runs, size))))[:, YEAR - 1 : -1]


def _fields(states: np.ndarray, steps: np.ndarray) -> Fields:
    """States (sample, sector) and what the calendar says of their steps, the same at every sector."""
    turn = 2 * np.pi * np.asarray(steps)[:, None] / YEAR * np.ones_like(states)
    told = {v.name: jnp.asarray(f(turn), jnp.float32) for v, f in zip(CLOCK, (np.cos, np.sin), strict=True)}
    return {X: jnp.asarray(states), **told}


def _taught(states: np.ndarray, learner, told: bool, key: Array) -> Seasonal:
    """A step that adds what a network says to the state, taught on one run (time, sector)."""
    nothing = Unmoved((QUANTITY,), {X: jnp.zeros(states.shape[-1])})
    step = corrected(nothing, learner, reads=CLOCK if told else ())
    network, (change,) = step.learner, step.learner.outputs
    fields = _fields(states[:-1], np.arange(len(states) - 1))
    given = {variable.name: fields[variable.name] for variable in network.inputs}
    taught = network.fit(given, {change.name: jnp.diff(jnp.asarray(states), axis=0)}, key=key)  # pyright: ignore
    return Seasonal(Corrected(nothing, taught), YEAR)


def _run(step: Model, start: Fields, length: int) -> np.ndarray:
    """Runs (run, time, sector) of a step that goes on alone."""
    model = Forecast(step, length, remat=False)
    begin = {f"initial_{name}": values for name, values in start.items()}
    return np.asarray(eqx.filter_jit(lambda fields: jax.vmap(lambda one: model(one)[X])(fields))(begin))


def _forecasts(step: Model, truth: np.ndarray, count: int) -> tuple[float, float]:
    """The error of one step in units of what it changes, and for how many time units forecasts are skilful."""
    begins = np.linspace(0, truth.shape[1] - AHEAD - 1, count).astype(int)
    pieces = np.stack([truth[place % len(truth), b : b + AHEAD + 1] for place, b in enumerate(begins)])
    # The part that judges begins on the first day of a year.
    made = _run(step, _fields(pieces[:, 0], begins), AHEAD)
    curve = np.sqrt(np.mean((made - pieces[:, 1:]) ** 2, axis=(0, 2)))
    beyond = np.flatnonzero(~(curve < SKILFUL * np.std(truth)))
    first = float(curve[0] / np.std(pieces[:, 1] - pieces[:, 0]))
    return first, float((beyond[0] if len(beyond) else AHEAD) * STEP)


def _seasons(made: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """By how many percent the seasonal swing is off, of the mean and of the variance over sectors."""
    errors = {"years_before_loss": float(np.mean([len(one) // YEAR for one in _whole_years(made)]))}
    for word, statistic in (("mean", np.mean), ("variance", np.var)):
        found, wanted = (_harmonic([statistic(one, axis=1) for one in _whole_years(runs)]) for runs in (made, truth))
        errors[f"{word}_swing"] = 100 * (abs(found) / abs(wanted) - 1)
        errors[f"{word}_swing_vector_error"] = 100 * abs(found - wanted) / abs(wanted)
    return errors


def _whole_years(runs: np.ndarray) -> list[np.ndarray]:
    """Of each run the whole years (time, sector) before it left the numbers that make sense."""
    kept = np.all(np.abs(runs) <= LIMIT, axis=2)
    ends = np.where(kept.all(axis=1), runs.shape[1], np.argmin(kept, axis=1)) // YEAR * YEAR
    return [run[:end] for run, end in zip(runs, ends, strict=True)]


def _harmonic(series: list[np.ndarray]) -> complex:
    """The first harmonic of the year in series (step,) of whole years, all together; NaN where there is none."""
    values = np.concatenate(series)
    wave = np.concatenate([np.exp(-2j * np.pi * np.arange(len(one)) / YEAR) for one in series])
    return complex(2 * np.mean((values - values.mean()) * wave)) if len(values) else complex(np.nan)


def _through_the_year(runs: np.ndarray) -> np.ndarray:
    """The mean over sectors (step of the year,), of all whole years."""
    return np.concatenate([one.reshape(-1, YEAR, one.shape[1]) for one in _whole_years(runs)]).mean(axis=(0, 2))


def _score(
    name: str, metric: str, value: float, split: str = "main", n: int = 1, seconds: float = float("nan")
) -> Score:
    units = {"valid_time": "time units", "years_before_loss": "years"}.get(
        metric, "percent" if "swing" in metric else "1"
    )
    return Score(name, metric, float(value), units, "embedded", "convolution", "flow.lorenz96", X, split, n, seconds)


def _drawn(cycles: dict[str, np.ndarray], axes) -> None:
    for label, values in cycles.items():
        axes.plot(np.arange(YEAR) / 4, values, label=label, color="black" if label == "truth" else None, linewidth=0.9)
    axes.set(xlabel="day of the year", ylabel="mean over sectors")
    axes.legend(frameon=False, fontsize=8)
