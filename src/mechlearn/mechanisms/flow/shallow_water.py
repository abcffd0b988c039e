"""Shallow water on a rotating plane that closes on itself: fronts, jets, gravity waves (one step)."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
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
# Weights of the rates now and before, and of the heights next, now and before.
EXTRAPOLATED = (1.781105, -1.06221, 0.281105)
INTERPOLATED = (0.614, 0.285, 0.088, 0.013)


def tendency(state: Array, spacing: float, depth: ArrayLike, coriolis: ArrayLike) -> Array:
    """Rates of height, u and v (3, y, x) on an Arakawa C grid, by the scheme that conserves energy.

    `dh/dt = -div(U, V)`, `du/dt = q V - dB/dx`, `dv/dt = -q U - dB/dy` with mass fluxes U, V, potential vorticity
    `q = (f + dv/dx - du/dy) / (H + h)` at corners and `B = g h + (u² + v²) / 2`. Sadourny (1975).
    """
    around = _around(state)
    turned = _turned(around, spacing, depth, coriolis)
    return jnp.stack([turned[0], *_pushed(turned[1:], around[0, :-1, :-1], spacing)])


def _around(state: Array) -> Array:
    """A plane and one cell of what lies beyond each edge: one padded copy and views of it are faster than rolls."""
    # Without the barriers, here and below, XLA computes anew for every view.
    return jax.lax.optimization_barrier(jnp.pad(state, ((0, 0), (1, 1), (1, 1)), mode="wrap"))


def _turned(around: Array, spacing: float, depth: ArrayLike, coriolis: ArrayLike) -> tuple[Array, Array, Array]:
    """The rates but for the pressure force. Faces and corners begin at cell 1 of the padded copy."""
    height, u, v = around
    layer = depth + height
    east_flux, north_flux = u[:, 1:] * _mean_x(layer), v[1:] * _mean_y(layer)
    spin = (_step_x(v)[1:] - _step_y(u)[:, 1:]) / spacing
    vorticity = (coriolis + spin) / _mean_x(_mean_y(layer))
    kinetic = 0.5 * (_mean_x(u**2)[:-1] + _mean_y(v**2)[:, :-1])
    vorticity, east_flux, north_flux = jax.lax.optimization_barrier((vorticity, east_flux, north_flux))
    return (
        -(_step_x(east_flux)[1:-1] + _step_y(north_flux)[:, 1:-1]) / spacing,
        _mean_y(vorticity * _mean_x(north_flux))[:, :-1] - _step_x(kinetic)[1:] / spacing,
        -_mean_x(vorticity * _mean_y(east_flux))[:-1] - _step_y(kinetic)[:, 1:] / spacing,
    )


def _pushed(rates: Sequence[Array], height: Array, spacing: float) -> tuple[Array, Array]:
    """Rates of u and v, and the pressure force `-g grad h` of heights that begin one cell further west and south."""
    force = GRAVITY / spacing
    return rates[0] - force * _step_x(height)[1:], rates[1] - force * _step_y(height)[:, 1:]


def energy(state: Array, spacing: float, depth: ArrayLike) -> Array:
    """Kinetic and potential energy of the whole plane over density (m5 s-2)."""
    height, u, v = state
    layer = depth + height
    west, south = (0.5 * (layer + jnp.roll(layer, 1, axis)) for axis in (1, 0))
    kinetic = 0.5 * (u**2 * west + v**2 * south)
    return jnp.sum(kinetic + 0.5 * GRAVITY * height**2) * spacing**2


def laplacian(field: Array, spacing: float) -> Array:
    """The five-point Laplacian of fields (..., y, x)."""
    return _curvature(jnp.pad(field, [(0, 0)] * (field.ndim - 2) + [(1, 1), (1, 1)], mode="wrap"), spacing)


def _curvature(around: Array, spacing: float) -> Array:
    across = around[..., 1:-1, 2:] + around[..., 1:-1, :-2] + around[..., 2:, 1:-1] + around[..., :-2, 1:-1]
    return (across - 4 * around[..., 1:-1, 1:-1]) / spacing**2


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

    With the scheme `forward_backward` the height goes first and its new pressure drives the velocities, all other rates
    extrapolated from three steps: one evaluation a step where Runge-Kutta takes four, for steps a third shorter.

    Sadourny (1975), doi:10.1175/1520-0469(1975)032<0680:TDOFDM>2.0.CO;2; Shchepetkin & McWilliams (2005),
    doi:10.1016/j.ocemod.2004.08.002 (their equations 2.49 to 2.51).

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
    scheme: Literal["runge_kutta", "forward_backward"] = eqx.field(static=True, default="runge_kutta")
    inputs: ClassVar = (HEIGHT, EASTWARD, NORTHWARD)
    outputs: ClassVar = (HEIGHT, EASTWARD, NORTHWARD)
    state: ClassVar[tuple[str, ...]] = ("surface_height", "eastward_velocity", "northward_velocity")

    def __check_init__(self) -> None:
        if isinstance(self.depth.value, float):
            limit = self.spacing / math.sqrt(GRAVITY * self.depth.value)
            limit *= 1 if self.scheme == "runge_kutta" else 0.5
            if self.time_step > limit:
                raise ValueError(
                    f"a gravity wave crosses a cell too fast for {self.scheme}: take a time_step below {limit:.0f} s, "
                    f"got {self.time_step} s (and more `steps`)"
                )

    def initial(self) -> dict[str, ArrayLike]:
        """The jets, with a small ripple of the height that lets them break."""
        start = jets(self.size, self.spacing, self.jet_speed.value, self.coriolis.value, self.jet_count)
        along = 2 * math.pi * jnp.arange(self.size) / self.size
        ripple = jnp.sin(along) * jnp.cos(2 * along)[:, None] + jnp.cos(3 * along) * jnp.sin(along)[:, None]
        return dict(zip(self.state, start.at[0].add(ripple), strict=True))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        coriolis, depth, viscosity = self.coriolis.value, self.depth.value, self.viscosity.value
        target = jets(self.size, self.spacing, self.jet_speed.value, coriolis, self.jet_count)

        def turned(around: Array) -> list[Array]:
            """All but the pressure force."""
            rates = _turned(around, self.spacing, depth, coriolis)
            friction = 0, *(viscosity * _curvature(around[1:], self.spacing))
            drawn = (target - around[:, 1:-1, 1:-1]) / self.relaxation_time.value
            return [rate + f + d for rate, f, d in zip(rates, friction, drawn, strict=True)]

        def rate(state: Array) -> Array:
            around = _around(state)
            height, *others = turned(around)
            return jnp.stack([height, *_pushed(others, around[0, :-1, :-1], self.spacing)])

        state = jnp.stack([fields[name] for name in self.state])
        if self.scheme == "runge_kutta":
            made = runge_kutta(rate, state, self.time_step, self.steps)
        else:
            made = _forward_backward(turned, state, self.spacing, self.time_step, self.steps)
        return dict(zip(self.state, made, strict=True))


def _forward_backward(
    turned: Callable[[Array], list[Array]], state: Array, spacing: float, time_step: float, steps: int
) -> Array:
    """Steps of the height with rates of three times, then of the velocities under the pressure of four."""
    # The first two steps have no past.
    rates = jnp.asarray([[1, 0, 0], [1.5, -0.5, 0], *[EXTRAPOLATED] * (steps - 2)][:steps])
    pressures = jnp.asarray([*[[0.5, 0.5, 0, 0]] * 2, *[INTERPOLATED] * (steps - 2)][:steps])

    def one(carry: tuple, weights: tuple[Array, Array]):
        now, last, first, *past = carry
        rates = turned(_around(now))
        ahead = [_weighed(weights[0], three) for three in zip(rates, last, first, strict=True)]
        height = now[0] + time_step * ahead[0]
        pressure = jnp.pad(_weighed(weights[1], (height, now[0], *past)), ((1, 0), (1, 0)), mode="wrap")
        pushed = _pushed(ahead[1:], pressure, spacing)
        moved = [x + time_step * r for x, r in zip(now[1:], pushed, strict=True)]
        return (jnp.stack([height, *moved]), rates, last, now[0], past[0]), None

    none = [jnp.zeros_like(field) for field in state]
    return jax.lax.scan(one, (state, none, none, none[0], none[0]), (rates, pressures))[0][0]


def _weighed(weights: Array, fields: Sequence[Array]) -> Array:
    return sum(weight * field for weight, field in zip(weights, fields, strict=True))


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
