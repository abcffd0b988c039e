"""Method 5, adjustment: a model of which nothing is known, learned by turns with the assimilation that needs it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from scipy.interpolate import CubicSpline

from ...assimilation.cycle import Assimilation
from ...assimilation.windows import reanalyse
from ...core import Analysis
from ...descent import Descent
from .model_error import Corrected, standardised, taught_through_windows


class Turn(NamedTuple):
    """The model after a turn of assimilation and learning, with the states (cycle, state) that it learned from."""

    model: Corrected
    mean: Array
    deviation: Array


def alternate(
    system: Callable[[Corrected], Assimilation],
    model: Corrected,
    analysis: Analysis,
    observed: Array,
    *,
    turns: int,
    members: int,
    key: PRNGKeyArray,
    spread: float = 1.0,
    floor: float = 0.1,
    settled: int = 50,
    how: Descent = Descent(epochs=20, batch_size=256, learning_rate=1e-3),
) -> Iterator[Turn]:
    """Assimilate with the model there is, learn a better one from the analyses, and so on, from observations alone.

    `system(model)` is the assimilation of observations (cycle, obs), one a state variable, most of them NaN. The first
    states are `interpolated` observations. Each turn teaches `min sum |G(x_k) - x_{k+1}|² / (s² + f²)` on the means of
    the analysed ensemble of `members`, s its spread and f the `floor`, after `settled` cycles. Brajard et al. (2020),
    doi:10.1016/j.jocs.2020.101171.
    """
    mean = interpolated(observed)
    deviation = jnp.zeros_like(mean)
    for turn in range(turns + 1):
        learn, begin, run = jax.random.split(jax.random.fold_in(key, turn), 3)
        if turn:
            start = mean[0] + spread * jax.random.normal(begin, (members, mean.shape[1]))
            mean, deviation, _ = reanalyse(system(model), analysis, start, observed, key=run)
        skipped = settled if turn else 0
        weight = jnp.sqrt(deviation**2 + floor**2)[skipped + 1 :]
        if not turn:
            # Scales come from what is seen first, and stay: weights learned in one turn mean the same in the next.
            model = standardised(model, mean[:-1], jnp.diff(mean, axis=0))
        pairs = mean[skipped:-1], mean[skipped + 1 :]
        model = taught_through_windows(model, *pairs, 1, key=learn, deviation=weight, how=how)
        yield Turn(model, mean, deviation)


def interpolated(observed: Array) -> Array:
    """Observations (cycle, variable) with gaps, each variable's filled by a cubic spline in time.

    Before the first and after the last observation the nearest stands.

    Raises `ValueError` for a variable that is observed less than twice.

        >>> gaps = jnp.array([[0.0], [jnp.nan], [2.0], [3.0], [jnp.nan]])
        >>> [round(float(x), 4) for x in interpolated(gaps)[:, 0]]
        [0.0, 1.0, 2.0, 3.0, 3.0]
    """
    seen = np.asarray(observed, float)
    time = np.arange(len(seen))
    filled = np.empty_like(seen)
    for place, series in enumerate(seen.T):
        known = np.flatnonzero(np.isfinite(series))
        if len(known) < 2:
            raise ValueError(f"variable {place} is observed {len(known)} times; give two observations of each at least")
        filled[:, place] = CubicSpline(known, series[known])(np.clip(time, known[0], known[-1]))
    return jnp.asarray(filled, jnp.asarray(observed).dtype)
