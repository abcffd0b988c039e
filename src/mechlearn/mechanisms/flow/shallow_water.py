"""Shallow water on a rotating plane that closes on itself: fronts, jets, gravity waves (one step)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ._runge_kutta import runge_kutta

PLANE = ("y", "x")
HEIGHT = Variable("surface_height", "m", PLANE, long_name="height of the surface above its mean")
EASTWARD = Variable("eastward_velocity", "m s-1", PLANE, long_name="velocity along x, half a cell west of the height")
NORTHWARD = Variable("northward_velocity", "m s-1", PLANE, long_name="velocity along y, half a cell south of it")
GRAVITY = 9.80665


def tendency(state: Array, spacing: float, depth: ArrayLike, coriolis: ArrayLike) -> Array:
    """Rates of height, u and v (3, y, x) on an Arakawa C grid, by the scheme that conserves energy.

    `dh/dt = -div(U, V)`, `du/dt = q V - dB/dx`, `dv/dt = -q U - dB/dy` with mass fluxes U, V, potential vorticity
    `q = (f + dv/dx - du/dy) / (H + h)` at corners and `B = g h + (u² + v²) / 2`. Sadourny (1975).
    """
    # One padded copy and views of it are much faster than rolls. Faces and corners begin at cell 1 of the copy.
    height, u, v = jnp.pad(state, ((0, 0), (1, 1), (1, 1)), mode="wrap")
    layer = depth + height
    east_flux, north_flux = u[:, 1:] * _mean_x(layer), v[1:] * _mean_y(layer)
    spin = (_step_x(v)[1:] - _step_y(u)[:, 1:]) / spacing
    vorticity = (coriolis + spin) / _mean_x(_mean_y(layer))
    bernoulli = GRAVITY * height[:-1, :-1] + 0.5 * (_mean_x(u**2)[:-1] + _mean_y(v**2)[:, :-1])
    return jnp.stack(
        [
            -(_step_x(east_flux)[1:-1] + _step_y(north_flux)[:, 1:-1]) / spacing,
            _mean_y(vorticity * _mean_x(north_flux))[:, :-1] - _step_x(bernoulli)[1:] / spacing,
            -_mean_x(vorticity * _mean_y(east_flux))[:-1] - _step_y(bernoulli)[:, 1:] / spacing,
        ]
    )


def energy(state: Array, spacing: float, depth: ArrayLike) -> Array:
    """Kinetic and potential energy of the whole plane over density (m5 s-2)."""
    height, u, v = state
    layer = depth + height
    west, south = (0.5 * (layer + jnp.roll(layer, 1, axis)) for axis in (1, 0))
    kinetic = 0.5 * (u**2 * west + v**2 * south)
    return jnp.sum(kinetic + 0.5 * GRAVITY * height**2) * spacing**2


def laplacian(field: Array, spacing: float) -> Array:
    """The five-point Laplacian of fields (..., y, x)."""
    around = jnp.pad(field, [(0, 0)] * (field.ndim - 2) + [(1, 1), (1, 1)], mode="wrap")
    across = around[..., 1:-1, 2:] + around[..., 1:-1, :-2] + around[..., 2:, 1:-1] + around[..., :-2, 1:-1]
    return (across - 4 * field) / spacing**2


def jets(size: int, spacing: float, speed: ArrayLike, coriolis: ArrayLike, count: int) -> Array:
    """`count` eastward jets and as many westward in geostrophic balance (3, y, x): `u = U sin(k y)`."""
    wavenumber = 2 * math.pi * count / (size * spacing)
    middle = (jnp.arange(size) + 0.5) * spacing
    # Balanced on the grid, where heights are differences and velocities means of neighbours.
    slope = coriolis * speed * spacing / (2 * GRAVITY * math.tan(wavenumber * spacing / 2))
    profile = jnp.stack([slope * jnp.cos(wavenumber * middle), speed * jnp.sin(wavenumber * middle), 0 * middle])
    return jnp.broadcast_to(profile[:, :, None], (3, size, size))


class ShallowWater(Model):
    """A rotating layer of water is drawn towards unstable jets, which break into eddies without end.

    `dh/dt + div((H + h) v) = (h_J - h) / t`, `dv/dt + q k x (H + h) v + grad B = (v_J - v) / t + nu lap v` on a
    doubly periodic plane of `size` x `size` cells, with jets J in geostrophic balance. Mass is conserved, energy
    too without relaxation and viscosity. A call is `steps` Runge-Kutta steps of `time_step` seconds.

    Sadourny (1975), doi:10.1175/1520-0469(1975)032<0680:TDOFDM>2.0.CO;2.

    Raises `ValueError` when gravity waves would cross too much of a cell in one time step.

        >>> model = ShallowWater(size=16)
        >>> start = {name: jnp.asarray(value) for name, value in model.initial().items()}
        >>> bool(abs(model(start)["surface_height"].mean()) < 1e-3)
        True
    """

    depth: Parameter = Parameter(1000.0, "m", (1.0, 1e4), "H: mean depth of the layer")
    coriolis: Parameter = Parameter(1e-4, "s-1", (-1.5e-4, 1.5e-4), "f: twice the rotation about the vertical")
    jet_speed: Parameter = Parameter(40.0, "m s-1", (0.0, 100.0), "U: speed of the jets that the flow is drawn to")
    relaxation_time: Parameter = Parameter(4.32e5, "s", (1e4, math.inf), "t: how slowly the flow is drawn to them")
    viscosity: Parameter = Parameter(2e4, "m2 s-1", (0.0, 1e7), "nu: what damps the velocities' smallest scales")
    size: int = eqx.field(static=True, default=32)
    spacing: float = eqx.field(static=True, default=250e3)
    jet_count: int = eqx.field(static=True, default=4)
    time_step: float = eqx.field(static=True, default=1800.0)
    steps: int = eqx.field(static=True, default=1)
    inputs: ClassVar = (HEIGHT, EASTWARD, NORTHWARD)
    outputs: ClassVar = (HEIGHT, EASTWARD, NORTHWARD)
    state: ClassVar[tuple[str, ...]] = ("surface_height", "eastward_velocity", "northward_velocity")

    def __check_init__(self) -> None:
        if isinstance(self.depth.value, float):
            limit = self.spacing / math.sqrt(GRAVITY * self.depth.value)
            if self.time_step > limit:
                raise ValueError(
                    f"a gravity wave crosses a cell in {limit:.0f} s: take a time_step below that, "
                    f"got {self.time_step} s (or more `steps`)"
                )

    def initial(self) -> dict[str, ArrayLike]:
        """The jets, with a small ripple of the height that lets them break."""
        start = jets(self.size, self.spacing, self.jet_speed.value, self.coriolis.value, self.jet_count)
        along = 2 * math.pi * jnp.arange(self.size) / self.size
        ripple = jnp.sin(along) * jnp.cos(2 * along)[:, None] + jnp.cos(3 * along) * jnp.sin(along)[:, None]
        return dict(zip(self.state, start.at[0].add(ripple), strict=True))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        coriolis = self.coriolis.value
        target = jets(self.size, self.spacing, self.jet_speed.value, coriolis, self.jet_count)

        def rate(state: Array) -> Array:
            moved = tendency(state, self.spacing, self.depth.value, coriolis)
            friction = self.viscosity.value * laplacian(state, self.spacing)
            return (moved + (target - state) / self.relaxation_time.value).at[1:].add(friction[1:])

        state = jnp.stack([fields[name] for name in self.state])
        return dict(zip(self.state, runge_kutta(rate, state, self.time_step, self.steps), strict=True))


def _step_x(field: Array) -> Array:
    return field[:, 1:] - field[:, :-1]


def _step_y(field: Array) -> Array:
    return field[1:] - field[:-1]


def _mean_x(field: Array) -> Array:
    return 0.5 * (field[:, 1:] + field[:, :-1])


def _mean_y(field: Array) -> Array:
    return 0.5 * (field[1:] + field[:-1])


def example() -> dict[str, Any]:
    """Jets in balance stay as they are when nothing else acts on them."""
    model = ShallowWater(size=16, viscosity=Parameter(0.0, "m2 s-1", (0.0, 1e7), "nu: none"))
    state = dict(zip(model.state, jets(16, model.spacing, 40.0, 1e-4, 4), strict=True))
    return {
        "model": model,
        "inputs": state,
        "published": {"eastward_velocity": state["eastward_velocity"]},
        "tolerance": 1e-3,
        "source": "geostrophic balance; Sadourny (1975), doi:10.1175/1520-0469(1975)032<0680:TDOFDM>2.0.CO;2",
    }
