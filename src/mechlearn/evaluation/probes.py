"""Physical probes: what any streamflow model must do when its forcing is changed on purpose.

A probe drives `predict(fields) -> fields` for one site with forcing that was never observed, so that it needs no
observation and tells apart a model that is right from one that is only fitted. A model that does not expose what a
probe reads is judged by what it does expose, or the probe says that it does not apply (`passed` is None).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mechlearn.variables import AIR_TEMPERATURE, EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF

from .scores import FloatArray

Forcing = Mapping[str, Any]
Predict = Callable[[dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Probe:
    """What a probe found: a value against its limit, and a sentence on what it means."""

    name: str
    passed: bool | None
    value: float
    limit: float
    explanation: str


def probe_all(
    predict: Predict, fields: Forcing, *, stores: Sequence[str] = (), exchange: Sequence[str] = ()
) -> list[Probe]:
    """Every probe on one site's forcing: {name: (time,)} for what varies, numbers for what does not.

    `stores` names the outputs that hold water (mm), `exchange` those that enter from outside (mm day-1). Give several
    years of forcing; a jitted `predict` makes the eleven runs quick.
    """
    return [
        mass_balance(predict, fields, stores=stores, exchange=exchange),
        non_negative_stores(predict, fields, stores=stores),
        monotone_response_to_rain(predict, fields),
        nothing_from_nothing(predict, fields, stores=stores, exchange=exchange),
        dry_recession(predict, fields),
        warming_moves_snow_to_rain(predict, fields),
        causality(predict, fields),
    ]


def mass_balance(
    predict: Predict,
    fields: Forcing,
    *,
    stores: Sequence[str] = (),
    exchange: Sequence[str] = (),
    limit: float = 1e-4,
) -> Probe:
    """Water that enters leaves or is stored.

    `|sum(P + X - Q - E) - dS| / sum(P)`, the worst over all days so far; the first day is left out because the storage
    before it is not an output. For a model without stores or evapotranspiration: `sum(Q) / sum(P)` must not exceed 1.
    """
    made, rain = _outputs(predict, fields), _series(fields, PRECIPITATION.name)
    if not _exposed(made, (*stores, *exchange)) or not stores or EVAPOTRANSPIRATION.name not in made:
        ratio = made[RUNOFF.name].sum() / rain.sum()
        return _at_most("mass_balance", ratio, 1.0, "long-run runoff over precipitation (no stores to close a balance)")
    lost = made[RUNOFF.name] + made[EVAPOTRANSPIRATION.name] - sum(made[name] for name in exchange)
    stored = _stored(made, stores)
    error = np.cumsum((rain - lost)[1:]) - (stored[1:] - stored[0])
    return _at_most("mass_balance", _largest(error) / rain.sum(), limit, "share of precipitation unaccounted for")


def non_negative_stores(
    predict: Predict, fields: Forcing, *, stores: Sequence[str] = (), limit: float = -1e-4
) -> Probe:
    """No store and no runoff is ever below nothing; the smallest value found (mm, mm day-1)."""
    made = _outputs(predict, fields)
    judged = [name for name in (*stores, RUNOFF.name) if name in made]
    smallest = float(np.min([made[name].min() for name in judged]))
    return _at_least("non_negative_stores", smallest, limit, f"smallest value of {', '.join(judged)}")


def monotone_response_to_rain(
    predict: Predict, fields: Forcing, *, extra: float = 20.0, days: int = 5, limit: float = -1e-3
) -> Probe:
    """More rain on one day never means less runoff from that day on.

    The smallest `(sum(Q') - sum(Q)) / extra` over several days on each of which `extra` mm were added.
    """
    before = _outputs(predict, fields)[RUNOFF.name]
    rain = _series(fields, PRECIPITATION.name)
    answers = []
    for day in np.linspace(0.2, 0.8, days) * len(rain):
        wetter = _changed(fields, PRECIPITATION.name, rain + extra * (np.arange(len(rain)) == int(day)))
        answers.append((_outputs(predict, wetter)[RUNOFF.name] - before)[int(day) :].sum() / extra)
    meaning = f"smallest share of {extra:g} mm of extra rain that came out as runoff"
    return _at_least("monotone_response_to_rain", float(np.min(answers)), limit, meaning)


def nothing_from_nothing(
    predict: Predict,
    fields: Forcing,
    *,
    stores: Sequence[str] = (),
    exchange: Sequence[str] = (),
    years: int = 4,
) -> Probe:
    """Without rain only what was stored can flow out.

    After the record it never rains again at 10 degC. Runoff of all the dry years over the storage at their start must
    not exceed 1; where no stores are exposed, the runoff of the last dry month must be below a fifth of its usual mean.
    """
    made, start = _dry(predict, fields, years)
    if stores and _exposed(made, (*stores, *exchange)):
        entered = sum(np.maximum(made[name][start:], 0).sum() for name in exchange)
        held = _stored(made, stores)[start - 1] + entered
        ratio = made[RUNOFF.name][start:].sum() / max(held, 1e-9)
        meaning = f"runoff of {years} dry years over the water stored before them"
        return _at_most("nothing_from_nothing", ratio, 1 + 1e-4, meaning)
    usual, late = made[RUNOFF.name][:start].mean(), made[RUNOFF.name][-30:].mean()
    meaning = f"runoff after {years} years without rain over its usual mean"
    return _at_most("nothing_from_nothing", late / max(usual, 1e-9), 0.2, meaning)


def dry_recession(predict: Predict, fields: Forcing, *, years: int = 4, settle: int = 90, limit: float = 1e-3) -> Probe:
    """Without rain runoff only falls: the largest rise from one day to the next (mm day-1).

    The first `settle` dry days are left out: snow melts and routed water arrives.
    """
    made, start = _dry(predict, fields, years)
    rise = np.diff(made[RUNOFF.name][start + settle :]).max()
    return _at_most("dry_recession", float(rise), limit, "largest daily rise of runoff while no rain falls")


def warming_moves_snow_to_rain(
    predict: Predict, fields: Forcing, *, warming: float = 4.0, snowy: float = 0.1, limit: float = 1e-3
) -> Probe:
    """In a snowy place, warmth turns winter snow into winter runoff.

    The rise, after `warming` K on every temperature, of the share of runoff that flows in the cold season (the third
    of days with the coldest month around them). It applies where `snowy` of the precipitation falls below 0 degC;
    potential evapotranspiration stays as it was.
    """
    name = "warming_moves_snow_to_rain"
    if AIR_TEMPERATURE.name not in fields:
        return Probe(name, None, float("nan"), snowy, "does not apply: the model reads no air temperature")
    temperature, rain = (_series(fields, v.name) for v in (AIR_TEMPERATURE, PRECIPITATION))
    share = rain[temperature < 0].sum() / rain.sum()
    if share < snowy:
        return Probe(
            name, None, float(share), snowy, "does not apply: the share of precipitation below 0 degC is small"
        )
    around = np.convolve(np.pad(temperature, 15, mode="edge"), np.full(31, 1 / 31), "valid")
    cold = around <= np.quantile(around, 1 / 3)
    warmed = {key: value + warming if "temperature" in key else value for key, value in fields.items()}
    before, after = (_outputs(predict, one)[RUNOFF.name] for one in (fields, warmed))
    moved = after[cold].sum() / max(after.sum(), 1e-9) - before[cold].sum() / max(before.sum(), 1e-9)
    return _at_least(
        name, float(moved), limit, f"rise of the cold season's share of runoff after {warming:g} K of warming"
    )


def causality(predict: Predict, fields: Forcing, *, limit: float = 1e-4) -> Probe:
    """What happens tomorrow changes nothing today.

    All forcing is changed from the middle of the record on; the largest change of runoff before that (mm day-1).
    """
    half = len(_series(fields, PRECIPITATION.name)) // 2
    later = {name: _after(value, half) if np.ndim(value) else value for name, value in fields.items()}
    before, after = (_outputs(predict, one)[RUNOFF.name][:half] for one in (fields, later))
    meaning = "largest change of past runoff when future forcing changes"
    return _at_most("causality", _largest(after - before), limit, meaning)


def _after(value, day: int):
    series = np.array(value)
    series[day:] = 1.5 * series[day:] + 1
    return series


def _dry(predict: Predict, fields: Forcing, years: int) -> tuple[dict[str, FloatArray], int]:
    """The outputs of the record followed by dry years of constant mean weather, and the first dry day."""
    constant = {PRECIPITATION.name: 0.0, AIR_TEMPERATURE.name: 10.0}
    extended = {
        name: _followed(value, constant.get(name), years) if np.ndim(value) else value for name, value in fields.items()
    }
    return _outputs(predict, extended), len(_series(fields, PRECIPITATION.name))


def _followed(value, level: float | None, years: int):
    series = np.asarray(value)
    level = float(np.mean(series)) if level is None else level
    return np.concatenate([series, np.full(365 * years, level, series.dtype)])


def _changed(fields: Forcing, name: str, series: FloatArray) -> Forcing:
    return {**fields, name: series.astype(np.asarray(fields[name]).dtype)}


def _series(fields: Forcing, name: str) -> FloatArray:
    if name not in fields:
        raise ValueError(f"a probe needs {name!r} among the fields; it has {', '.join(sorted(fields))}")
    return np.asarray(fields[name], float)


def _outputs(predict: Predict, fields: Forcing) -> dict[str, FloatArray]:
    made = {name: np.asarray(value, float) for name, value in predict(dict(fields)).items()}
    if RUNOFF.name not in made:
        raise ValueError(f"a probe needs a model that gives {RUNOFF.name!r}; it gives {', '.join(sorted(made))}")
    return made


def _stored(made: dict[str, FloatArray], stores: Sequence[str]) -> FloatArray:
    return np.sum([made[name].reshape(len(made[name]), -1).sum(axis=1) for name in stores], axis=0)


def _exposed(made: dict[str, FloatArray], names: Sequence[str]) -> bool:
    return all(name in made for name in names)


def _largest(error: FloatArray) -> float:
    return float(np.max(np.abs(error)))


def _at_most(name: str, value: float, limit: float, explanation: str) -> Probe:
    return Probe(name, bool(value <= limit), float(value), limit, f"{explanation}: at most {limit:g}")


def _at_least(name: str, value: float, limit: float, explanation: str) -> Probe:
    return Probe(name, bool(value >= limit), float(value), limit, f"{explanation}: at least {limit:g}")
