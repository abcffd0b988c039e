"""Scores of independent samples: all taken together, groups of related samples drawn again with replacement.

Samples of one group (an atmospheric column and its variants, a scene) resemble each other, so that whole groups are
what a bootstrap draws, seeds with them; a difference of two predictions is taken within each draw.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scores import FloatArray
from .uncertainty import Interval, bounds

Each = Callable[[FloatArray], FloatArray]
METRICS: dict[str, tuple[Each, Each]] = {
    "rmse": (np.square, np.sqrt),
    "mean_absolute_error": (np.abs, np.asarray),
    "mean_error": (np.asarray, np.asarray),
}


def interval(
    metric: str, predicted: ArrayLike, observed: ArrayLike, *, level: float = 0.9, draws: int = 500, seed: int = 0
) -> Interval:
    """A metric over all samples, the mean over seeds, with its interval from groups and seeds.

    `predicted` is (seed, group, sample), `observed` (group, sample) with NaN where there is no sample.

    >>> interval("rmse", np.full((1, 4, 2), 3.0), np.zeros((4, 2)))
    Interval(value=3.0, low=3.0, high=3.0)
    """
    point, drawn = _drawn(metric, predicted, observed, draws, seed)
    return _spanned(point, drawn, level)


def gain(
    metric: str,
    predicted: ArrayLike,
    reference: ArrayLike,
    observed: ArrayLike,
    *,
    level: float = 0.9,
    draws: int = 500,
    seed: int = 0,
) -> Interval:
    """By how much the error of a prediction is smaller than that of a reference, groups and seeds drawn in pairs.

    >>> gain("rmse", np.full((1, 4, 2), 2.0), np.full((1, 4, 2), 3.0), np.zeros((4, 2))).value
    1.0
    """
    shared = np.where(_everywhere(predicted) & _everywhere(reference), np.asarray(observed, float), np.nan)
    ours, theirs = (_drawn(metric, one, shared, draws, seed) for one in (predicted, reference))
    point, drawn = (np.abs(their) - np.abs(our) for our, their in zip(ours, theirs, strict=True))
    return _spanned(point, drawn, level)


def share_inside(
    predicted: ArrayLike, deviation: ArrayLike, observed: ArrayLike, width: float, *, draws: int = 500, seed: int = 0
) -> Interval:
    """The share of samples within `width` standard deviations of the prediction, with its interval from groups."""
    error = np.abs(np.asarray(predicted, float) - np.asarray(observed, float))
    missed = np.where(np.isfinite(error), error > width * np.asarray(deviation, float), np.nan)
    missed = np.where(np.isfinite(np.asarray(deviation, float)), missed, np.nan)
    point, drawn = _drawn("mean_error", missed, np.zeros(missed.shape[-2:]), draws, seed)
    value, low, high = _spanned(point, drawn, 0.9)
    return Interval(1 - value, 1 - high, 1 - low)


def classes(values: NDArray, edges: tuple[float, ...], name: str, units: str) -> dict[str, NDArray[np.bool_]]:
    """Which samples lie between each two edges: {"water 0 to 10 kg m-2": (group, sample)}."""
    told = "" if units == "1" else f" {units}"
    return {f"{name} {low:g} to {high:g}{told}": (values >= low) & (values < high) for low, high in pairwise(edges)}


def class_rows(
    predictions: Mapping[str, ArrayLike],
    observed: ArrayLike,
    inside: Mapping[str, NDArray[np.bool_]],
    units: str,
    deviations: Mapping[str, ArrayLike] | None = None,
    width: float = 1.645,
) -> list[dict[str, Any]]:
    """Each prediction's errors (and how often its interval holds) in each class of samples.

    Rows {regime, coupling, metric, units, value, low, high, days}; a class without samples is left out.
    """
    rows = []
    for regime, mask in inside.items():
        judged = np.where(mask, np.asarray(observed, float), np.nan)
        count = int(np.isfinite(judged).sum())
        for coupling, predicted in predictions.items() if count else ():
            found = {metric: (interval(metric, predicted, judged, draws=200), units) for metric in METRICS}
            if deviations and coupling in deviations:
                found["coverage"] = (share_inside(predicted, deviations[coupling], judged, width, draws=200), "1")
            about = {"regime": regime, "coupling": coupling, "days": count}
            rows += [{**about, "metric": m, "units": u, **span._asdict()} for m, (span, u) in found.items()]
    return rows


def _everywhere(predicted: ArrayLike) -> NDArray[np.bool_]:
    return np.isfinite(np.asarray(predicted, float)).all(axis=0)


def _drawn(
    metric: str, predicted: ArrayLike, observed: ArrayLike, draws: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """The metric of all samples, and of each draw of groups and seeds."""
    of_error, of_mean = METRICS[metric]
    error = np.asarray(predicted, float) - np.asarray(observed, float)
    known = np.isfinite(error)
    total = np.where(known, of_error(np.where(known, error, 0.0)), 0.0).sum(axis=-1)
    count = known.sum(axis=-1)
    there = count.any(axis=0)
    total, count = total[:, there], count[:, there]
    if not there.any():
        return np.asarray(np.nan), np.full(draws, np.nan)
    generator = np.random.default_rng(seed)
    groups = generator.multinomial(there.sum(), np.full(there.sum(), 1 / there.sum()), draws)
    seeds = generator.multinomial(len(total), np.full(len(total), 1 / len(total)), draws) / len(total)
    each = of_mean((groups @ total.T) / np.maximum(groups @ count.T, 1))
    return of_mean(total.sum(axis=1) / count.sum(axis=1)).mean(), np.sum(each * seeds, axis=1)


def _spanned(point: FloatArray, drawn: FloatArray, level: float) -> Interval:
    low, high = bounds(drawn[:, None], level)
    return Interval(float(point), float(low[0]), float(high[0]))
