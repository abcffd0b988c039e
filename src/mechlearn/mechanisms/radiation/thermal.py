"""Clear-sky thermal-infrared radiative transfer: what a radiometer in space sees of a surface through the air."""

from functools import cache
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ...planck import brightness_temperature, spectral_radiance
from ...soundings import WATER_TO_AIR, climatological, thickness, water_vapour_column
from ...spectral_bands import SpectralBand, band
from ...variables import (
    AIR_PRESSURE,
    AIR_TEMPERATURE_PROFILE,
    BRIGHTNESS_TEMPERATURE,
    DOWNWELLING_RADIANCE,
    OZONE,
    RADIANCE,
    SPECIFIC_HUMIDITY,
    SURFACE_EMISSIVITY,
    SURFACE_TEMPERATURE,
    TRANSMITTANCE,
    UPWELLING_RADIANCE,
    VIEW_ZENITH_ANGLE,
    WATER_VAPOUR_COLUMN,
)
from ._lowtran import NODES, Absorption, Layers, absorption, layers, optical_depth

# Cosines and weights for the flux of the sky: least relative error, 0.12 %, at any optical depth from 0.01 to 4.
COSINES = np.array([0.0476814, 0.2901676, 0.7877923])
SHARES = np.array([0.0105581, 0.2326354, 0.7568065])
NITROUS_OXIDE, METHANE = 0.332 / 0.320, 1.9 / 1.7  # of today, over the standard atmosphere's
SPECTRAL = (TRANSMITTANCE, UPWELLING_RADIANCE, DOWNWELLING_RADIANCE, RADIANCE, BRIGHTNESS_TEMPERATURE)
Band = str | SpectralBand


class Spectrum(NamedTuple):
    """The atmosphere at each wavenumber: transmittance (1), upwelling and downwelling radiance (W m-2 sr-1 um-1)."""

    transmittance: Array
    upwelling: Array
    downwelling: Array


def transfer(air: Layers, wavenumber: ArrayLike, table: Absorption, slant: ArrayLike) -> Spectrum:
    """Sum what every layer emits and the others let pass: `L = sum_l B(T_l) (t_l+1 - t_l)`, up and down.

    `t_l` is the transmittance from level l to space along the view, whose secant is `slant`, or to the surface. The
    sky's radiance is taken at three angles and weighted by their cosines. Absorption follows the amounts of the whole
    path: a band model is no product of its layers.
    """
    emitted = spectral_radiance(jnp.asarray(wavenumber), air.temperature[:, None])
    above = jnp.cumsum(air.amounts[::-1], axis=0)[::-1]
    seen = jnp.exp(-optical_depth(above, slant, table))
    upwelling = jnp.sum(emitted * jnp.diff(seen, axis=0, append=jnp.ones_like(seen[:1])), axis=0)
    below = jnp.cumsum(air.amounts, axis=0)
    sky = jnp.exp(-optical_depth(below, 1 / COSINES[:, None, None].astype(below.dtype), table))
    falling = -jnp.diff(sky, axis=1, prepend=jnp.ones_like(sky[:, :1]))
    downwelling = jnp.einsum("a,alw,lw->w", SHARES.astype(sky.dtype), falling, emitted)
    return Spectrum(seen[0], upwelling, downwelling)


@cache
def _spectral_grid(bands: tuple[SpectralBand, ...]) -> tuple[tuple[float, ...], np.ndarray]:
    """The wavenumbers that some of the bands need, and each band's weights (band, wavenumber)."""
    wavenumber = tuple(sorted({nu for one in bands for nu in one.wavenumber}))
    weight = np.zeros((len(bands), len(wavenumber)))
    for row, one in zip(weight, bands, strict=True):
        row[np.searchsorted(wavenumber, one.wavenumber)] = one.weight
    return wavenumber, weight


