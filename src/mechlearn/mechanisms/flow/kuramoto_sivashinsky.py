"""Kuramoto-Sivashinsky: waves that are fed at long scales and damped at short ones, on a circle (one step)."""

import functools
import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable

VELOCITY = Variable("flame_velocity", "1", ("place",), long_name="slope of a flame front, or velocity of a thin film")
ROOTS = 32


class Weights(NamedTuple):
    """What a step of given length does in the space of wave numbers (place // 2 + 1,)."""

    slope: np.ndarray
    whole: np.ndarray
    half: np.ndarray
    stage: np.ndarray
    first: np.ndarray
    middle: np.ndarray
    last: np.ndarray


@functools.cache
def weights(size: int, circumference: float, step: float) -> Weights:
    """The weights of exponential time differencing (ETDRK4), as means over a circle of complex numbers to be exact."""
    number = 2 * np.pi / circumference * np.arange(size // 2 + 1)
    rate = number**2 - number**4
    # The shortest wave has no slope on the grid.
    slope = np.where(np.arange(size // 2 + 1) * 2 == size, 0, 1j * number)
    z = step * rate[:, None] + np.exp(1j * np.pi * (np.arange(ROOTS) + 0.5) / ROOTS)
    e = np.exp(z)
    made = [
        (np.exp(z / 2) - 1) / z,
        (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
        2 * (2 + z + e * (z - 2)) / z**3,
        (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
    ]
    return Weights(slope, np.exp(step * rate), np.exp(step * rate / 2), *(step * f.mean(axis=1).real for f in made))


def advanced(velocity: Array, weight: Weights) -> Array:
    """One ETDRK4 step of u (place,): the linear part is exact, the advection of fourth order."""
    size = len(velocity)

    def advection(v: Array) -> Array:
        return -0.5 * weight.slope.astype(v.dtype) * jnp.fft.rfft(jnp.fft.irfft(v, size) ** 2)

    _, whole, half, stage, first, middle, last = (jnp.asarray(np.real(w), velocity.dtype) for w in weight)
    v = jnp.fft.rfft(velocity)
    start = advection(v)
    a = half * v + stage * start
    at_a = advection(a)
    at_b = advection(half * v + stage * at_a)
    at_c = advection(half * a + stage * (2 * at_b - start))
    return jnp.fft.irfft(whole * v + first * start + middle * (at_a + at_b) + last * at_c, size)


class KuramotoSivashinsky(Model):
    """A front or a film is unstable at long waves, damped at short ones, and chaotic between them.

    `u_t = -u u_x - u_xx - u_xxxx` on a circle of `circumference`, u of shape (place,); a call carries it over `steps`
    steps of `time_step` (ETDRK4, up to about 0.5).

    Kuramoto & Tsuzuki (1976), doi:10.1143/PTP.55.356; Sivashinsky (1977), doi:10.1016/0094-5765(77)90096-0; the steps
    of Kassam & Trefethen (2005), doi:10.1137/S1064827502410633.

    Raises `ValueError` for an odd number of places, or fewer than eight.

        >>> made = KuramotoSivashinsky()({"flame_velocity": jnp.full(128, 0.3)})["flame_velocity"]
        >>> bool(jnp.allclose(made, 0.3, atol=1e-6))
        True
    """

    size: int = eqx.field(static=True, default=128)
    circumference: float = eqx.field(static=True, default=32 * math.pi)
    time_step: float = eqx.field(static=True, default=0.5)
    steps: int = eqx.field(static=True, default=1)
    inputs: ClassVar = (VELOCITY,)
    outputs: ClassVar = (VELOCITY,)
    state: ClassVar[tuple[str, ...]] = ("flame_velocity",)

    def __check_init__(self) -> None:
        if self.size < 8 or self.size % 2:
            raise ValueError(f"KuramotoSivashinsky needs an even number of places, 8 at least, got size={self.size}")

    def initial(self) -> dict[str, ArrayLike]:
        """The first state of Kassam & Trefethen (2005)."""
        angle = 2 * math.pi * jnp.arange(1, self.size + 1) / self.size
        return {"flame_velocity": jnp.cos(angle) * (1 + jnp.sin(angle))}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        weight = weights(self.size, self.circumference, self.time_step)
        velocity = fields["flame_velocity"]
        for _ in range(self.steps):
            velocity = advanced(velocity, weight)
        return {"flame_velocity": velocity}


def example() -> dict[str, Any]:
    """A ripple so small that it does not advect itself grows as `exp((k² - k⁴) t)`."""
    wave = 1e-4 * jnp.cos(2 * math.pi * 11 * jnp.arange(128) / 128)
    number = 11 / 16
    return {
        "model": KuramotoSivashinsky(),
        "inputs": {"flame_velocity": wave},
        "published": {"flame_velocity": wave * math.exp((number**2 - number**4) * 0.5)},
        "tolerance": 1e-7,
        "source": "the linear growth rate, Sivashinsky (1977), doi:10.1016/0094-5765(77)90096-0",
    }
