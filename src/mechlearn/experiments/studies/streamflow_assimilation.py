"""Streamflow assimilated into a calibrated catchment: is the forecast of the next days better for it?"""

import time
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ...assimilation.cycle import Assimilation
from ...assimilation.enkf import SerialEnKF
from ...assimilation.error import ObservationError
from ...assimilation.errors_of_input import Logarithm, WithErrors
from ...assimilation.hindcast import Hindcast, hindcast
from ...compose import Rollout
from ...core import Fields, Model, System
from ...data.batches import Windows
from ...data.holmes import SITES, read
from ...descent import Descent
from ...evaluation.splits import last_third
from ...evaluation.uncertainty import resampled
from ...mechanisms.water.hbv import HBV
from ...training.surrogate import search
from ...training.teach import fit
from ...variables import AIR_TEMPERATURE, POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF
from ..calibration import scattered
from ..study import Findings, Score

YEAR = 365
WEATHER = tuple(v.name for v in (PRECIPITATION, AIR_TEMPERATURE, POTENTIAL_EVAPOTRANSPIRATION))
# Decimal logarithms between which each setting of the filter is looked for; the last two are of the observation.
RANGES = {
    "precipitation": (-1.5, -0.3),
    "air_temperature": (-1.0, 0.3),
    "soil_moisture": (-3.0, -1.3),
    "upper_zone_storage": (-2.3, -0.7),
    "lower_zone_storage": (-2.5, -1.0),
    "snowpack": (-2.5, -1.0),
    "routing_buffer": (-2.5, -0.4),
    "forgetting": (-1.3, 0.0),
    "observation_error": (-1.3, 0.2),
    "offset": (-2.0, 0.5),
}


class Period(NamedTuple):
    """Days to forecast, with a year before them to settle: the state at its start, and what the calibrated model says.

    Series are (day,), the first `YEAR` days of them judged by nobody.
    """

    step: Model
    start: Fields
    weather: Fields
    observed: np.ndarray
    simulated: np.ndarray
    time: np.ndarray
    usual: float


def study(
    *, members: int = 40, leads: int = 5, trials: int = 100, starts: int = 2, epochs: int = 250, seed: int
) -> Findings:
    """HBV is calibrated on the training years; a serial square root filter then corrects its stores every day.

    Forcing and stores carry errors (`WithErrors`), observed runoff a relative one (`Logarithm`). The ten settings of
    the filter are searched for on the last five training years and the validation years together, by the mean ratio of
    its forecast error to the open loop's; the test years are forecast once with what was found. The forecasts take
    the weather as it was observed. In the drill two of twenty members crash every day.

    Clark et al. (2008), doi:10.1016/j.advwatres.2008.06.005; Liu et al. (2012), doi:10.5194/hess-16-3863-2012.
    """
    scores, notes, curves = [], [], {}
    for place, site in enumerate(SITES):
        key = jax.random.fold_in(jax.random.key(seed), place)
        began = time.perf_counter()
        chosen, judged = _periods(site, key, starts, epochs)
        found = search(partial(_cost, chosen, leads, key), list(RANGES.values()), key=key, runs=trials)
        settings = {name: float(10**value) for name, value in zip(RANGES, found, strict=True)}
        notes.append(f"{site}: " + ", ".join(f"{name} {value:.3g}" for name, value in settings.items()))
        runs, lost = _forecasts(judged, settings, members, leads, key)
        ratios = {name: _compared(made, runs["mechanism_only"], judged, leads) for name, made in runs.items()}
        curves[site] = [one[0] for one in ratios["ensemble filter"]]
        scores += [score for name, each in ratios.items() for score in _scores(name, site, each)]
        scores += [_score("ensemble filter, 2 of 20 crash", "members_lost", lost, site)]
        scores += [_score("ensemble filter", "study_time", time.perf_counter() - began, site, "s")]
    return Findings(scores, {"Forecast error over that of the open loop": partial(_drawn, curves)}, notes)


def _periods(site: str, key: Array, starts: int, epochs: int) -> tuple[Period, Period]:
    """What the filter's settings are chosen on, and what is judged, with the model calibrated before either."""
    record = read(sites=(site,))
    split = last_third(record)
    windows = Windows(record, split.train, 10 * YEAR, YEAR, inputs=WEATHER)
    keys = jax.random.split(key, starts)
    first = Rollout(HBV())
    replicas = [System(scattered(first, k) if i else first, stages=("online",)) for i, k in enumerate(keys)]
    how = Descent(epochs=epochs, learning_rate=0.1, patience=60, batch_size=4)
    taught, losses = fit(replicas, windows, key=key, how=how)
    best = int(np.argmin(np.nanmin(losses.training_loss, axis=0))) if losses else 0
    roll = taught[best].model
    step = roll.step if isinstance(roll, Rollout) else roll
    weather = {name: jnp.asarray(record.fields[name][0]) for name in WEATHER}
    observed, usual = record.observed["runoff"][0], float(np.nanmean(record.observed["runoff"][split.train]))

    def period(begin: int, end: int) -> Period:
        made = eqx.filter_jit(Rollout(step))({name: series[:end] for name, series in weather.items()})
        start = {name: made[name][begin - 1] for name in step.state}
        own = {name: series[begin:end] for name, series in weather.items()}
        said = np.asarray(made["runoff"][begin:])
        return Period(step, start, own, observed[begin:end], said, record.time[begin:end], usual)

    last, (first_judged, end) = int(np.flatnonzero(split.validation[0])[-1]) + 1, _ends(split.test[0])
    return period(int(np.flatnonzero(split.train[0])[-1]) - 6 * YEAR, last), period(first_judged - YEAR, end)


