"""Long-wave radiation in a clear column: what every scheme reads and gives, the exact fluxes of layers, the heating.

A column runs from the ground up: L levels (the middles of the layers) and L + 1 half levels around them.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from .core import Fields
from .soundings import DRY_AIR, GRAVITY
from .variables import (
    AIR_PRESSURE,
    AIR_TEMPERATURE_PROFILE,
    DOWNWELLING_LONGWAVE,
    HALF_LEVEL_PRESSURE,
    LONGWAVE_HEATING,
    NET_LONGWAVE_FLUX,
    OZONE,
    SPECIFIC_HUMIDITY,
    SURFACE_EMISSIVITY,
    SURFACE_TEMPERATURE,
    UPWELLING_LONGWAVE,
)

COLUMN = (
    AIR_PRESSURE,
    HALF_LEVEL_PRESSURE,
    AIR_TEMPERATURE_PROFILE,
    SPECIFIC_HUMIDITY,
    OZONE,
    SURFACE_TEMPERATURE,
    SURFACE_EMISSIVITY,
)
FLUXES = (UPWELLING_LONGWAVE, DOWNWELLING_LONGWAVE, NET_LONGWAVE_FLUX, LONGWAVE_HEATING)

STEFAN_BOLTZMANN = 5.670374419e-8  # W m-2 K-4
HEAT_CAPACITY = 3.5 * DRY_AIR  # J kg-1 K-1, of dry air at constant pressure
SECONDS = 86400.0  # of a day
SECONDS_OF_HEATING = SECONDS * GRAVITY / HEAT_CAPACITY  # K day-1 from W m-2 over Pa


def fluxes(
    optical_depth: Array, source: Array, below: Array, above: Array, surface_source: Array, emissivity: ArrayLike
) -> tuple[Array, Array]:
    """What layers that absorb and do not scatter send up and down along one slant path, at every half level.

    `I' = t I + S`, `t = exp(-tau)`, with the source linear in tau between half levels, bent to the layer's own:
    `S = (1 - t) B_out + 2 f (B - B_out)`, `f = (1 - t) / tau - t`. `optical_depth` is along the path, (level, point),
    as are the `source` of the layer's middle and those `below` and `above` it; `surface_source` (point): the ground
    emits `e B` and reflects `1 - e`. The answers (half_level,) are summed over the points, in the sources' units.

    Clough, Iacono & Moncet (1992), doi:10.1029/92JD01419.

        >>> up, down = fluxes(jnp.array([[0.5]]), *[jnp.ones((1, 1))] * 3, jnp.ones(1), 1.0)
        >>> round(float(down[0]), 4), round(float(up[1]), 4)
        (0.3935, 1.0)
    """
    passing, taken, bend = through(optical_depth)
    falling = taken * below + bend * (source - below)
    rising = taken * above + bend * (source - above)

    def cross(entering: Array, layer: tuple[Array, Array]) -> tuple[Array, Array]:
        leaving = layer[0] * entering + layer[1]
        return leaving, leaving.sum(axis=-1)

    ground, down = jax.lax.scan(cross, jnp.zeros_like(surface_source), (passing, falling), reverse=True)
    sent = emissivity * surface_source + (1 - emissivity) * ground
    _, up = jax.lax.scan(cross, sent, (passing, rising))
    return jnp.append(sent.sum(), up), jnp.append(down, 0.0)


def through(optical_depth: Array) -> tuple[Array, Array, Array]:
    """What a layer lets pass, what it takes, and `2 ((1 - t) / tau - t)`; by series where it is thin."""
    passing = jnp.exp(-optical_depth)
    thin = optical_depth < 1e-2
    depth = jnp.where(thin, 1.0, optical_depth)
    few = jnp.where(thin, optical_depth, 0.0)
    taken = jnp.where(thin, few * (1 - few * (0.5 - few * (1 / 6 - few / 24))), 1 - passing)
    return passing, taken, 2 * jnp.where(thin, few * (0.5 - few * (1 / 3 - few / 8)), taken / depth - passing)


def heating(half_level_pressure: ArrayLike, net_downward: ArrayLike) -> Array:
    """How fast each layer warms by the flux it keeps, in K day-1: `dT/dt = (g / c_p) dF_net / dp`, F downwards.

    >>> heating([1e5, 9e4], [-60.0, -70.0]).round(3).tolist()
    [-0.843]
    """
    kept, deep = jnp.diff(jnp.asarray(net_downward)), -jnp.diff(jnp.asarray(half_level_pressure))
    return SECONDS_OF_HEATING * kept / jnp.maximum(deep, 1e-5)


def answer(half_level_pressure: Array, upwelling: Array, downwelling: Array) -> Fields:
    """The outputs of every long-wave scheme from its two fluxes: heating is their divergence, so that energy closes."""
    net = downwelling - upwelling
    values = (upwelling, downwelling, net, heating(half_level_pressure, net))
    return {variable.name: value for variable, value in zip(FLUXES, values, strict=True)}


def at_half_levels(pressure: Array, half_level_pressure: Array, temperature: Array) -> Array:
    """The temperature between levels, in K: linear in ln p, and carried on in p by half a layer at both ends.

    >>> at_half_levels(jnp.array([9e4, 7e4]), jnp.array([1e5, 8e4, 6e4]), jnp.array([290.0, 280.0])).round(1).tolist()
    [295.0, 285.3, 275.0]
    """
    log, half = jnp.log(pressure), jnp.log(half_level_pressure[1:-1])
    slope = jnp.diff(temperature) / jnp.diff(log)
    middle = temperature[:-1] + slope * (half - log[:-1])
    ends = jnp.diff(temperature)[jnp.array([0, -1])] / jnp.diff(pressure)[jnp.array([0, -1])]
    first, last = (temperature[i] + ends[i] * (half_level_pressure[i] - pressure[i]) for i in (0, -1))
    return jnp.concatenate([first[None], middle, last[None]])


def example_column() -> dict[str, Array]:
    """A mild column of four layers, as the examples of the schemes take it."""
    column = {
        "air_pressure": np.array([95e3, 75e3, 40e3, 10e3]),
        "air_pressure_at_half_levels": np.array([101e3, 89e3, 60e3, 20e3, 1e2]),
        "air_temperature_profile": np.array([287.0, 275.0, 243.0, 217.0]),
        "specific_humidity": np.array([8e-3, 3e-3, 2e-4, 3e-6]),
        "mole_fraction_of_ozone_in_air": np.array([3e-8, 4e-8, 1e-7, 4e-6]),
        "surface_temperature": np.array(289.0),
        "surface_emissivity": np.array(0.98),
    }
    return {name: jnp.asarray(value) for name, value in column.items()}
