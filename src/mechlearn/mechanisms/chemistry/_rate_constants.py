"""Rate constants in air, by the formulas of the IUPAC evaluation and the Master Chemical Mechanism."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from ...heat_exchange import ZERO_CELSIUS, saturation_vapour_pressure

BOLTZMANN = 1.380649e-23  # J K-1
DUSK = 0.01  # cosine of the zenith angle below which there is no photolysis


class Air(NamedTuple):
    """What rate constants depend on: K, molecules cm-3 of air and of water, cosine of the sun's zenith angle."""

    temperature: Array
    density: Array
    water: Array
    sun: Array


def air(temperature: ArrayLike, humidity: ArrayLike, pressure: ArrayLike, zenith: ArrayLike) -> Air:
    """Air of a temperature (degC), relative humidity (percent) and pressure (Pa), the sun at a zenith angle (degree).

    >>> round(float(air(25.0, 50.0, 1e5, 0.0).density / 1e19), 2)
    2.43
    """
    kelvin = jnp.asarray(temperature) + ZERO_CELSIUS
    per_pascal = 1e-6 / (BOLTZMANN * kelvin)
    vapour = 0.01 * jnp.asarray(humidity) * saturation_vapour_pressure(temperature)
    cosine = jnp.cos(jnp.deg2rad(jnp.asarray(zenith)))
    return Air(kelvin, jnp.asarray(pressure) * per_pascal, vapour * per_pascal, cosine)


class Arrhenius(NamedTuple):
    """`A exp(B / T)`."""

    factor: float
    temperature: float = 0.0

    def constant(self, at: Air) -> Array:
        return self.factor * jnp.exp(self.temperature / at.temperature)


class Falloff(NamedTuple):
    """Of three bodies: `k0 M ki F / (k0 M + ki)`, k0 and ki of the form `A (T/300)^n exp(B/T)` (Troe)."""

    low: float
    low_power: float
    high: float
    high_power: float
    broadening: float
    low_barrier: float = 0.0
    high_barrier: float = 0.0

    def constant(self, at: Air) -> Array:
        warm = at.temperature / 300.0
        zero = self.low * at.density * warm**self.low_power * jnp.exp(self.low_barrier / at.temperature)
        infinite = self.high * warm**self.high_power * jnp.exp(self.high_barrier / at.temperature)
        width = 0.75 - 1.27 * jnp.log10(self.broadening)
        centre = 1.0 + (jnp.log10(zero / infinite) / width) ** 2
        return zero / (1.0 + zero / infinite) * self.broadening ** (1.0 / centre)


class Photolysis(NamedTuple):
    """`l cos^m(z) exp(-n / cos z)`, of a clear sky; nothing at night. Saunders et al. (2003)."""

    scale: float
    power: float
    depth: float

    def constant(self, at: Air) -> Array:
        cosine = jnp.maximum(at.sun, DUSK)
        return jnp.where(at.sun > DUSK, self.scale * cosine**self.power * jnp.exp(-self.depth / cosine), 0.0)


Law = Arrhenius | Falloff | Photolysis | Callable[[Air], Array]


def constants(laws: Sequence[Law], at: Air) -> Array:
    """The constants (reaction,) of many laws, those of one form in one go."""
    made, order = [], []
    for form in dict.fromkeys(map(type, laws)):
        places = [place for place, law in enumerate(laws) if type(law) is form]
        if form in (Arrhenius, Falloff, Photolysis):
            made.append(form(*np.asarray([laws[place] for place in places]).T).constant(at))
        else:
            made.append(jnp.stack([laws[place](at) for place in places]))  # pyright: ignore
        order += places
    return jnp.concatenate(made)[np.argsort(order)]
