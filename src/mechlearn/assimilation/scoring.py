"""What is kept of an ensemble in every cycle: error, spread and ranks, and the members that are lost."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from .ensemble import replace_lost
from .inflation import Adaptive


class History(NamedTuple):
    """What a run of cycles leaves: each an array (cycle,), and what is left at the end.

    `rmse` is that of the ensemble mean against the truth, over the state (NaN without a truth), `spread` the root
    of the mean variance; `consistency` the mean squared innovation over its expectation (1 where spread and
    observation error explain it); `rejected` counts observations refused by quality control, `lost` members replaced.
    """

    forecast_rmse: Array
    analysis_rmse: Array
    forecast_spread: Array
    analysis_spread: Array
    consistency: Array
    rejected: Array
    lost: Array
    ranks: Array
    mean: Array | None
    ensemble: Array
    analysis: Any


def living(ensemble: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
    """Replace lost members; without any, nothing is drawn."""
    whole = jnp.all(jnp.isfinite(ensemble))
    return jax.lax.cond(whole, lambda e, _: (e, jnp.zeros((), int)), replace_lost, ensemble, key)


def scores_of(ensemble: Array, truth: Array | None, weights: Array | None) -> tuple[Array, Array]:
    """The error of the mean and the spread, both as root mean squares over the state."""
    mean = mean_of(ensemble, weights)
    error = jnp.asarray(jnp.nan, mean.dtype) if truth is None else jnp.sqrt(jnp.mean((mean - truth) ** 2))
    squares = jnp.sum((ensemble - mean) ** 2) if weights is None else weights @ (ensemble - mean) ** 2 * len(ensemble)
    return error, jnp.sqrt(jnp.sum(squares) / (max(len(ensemble) - 1, 1) * len(mean)))


def mean_of(ensemble: Array, weights: Array | None) -> Array:
    """The mean of an ensemble whose members have these weights, or are all alike."""
    return ensemble.mean(axis=0) if weights is None else weights @ ensemble


def weights_of(analysis: object) -> Array | None:
    """The weights of the members that an analysis keeps, if it keeps any."""
    return analysis.weights() if isinstance(analysis, Adaptive) else None


def ranks_of(ensemble: Array, truth: Array) -> Array:
    """How often the truth has each rank among the members (member + 1,)."""
    below = jnp.sum(ensemble < truth, axis=0)
    return jnp.sum(below[:, None] == jnp.arange(len(ensemble) + 1), axis=0, dtype=jnp.int32)
