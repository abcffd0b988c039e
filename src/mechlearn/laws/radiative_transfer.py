"""The radiance that a sensor measures is what surface and air send to it."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..core import Fields, Law, Variable
from ..planck import band_radiance
from ..radiative_transfer import at_sensor_radiance
from ..spectral_bands import SpectralBand, band
from ..variables import (
    BRIGHTNESS_TEMPERATURE,
    DOWNWELLING_RADIANCE,
    SURFACE_EMISSIVITY,
    SURFACE_TEMPERATURE,
    TRANSMITTANCE,
    UPWELLING_RADIANCE,
)


class RadiativeTransfer(Law):
    """The radiative transfer equation in one band: `t (e B(T_s) + (1 - e) L_down) + L_up - B(T_b) = 0`.

    Reads surface temperature and emissivity, transmittance and radiances of the air, and the brightness temperature
    (K) that was measured; the residual is in W m-2 sr-1 um-1. With `dims`, such as ("time",), for many samples.

        >>> air = {"transmittance": 1.0, "upwelling_radiance": 0.0, "downwelling_radiance": 0.0}
        >>> seen = {"surface_temperature": 300.0, "surface_emissivity": 1.0, "brightness_temperature": 300.0}
        >>> abs(RadiativeTransfer().residual(air | seen).item()) < 1e-5
        True
    """

    band: SpectralBand = eqx.field(static=True)
    dims: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, band_: str | SpectralBand = "landsat8_tirs10", dims: tuple[str, ...] = ()):
        self.band, self.dims = band(band_), dims

    @property
    def inputs(self) -> tuple[Variable, ...]:
        of_air = (TRANSMITTANCE, UPWELLING_RADIANCE, DOWNWELLING_RADIANCE)
        read = (SURFACE_TEMPERATURE, SURFACE_EMISSIVITY, BRIGHTNESS_TEMPERATURE, *of_air)
        return tuple(v.over(*self.dims) for v in read)

    def residual(self, fields: Fields) -> Array:
        said = at_sensor_radiance(
            fields[TRANSMITTANCE.name],
            fields[SURFACE_EMISSIVITY.name],
            band_radiance(self.band, fields[SURFACE_TEMPERATURE.name]),
            fields[DOWNWELLING_RADIANCE.name],
            fields[UPWELLING_RADIANCE.name],
        )
        return said - band_radiance(self.band, fields[BRIGHTNESS_TEMPERATURE.name])


def example() -> dict[str, Any]:
    """A black surface under no air is as warm as it looks; one that is warmer is not."""
    obeyed = {
        SURFACE_TEMPERATURE.name: jnp.asarray(300.0),
        SURFACE_EMISSIVITY.name: jnp.asarray(1.0),
        BRIGHTNESS_TEMPERATURE.name: jnp.asarray(300.0),
        TRANSMITTANCE.name: jnp.asarray(1.0),
        UPWELLING_RADIANCE.name: jnp.asarray(0.0),
        DOWNWELLING_RADIANCE.name: jnp.asarray(0.0),
    }
    return {
        "law": RadiativeTransfer(),
        "obeyed": obeyed,
        "broken": obeyed | {SURFACE_TEMPERATURE.name: jnp.asarray(303.0)},
    }
