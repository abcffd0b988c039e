"""Two estimates of one quantity agree."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..core import Fields, Law, Variable


class Agreement(Law):
    """Two fields are equal, up to a tolerance: `sign(a - b) max(|a - b| - tolerance, 0) = 0`.

    Raises `ValueError` for two variables of different units or axes.

        >>> one, other = (Variable(name, "mm day-1") for name in ("runoff", "streamflow"))
        >>> Agreement(one, other, 0.5).residual({"runoff": jnp.array(3.0), "streamflow": jnp.array(1.0)}).item()
        1.5
    """

    one: Variable = eqx.field(static=True)
    other: Variable = eqx.field(static=True)
    tolerance: float = eqx.field(static=True, default=0.0)

    def __check_init__(self) -> None:
        if (self.one.units, self.one.dims) != (self.other.units, self.other.dims):
            raise ValueError(
                f"{self.one.name} ({self.one.units}, {self.one.dims}) and {self.other.name} ({self.other.units}, "
                f"{self.other.dims}) cannot be compared; declare the same units and axes"
            )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.one, self.other)

    def residual(self, fields: Fields) -> Array:
        apart = fields[self.one.name] - fields[self.other.name]
        return apart - jnp.clip(apart, -self.tolerance, self.tolerance)


def example() -> dict[str, Any]:
    """Two gauges on one river within a tenth of a millimetre; the broken pair is not."""
    law = Agreement(Variable("runoff", "mm day-1"), Variable("streamflow", "mm day-1"), 0.1)
    obeyed = {"runoff": jnp.array(1.05), "streamflow": jnp.array(1.0)}
    return {"law": law, "obeyed": obeyed, "broken": obeyed | {"streamflow": jnp.array(0.7)}}
