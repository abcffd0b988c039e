"""The radiative transfer equation of one band, turned round: from brightness temperature to surface temperature."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ...core import Fields, Model
from ...planck import band_radiance, brightness_temperature
from ...radiative_transfer import black_body_radiance
from ...spectral_bands import SpectralBand, band
from ...variables import (
    BRIGHTNESS_TEMPERATURE,
    DOWNWELLING_RADIANCE,
    SURFACE_EMISSIVITY,
    SURFACE_TEMPERATURE,
    TRANSMITTANCE,
    UPWELLING_RADIANCE,
)


class TransferEquation(Model):
    """The surface is as warm as the black body that leaves what was seen, once the air is taken off.

    `Ts = B^-1([(B(Tb) - Lu) / tau - (1 - e) Ld] / e)`, with tau, Lu and Ld of the band and B the band's Planck
    function. It stands inside networks: finite in value and slope for any finite input (a negative transmittance, more
    path radiance than was seen), exact where the inputs make sense. Averaging over a band costs about 0.1 K where the
    air is humid, as tau is averaged before it multiplies.

    Raises `ValueError` for a band that is not known.
    Jimenez-Munoz and others (2009), doi:10.1109/TGRS.2008.2007125, equation 1.

        >>> case = example()
        >>> round(float(case["model"](case["inputs"])["surface_temperature"]), 2)
        300.00
    """

    band: str | SpectralBand = eqx.field(static=True, default="landsat8_tirs10")
    inputs: ClassVar = (
        TRANSMITTANCE,
        UPWELLING_RADIANCE,
        DOWNWELLING_RADIANCE,
        SURFACE_EMISSIVITY,
        BRIGHTNESS_TEMPERATURE,
    )
    outputs: ClassVar = (SURFACE_TEMPERATURE,)

    def __check_init__(self) -> None:
        band(self.band)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        radiance = band_radiance(self.band, fields[BRIGHTNESS_TEMPERATURE.name])
        air = (fields[v.name] for v in (TRANSMITTANCE, SURFACE_EMISSIVITY, DOWNWELLING_RADIANCE, UPWELLING_RADIANCE))
        return {SURFACE_TEMPERATURE.name: brightness_temperature(self.band, black_body_radiance(radiance, *air))}


def example() -> dict[str, Any]:
    """A surface of 300 K and emissivity 0.97 under 0.7 of transmittance, worked forward by hand.

    B(300 K) = 9.61406: 0.7 (0.97 B + 0.03 3.5) + 2.3 = 8.90145 W m-2 sr-1 um-1, which is 294.9008 K.
    """
    inputs = {
        "transmittance": 0.7,
        "upwelling_radiance": 2.3,
        "downwelling_radiance": 3.5,
        "surface_emissivity": 0.97,
        "brightness_temperature": 294.9008,
    }
    return {
        "model": TransferEquation(),
        "inputs": {name: jnp.asarray(value) for name, value in inputs.items()},
        "published": {"surface_temperature": 300.0},
        "tolerance": 1e-5,
        "source": "worked by hand",
    }
