"""Variational assimilation window after window, and ensemble analyses of a whole series: what learning reads."""

from typing import NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Analysis
from .cycle import Assimilation
from .smoothers import four_d_var


class Windows(NamedTuple):
    """Trajectories (window, cycle + 1, state), the start of each first, and backgrounds (window, state)."""

    path: Array
    background: Array


class Reanalysis(NamedTuple):
    """Means and standard deviations (cycle, state) of the analysed ensemble, and the last ensemble."""

    mean: Array
    deviation: Array
    ensemble: Array


@eqx.filter_jit
def four_d_var_windows(
    system: Assimilation,
    background: Array,
    root: Array,
    observed: Array,
    *,
    model_error: ArrayLike | None = None,
    iterations: int = 3,
    tolerance: float = 1e-3,
) -> Windows:
    """4D-Var, strong or weak, of windows (window, cycle, obs) one after the other, of a model without forcing.

    The end of a window is the background of the next; `root` of the background's covariance and `model_error` as in
    `smoothers.four_d_var` stay the same.

        >>> import jax.numpy as jnp
        >>> from mechlearn.assimilation.error import ObservationError
        >>> from mechlearn.compose import Pass
        >>> from mechlearn.mechanisms.flow.lorenz63 import CONVECTION, Lorenz63
        >>> system = Assimilation(Lorenz63(), Pass(CONVECTION), ObservationError.of_variance(jnp.ones(3)))
        >>> truth, observed = system.nature(20, key=jax.random.key(0))
        >>> four_d_var_windows(system, truth[0], jnp.eye(3), observed[1:].reshape(2, 10, 3)).path.shape
        (2, 11, 3)
    """

    def one(first: Array, seen: Array) -> tuple[Array, Windows]:
        path, _ = four_d_var(
            system, first, root, seen, model_error=model_error, iterations=iterations, tolerance=tolerance
        )
        return path[-1], Windows(path, first)

    return jax.lax.scan(one, background, observed)[1]


@eqx.filter_jit
def reanalyse(
    system: Assimilation, analysis: Analysis, ensemble: Array, observed: Array, *, key: PRNGKeyArray
) -> Reanalysis:
    """Filter a whole series of observations (cycle, obs) and keep the mean and spread of every analysis.

    >>> import jax.numpy as jnp
    >>> from mechlearn.assimilation.enkf import ETKF
    >>> from mechlearn.assimilation.error import ObservationError
    >>> from mechlearn.compose import Pass
    >>> from mechlearn.mechanisms.flow.lorenz63 import CONVECTION, Lorenz63
    >>> system = Assimilation(Lorenz63(), Pass(CONVECTION), ObservationError.of_variance(jnp.ones(3)))
    >>> truth, observed = system.nature(20, key=jax.random.key(0))
    >>> start = truth[0] + jax.random.normal(jax.random.key(1), (5, 3))
    >>> reanalyse(system, ETKF(), start, observed[1:], key=jax.random.key(2)).deviation.shape
    (20, 3)
    """

    def one(members: Array, now) -> tuple[Array, tuple[Array, Array]]:
        own, seen = now
        after = system.cycle(analysis, members, seen[None], own).ensemble
        return after, (after.mean(axis=0), after.std(axis=0, ddof=1))

    last, (mean, deviation) = jax.lax.scan(one, ensemble, (jax.random.split(key, len(observed)), observed))
    return Reanalysis(mean, deviation, last)
