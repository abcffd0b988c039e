"""Two-layer quasi-geostrophic turbulence on a doubly periodic plane, pseudo-spectral (one step)."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from .._joints import ask, read_by
from ._runge_kutta import runge_kutta

PLANE = ("layer", "northward", "eastward")
POTENTIAL_VORTICITY = Variable("potential_vorticity", "s-1", PLANE, long_name="departure from that of the mean flow")
STREAMFUNCTION = Variable("streamfunction", "m2 s-1", PLANE, long_name="p of (u, v) = (-dp/dy, dp/dx)")
EASTWARD_VELOCITY = Variable("eastward_velocity", "m s-1", PLANE, long_name="u, departure from the mean flow")
NORTHWARD_VELOCITY = Variable("northward_velocity", "m s-1", PLANE, long_name="v, departure from the mean flow")
SUBGRID_FORCING = Variable("subgrid_forcing", "s-2", PLANE, long_name="what motions not resolved do to the vorticity")
MADE = (POTENTIAL_VORTICITY, STREAMFUNCTION, EASTWARD_VELOCITY, NORTHWARD_VELOCITY, SUBGRID_FORCING)


class Waves(NamedTuple):
    """The half plane of wavenumbers (m-1) of a square of `size` points, and the filter of its smallest waves."""

    east: np.ndarray
    north: np.ndarray
    squared: np.ndarray
    kept: np.ndarray


def waves(size: int, length: float, *, cutoff: float = 0.65) -> Waves:
    """Wavenumbers of a square of `length` (m), and `exp(-23.6 (|k| dx - c)^4)` beyond `c = cutoff * pi`."""
    north = 2 * math.pi / length * np.fft.fftfreq(size, 1 / size)[:, None]
    east = 2 * math.pi / length * np.arange(size // 2 + 1)[None, :]
    squared = east**2 + north**2
    beyond = np.maximum(np.sqrt(squared) * length / size - cutoff * math.pi, 0.0)
    return Waves(east, north, squared, np.exp(-23.6 * beyond**4))


def stretching(radius: ArrayLike, depth_ratio: ArrayLike) -> tuple[Array, Array]:
    """`F_1 = 1 / (rd² (1 + d))`, `F_2 = d F_1` (m-2): how an interface that moves stretches both layers."""
    upper = 1 / (jnp.asarray(radius) ** 2 * (1 + jnp.asarray(depth_ratio)))
    return upper, upper * depth_ratio


def streamfunction(vorticity: Array, squared: ArrayLike, upper: ArrayLike, lower: ArrayLike) -> Array:
    """Solve `q_1 = -k² p_1 + F_1 (p_2 - p_1)`, `q_2 = -k² p_2 + F_2 (p_1 - p_2)` for every wave; none for the mean."""
    squared = jnp.asarray(squared)
    everywhere = jnp.where(squared > 0, squared, 1.0)
    first, second = vorticity
    inverse = jnp.where(squared > 0, -1 / (everywhere * (everywhere + upper + lower)), 0.0)
    return inverse * jnp.stack([(squared + lower) * first + upper * second, lower * first + (squared + upper) * second])


class Resolved(Model):
    """All motions are on the grid: none below it does anything to the vorticity."""

    inputs: ClassVar = (POTENTIAL_VORTICITY, EASTWARD_VELOCITY, NORTHWARD_VELOCITY)
    outputs: ClassVar = (SUBGRID_FORCING,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {"subgrid_forcing": jnp.zeros_like(fields["potential_vorticity"])}


class Quasigeostrophic(Model):
    """Eddies of a sheared, rotating fluid of two layers grow, interact, and are drained at the bottom.

    `dq_i/dt + J(p_i, q_i) + U_i dq_i/dx + Q_i dp_i/dx = -r [i=2] lap p_2 + S_i`, q the potential vorticity, p the
    streamfunction, U = (U, 0) the mean flow, `Q_1 = beta + F_1 U`, `Q_2 = beta - F_2 U`. A call carries q (2, size,
    size) over `steps` Runge-Kutta steps of `time_step` (s), after each of which the smallest waves are filtered. The
    joint `closure` gives S, what motions below the grid do (nothing by default), from q, p, u or v; it is asked at
    every stage of a step, or once a step and held, as what costs much should be. The square has `length` (m).

    Phillips (1951); Flierl (1978), doi:10.1016/0377-0265(78)90002-7; the set-up and the filter are those of the package
    pyqg (Abernathey et al. 2022, doi:10.5281/zenodo.6563667).

    Raises `ValueError` for an odd or small number of points, or a closure asked at another time.
    """

    shear: Parameter = Parameter(0.025, "m s-1", (-1.0, 1.0), "U: how much faster the upper layer moves east")
    beta: Parameter = Parameter(1.5, "1e-11 m-1 s-1", (0.0, 10.0), "northward gradient of the planetary vorticity")
    drag: Parameter = Parameter(0.05, "day-1", (0.0, 5.0), "r: friction at the bottom")
    radius: Parameter = Parameter(15.0, "km", (1.0, 1000.0), "rd: deformation radius")
    depth_ratio: Parameter = Parameter(0.25, "1", (0.01, 10.0), "d: depth of the upper layer over that of the lower")
    closure: Model = Resolved()
    size: int = eqx.field(static=True, default=64)
    length: float = eqx.field(static=True, default=1e6)
    time_step: float = eqx.field(static=True, default=7200.0)
    steps: int = eqx.field(static=True, default=1)
    filtered: bool = eqx.field(static=True, default=True)
    asked: Literal["stage", "step"] = eqx.field(static=True, default="stage")
    outputs: ClassVar = (POTENTIAL_VORTICITY,)
    state: ClassVar[tuple[str, ...]] = ("potential_vorticity",)

    def __check_init__(self) -> None:
        if self.size < 8 or self.size % 2:
            raise ValueError(f"Quasigeostrophic needs an even number of 8 points or more, got size={self.size}")
        if self.asked not in ("stage", "step"):
            raise ValueError(f"Quasigeostrophic asks its closure every 'stage' or every 'step', got {self.asked!r}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return read_by("Quasigeostrophic", (POTENTIAL_VORTICITY,), MADE, (self.closure,))

    def initial(self) -> dict[str, ArrayLike]:
        """A few weak waves in the upper layer."""
        angle = 2 * math.pi * np.arange(self.size) / self.size
        y, x = angle[:, None], angle[None, :]
        upper = 1e-7 * (np.cos(6 * x) + np.sin(5 * x + 3 * y) + np.cos(7 * y - 4 * x))
        return {"potential_vorticity": jnp.asarray(np.stack([upper, 0 * upper]), jnp.result_type(float))}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        number = waves(self.size, self.length)
        transformed = jnp.fft.rfft2(fields["potential_vorticity"])
        moved, _ = jax.lax.scan(
            lambda q, _: (self._advance(q, number, fields, key), None), transformed, length=self.steps
        )
        return {"potential_vorticity": self._points(moved)}

    def tendency(self, vorticity: Array) -> Array:
        """How fast the vorticity (2, size, size) changes, s-2; without the filter, which acts once a step."""
        transformed = jnp.fft.rfft2(vorticity)
        return self._points(self._forced(transformed, waves(self.size, self.length), {}, None)(transformed))

    def told(self, vorticity: Array) -> Fields:
        """What a closure may read of a state: q, p, u and v, each (2, size, size)."""
        return self._told(jnp.fft.rfft2(vorticity), waves(self.size, self.length), [v.name for v in MADE[:-1]])

    def _advance(self, transformed: Array, number: Waves, fields: Fields, key: PRNGKeyArray | None) -> Array:
        moved = runge_kutta(self._forced(transformed, number, fields, key), transformed, self.time_step)
        return moved * number.kept if self.filtered else moved

    def _forced(self, start: Array, number: Waves, fields: Fields, key: PRNGKeyArray | None):
        rate = self._rate(number)
        if isinstance(self.closure, Resolved):
            return rate
        if self.asked == "stage":
            return lambda transformed: rate(transformed) + self._forcing(transformed, number, fields, key)
        held = self._forcing(start, number, fields, key)
        return lambda transformed: rate(transformed) + held

    def _forcing(self, transformed: Array, number: Waves, fields: Fields, key: PRNGKeyArray | None) -> Array:
        told = self._told(transformed, number, [v.name for v in self.closure.inputs])
        return jnp.fft.rfft2(ask(self.closure, {**fields, **told}, key=key)["subgrid_forcing"])

    def _told(self, transformed: Array, number: Waves, names: list[str]) -> Fields:
        stream = streamfunction(transformed, number.squared, *self._stretching())
        all_of_them = {
            "potential_vorticity": transformed,
            "streamfunction": stream,
            "eastward_velocity": -1j * number.north * stream,
            "northward_velocity": 1j * number.east * stream,
        }
        wanted = [name for name in all_of_them if name in names]
        if not wanted:
            return {}
        return dict(zip(wanted, self._points(jnp.stack([all_of_them[name] for name in wanted])), strict=True))

    def _friction(self) -> Array:
        return jnp.asarray(self.drag.value) / 86400.0

    def _stretching(self) -> tuple[Array, Array]:
        return stretching(1000.0 * jnp.asarray(self.radius.value), self.depth_ratio.value)

    def _points(self, transformed: Array) -> Array:
        return jnp.fft.irfft2(transformed, (self.size, self.size))

    def _gradients(self) -> tuple[Array, Array]:
        """The mean flow, and the northward gradient of its vorticity, of both layers."""
        upper, lower = self._stretching()
        shear, beta = jnp.asarray(self.shear.value), 1e-11 * jnp.asarray(self.beta.value)
        return jnp.stack([shear, 0 * shear]), jnp.stack([beta + upper * shear, beta - lower * shear])

    def _rate(self, number: Waves) -> Callable[[Array], Array]:
        upper, lower = self._stretching()
        east, north = 1j * jnp.asarray(number.east), 1j * jnp.asarray(number.north)
        flow, gradient = (values[:, None, None] for values in self._gradients())
        rubbed = jnp.asarray([0.0, 1.0])[:, None, None] * self._friction() * number.squared

        def rate(transformed: Array) -> Array:
            stream = streamfunction(transformed, number.squared, upper, lower)
            # All six fields come back from the waves in one transform, both fluxes go there in one.
            six = self._points(jnp.stack([transformed, -north * stream, east * stream]))
            vorticity, eastward, northward = six
            fluxes = jnp.fft.rfft2(jnp.stack([(eastward + flow) * vorticity, northward * vorticity]))
            return rubbed * stream - east * fluxes[0] - north * fluxes[1] - gradient * east * stream

        return rate

    def budget(self, vorticity: Array) -> dict[str, Array]:
        """Energy (m2 s-2) and enstrophy (s-2) of a state (2, size, size), and what makes and drains them, a second.

        `E = <d |u_1|² + |u_2|² + d F_1 (p_1 - p_2)²> / 2 (1 + d)` is `kinetic` (of each layer, not weighed) and
        `potential` energy. Eddies gain `d F_1 U <p_1 dp_2/dx> / (1 + d)` from the sheared mean flow (`generation`) and
        lose `r <|u_2|²> / (1 + d)` at the bottom (`drag`); the closure gives `-<p S>`, the filter what it takes out in
        a step. `Z = <d q_1² + q_2²> / 2 (1 + d)` is made by `-Q_i <v_i q_i>`, and drained likewise; its
        terms are called `enstrophy_generation` and so on. The terms add up to the change of each.
        """
        number, told = waves(self.size, self.length), self.told(vorticity)
        first, second = stream = told["streamfunction"]
        ratio = jnp.asarray(self.depth_ratio.value)
        depths = jnp.stack([ratio, jnp.ones_like(ratio)]) / (1 + ratio)
        speeds = told["eastward_velocity"] ** 2 + told["northward_velocity"] ** 2
        kinetic = 0.5 * jnp.mean(speeds, axis=(1, 2))
        potential = 0.5 * depths[0] * self._stretching()[0] * jnp.mean((first - second) ** 2)
        flow, gradient = self._gradients()
        transformed = jnp.fft.rfft2(vorticity)
        curl = self._points(-number.squared * jnp.fft.rfft2(second))
        closed = self._points(self._forcing(transformed, number, {}, None))
        crossed = jnp.mean(told["northward_velocity"] * vorticity, axis=(1, 2))
        left = self._points(transformed * number.kept) if self.filtered else vorticity
        lost, energy = (self._energy(q, depths) for q in (left, vorticity))
        squares = [0.5 * depths @ jnp.mean(q**2, axis=(1, 2)) for q in (left, vorticity)]
        return {
            "energy": energy,
            "kinetic": kinetic,
            "potential": potential,
            "generation": -depths @ (flow * crossed),
            "drag": -2 * depths[1] * self._friction() * kinetic[1],
            "closure": -depths @ jnp.mean(stream * closed, axis=(1, 2)),
            "filter": (lost - energy) / self.time_step,
            "enstrophy": squares[1],
            "enstrophy_generation": -depths @ (gradient * crossed),
            "enstrophy_drag": -depths[1] * self._friction() * jnp.mean(vorticity[1] * curl),
            "enstrophy_closure": depths @ jnp.mean(vorticity * closed, axis=(1, 2)),
            "enstrophy_filter": (squares[0] - squares[1]) / self.time_step,
        }

    def _energy(self, vorticity: Array, depths: Array) -> Array:
        stream = self._told(jnp.fft.rfft2(vorticity), waves(self.size, self.length), ["streamfunction"])
        return -0.5 * depths @ jnp.mean(stream["streamfunction"] * vorticity, axis=(1, 2))


def example() -> dict[str, Any]:
    """A barotropic Rossby wave of the whole square travels west at `beta / k²`, as it would without other waves."""
    model = Quasigeostrophic(
        shear=Parameter(0.0, "m s-1", (-1.0, 1.0), "no shear"),
        drag=Parameter(0.0, "day-1", (0.0, 5.0), "no friction"),
        size=8,
    )
    number = 2 * math.pi / model.length
    place = number * model.length / model.size * np.arange(model.size)
    frequency = -1.5e-11 / number

    def wave(time: float) -> Array:
        one = 1e-3 * np.broadcast_to(np.cos(place - frequency * time), (model.size, model.size))
        return jnp.asarray(np.stack([one, one]), jnp.result_type(float))

    return {
        "model": model,
        "inputs": {"potential_vorticity": wave(0.0)},
        "published": {"potential_vorticity": wave(model.time_step)},
        "tolerance": 1e-4,
        "source": "Rossby (1939): the dispersion of planetary waves, omega = -beta k / (k² + l²)",
    }
