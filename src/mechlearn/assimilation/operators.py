"""Observation operators that are a plain function of one variable."""

from collections.abc import Callable
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Model, Variable


class ObservedAs(Model):
    """Observe one variable through any function of it: `y = h(x)`, of shape (observation,).

    A part of a network is `lambda x: x[::2]`, interpolation or a sum over a footprint `lambda x: H @ x`, an instrument
    that is not linear `lambda x: x**3`. Its `units` are those of the variable unless given. The observed quantity is
    named `observed_<variable>`. For several variables, or places that move, write a Model that reads them.

        >>> every_second = ObservedAs(Variable("temperature", "K", ("place",)), lambda x: x[::2])
        >>> every_second({"temperature": jnp.array([280.0, 281.0, 282.0])})["observed_temperature"].tolist()
        [280.0, 282.0]
    """

    variable: Variable = eqx.field(static=True)
    function: Callable[[Array], Array] = eqx.field(static=True)
    units: str | None = eqx.field(static=True, default=None)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        name, units = f"observed_{self.variable.name}", self.variable.units if self.units is None else self.units
        free = (-float("inf"), float("inf"))
        seen = replace(self.variable, name=name, units=units, dims=("observation",), bounds=free, standard_name="")
        return (seen,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        seen = jnp.ravel(jnp.asarray(self.function(fields[self.variable.name])))
        return {f"observed_{self.variable.name}": seen}
