"""Lorenz-96: advection, damping and forcing on a latitude circle (one step)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from .._joints import ask, read_by
from ._runge_kutta import runge_kutta

QUANTITY = Variable("atmospheric_quantity", "1", ("sector",), long_name="some quantity in sectors of a latitude circle")
RESOLVED_TENDENCY = Variable("resolved_tendency", "1", ("sector",), long_name="rate of change by what is resolved")
SUBGRID_FLUX = Variable("subgrid_flux", "1", ("sector",), long_name="what scales not resolved take out of a sector")


def tendency(x: Array, forcing: ArrayLike) -> Array:
    """`dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F` around the circle, x of shape (..., sector)."""
    # One padded copy and three views of it are much faster than three rolls.
    around = jnp.concatenate([x[..., -2:], x, x[..., :1]], axis=-1)
    return (around[..., 3:] - around[..., :-3]) * around[..., 1:-2] - x + forcing


class NoSubgridFlux(Model):
    """All scales are resolved: nothing is taken out of a sector."""

    inputs: ClassVar = (QUANTITY,)
    outputs: ClassVar = (SUBGRID_FLUX,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {"subgrid_flux": jnp.zeros_like(fields["atmospheric_quantity"])}


class Lorenz96(Model):
    """Waves on a latitude circle are advected, damped and forced, and are chaotic for a forcing of 8.

    `dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F - U_i(x)`, i around the circle; one time unit is about five
    days. A call carries the state over `steps` Runge-Kutta steps of `time_step`. The joint `closure` gives U, what
    scales below the sectors take out of them (nothing by default); it is told the quantity and, where it reads it, the
    `resolved_tendency`, which is the right-hand side without U.

    Lorenz (1996), Predictability: a problem partly solved; Lorenz & Emanuel (1998),
    doi:10.1175/1520-0469(1998)055<0399:OSFSWO>2.0.CO;2; with a closure Wilks (2005), doi:10.1256/qj.04.03.

    Raises `ValueError` for fewer than four sectors.

        >>> model = Lorenz96(size=40)
        >>> round(float(model({"atmospheric_quantity": jnp.full(40, 8.0)})["atmospheric_quantity"][0]), 6)
        8.0
    """

    forcing: Parameter = Parameter(8.0, "1", (-20.0, 40.0), "F: what drives every sector")
    closure: Model = NoSubgridFlux()
    size: int = eqx.field(static=True, default=40)
    time_step: float = eqx.field(static=True, default=0.05)
    steps: int = eqx.field(static=True, default=1)
    outputs: ClassVar = (QUANTITY,)
    state: ClassVar[tuple[str, ...]] = ("atmospheric_quantity",)

    def __check_init__(self) -> None:
        if self.size < 4:
            raise ValueError(f"Lorenz96 needs at least 4 sectors, got size={self.size}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return read_by("Lorenz96", (QUANTITY,), (QUANTITY, SUBGRID_FLUX, RESOLVED_TENDENCY), (self.closure,))

    def initial(self) -> dict[str, ArrayLike]:
        """At rest but for one sector, as in the papers on assimilation."""
        return {"atmospheric_quantity": jnp.zeros(self.size).at[0].set(1.0)}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        def rate(x: Array) -> Array:
            resolved = tendency(x, self.forcing.value)
            told = {**fields, "atmospheric_quantity": x, "resolved_tendency": resolved}
            return resolved - ask(self.closure, told, key=key)["subgrid_flux"]

        moved = runge_kutta(rate, fields["atmospheric_quantity"], self.time_step, self.steps)
        return {"atmospheric_quantity": moved}


def example() -> dict[str, Any]:
    """The same everywhere, nothing is advected: the quantity relaxes to the forcing as F (1 - exp(-t))."""
    return {
        "model": Lorenz96(size=8),
        "inputs": {"atmospheric_quantity": jnp.zeros(8)},
        "published": {"atmospheric_quantity": jnp.full(8, 8.0 * (1 - math.exp(-0.05)))},
        "tolerance": 1e-6,
        "source": "Lorenz & Emanuel (1998), doi:10.1175/1520-0469(1998)055<0399:OSFSWO>2.0.CO;2, their equation 1",
    }
