"""Moist air: how much vapour it can hold, and what rises through it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from .core import Variable
from .heat_exchange import ZERO_CELSIUS, saturation_vapour_pressure
from .soundings import DRY_AIR, GRAVITY, WATER_TO_AIR

HEAT_CAPACITY = 3.5 * DRY_AIR  # J kg-1 K-1, of dry air at constant pressure
LATENT_HEAT = 2.5e6  # J kg-1, of vaporisation
SECONDS = 86400.0  # of a day
KAPPA = 2 / 7  # gas constant over heat capacity

LAYER_HEATING = Variable("layer_heating", "W m-2", ("level",), long_name="heat that each layer gains")
LAYER_MOISTENING = Variable("layer_moistening", "W m-2", ("level",), long_name="vapour that each layer gains, as heat")
PRECIPITATION_HEAT = Variable("precipitation_heat_flux", "W m-2", long_name="precipitation, as the heat it set free")


def layer_mass(half_level_pressure: ArrayLike) -> Array:
    """The air in each layer above a square metre, in kg m-2, from the pressures around the layers, ground first.

    >>> layer_mass(jnp.array([1e5, 9e4])).round().tolist()
    [1020.0]
    """
    return -jnp.diff(jnp.asarray(half_level_pressure)) / GRAVITY


@jax.jit
def saturation_humidity(temperature: ArrayLike, pressure: ArrayLike) -> Array:
    """The specific humidity (1) of saturated air of a temperature in K at a pressure in Pa, at most 1.

    >>> round(float(saturation_humidity(293.15, 1e5)), 4)
    0.0147
    """
    vapour = WATER_TO_AIR * saturation_vapour_pressure(jnp.asarray(temperature) - ZERO_CELSIUS)
    dry = jnp.asarray(pressure) - vapour * (1 / WATER_TO_AIR - 1)
    return vapour / jnp.maximum(dry, vapour)


@jax.jit
def parcel_temperature(temperature: Array, humidity: Array, start: Array, pressure: Array) -> Array:
    """The temperature (K) of air that rises from `start` to each `pressure` (Pa), its water falling out.

    Dry below the level of condensation; above it `ln T + kappa ln(p0 / p) + L q_s(T, p) / (c_p T)` stays what it was,
    found by Newton's method. Bolton (1980), doi:10.1175/1520-0493(1980)108<1046:TCOEPT>2.0.CO;2, his equation 21.

        >>> warm = parcel_temperature(jnp.array(300.0), jnp.array(0.017), jnp.array(1e5), jnp.array([9.5e4, 5e4, 2e4]))
        >>> warm.round().tolist()
        [296.0, 269.0, 218.0]
    """
    dry = temperature * (pressure / start) ** KAPPA
    vapour_pressure = 0.01 * start * humidity / (WATER_TO_AIR + (1 - WATER_TO_AIR) * humidity)  # hPa
    condensing = 2840 / (3.5 * jnp.log(temperature) - jnp.log(jnp.maximum(vapour_pressure, 1e-3)) - 4.805) + 55
    warmth = jnp.log(temperature / start**KAPPA) + LATENT_HEAT * humidity / (HEAT_CAPACITY * condensing)
    rising = jax.lax.fori_loop(0, 6, lambda _, t: t - _excess(t, pressure, warmth), dry)
    return jnp.maximum(rising, dry)


def _excess(temperature: Array, pressure: Array, warmth: Array) -> Array:
    """By how much saturated air is too warm for its equivalent potential temperature, in K by Newton's slope."""
    held = saturation_humidity(temperature, pressure)
    latent = LATENT_HEAT * held / (HEAT_CAPACITY * temperature)
    steep = LATENT_HEAT * WATER_TO_AIR / (DRY_AIR * temperature)  # of ln e_s in ln T, Clausius-Clapeyron
    error = jnp.log(temperature) - KAPPA * jnp.log(pressure) + latent - warmth
    return error * temperature / (1 + latent * (steep - 1))
