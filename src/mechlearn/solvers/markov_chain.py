"""Markov chain Monte Carlo: samples of the posterior, whatever its shape."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Fields, Solver
from .gauss_newton import half_square, refuse_not_finite, searched


class Chains(NamedTuple):
    """Samples of the posterior, each field with leading axes (chain, draw), and whether to believe them.

    `shrinkage` is the split R-hat of each field (Gelman et al. 2013): 1 where chains agree, not to be trusted above
    1.05; `effective` how many independent draws all chains together are worth, of which a mean wants 100 or more;
    `divergences` the number of draws at which the integrator lost its way.
    """

    fields: Fields
    shrinkage: Fields
    effective: Fields
    divergences: Array


class MarkovChain(Solver):
    """The posterior of fields by the No-U-Turn sampler, its step and metric adapted on a first stretch.

    `p(x) ~ exp(-|r(x)|²/2) p(x)`, the residual in standard deviations of its error; the prior is uniform within
    `bounds` and Gaussian for the fields that `prior` gives as (mean, standard deviation), else flat. Bounded fields
    are sampled in the unbounded space of `parameters.py`, with the Jacobian of that map. `solve` returns the mean.

    Raises `ImportError` where blackjax is not installed, `ValueError` for a prior of a field that is not there or
    has no spread, for fewer than 4 draws or no chain, and for a residual that is not finite at the guess.

    Source: Hoffman & Gelman (2014), JMLR 15; Cabezas et al. (2024), arXiv:2402.10797 (the package blackjax).

        >>> MarkovChain(bounds={"rate": (0.0, 5.0)}, chains=4).chains
        4
    """

    bounds: dict[str, tuple[float, float]] = eqx.field(static=True, default_factory=dict)
    prior: dict[str, tuple[float, float]] = eqx.field(static=True, default_factory=dict)
    draws: int = eqx.field(static=True, default=1000)
    warmup: int = eqx.field(static=True, default=500)
    chains: int = eqx.field(static=True, default=2)

    def __check_init__(self) -> None:
        if self.draws < 4 or self.warmup < 1 or self.chains < 1:
            raise ValueError(
                f"needs 4 draws, 1 step of warmup and 1 chain, got {self.draws}, {self.warmup} and {self.chains}"
            )
        if flat := {
            name: pair for name, pair in self.prior.items() if len(pair) != 2 or not jnp.all(jnp.asarray(pair[1]) > 0)
        }:
            raise ValueError(f"a prior is (mean, standard deviation above 0), got {flat}")

    def solve(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Fields:
        found = self.sample(residual, guess, key=key).fields
        return {name: jnp.mean(values, axis=(0, 1)) for name, values in found.items()}

    def sample(
        self, residual: Callable[[Fields], Array], guess: Mapping[str, ArrayLike], *, key: PRNGKeyArray
    ) -> Chains:
        """Samples from every chain after its adaptation; all chains start at the guess."""
        if set(self.prior) - set(guess):
            raise ValueError(
                f"priors are given for {sorted(set(self.prior) - set(guess))}; the guess has {sorted(guess)}"
            )
        start, physical = searched(
            {name: jnp.asarray(v, jnp.result_type(float)) for name, v in guess.items()}, self.bounds
        )
        refuse_not_finite(residual(physical(start)), "MarkovChain")

        def log_density(point: Array) -> Array:
            fields, volume = jax.jvp(physical, (point,), (jnp.ones_like(point),))
            stretched = sum(jnp.sum(jnp.log(jnp.abs(v))) for name, v in volume.items() if name in self.bounds)
            far = sum(half_square((fields[name] - mean) / spread) for name, (mean, spread) in self.prior.items())
            return stretched - far - half_square(residual(fields))

        points, lost = jax.vmap(lambda k: _chain(log_density, start, self.warmup, self.draws, k))(
            jax.random.split(key, self.chains)
        )
        fields = jax.vmap(jax.vmap(physical))(points)
        return Chains(
            fields,
            {name: shrinkage(values) for name, values in fields.items()},
            {name: _blackjax().diagnostics.effective_sample_size(values) for name, values in fields.items()},
            jnp.sum(lost),
        )


def _chain(log_density: Callable, start: Array, warmup: int, draws: int, key: PRNGKeyArray) -> tuple[Array, Array]:
    blackjax = _blackjax()
    first, then = jax.random.split(key)
    (state, settings), _ = blackjax.window_adaptation(blackjax.nuts, log_density).run(first, start, warmup)
    step = blackjax.nuts(log_density, **settings).step

    def draw(state: Any, now: PRNGKeyArray) -> tuple[Any, tuple[Array, Array]]:
        state, told = step(now, state)
        return state, (state.position, told.is_divergent)

    return jax.lax.scan(draw, state, jax.random.split(then, draws))[1]


def _blackjax() -> Any:
    try:
        import blackjax
    except ImportError as missing:
        raise ImportError("MarkovChain samples with blackjax: pip install 'mechlearn[sampling]'") from missing
    return blackjax


def shrinkage(samples: Array) -> Array:
    """Split R-hat (...,) of samples (chain, draw, ...): the spread of all half chains over that within one.

    Gelman et al. (2013), Bayesian Data Analysis, equation 11.4.

        >>> draws = jax.random.normal(jax.random.key(0), (2, 500))
        >>> bool(shrinkage(draws) < 1.02), bool(shrinkage(draws + jnp.array([[0.0], [3.0]])) > 1.5)
        (True, True)
    """
    half = samples.shape[1] // 2
    halves = jnp.concatenate([samples[:, :half], samples[:, half : 2 * half]])
    within = jnp.mean(jnp.var(halves, axis=1, ddof=1), axis=0)
    between = jnp.var(jnp.mean(halves, axis=1), axis=0, ddof=1)
    return jnp.sqrt((half - 1) / half + between / within)
