"""Whether a model that runs free keeps the statistics of what it stands for."""

import numpy as np
from numpy.typing import ArrayLike


def histogram_distance(simulated: ArrayLike, observed: ArrayLike) -> float:
    """The largest difference between two cumulative histograms, from 0 (the same) to 1 (nothing in common).

    `D = max_x |F_sim(x) - F_obs(x)|`, the statistic of Kolmogorov and Smirnov, over all finite values; 1 where a
    simulation has none.

        >>> histogram_distance([1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 5.0, 6.0])
        0.5
    """
    first, second = (np.sort(values[np.isfinite(values)]) for values in map(_flat, (simulated, observed)))
    if not first.size or not second.size:
        return 1.0
    both = np.concatenate([first, second])
    shares = [np.searchsorted(values, both, side="right") / values.size for values in (first, second)]
    return float(np.max(np.abs(shares[0] - shares[1])))


def lost(members: ArrayLike, limit: float) -> int:
    """How many members (member, time, ...) left the numbers that make sense: not finite, or beyond a limit in size.

    >>> lost(np.array([[1.0, 2.0], [1.0, np.nan], [1.0, 1e9]]), 1e3)
    2
    """
    each = np.asarray(members, float).reshape(len(np.asarray(members)), -1)
    return int(np.sum(~np.all(np.isfinite(each) & (np.abs(each) <= limit), axis=1)))


def spread_skill(ensemble: ArrayLike, truth: ArrayLike) -> float:
    """The spread of an ensemble over the error of its mean: 1 where members and truth are alike.

    `sqrt(mean s² (n+1)/n) / sqrt(mean (m - x)²)`, the ensemble (case, member, ...), the truth (case, ...);
    Fortin et al. (2014), doi:10.1175/JHM-D-14-0008.1.

        >>> draw = np.random.default_rng(0).normal(size=(4000, 11))
        >>> round(spread_skill(draw[:, 1:], draw[:, 0]), 1)
        1.0
    """
    members, observed = np.asarray(ensemble, float), np.asarray(truth, float)
    count = members.shape[1]
    variance = np.mean(np.var(members, axis=1, ddof=1)) * (count + 1) / count
    return float(np.sqrt(variance / np.mean((members.mean(axis=1) - observed) ** 2)))


def _flat(values: ArrayLike) -> np.ndarray:
    return np.asarray(values, float).ravel()
