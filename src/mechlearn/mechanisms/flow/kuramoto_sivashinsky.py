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


class Step(NamedTuple):
    """What a step does to u and to squares of it: matrices (place, place), the same around the circle."""

    whole: np.ndarray
    half: np.ndarray
    stage: np.ndarray
    first: np.ndarray
    middle: np.ndarray
    last: np.ndarray


@functools.cache
def matrices(size: int, circumference: float, step: float) -> Step:
    """The weights of exponential time differencing (ETDRK4), as means over a circle of complex numbers to be exact."""
    number = 2 * np.pi / circumference * np.arange(size // 2 + 1)
    rate = number**2 - number**4
    # The shortest wave has no slope on the grid.
    advection = -0.5j * np.where(np.arange(size // 2 + 1) * 2 == size, 0, number)
    z = step * rate[:, None] + np.exp(1j * np.pi * (np.arange(ROOTS) + 0.5) / ROOTS)
    e = np.exp(z)
    stage = (np.exp(z / 2) - 1) / z
    first = (-4 - z + e * (4 - 3 * z + z**2)) / z**3
    middle = 2 * (2 + z + e * (z - 2)) / z**3
    last = (-4 - 3 * z - z**2 + e * (4 - z)) / z**3
    advected = [step * f.mean(axis=1).real * advection for f in (stage, first, middle, last)]
    waves = np.fft.rfft(np.eye(size), axis=0)
    made = (np.exp(step * rate), np.exp(step * rate / 2), *advected)
    return Step(*(np.fft.irfft(weight[:, None] * waves, size, axis=0) for weight in made))


def advanced(velocity: Array, step: Step) -> Array:
    """One ETDRK4 step of u (place,): the linear part is exact, the advection `-(u²/2)_x` of fourth order."""
    whole, half, stage, first, middle, last = (jnp.asarray(matrix, velocity.dtype) for matrix in step)
    square = velocity**2
    a = half @ velocity + stage @ square
    b = half @ velocity + stage @ a**2
    c = half @ a + stage @ (2 * b**2 - square)
    return whole @ velocity + first @ square + middle @ (a**2 + b**2) + last @ c**2


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
        step = matrices(self.size, self.circumference, self.time_step)
        velocity = fields["flame_velocity"]
        for _ in range(self.steps):
            velocity = advanced(velocity, step)
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
