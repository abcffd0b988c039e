"""Error by regime: low, medium and high flow, driest and wettest years."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scores import FloatArray, paired
from .uncertainty import hydrological_year


def regimes(observed: ArrayLike, time: NDArray[np.datetime64]) -> dict[str, NDArray[np.bool_]]:
    """Which observed days belong to each regime of their own site: {name: (site, time)}.

    Low flow is the lowest 30 % of the observed days, high flow the highest 10 %; dry and wet years are the third of
    the well-observed hydrological years with the least and the most flow.
    """
    o = np.atleast_2d(np.asarray(observed, float))
    low, high = (np.stack([_quantile(one, share) for one in o])[:, None] for share in (0.3, 0.9))
    year, known = hydrological_year(time), np.isfinite(o)
    dry, wet = (np.stack([np.isin(year, years) for years in _years(o, year, side)]) for side in (1, -1))
    return {
        "low flow": known & (o <= low),
        "medium flow": known & (o > low) & (o < high),
        "high flow": known & (o >= high),
        "driest years": known & dry,
        "wettest years": known & wet,
    }


def regime_rows(
    predictions: Mapping[str, ArrayLike],
    observed: ArrayLike,
    time: NDArray[np.datetime64],
    *,
    level: float = 0.9,
    draws: int = 300,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Each prediction's error in each regime: rows {regime, coupling, metric, units, value, low, high, days}.

    `100 sum|p - o| / sum(o)` over the days of the regime, in percent of its own flow so that regimes compare; the
    median over sites of the mean over seeds, with its interval over hydrological years. Predictions are (site, time)
    or (seed, site, time); mask the observations to the test part first.
    """
    o = np.atleast_2d(np.asarray(observed, float))
    rows = []
    for regime, inside in regimes(o, time).items():
        judged = np.where(inside, o, np.nan)
        for coupling, predicted in predictions.items():
            p = np.asarray(predicted, float).reshape(-1, *o.shape)
            value, low, high = _error(p, judged, hydrological_year(time), level, draws, seed)
            told = {"regime": regime, "coupling": coupling, "metric": "relative_error", "units": "percent"}
            rows.append({**told, "value": value, "low": low, "high": high, "days": int(np.isfinite(judged).sum())})
    return rows


def _error(
    p: FloatArray, o: FloatArray, year: NDArray[np.int64], level: float, draws: int, seed: int
) -> tuple[float, float, float]:
    p, o = paired(p, o)
    years = [one for one in np.unique(year) if np.isfinite(o[..., year == one]).any()]
    if not years:
        return np.nan, np.nan, np.nan
    missed, flowed = (
        np.stack([np.nansum(term[..., year == one], axis=-1) for one in years]) for term in (np.abs(p - o), o)
    )
    counts = np.random.default_rng(seed).multinomial(len(years), np.full(len(years), 1 / len(years)), draws)
    whole = _median(missed.sum(axis=0)[None], flowed.sum(axis=0)[None])[0]
    drawn = _median(np.tensordot(counts, missed, 1), np.tensordot(counts, flowed, 1))
    drawn = drawn[np.isfinite(drawn)]
    if len(years) < 2 or not drawn.size:
        return float(whole), np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(whole), float(low), float(high)


def _median(missed: FloatArray, flowed: FloatArray) -> FloatArray:
    """The median over sites of the mean over seeds, of (draw, seed, site)."""
    ratio = np.where(flowed > 0, 100 * missed / np.where(flowed > 0, flowed, 1.0), np.nan).mean(axis=1)
    known = np.isfinite(ratio).any(axis=1)
    median = np.full(len(ratio), np.nan)
    median[known] = np.nanmedian(ratio[known], axis=1)
    return median


def _quantile(series: FloatArray, share: float) -> float:
    finite = series[np.isfinite(series)]
    return float(np.quantile(finite, share)) if finite.size else np.nan


def _years(
    observed: FloatArray, year: NDArray[np.int64], side: int, observed_days: int = 250
) -> list[NDArray[np.int64]]:
    """The third of each site's well-observed years with the least (side 1) or the most (side -1) flow."""
    chosen = []
    for series in observed:
        means = {
            one: series[days].mean()
            for one in np.unique(year)
            if len(days := np.flatnonzero((year == one) & np.isfinite(series))) > observed_days
        }
        ordered = sorted(means, key=lambda one: side * means[one])
        chosen.append(np.asarray(ordered[: max(len(ordered) // 3, 1)] if len(ordered) > 1 else [], int))
    return chosen
