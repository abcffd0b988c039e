"""Unit hydrographs: how runoff generated in one day is spread over the next days."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike


def power(base: ArrayLike, exponent: ArrayLike) -> Array:
    """`base ** exponent` for base >= 0, with a finite slope at zero."""
    return jnp.exp(exponent * jnp.log(jnp.maximum(base, 1e-6)))


def triangle(time_base: ArrayLike, lags: int) -> Array:
    """The share of water leaving in each day under a triangle of `time_base` days (lag,); sums to 1."""
    position = jnp.clip(jnp.arange(lags + 1) / time_base, 0, 1)
    passed = jnp.where(position < 0.5, 2 * position**2, 1 - 2 * (1 - position) ** 2)
    return jnp.diff(passed)


def gamma(shape: ArrayLike, scale: ArrayLike, lags: int) -> Array:
    """The share of water leaving in each day under a gamma density (lag,); sums to 1."""
    days = jnp.arange(lags) + 0.5
    logarithm = (shape - 1) * jnp.log(days) - days / scale
    density = jnp.exp(logarithm - jnp.max(logarithm))
    return density / jnp.sum(density)


def spread(buffer: Array, water: ArrayLike, shares: Array) -> tuple[Array, Array]:
    """Add today's water to what is on its way (lag,); return what leaves today and what remains."""
    due = buffer + water * shares
    return due[0], jnp.concatenate([due[1:], jnp.zeros_like(due[:1])])
