"""Baselines without a model: what anybody could predict."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scores import FloatArray


def climatology(observed: ArrayLike, time: NDArray[np.datetime64], train: ArrayLike, *, window: int = 15) -> FloatArray:
    """The usual flow of each day of the year, from the training years alone.

    The mean of the training observations of that day of the year over all days within a circular window of
    `window` days, given for every day: (site, time). NaN for a site without any training observation.

    Raises `ValueError` for an even window, which has no middle day.

    >>> time = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
    >>> climatology(np.full((1, 730), 2.0), time, time < np.datetime64("2002-01-01"))[0, -1].item()
    2.0
    """
    if window % 2 == 0:
        raise ValueError(f"window must be an odd number of days so that it has a middle one, got {window}")
    o = np.where(np.broadcast_to(train, np.shape(observed)), np.asarray(observed, float), np.nan)
    day = day_of_year(time)
    total, count = np.zeros((len(o), 366)), np.zeros((len(o), 366))
    for site, series in enumerate(o):
        known = np.isfinite(series)
        total[site] = np.bincount(day[known], series[known], minlength=366)
        count[site] = np.bincount(day[known], minlength=366)
    total, count = _around(total, window), _around(count, window)
    overall = total.sum(axis=1, keepdims=True) / np.where(count.any(axis=1), count.sum(axis=1), np.nan)[:, None]
    mean = np.where(count > 0, total / np.where(count > 0, count, 1), overall)
    return mean[:, day]


def persistence(observed: ArrayLike, *, lead: int = 1) -> FloatArray:
    """Tomorrow is like today: the observation `lead` days before, (site, time).

    It reads OBSERVED FLOW up to the day before, which no other baseline or coupling does: it answers how good a
    forecast with a gauge would be, not how good a simulation is. NaN where that observation is missing.

    Raises `ValueError` for a lead below one day, which would be the observation itself.

    >>> persistence([[1.0, 2.0, 3.0]]).tolist()
    [[nan, 1.0, 2.0]]
    """
    if lead < 1:
        raise ValueError(f"lead must be at least one day, got {lead}; a lead of 0 is the observation itself")
    o = np.asarray(observed, float)
    return np.concatenate([np.full((*o.shape[:-1], lead), np.nan), o[..., :-lead]], axis=-1)


def day_of_year(time: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """The day of the year from 0 to 365, with 29 February its own day so that seasons do not shift.

    >>> day_of_year(np.array(["2001-03-01", "2004-02-29", "2004-03-01"], "datetime64[D]")).tolist()
    [60, 59, 60]
    """
    days = np.asarray(time, "datetime64[D]")
    number = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int)
    year = days.astype("datetime64[Y]").astype(int) + 1970
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return number + (~leap & (number >= 59))


def _around(by_day: FloatArray, window: int) -> FloatArray:
    half = window // 2
    return sum(np.roll(by_day, shift, axis=1) for shift in range(-half, half + 1))  # pyright: ignore[reportReturnType]
