"""How named fields become a vector of order one, and how a vector becomes fields within their bounds."""

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..core import Fields, Variable


class Scaling(eqx.Module):
    """The location and spread of each variable as seen in examples; training leaves them alone.

    `pack` gives `(x - location) / scale` in declared order, `unpack` maps a vector back so that 0 is the
    location and no value leaves the variable's bounds: `lower + scale softplus(z + z0)` with one bound,
    `lower + (upper - lower) sigmoid(z + z0)` between two, `location + scale z` with none.

        >>> runoff = Variable("runoff", "mm day-1", bounds=(0, math.inf))
        >>> seen = Scaling((runoff,)).seen({"runoff": jnp.asarray([1.0, 3.0, jnp.nan])})
        >>> seen.unpack(jnp.asarray([0.0]))["runoff"].item()
        2.0
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)
    location: Array
    scale: Array
    frozen: ClassVar[bool] = True

    def __init__(self, variables: Sequence[Variable]):
        self.variables = tuple(variables)
        self.location = jnp.asarray([_middle(v.bounds) for v in self.variables], dtype=jnp.result_type(float))
        self.scale = jnp.ones_like(self.location)

    def seen(self, fields: Fields) -> Self:
        """The scaling set from examples: mean and standard deviation, NaN left out; a constant keeps the scale 1."""
        location, scale = self.location, self.scale
        for place, variable in enumerate(self.variables):
            if variable.name in fields:
                values = jnp.asarray(fields[variable.name])
                mean, spread = jnp.nanmean(values), jnp.nanstd(values)
                location = location.at[place].set(jnp.where(jnp.isfinite(mean), mean, location[place]))
                scale = scale.at[place].set(jnp.where(spread > 1e-6 * jnp.abs(mean) + 1e-30, spread, 1.0))
        return eqx.tree_at(lambda s: (s.location, s.scale), self, (location, scale))

    def pack(self, fields: Fields) -> Array:
        """Stack fields along a last axis, each scaled."""
        values = jnp.broadcast_arrays(*(fields[v.name] for v in self.variables))
        return (jnp.stack(values, axis=-1) - self.location) / self.scale

    def unpack(self, vector: Array) -> Fields:
        """Take a last axis apart into fields within their bounds."""
        return {
            variable.name: _within(vector[..., place], self.location[place], self.scale[place], variable.bounds)
            for place, variable in enumerate(self.variables)
        }

    def scale_of(self, name: str) -> Array:
        """The spread of one variable."""
        return self.scale[[v.name for v in self.variables].index(name)]


def clip(values: Array, bounds: tuple[float, float]) -> Array:
    """Move what lies outside the bounds onto them, for learners that cannot be built to stay inside."""
    return jnp.clip(values, *bounds)


def _middle(bounds: tuple[float, float]) -> float:
    lower, upper = bounds
    if math.isinf(lower):
        return 0.0 if math.isinf(upper) else upper - math.log(2)
    return lower + math.log(2) if math.isinf(upper) else 0.5 * (lower + upper)


def _within(z: Array, location: Array, scale: Array, bounds: tuple[float, float]) -> Array:
    lower, upper = bounds
    if math.isinf(lower) and math.isinf(upper):
        return location + scale * z
    if math.isinf(upper):
        return lower + scale * jax.nn.softplus(z + _before_softplus((location - lower) / scale))
    if math.isinf(lower):
        return upper - scale * jax.nn.softplus(_before_softplus((upper - location) / scale) - z)
    share = jnp.clip((location - lower) / (upper - lower), 0.01, 0.99)
    return lower + (upper - lower) * jax.nn.sigmoid(z + jnp.log(share) - jnp.log1p(-share))


def _before_softplus(value: Array) -> Array:
    value = jnp.maximum(value, 0.01)
    return value + jnp.log(-jnp.expm1(-value))
