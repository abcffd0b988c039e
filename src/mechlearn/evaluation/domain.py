"""Whether an input lies in the domain that a model was taught on."""

from collections.abc import Mapping
from typing import Protocol, Self

import equinox as eqx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scores import FloatArray


class Sampled(Protocol):
    """What a domain needs of a record: named fields, (site, time) or (site,)."""

    @property
    def fields(self) -> dict[str, np.ndarray]: ...


class Domain(eqx.Module):
    """The inputs a model has seen: their range, and how they go together.

    Each day is described by every forcing's value and its means over the last 30 and 365 days, and by the site's
    attributes. A day is inside when every feature lies within the range of training days and the Mahalanobis distance
    `sqrt((x - m)' C^-1 (x - m))` is below the `level` quantile of theirs. Attributes of few sites hardly vary
    together, so the correlation matrix carries a small ridge. Inside does not mean right: only that nothing here says
    the model extrapolates. Mahalanobis (1936); Meyer and Pebesma (2021), doi:10.1111/2041-210X.13650.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    low: FloatArray
    high: FloatArray
    mean: FloatArray
    scale: FloatArray
    precision: FloatArray
    limit: FloatArray
    windows: tuple[int, ...] = eqx.field(static=True, default=(30, 365))

    @classmethod
    def of(
        cls,
        record: Sampled,
        mask: ArrayLike,
        *,
        inputs: tuple[str, ...] | None = None,
        level: float = 0.999,
        ridge: float = 0.01,
        windows: tuple[int, ...] = (30, 365),
    ) -> Self:
        """The domain of the days of a record on which the mask (site, time) is True.

        Raises `ValueError` when no such day has all its inputs.
        """
        names = tuple(inputs or record.fields)
        features = _features(record.fields, names, windows)
        taught = features[np.broadcast_to(mask, features.shape[:2]) & np.isfinite(features).all(axis=-1)]
        if not len(taught):
            raise ValueError(
                f"Domain.of: no day of the mask has all of {', '.join(names)}; check the mask and the gaps"
            )
        mean, scale = taught.mean(axis=0), taught.std(axis=0)
        # A feature that never varied is left to its range.
        scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, np.inf)
        standard = (taught - mean) / scale
        correlation = standard.T @ standard / len(standard) + ridge * np.eye(standard.shape[1])
        precision = np.linalg.inv(correlation)
        limit = np.quantile(_distance(standard, precision), level)
        low, high = taught.min(axis=0), taught.max(axis=0)
        return cls(names, low, high, mean, scale, precision, np.asarray(limit), windows)

    def contains(self, fields: Mapping[str, ArrayLike]) -> NDArray[np.bool_]:
        """Whether each day of each site is inside: (site, time). False where an input is missing.

        Raises `ValueError` when a field of the domain is not given.
        """
        features = _features(fields, self.names, self.windows)
        slack = 1e-6 * (1 + np.abs(self.high - self.low))
        with np.errstate(invalid="ignore"):
            within = ((features >= self.low - slack) & (features <= self.high + slack)).all(axis=-1)
            near = _distance((features - self.mean) / self.scale, self.precision) <= self.limit * (1 + 1e-6)
        return within & near


def _distance(standard: FloatArray, precision: FloatArray) -> FloatArray:
    return np.sqrt(np.einsum("...i,ij,...j->...", standard, precision, standard, optimize=True))


def _features(fields: Mapping[str, ArrayLike], names: tuple[str, ...], windows: tuple[int, ...]) -> FloatArray:
    """What describes each day: (site, time, feature)."""
    missing = [name for name in names if name not in fields]
    if missing:
        raise ValueError(f"the domain is described by {', '.join(names)}; {', '.join(missing)} did not come")
    values = {name: np.asarray(fields[name], float) for name in names}
    series = {name: value for name, value in values.items() if value.ndim == 2}
    if not series:
        raise ValueError("the domain needs at least one field that varies in time, (site, time)")
    shape = next(iter(series.values())).shape
    daily = [one for value in series.values() for one in (value, *(trailing_mean(value, n) for n in windows))]
    static = [np.broadcast_to(value[:, None], shape) for value in values.values() if value.ndim == 1]
    return np.stack([*daily, *static], axis=-1)


def trailing_mean(series: ArrayLike, days: int) -> FloatArray:
    """The mean of the last `days` known days, along the last axis; of fewer where the record begins or has gaps.

    >>> trailing_mean([[1.0, 2.0, 4.0]], 2).tolist()
    [[1.0, 1.5, 3.0]]
    """
    values = np.asarray(series, float)
    known = np.isfinite(values)
    total, count = (_trailing_sum(one, days) for one in (np.where(known, values, 0.0), known.astype(float)))
    return np.where(known, total / np.maximum(count, 1), np.nan)


def _trailing_sum(values: FloatArray, days: int) -> FloatArray:
    summed = np.cumsum(values, axis=-1)
    summed[..., days:] -= summed[..., :-days].copy()
    return summed
