"""The lookup table: unknowns by comparison with many simulations made beforehand."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, PRNGKeyArray
from scipy.stats import qmc

from ..core import Fields, Solver


class LookupTable(Solver):
    """The candidates that fit best, averaged.

    `x = mean of the n candidates x_k with the least |r(x_k)|²` for `best` = n; with `best` None the posterior mean
    `sum w_k x_k / sum w_k`, `w_k = exp(-|r(x_k)|²/2)`, under the prior that the candidates were drawn from and a
    residual in standard deviations of its error. `candidates` holds each field with a leading axis; it needs no
    gradient and finds the global least as far as the table is dense. The guess says only which fields are unknown.
    Candidates whose residual is not finite do not count; where none is, the answer is NaN.

    Raises `ValueError` for candidates that do not fit together, the guess or `best`, and (outside compiled
    functions) where no candidate has a finite residual.

    Source: Weiss et al. (2000), doi:10.1051/agro:2000105.

        >>> table = LookupTable({"x": jnp.linspace(0, 4, 41)})
        >>> found = table.solve(lambda f: f["x"] ** 2 - 4.0, {"x": jnp.asarray(0.0)}, key=jax.random.key(0))
        >>> round(float(found["x"]), 3)
        2.0
    """

    candidates: Fields
    best: int | None = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        lengths = {name: np.shape(values)[0] if np.ndim(values) else 0 for name, values in self.candidates.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ValueError(f"candidates need one leading axis of equal length, got {lengths}")
        if self.best is not None and not 1 <= self.best <= min(lengths.values()):
            raise ValueError(f"best must lie between 1 and {min(lengths.values())} candidates, got {self.best}")

    def solve(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Fields:
        if set(guess) != set(self.candidates):
            raise ValueError(f"the table holds {sorted(self.candidates)}, the guess {sorted(guess)}")
        misfits = jax.vmap(lambda one: jnp.ravel(residual(one)))(self.candidates)
        return self.nearest(misfits)

    def nearest(self, misfits: Array) -> Fields:
        """The answer for misfits (candidate, obs) already known, as when simulations are kept and only data change."""
        cost = 0.5 * jnp.sum(misfits**2, axis=1)
        counts = jnp.isfinite(cost)
        cost = jnp.where(counts, cost, jnp.inf)
        if not isinstance(cost, Tracer) and not bool(counts.any()):
            raise ValueError(
                f"LookupTable: none of {len(cost)} candidates has a finite residual; make that of a missing "
                "observation 0"
            )
        weight = jax.nn.softmax(-cost)
        if self.best is not None:
            least, places = jax.lax.top_k(-cost, self.best)
            near = jnp.isfinite(least)
            weight = jnp.zeros_like(cost).at[places].set(near / jnp.maximum(near.sum(), 1))
        weight = jnp.where(counts.any(), weight, jnp.nan)
        return {name: jnp.tensordot(weight, values, 1) for name, values in self.candidates.items()}


def latin_hypercube(
    bounds: Mapping[str, tuple[float, float]], count: int, *, key: PRNGKeyArray
) -> dict[str, ArrayLike]:
    """Candidates (candidate,) that cover a box evenly in every field. McKay et al. (1979), doi:10.2307/1268522.

    Raises `ValueError` for a side of the box that has no length or no end.

    >>> table = latin_hypercube({"x": (0.0, 10.0)}, 10, key=jax.random.key(0))
    >>> np.sort(np.asarray(table["x"]).astype(int)).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if wrong := {name: (low, high) for name, (low, high) in bounds.items() if not -np.inf < low < high < np.inf}:
        raise ValueError(f"ranges must be (lower, upper) with lower < upper, both finite; got {wrong}")
    draw = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    unit = qmc.LatinHypercube(len(bounds), rng=draw).random(count)
    limits = enumerate(bounds.items())
    return {name: jnp.asarray(low + (high - low) * unit[:, place]) for place, (name, (low, high)) in limits}


def example() -> dict:
    """A parabola whose root is one of the candidates."""
    return {
        "solver": LookupTable({"x": jnp.linspace(0, 4, 41)}),
        "residual": lambda f: f["x"] ** 2 - 4.0,
        "guess": {"x": jnp.asarray(0.0)},
        "solution": {"x": 2.0},
        "tolerance": 1e-5,
        "source": "doi:10.1051/agro:2000105",
    }
