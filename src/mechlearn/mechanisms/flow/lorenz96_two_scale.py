"""Two-scale Lorenz-96: slow waves, each with fast ripples of its own (one step)."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ._runge_kutta import runge_kutta
from .lorenz96 import QUANTITY
from .lorenz96 import tendency as one_scale_tendency

RIPPLE = Variable("convective_quantity", "1", ("subsector",), long_name="fast quantity in sectors within the sectors")


def fast_tendency(y: Array, x: Array, coupling: ArrayLike, time_ratio: ArrayLike, space_ratio: ArrayLike) -> Array:
    """`dy_j/dt = c b y_{j+1} (y_{j-1} - y_{j+2}) - c y_j + (h c / b) x_i`, j through all sectors i."""
    # One padded copy and three views of it are faster than three rolls.
    around = jnp.concatenate([y[-1:], y, y[:2]])
    driven = coupling * time_ratio / space_ratio * jnp.repeat(x, len(y) // len(x))
    return time_ratio * (space_ratio * around[2:-1] * (around[:-3] - around[3:]) - y) + driven


def slow_tendency(x: Array, fluxes: Array, forcing: ArrayLike) -> Array:
    """`dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F - U_i`, with U the flux into the ripples."""
    return one_scale_tendency(x, forcing) - fluxes


class Lorenz96TwoScale(Model):
    """Slow waves drive fast ripples inside each sector, and the ripples drain them.

    `U_i = (h c / b) sum_j y_{ij}` is what a one-scale model has to parameterise. A call carries both
    scales over `steps` Runge-Kutta steps of `time_step` (which must resolve the fast one).

    Lorenz (1996), Predictability: a problem partly solved; Wilks (2005), doi:10.1256/qj.04.03.

    Raises `ValueError` for fewer than four sectors or no ripples.

        >>> model = Lorenz96TwoScale()
        >>> made = model({name: jnp.asarray(value) for name, value in model.initial().items()})
        >>> made["convective_quantity"].shape
        (256,)
    """

    forcing: Parameter = Parameter(20.0, "1", (-20.0, 40.0), "F: what drives every sector")
    coupling: Parameter = Parameter(1.0, "1", (0.0, 5.0), "h: how strongly the scales are coupled")
    time_ratio: Parameter = Parameter(10.0, "1", (0.1, 100.0), "c: how much faster the ripples are")
    space_ratio: Parameter = Parameter(10.0, "1", (0.1, 100.0), "b: how much smaller the ripples are")
    size: int = eqx.field(static=True, default=8)
    ripples: int = eqx.field(static=True, default=32)
    time_step: float = eqx.field(static=True, default=0.001)
    steps: int = eqx.field(static=True, default=5)
    inputs: ClassVar = (QUANTITY, RIPPLE)
    outputs: ClassVar = (QUANTITY, RIPPLE)
    state: ClassVar[tuple[str, ...]] = ("atmospheric_quantity", "convective_quantity")

    def __check_init__(self) -> None:
        if self.size < 4 or self.ripples < 1:
            raise ValueError(f"Lorenz96TwoScale needs 4 sectors and 1 ripple at least, got {self.size}, {self.ripples}")

    def initial(self) -> dict[str, ArrayLike]:
        ripple = 0.1 * jnp.sin(jnp.arange(self.size * self.ripples))
        return {"atmospheric_quantity": jnp.zeros(self.size).at[0].set(1.0), "convective_quantity": ripple}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        together = jnp.concatenate([fields["atmospheric_quantity"], fields["convective_quantity"]])
        moved = runge_kutta(self._rate, together, self.time_step, self.steps)
        return {"atmospheric_quantity": moved[: self.size], "convective_quantity": moved[self.size :]}

    def _rate(self, together: Array) -> Array:
        x, y = together[: self.size], together[self.size :]
        h, c, b = self.coupling.value, self.time_ratio.value, self.space_ratio.value
        fluxes = h * c / b * y.reshape(self.size, self.ripples).sum(axis=1)
        return jnp.concatenate([slow_tendency(x, fluxes, self.forcing.value), fast_tendency(y, x, h, c, b)])


def example() -> dict[str, Any]:
    """The same everywhere, both scales rest where `x (1 + h² c J / b²) = F` and `y = h x / b`."""
    slow = 20.0 / (1 + 10.0 * 4 / 100)
    return {
        "model": Lorenz96TwoScale(size=4, ripples=4),
        "inputs": {"atmospheric_quantity": jnp.full(4, slow), "convective_quantity": jnp.full(16, slow / 10)},
        "published": {"atmospheric_quantity": jnp.full(4, slow), "convective_quantity": jnp.full(16, slow / 10)},
        "tolerance": 1e-5,
        "source": "the steady state of Wilks (2005), doi:10.1256/qj.04.03, his equations 1 and 2",
    }
