"""Profiles and curves that only rise, or only fall."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..core import Fields, Law, Variable


class Monotone(Law):
    """A field does not fall along an axis: `min(x[i+1] - x[i], 0) = 0`.

    With `rising=False` it does not rise. The residual is the size of each wrong step, in the
    variable's units (density grows with depth; cumulative rain with time).

    Raises `ValueError` when the variable has no such axis.

        >>> density = Variable("water_density", "kg m-3", ("depth",))
        >>> Monotone(density, "depth").residual({"water_density": jnp.array([998.0, 999.0, 998.5])}).tolist()
        [0.0, 0.5]
    """

    variable: Variable = eqx.field(static=True)
    axis: str = eqx.field(static=True)
    rising: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        if self.axis not in self.variable.dims:
            raise ValueError(
                f"{self.variable.name} has the axes {self.variable.dims}, not {self.axis!r}; name one of them"
            )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    def residual(self, fields: Fields) -> Array:
        steps = jnp.diff(fields[self.variable.name], axis=self.variable.dims.index(self.axis))
        return jnp.maximum(-steps if self.rising else steps, 0)


def example() -> dict[str, Any]:
    """Water lies in order of its density; the broken profile is top-heavy."""
    law = Monotone(Variable("water_density", "kg m-3", ("depth",)), "depth")
    obeyed, broken = jnp.array([998.2, 998.2, 999.9]), jnp.array([999.9, 998.2, 999.0])
    return {"law": law, "obeyed": {"water_density": obeyed}, "broken": {"water_density": broken}}
