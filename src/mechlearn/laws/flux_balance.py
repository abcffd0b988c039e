"""What a column gains is what it loses or stores."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..core import Fields, Law, Variable


class FluxBalance(Law):
    """Two sums of fluxes are equal: `sum(gains) - sum(losses) = 0`, profiles summed over their layers.

    All in one unit, which is that of the residual, such as the enthalpy, the water or the long wave of a column in
    W m-2. With an axis of time the residual is that of each time.

    Raises `ValueError` for variables of different units, or none.

        >>> rain, kept = Variable("rain", "W m-2"), Variable("kept", "W m-2", ("level",))
        >>> fields = {"rain": jnp.array(3.0), "kept": jnp.array([1.0, 1.5])}
        >>> FluxBalance((rain,), (kept,)).residual(fields).item()
        0.5
    """

    gains: tuple[Variable, ...] = eqx.field(static=True)
    losses: tuple[Variable, ...] = eqx.field(static=True)

    def __init__(self, gains: Sequence[Variable], losses: Sequence[Variable]):
        self.gains, self.losses = tuple(gains), tuple(losses)
        if len({v.units for v in self.inputs}) != 1:
            found = ", ".join(f"{v.name} ({v.units})" for v in self.inputs)
            raise ValueError(f"a balance needs fluxes of one unit, got {found or 'none'}; declare the same units")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (*self.gains, *self.losses)

    def residual(self, fields: Fields) -> Array:
        entered, left = ([_summed(fields[v.name], v) for v in group] for group in (self.gains, self.losses))
        return sum(entered, jnp.zeros(())) - sum(left, jnp.zeros(()))


def _summed(value: Array, variable: Variable) -> Array:
    axes = len(variable.dims) - ("time" in variable.dims)
    return jnp.sum(jnp.asarray(value), axis=tuple(range(-axes, 0)))


def example() -> dict[str, Any]:
    """Two layers that keep what they are given; the broken one loses 3 W m-2."""
    given, kept = Variable("given", "W m-2"), Variable("kept", "W m-2", ("level",))
    obeyed = {"given": jnp.array(10.0), "kept": jnp.array([4.0, 6.0])}
    broken = obeyed | {"kept": jnp.array([4.0, 3.0])}
    return {"law": FluxBalance((given,), (kept,)), "obeyed": obeyed, "broken": broken}