def _ends(mask: np.ndarray) -> tuple[int, int]:
    days = np.flatnonzero(mask)
    return int(days[0]), int(days[-1]) + 1


def _filtered(
    period: Period, settings: dict[str, float], members: int, leads: int, key: Array, *, crash: bool = False
) -> Hindcast:
    """Daily analyses and the forecasts from each; all members begin alike and are told apart by their errors."""
    # One that forgets a tenth a day remembers nine tenths.
    step = WithErrors(period.step, {n: settings[n] for n in list(RANGES)[:7]}, 1 - settings["forgetting"])
    logarithm = Logarithm(RUNOFF, jnp.asarray(settings["offset"] * period.usual))
    error = ObservationError.of_variance([settings["observation_error"] ** 2])
    system = Assimilation(step, logarithm, error, noise=step.noise())
    state = ravel_pytree({n: period.start.get(n, jnp.zeros(())) for n in step.state})[0]
    days = len(period.observed) - leads
    failing = np.argsort(np.random.default_rng(0).random((days, members)), axis=1) < 2 if crash else None
    ensemble, seen = jnp.broadcast_to(state, (members, len(state))), logarithm.of(period.observed[:days, None])
    return hindcast(
        system,
        SerialEnKF(),
        ensemble,
        seen,
        "runoff",
        forcing=period.weather,
        key=key,
        leads=leads,
        failing=failing,
    )


def _cost(period: Period, leads: int, key: Array, point: np.ndarray) -> float:
    settings = {name: float(10**value) for name, value in zip(RANGES, point, strict=True)}
    made = _by_day(_mean(_filtered(period, settings, 40, leads, key)), len(period.observed))
    days = slice(YEAR, len(period.observed) - leads)
    error, reference = (
        np.sqrt(np.nanmean((values - period.observed[days]) ** 2, axis=-1))
        for values in (made[:, days], period.simulated[days])
    )
    return float(np.exp(np.mean(np.log(error / reference))))


def _mean(made: Hindcast) -> np.ndarray:
    return np.asarray(made.forecast.mean(axis=2))


def _by_day(forecast: np.ndarray, days: int) -> np.ndarray:
    """Forecasts (cycle, lead) by the day they are of: (lead, day), NaN where none is."""
    placed = np.full((forecast.shape[1], days), np.nan)
    for lead in range(forecast.shape[1]):
        placed[lead, 1 + lead : 1 + lead + len(forecast)] = forecast[:, lead]
    return placed


def _forecasts(
    period: Period, settings: dict[str, float], members: int, leads: int, key: Array
) -> tuple[dict[str, np.ndarray], int]:
    """What each way says of each day, (lead, day); the drill's count of members lost."""
    days = len(period.observed)
    drill = _filtered(period, settings, 20, leads, key, crash=True)
    ahead = np.arange(leads)
    error = np.nan_to_num(period.observed - period.simulated)
    last = np.minimum(np.arange(days - leads)[:, None] + 1 + ahead, days - 1)
    settled = error[:YEAR]
    memory = np.clip(np.sum(settled[1:] * settled[:-1]) / np.sum(settled**2), 0, 1)
    carried = np.maximum(period.simulated[last] + memory ** (1 + ahead) * error[: days - leads, None], 0)
    runs = {
        "mechanism_only": np.broadcast_to(period.simulated, (leads, days)),
        "persistence": _by_day(np.repeat(period.observed[: days - leads, None], leads, axis=1), days),
        "simulation plus its last error": _by_day(carried, days),
        "ensemble filter": _by_day(_mean(_filtered(period, settings, members, leads, key)), days),
        "ensemble filter, 2 of 20 crash": _by_day(_mean(drill), days),
    }
    return runs, int(drill.lost.sum())


def _compared(made: np.ndarray, reference: np.ndarray, period: Period, leads: int) -> list[tuple[float, ...]]:
    """At each lead: the ratio of errors, its 90 % interval (years drawn in pairs), the error itself, the days."""
    days = slice(YEAR, len(period.observed) - leads)
    seen, when = period.observed[days][None], period.time[days]
    rows = []
    for own, other in zip(made[:, days], reference[:, days], strict=True):
        point, drawn = resampled("rmse", own[None], seen, when)
        base, base_drawn = resampled("rmse", other[None], seen, when)
        low, high = np.nanquantile(drawn / base_drawn, [0.05, 0.95]) if np.isfinite(drawn).any() else (np.nan, np.nan)
        rows.append((float(point[0] / base[0]), float(low), float(high), float(point[0]), int(np.isfinite(seen).sum())))
    return rows


def _scores(name: str, site: str, rows: list[tuple[float, ...]]) -> list[Score]:
    words = ("rmse_over_open_loop", "rmse_over_open_loop_low", "rmse_over_open_loop_high", "rmse")
    scores = []
    for lead, row in enumerate(rows, 1):
        kept = words if name != "mechanism_only" else words[3:]
        for word, value in zip(words, row, strict=False):
            units = "mm day-1" if word == "rmse" else "1"
            scores += [_score(name, f"{word}_day_{lead}", value, site, units, int(row[4]))] if word in kept else []
    return scores


def _score(name: str, metric: str, value: float, site: str, units: str = "1", n: int = 1) -> Score:
    return Score(name, metric, value, units, "embedded", "", "water.hbv", "runoff", site, n)


def _drawn(curves: dict[str, list[float]], axes) -> None:
    for site, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", label=site)
    axes.axhline(1.0, color="0.6", linewidth=0.8)
    axes.set(xlabel="days ahead", ylabel="RMSE over open loop", ylim=(0, 1.1))
    axes.legend(frameon=False)
