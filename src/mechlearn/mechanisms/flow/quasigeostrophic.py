"""Two-layer quasi-geostrophic turbulence on a doubly periodic plane, pseudo-spectral (one step)."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

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
SUBGRID_FORCING = Variable("subgrid_forcing", "s-2", PLANE, long_name="what motions not resolved do to the vorticity")


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


class Quasigeostrophic(Model):
    """Eddies of a sheared, rotating fluid of two layers grow, interact, and are drained at the bottom.

    `dq_i/dt + J(p_i, q_i) + U_i dq_i/dx + Q_i dp_i/dx = -r [i=2] lap p_2 + S_i`, q the potential vorticity, p the
    streamfunction, U = (U, 0) the mean flow, `Q_1 = beta + F_1 U`, `Q_2 = beta - F_2 U`. A call carries q (2, size,
    size) over `steps` Runge-Kutta steps of `time_step` (s), after each of which the smallest waves are filtered. The
    joint `closure` gives S, what motions below the grid do (nothing by default). The square has `length` (m).

    Phillips (1951); Flierl (1978), doi:10.1016/0377-0265(78)90002-7; the set-up and the filter are those of the package
    pyqg (Abernathey et al. 2022, doi:10.5281/zenodo.6563667).

    Raises `ValueError` for an odd or small number of points.
    """

    shear: Parameter = Parameter(0.025, "m s-1", (-1.0, 1.0), "U: how much faster the upper layer moves east")
    beta: Parameter = Parameter(1.5, "1e-11 m-1 s-1", (0.0, 10.0), "northward gradient of the planetary vorticity")
    drag: Parameter = Parameter(0.05, "day-1", (0.0, 5.0), "r: friction at the bottom")
    radius: Parameter = Parameter(15.0, "km", (1.0, 1000.0), "rd: deformation radius")
    depth_ratio: Parameter = Parameter(0.25, "1", (0.01, 10.0), "d: depth of the upper layer over that of the lower")
    closure: Model | None = None
    size: int = eqx.field(static=True, default=64)
    length: float = eqx.field(static=True, default=1e6)
    time_step: float = eqx.field(static=True, default=7200.0)
    steps: int = eqx.field(static=True, default=1)
    filtered: bool = eqx.field(static=True, default=True)
    outputs: ClassVar = (POTENTIAL_VORTICITY,)
    state: ClassVar[tuple[str, ...]] = ("potential_vorticity",)

    def __check_init__(self) -> None:
        if self.size < 8 or self.size % 2:
            raise ValueError(f"Quasigeostrophic needs an even number of 8 points or more, got size={self.size}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        joints = () if self.closure is None else (self.closure,)
        return read_by("Quasigeostrophic", (POTENTIAL_VORTICITY,), (POTENTIAL_VORTICITY, SUBGRID_FORCING), joints)

    def initial(self) -> dict[str, ArrayLike]:
        """A few weak waves in the upper layer."""
        angle = 2 * math.pi * np.arange(self.size) / self.size
        y, x = angle[:, None], angle[None, :]
        upper = 1e-7 * (np.cos(6 * x) + np.sin(5 * x + 3 * y) + np.cos(7 * y - 4 * x))
        return {"potential_vorticity": jnp.asarray(np.stack([upper, 0 * upper]), jnp.result_type(float))}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        number = waves(self.size, self.length)
        transformed = jnp.fft.rfft2(fields["potential_vorticity"])
        rate = self._rate(number, fields, key)
        moved, _ = jax.lax.scan(lambda q, _: (self._advance(q, rate, number), None), transformed, length=self.steps)
        return {"potential_vorticity": self._points(moved)}

    def _advance(self, transformed: Array, rate: Callable[[Array], Array], number: Waves) -> Array:
        moved = runge_kutta(rate, transformed, self.time_step)
        return moved * number.kept if self.filtered else moved

    def _friction(self) -> Array:
        return jnp.asarray(self.drag.value) / 86400.0

    def _stretching(self) -> tuple[Array, Array]:
        return stretching(1000.0 * jnp.asarray(self.radius.value), self.depth_ratio.value)

    def _points(self, transformed: Array) -> Array:
        return jnp.fft.irfft2(transformed, (self.size, self.size))

    def _rate(self, number: Waves, fields: Fields, key: PRNGKeyArray | None) -> Callable[[Array], Array]:
        upper, lower = self._stretching()
        east, north = 1j * jnp.asarray(number.east), 1j * jnp.asarray(number.north)
        shear, beta = jnp.asarray(self.shear.value), 1e-11 * jnp.asarray(self.beta.value)
        flow = jnp.stack([shear, 0 * shear])[:, None, None]
        gradient = jnp.stack([beta + upper * shear, beta - lower * shear])[:, None, None]
        rubbed = jnp.asarray([0.0, 1.0])[:, None, None] * self._friction() * number.squared

        def rate(transformed: Array) -> Array:
            stream = streamfunction(transformed, number.squared, upper, lower)
            # All six fields come back from the waves in one transform, both fluxes go there in one.
            six = self._points(jnp.stack([transformed, -north * stream, east * stream]))
            vorticity, eastward, northward = six
            fluxes = jnp.fft.rfft2(jnp.stack([(eastward + flow) * vorticity, northward * vorticity]))
            made = rubbed * stream - east * fluxes[0] - north * fluxes[1] - gradient * east * stream
            if self.closure is None:
                return made
            asked = {**fields, "potential_vorticity": vorticity}
            return made + jnp.fft.rfft2(ask(self.closure, asked, key=key)["subgrid_forcing"])

        return rate

    def budget(self, vorticity: Array) -> dict[str, Array]:
        """Energy (m2 s-2) and enstrophy (s-2) of a state, and what makes and drains its energy (m2 s-3).

        `E = <d |u_1|² + |u_2|² + d F_1 (p_1 - p_2)²> / 2 (1 + d)`; eddies gain `d F_1 U <p_1 dp_2/dx> / (1 + d)` from
        the sheared mean flow and lose `r <|u_2|²> / (1 + d)` at the bottom; both layers' depths weigh.
        """
        number = waves(self.size, self.length)
        upper, lower = self._stretching()
        stream = streamfunction(jnp.fft.rfft2(vorticity), number.squared, upper, lower)
        first, second = self._points(stream)
        speeds = [self._points(1j * jnp.asarray(k) * stream) for k in (number.east, number.north)]
        kinetic = jnp.mean(speeds[0] ** 2 + speeds[1] ** 2, axis=(1, 2))
        weight = jnp.asarray(self.depth_ratio.value) / (1 + jnp.asarray(self.depth_ratio.value))
        potential = weight * upper * jnp.mean((first - second) ** 2)
        return {
            "energy": 0.5 * (weight * kinetic[0] + (1 - weight) * kinetic[1] + potential),
            "enstrophy": 0.5 * jnp.mean(weight * vorticity[0] ** 2 + (1 - weight) * vorticity[1] ** 2),
            "generation": weight * upper * self.shear.value * jnp.mean(first * speeds[0][1]),
            "drag": -(1 - weight) * self._friction() * kinetic[1],
        }


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
