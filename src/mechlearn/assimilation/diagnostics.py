"""Whether an ensemble tells the truth about its own error."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike

from .scoring import History


class Reliability(NamedTuple):
    """Scores of an ensemble after a burn-in; for a reliable one the last three are 1, 1 and 0.

    `spread_skill` is the forecast's spread over its error, each as a root mean square over cycles; `consistency` the
    mean squared innovation over what spread and observation error explain; `flatness` how far the rank histogram is
    from level: the chi-square of the counts over their number, less its expectation, per rank.
    """

    forecast_rmse: float
    analysis_rmse: float
    spread_skill: float
    consistency: float
    flatness: float


def reliability(history: History, burn_in: int = 0) -> Reliability:
    """Spread against skill, innovations and ranks of a run; the ranks are those of all cycles.

    Raises `ValueError` when the burn-in leaves nothing.

        >>> from mechlearn.assimilation.scoring import History
        >>> flat = [np.ones(4)] * 5 + [np.zeros(4), np.zeros(4), np.full(5, 8), None, None, None]
        >>> reliability(History(*flat)).spread_skill
        1.0
    """
    if burn_in >= len(history.forecast_rmse):
        raise ValueError(f"a burn-in of {burn_in} cycles leaves nothing of {len(history.forecast_rmse)}")
    forecast, analysis, spread, consistency = (
        np.asarray(series, float)[burn_in:]
        for series in (history.forecast_rmse, history.analysis_rmse, history.forecast_spread, history.consistency)
    )
    return Reliability(
        float(forecast.mean()),
        float(analysis.mean()),
        float(np.sqrt(np.mean(spread**2) / np.mean(forecast**2))),
        float(consistency.mean()),
        flatness(history.ranks),
    )


def flatness(ranks: ArrayLike) -> float:
    """How far a rank histogram (member + 1,) is from level: 0 for a reliable ensemble in the mean.

    >>> flatness([5, 5, 5, 5]) < 0 < flatness([10, 0, 0, 10])
    True
    """
    counts = np.asarray(ranks, float)
    expected = max(counts.mean(), 1e-12)
    return float((np.sum((counts - expected) ** 2) / expected - (len(counts) - 1)) / counts.sum())
