"""Quantities stay where they make physical sense."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..core import Fields, Law, Variable


class Bounds(Law):
    """A quantity lies inside its physical bounds: `x - clip(x, lower, upper) = 0`.

    The residual is the distance outside, in the variable's units, negative below; all variables' values
    one after the other.

    Raises `ValueError` for a variable without bounds.

        >>> rain = Variable("precipitation", "mm day-1", bounds=(0, float("inf")))
        >>> Bounds((rain,)).residual({"precipitation": jnp.array([-2.0, 3.0])}).tolist()
        [-2.0, 0.0]
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        free = [v.name for v in self.variables if v.bounds == (-float("inf"), float("inf"))]
        if free or not self.variables:
            raise ValueError(
                f"Bounds needs variables that have bounds; {free or 'none'} given without: set bounds=(..)"
            )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.variables

    def residual(self, fields: Fields) -> Array:
        values = [(jnp.ravel(fields[v.name]), v.bounds) for v in self.variables]
        return jnp.concatenate([value - jnp.clip(value, *bounds) for value, bounds in values])


def example() -> dict[str, Any]:
    """A soil whose saturation is a share; the broken one holds more than it can."""
    saturation = Variable("soil_saturation", "1", bounds=(0, 1))
    obeyed = {"soil_saturation": jnp.array([0.0, 0.4, 1.0])}
    return {"law": Bounds((saturation,)), "obeyed": obeyed, "broken": {"soil_saturation": jnp.array([0.2, 1.3])}}
