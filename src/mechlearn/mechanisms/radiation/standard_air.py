"""Clear air of a standard shape: what it does to thermal radiation when little of it is known."""

from functools import cache
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...planck import band_radiance, brightness_temperature
from ...spectral_bands import SpectralBand, band
from ...variables import (
    AIR_TEMPERATURE,
    DOWNWELLING_RADIANCE,
    SURFACE_AIR_PRESSURE,
    TRANSMITTANCE,
    UPWELLING_RADIANCE,
    VIEW_ZENITH_ANGLE,
    WATER_VAPOUR_COLUMN,
)
from .thermal import Thermal

GRAVITY = 9.80665  # m s-2
ICE_POINT = 273.15  # K
COLDEST = 205.0  # K, the standard air above its tropopause
LAPSE = 0.19  # 6.5 K km-1 as a power of pressure
DRYING = 3.0  # the power of pressure with which humidity falls, a scale height of about 2.4 km
TEMPERATURES = np.linspace(225.0, 325.0, 11)  # K
ROOTS = np.sqrt(90.0) * np.linspace(0.02, 1.0, 16)  # of the water column, (kg m-2)^1/2
PRESSURES = np.linspace(5e4, 1.05e5, 4)  # Pa
SECANTS = np.array([1.0, 1.25, 1.6, 2.1, 2.8])  # of the view angle: to 69 degrees
NODES = (TEMPERATURES, ROOTS, PRESSURES, SECANTS)
SIGMA = np.exp(-6.9 * np.linspace(0, 1, 30) ** 1.6)


def standard_profile(temperature: ArrayLike, water: ArrayLike, pressure: ArrayLike) -> Fields:
    """A profile from three numbers at the ground: air temperature (K), water column (kg m-2), pressure (Pa).

    `T = max(T_0 (p / p_0)^0.19, 205)`, a lapse of 6.5 K km-1 up to a tropopause, and `q = q_0 (p / p_0)^3`, of which
    the column is `w = q_0 p_0 / (4 g)`.
    """
    sigma = jnp.asarray(SIGMA)
    ground = 4.0 * GRAVITY * jnp.asarray(water) / pressure
    return {
        "air_pressure": sigma * pressure,
        "air_temperature_profile": jnp.maximum(temperature * sigma**LAPSE, COLDEST),
        "specific_humidity": jnp.minimum(ground * sigma**DRYING, 0.06) + 2e-6,
    }


@cache
def _table(chosen: SpectralBand) -> np.ndarray:
    """Optical depth and the two effective temperatures (K) of standard air at every node of the table."""
    thermal = Thermal(band=chosen, ozone="climatology")

    def of_air(temperature, root, pressure, secant):
        angle = jnp.degrees(jnp.arccos(1.0 / secant))
        surface = {"surface_temperature": temperature, "surface_emissivity": 0.98, "view_zenith_angle": angle}
        profile = standard_profile(temperature, root**2, pressure)
        seen = thermal({name: jnp.asarray(value) for name, value in {**profile, **surface}.items()})
        return jnp.stack(as_depth(chosen, *(seen[name] for name in NAMES)))

    nodes = jnp.stack(jnp.meshgrid(*NODES, indexing="ij"), axis=-1)
    made = jax.jit(lambda rows: jax.lax.map(lambda row: of_air(*row), rows, batch_size=64))(nodes.reshape(-1, 4))
    return np.moveaxis(np.asarray(made).reshape(*nodes.shape[:-1], 3), -1, 0)


NAMES = (TRANSMITTANCE.name, UPWELLING_RADIANCE.name, DOWNWELLING_RADIANCE.name)


def as_depth(
    chosen: SpectralBand, transmittance: ArrayLike, upwelling: ArrayLike, downwelling: ArrayLike
) -> tuple[Array, Array, Array]:
    """Air as its optical depth and the temperatures (K) that its two radiances have for its emittance.

    `d = -ln t`, `(1 - t) B(T_up) = L_up`, `(1 - t) B(T_down) = L_down`.
    """
    through = jnp.clip(jnp.asarray(transmittance), 1e-3, 1 - 1e-4)
    emitted = 1 - through
    warmth = (brightness_temperature(chosen, jnp.asarray(one) / emitted) for one in (upwelling, downwelling))
    return -jnp.log(through), *warmth


def from_depth(chosen: SpectralBand, depth: ArrayLike, up: ArrayLike, down: ArrayLike) -> Fields:
    """The inverse of `as_depth`: transmittance and radiances (W m-2 sr-1 um-1)."""
    through = jnp.exp(-jnp.asarray(depth))
    radiances = ((1 - through) * band_radiance(chosen, one) for one in (up, down))
    return dict(zip(NAMES, (through, *radiances), strict=True))


