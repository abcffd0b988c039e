"""Intervals of scores: hydrological years drawn again with replacement, seeds drawn with them.

Days of one year depend on each other, so whole years are what a bootstrap draws; all sites keep the same years,
because a wet year is wet at all of them. A difference is taken within each draw, never between two intervals.
Clark et al. (2021), doi:10.1029/2020WR029001.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scores import OF_MOMENTS, FloatArray, Moments, logarithms, moments, score, shortfall


class Interval(NamedTuple):
    """A value and the bounds between which it lies with the stated probability (NaN where there is no way to tell)."""

    value: float
    low: float
    high: float


def hydrological_year(time: NDArray[np.datetime64], first_month: int = 10) -> NDArray[np.int64]:
    """The hydrological year of each day, named by the calendar year in which it ends.

    >>> hydrological_year(np.array(["2001-09-30", "2001-10-01"], "datetime64[D]")).tolist()
    [2001, 2002]
    """
    months = np.asarray(time, "datetime64[M]").astype(int)
    return 1970 + (months + (13 - first_month) % 12) // 12


def interval(
    metric: str,
    predicted: ArrayLike,
    observed: ArrayLike,
    time: NDArray[np.datetime64],
    *,
    level: float = 0.9,
    draws: int = 1000,
    resample_sites: bool = False,
    seed: int = 0,
) -> Interval:
    """A metric's median over sites, with its interval from years and seeds.

    `predicted` is (site, time), or (seed, site, time) for models taught several times: the score is the mean over
    seeds. With `resample_sites` sites are drawn too, so that the interval speaks of other sites like these.

    >>> time = np.arange("2000-10-01", "2006-10-01", dtype="datetime64[D]")
    >>> flow = np.random.default_rng(0).gamma(1.0, 2.0, (2, time.size))
    >>> low, high = interval("bias", 1.1 * flow, flow, time)[1:]
    >>> round(low, 6), round(high, 6)
    (10.0, 10.0)
    """
    point, drawn = resampled(metric, predicted, observed, time, draws=draws, seed=seed)
    return _over_sites(point, drawn, level, resample_sites, seed)


def site_intervals(
    metric: str,
    predicted: ArrayLike,
    observed: ArrayLike,
    time: NDArray[np.datetime64],
    *,
    level: float = 0.9,
    draws: int = 1000,
    seed: int = 0,
) -> list[Interval]:
    """The same for each site apart."""
    point, drawn = resampled(metric, predicted, observed, time, draws=draws, seed=seed)
    low, high = bounds(drawn, level)
    return [Interval(*map(float, row)) for row in zip(point, low, high, strict=True)]


def gain(
    metric: str,
    predicted: ArrayLike,
    reference: ArrayLike,
    observed: ArrayLike,
    time: NDArray[np.datetime64],
    *,
    level: float = 0.9,
    draws: int = 1000,
    resample_sites: bool = False,
    seed: int = 0,
) -> Interval:
    """How much nearer to perfect a prediction is than a reference, as the median over sites, years drawn in pairs.

    Positive where the prediction is better, whatever the metric: `|s_reference - s_perfect| - |s - s_perfect|`.
    Days that either prediction lacks are left out of both.

    >>> time = np.arange("2000-10-01", "2006-10-01", dtype="datetime64[D]")
    >>> flow = np.random.default_rng(0).gamma(1.0, 2.0, (1, time.size))
    >>> round(gain("bias", 1.1 * flow, 0.8 * flow, flow, time).value, 6)
    10.0
    """
    shared = _shared_days(predicted, reference, observed)
    ours = resampled(metric, predicted, shared, time, draws=draws, seed=seed)
    theirs = resampled(metric, reference, shared, time, draws=draws, seed=seed)
    point, drawn = (shortfall(metric, other) - shortfall(metric, own) for own, other in zip(ours, theirs, strict=True))
    return _over_sites(point, drawn, level, resample_sites, seed)


def resampled(
    metric: str,
    predicted: ArrayLike,
    observed: ArrayLike,
    time: NDArray[np.datetime64],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """A metric at each site, (site,), and in each draw of years and seeds, (draw, site).

    The draws are NaN when fewer than two hydrological years are observed: one year says nothing of others.

    Raises `ValueError` when the shapes do not agree.
    """
    p, o = _with_seeds(predicted, observed, time)
    point = score(metric)(p, o).mean(axis=0)
    # Years without any observation must not be drawn: they would only change how many are.
    judged = (np.isfinite(p).any(axis=0) & np.isfinite(o)).any(axis=0)
    years, block = np.unique(hydrological_year(time[judged]), return_inverse=True)
    if len(years) < 2:
        return point, np.full((draws, len(o)), np.nan)
    # Scores that need the series itself are some hundred times slower: a fifth of the draws has to do.
    draws = draws if metric in OF_MOMENTS else max(draws // 5, 1)
    counts = _draw(len(years), draws, seed)
    members = _draw(len(p), draws, seed + 1)
    by_seed = _by_moments if metric in OF_MOMENTS else _by_days
    scored = by_seed(metric, p[..., judged], o[..., judged], block, counts)
    return point, np.einsum("dm,dms->ds", members / len(p), scored)


def _draw(count: int, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each of `count` things comes up when as many are drawn with replacement."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)


def _with_seeds(predicted: ArrayLike, observed: ArrayLike, time: NDArray) -> tuple[FloatArray, FloatArray]:
    p, o = np.asarray(predicted, float), np.atleast_2d(np.asarray(observed, float))
    p = p.reshape(-1, *o.shape) if p.shape[-2:] == o.shape or p.shape == o.shape[1:] else p
    if p.shape[1:] != o.shape or len(time) != o.shape[-1]:
        raise ValueError(
            f"predicted {p.shape} must be (site, time) or (seed, site, time), observed {o.shape} (site, time) "
            f"and time {np.shape(time)} (time,); select the same sites and days of each"
        )
    return p, o


def _shared_days(predicted: ArrayLike, reference: ArrayLike, observed: ArrayLike) -> FloatArray:
    o = np.atleast_2d(np.asarray(observed, float))
    known = [np.isfinite(np.asarray(one, float).reshape(-1, *o.shape)).all(axis=0) for one in (predicted, reference)]
    return np.where(known[0] & known[1], o, np.nan)


def _by_moments(metric: str, p: FloatArray, o: FloatArray, block: NDArray, counts: NDArray) -> FloatArray:
    if metric == "nse_log":
        p, o = logarithms(p, o)
    by_year = [moments(p[..., block == year], o[..., block == year]) for year in range(counts.shape[1])]
    sums = (np.tensordot(counts.astype(float), np.stack(term), 1) for term in zip(*by_year, strict=True))
    return OF_MOMENTS[metric](Moments(*sums))


def _by_days(metric: str, p: FloatArray, o: FloatArray, block: NDArray, counts: NDArray) -> FloatArray:
    days = [np.flatnonzero(block == year) for year in range(counts.shape[1])]
    scored = []
    for draw in counts:
        chosen = np.concatenate([np.tile(days[year], times) for year, times in enumerate(draw) if times])
        scored.append(score(metric)(p[..., chosen], o[..., chosen]))
    return np.stack(scored)


def _over_sites(point: FloatArray, drawn: FloatArray, level: float, resample_sites: bool, seed: int) -> Interval:
    known = np.isfinite(point)
    if not known.any():
        return Interval(np.nan, np.nan, np.nan)
    point, drawn = point[known], drawn[:, known]
    if resample_sites:
        sites = np.random.default_rng(seed + 2).integers(0, drawn.shape[1], drawn.shape)
        drawn = np.take_along_axis(drawn, sites, axis=1)
    low, high = bounds(_median(drawn)[:, None], level)
    return Interval(float(np.median(point)), float(low[0]), float(high[0]))


def _median(drawn: FloatArray) -> FloatArray:
    known = np.isfinite(drawn).any(axis=1)
    return np.nanmedian(drawn[known], axis=1)


def bounds(drawn: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """The outer quantiles of draws (draw, site) at each site, NaN where none is finite."""
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    for site, values in enumerate(drawn.T):
        finite = values[np.isfinite(values)]
        if finite.size:
            low[site], high[site] = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return low, high