class Thermal(Model):
    """A radiometer in space sees the surface's radiance, weakened, and the air's own, of one profile and band.

    `L = tau (e B(Ts) + (1 - e) Ld) + Lu` at every wavenumber, weighted by the band's response. Absorption by water
    vapour (lines, self and foreign continuum), ozone, carbon dioxide and the small ones is LOWTRAN7's, which
    `_lowtran` states; paths are straight (plane-parallel), the air is clear, gases other than water and ozone are
    those of the standard atmosphere. Levels run from the surface up (`soundings.check_profile` refuses others); a level
    repeated has no air above, so that profiles of different length are filled up with their last.

    `band` is a name of `spectral_bands.band_names()`, a `SpectralBand`, or several of them: then emissivity and what is
    given in a band have an axis "band". `ozone` "given" reads a profile, "climatology" takes the standard one.
    The self continuum is known at 260 and 296 K. `continuum` "clipped" draws a straight line between them and takes it
    as constant outside, as LOWTRAN7 does; "extended" goes on outside as `(k260 / k296)^((296 - T) / 36)`, so that hot
    moist air is not too dark; "logarithmic" has that power throughout, as newer continua have, but with these
    coefficients it lets too much through where it is humid (docs/thermal.md).

    Raises `ValueError` for a band or a variant that is not known.
    Kneizys and others (1988), AFGL-TR-88-0177.

        >>> case = example()
        >>> made = Thermal(ozone="climatology")({k: v for k, v in case["inputs"].items() if "ozone" not in k})
        >>> bool(0.85 < made["transmittance"] < 0.88)
        True
    """

    self_continuum: Parameter = Parameter(1.0, "1", (0.3, 3.0), "factor on the self continuum of water vapour")
    foreign_continuum: Parameter = Parameter(1.0, "1", (0.0, 5.0), "factor on the foreign continuum of water vapour")
    carbon_dioxide: Parameter = Parameter(410.0, "1e-6", (0.0, 2000.0), "mole fraction of carbon dioxide", fixed=True)
    band: Band | tuple[Band, ...] = eqx.field(static=True, default="landsat8_tirs10")
    ozone: Literal["given", "climatology"] = eqx.field(static=True, default="given")
    continuum: Literal["extended", "clipped", "logarithmic"] = eqx.field(static=True, default="extended")

    def __check_init__(self) -> None:
        _ = self.bands
        if self.ozone not in ("given", "climatology"):
            raise ValueError(f"ozone must be 'given' or 'climatology', got {self.ozone!r}")
        if self.continuum not in ("extended", "clipped", "logarithmic"):
            raise ValueError(f"continuum must be 'extended', 'clipped' or 'logarithmic', got {self.continuum!r}")

    @property
    def bands(self) -> tuple[SpectralBand, ...]:
        """The bands that are seen."""
        return tuple(band(one) for one in (self.band if isinstance(self.band, tuple) else (self.band,)))

    @property
    def inputs(self) -> tuple[Variable, ...]:
        air = (AIR_PRESSURE, AIR_TEMPERATURE_PROFILE, SPECIFIC_HUMIDITY, *((OZONE,) if self.ozone == "given" else ()))
        return (*air, SURFACE_TEMPERATURE, self._of_bands(SURFACE_EMISSIVITY), VIEW_ZENITH_ANGLE)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (*(self._of_bands(variable) for variable in SPECTRAL), WATER_VAPOUR_COLUMN)

    def _of_bands(self, variable: Variable) -> Variable:
        return variable.over("band") if isinstance(self.band, tuple) else variable

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return _simulate(self, {variable.name: jnp.asarray(fields[variable.name]) for variable in self.inputs})

    def simulate(self, fields: Fields) -> Fields:
        """What `__call__` compiles."""
        wavenumber, weight = _spectral_grid(self.bands)
        table = absorption(wavenumber)
        air, column = self.air(fields, table)
        made = transfer(air, wavenumber, table, slant(fields[VIEW_ZENITH_ANGLE.name]))
        seen = self.seen(fields, made, jnp.asarray(wavenumber), weight)
        if not isinstance(self.band, tuple):
            seen = {name: value[0] for name, value in seen.items()}
        return {**seen, WATER_VAPOUR_COLUMN.name: column}

    def air(self, fields: Fields, table: Absorption) -> tuple[Layers, Array]:
        """The absorbers of each layer, the factors on the continuum applied, and the column of water vapour."""
        pressure, temperature = fields[AIR_PRESSURE.name], fields[AIR_TEMPERATURE_PROFILE.name]
        humidity = jnp.clip(fields[SPECIFIC_HUMIDITY.name], 0.0, 0.5)
        deep = 1e-3 * thickness(pressure, temperature, humidity)
        water = 1e6 * humidity / (humidity + WATER_TO_AIR * (1 - humidity))
        gases = {**self.other_gases(fields), "water_vapour": water}
        air = layers(pressure, temperature, deep, gases, table, continuum=self.continuum)
        column = water_vapour_column(pressure, humidity)
        factors = [self.self_continuum.value] * len(NODES) + [self.foreign_continuum.value]
        factor = jnp.stack([jnp.asarray(one, air.amounts.dtype) for one in factors])
        return Layers(air.temperature, air.amounts.at[:, : len(factors)].multiply(factor)), column

    def other_gases(self, fields: Fields) -> dict[str, Array]:
        """The gases beside water vapour, in 1e-6 of moles at each level."""
        pressure = fields[AIR_PRESSURE.name]
        gases = climatological(pressure)
        gases["nitrous_oxide"] *= NITROUS_OXIDE
        gases["methane"] *= METHANE
        gases["carbon_dioxide"] = jnp.full_like(pressure, self.carbon_dioxide.value)
        given = {"ozone": 1e6 * fields[OZONE.name]} if self.ozone == "given" else {}
        return gases | given

    def seen(self, fields: Fields, made: Spectrum, wavenumber: Array, weight: np.ndarray) -> Fields:
        """The spectrum as the bands see it."""
        share = jnp.asarray(weight, made.transmittance.dtype)
        emissivity = jnp.broadcast_to(fields[SURFACE_EMISSIVITY.name], (len(weight),))
        surface = spectral_radiance(wavenumber, fields[SURFACE_TEMPERATURE.name])
        from_surface = share @ (made.transmittance * surface), share @ (made.transmittance * made.downwelling)
        upwelling = share @ made.upwelling
        radiance = emissivity * from_surface[0] + (1 - emissivity) * from_surface[1] + upwelling
        warmth = jnp.stack([brightness_temperature(one, radiance[i]) for i, one in enumerate(self.bands)])
        values = (share @ made.transmittance, upwelling, share @ made.downwelling, radiance, warmth)
        return {variable.name: value for variable, value in zip(SPECTRAL, values, strict=True)}


# One program, also where a profile is given outside of jit.
_simulate = eqx.filter_jit(Thermal.simulate)


def slant(angle: ArrayLike) -> Array:
    """The length of a straight path through the air over the vertical one, for a zenith angle of at most 85 degrees."""
    return 1 / jnp.cos(jnp.deg2rad(jnp.clip(jnp.asarray(angle), 0.0, 85.0)))


def example() -> dict[str, Any]:
    """Four levels of a mild atmosphere."""
    inputs = {
        "air_pressure": [1013e2, 850e2, 500e2, 100e2],
        "air_temperature_profile": [288.2, 280.0, 252.0, 216.7],
        "specific_humidity": [6e-3, 3.5e-3, 4e-4, 3e-6],
        "mole_fraction_of_ozone_in_air": [3e-8, 4e-8, 5e-8, 6e-7],
        "surface_temperature": 295.0,
        "surface_emissivity": 0.97,
        "view_zenith_angle": 10.0,
    }
    return {
        "model": Thermal(),
        "inputs": {name: jnp.asarray(value) for name, value in inputs.items()},
        "published": {"transmittance": 0.866},
        "tolerance": 1e-2,
        "source": "LOWTRAN7",
    }