class StandardAir(Model):
    """What clear air of a standard shape does in one band, from four numbers that a user has.

    The radiative transfer of `standard_profile` is computed once on a table of air temperature, water column, surface
    pressure and view angle, and read off by linear interpolation of optical depth and effective temperatures.

    Inputs: near-surface air temperature (degC), water vapour column (kg m-2), surface pressure (Pa), view angle
    (degree). Outputs: transmittance, up- and downwelling radiance (W m-2 sr-1 um-1).

        >>> air = StandardAir("landsat8_tirs10")
        >>> dry, wet = (air(example()["inputs"] | {"atmosphere_mass_content_of_water_vapor": w}) for w in (5.0, 50.0))
        >>> bool(dry["transmittance"] > 0.9), bool(wet["transmittance"] < 0.6)
        (True, True)
    """

    band: SpectralBand = eqx.field(static=True)
    table: Float[Array, "quantity temperature water pressure secant"]
    frozen: ClassVar[bool] = True

    def __init__(self, band_: str | SpectralBand = "landsat8_tirs10"):
        self.band = band(band_)
        self.table = jnp.asarray(_table(self.band), jnp.float32)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return AIR_TEMPERATURE, WATER_VAPOUR_COLUMN, SURFACE_AIR_PRESSURE, VIEW_ZENITH_ANGLE

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return TRANSMITTANCE, UPWELLING_RADIANCE, DOWNWELLING_RADIANCE

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        warmth, water, pressure, angle = (jnp.asarray(fields[v.name]) for v in self.inputs)
        secant = 1.0 / jnp.cos(jnp.radians(jnp.clip(angle, 0.0, 69.0)))
        here = (warmth + ICE_POINT, jnp.sqrt(jnp.maximum(water, 1e-3)), pressure, secant)
        return from_depth(self.band, *between(self.table, here, NODES))


def between(table: Array, point: tuple[Array, ...], nodes: tuple[np.ndarray, ...]) -> Array:
    """Quantities of a table (quantity, *axes) at a point between its nodes: linear along each axis.

    Beyond the ends of an axis the value is that at the end.

        >>> square = jnp.asarray([[[0.0, 1.0], [2.0, 3.0]]])
        >>> between(square, (jnp.asarray(0.5), jnp.asarray(9.0)), (np.array([0.0, 1.0]), np.array([0.0, 1.0]))).item()
        2.0
    """
    places = jnp.stack([_place(x, one) for x, one in zip(point, nodes, strict=True)])
    most = np.array([len(one) - 2 for one in nodes])
    first = jnp.clip(jnp.floor(places).astype(int), 0, most)
    ahead = places - first
    corners = np.stack(np.meshgrid(*[[0, 1]] * len(nodes), indexing="ij"), axis=-1).reshape(-1, len(nodes))
    weight = jnp.prod(jnp.where(corners == 1, ahead, 1 - ahead), axis=-1)
    strides = np.cumprod([1, *(len(one) for one in nodes[:0:-1])])[::-1]
    flat = table.reshape(len(table), -1).T
    return weight @ flat[(first + corners) @ strides]


def _place(value: Array, nodes: np.ndarray) -> Array:
    """Where a value lies among nodes, as a fractional index; beyond the ends at the end."""
    within = jnp.clip(value, nodes[0], nodes[-1])
    if np.allclose(np.diff(nodes), nodes[1] - nodes[0]):
        return (within - nodes[0]) / (nodes[1] - nodes[0])
    return jnp.interp(within, jnp.asarray(nodes), jnp.arange(len(nodes), dtype=jnp.result_type(float)))


def example() -> dict[str, Any]:
    """Mid-latitude summer at sea level, seen from above."""
    inputs = {
        AIR_TEMPERATURE.name: jnp.asarray(21.05),
        WATER_VAPOUR_COLUMN.name: jnp.asarray(29.2),
        SURFACE_AIR_PRESSURE.name: jnp.asarray(1.013e5),
        VIEW_ZENITH_ANGLE.name: jnp.asarray(0.0),
    }
    return {
        "model": StandardAir(),
        "inputs": inputs,
        "published": {TRANSMITTANCE.name: 0.702},
        "tolerance": 0.03,
        "source": "LOWTRAN7 through the mid-latitude summer of AFGL-TR-86-0110, doi:10.21236/ada175173",
    }
