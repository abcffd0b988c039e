"""The generalised single-channel method: surface temperature of one thermal band, emissivity and column water."""

from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model
from ...parameters import Parameter
from ...planck import band_radiance
from ...spectral_bands import SpectralBand
from ...spectral_bands import band as band_of
from ...variables import BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, SURFACE_TEMPERATURE, WATER_VAPOUR_COLUMN
from ._water_classes import grams, least_squares

# psi_1, psi_2, psi_3, each from w^2 to 1 (w in g cm-2), and b_gamma in K: Landsat 8 from 4,838 profiles of GAPRI
# (Jimenez-Munoz et al. 2014), the older ones from TIGR61 (Jimenez-Munoz et al. 2009).
PUBLISHED = {
    "landsat8": ((0.04019, 0.02916, 1.01523, -0.38333, -1.50294, 0.20324, 0.00918, 1.36072, -0.27514), 1324.0),
    "landsat7": ((0.07593, -0.07132, 1.08565, -0.61438, -0.70916, -0.19379, -0.02892, 1.46051, -0.43199), 1277.0),
    "landsat5": ((0.08735, -0.09553, 1.10188, -0.69188, -0.58185, -0.29887, -0.03724, 1.53065, -0.45476), 1256.0),
}
ALL_WATER = ((0.0, float("inf")),)


def atmospheric_functions(
    transmittance: ArrayLike, upwelling_radiance: ArrayLike, downwelling_radiance: ArrayLike
) -> tuple[Array, Array, Array]:
    """The functions of a known atmosphere: `psi_1 = 1/tau`, `psi_2 = -Ld - Lu/tau`, `psi_3 = Ld`.

    With them `(psi_1 L + psi_2)/e + psi_3` is the black-body radiance of the surface, without error.

    >>> [round(float(psi), 3) for psi in atmospheric_functions(0.8, 2.0, 3.0)]
    [1.25, -5.5, 3.0]
    """
    tau, sky = jnp.asarray(transmittance), jnp.asarray(downwelling_radiance)
    return 1 / tau, -sky - upwelling_radiance / tau, sky


def linearised(temperature: ArrayLike, radiance: ArrayLike, scale: float) -> tuple[Array, Array]:
    """Planck's law around the brightness temperature: `T = g B + d`, `g = T^2 / (b L)`, `d = T - T^2 / b`."""
    warmth = jnp.asarray(temperature)
    return warmth**2 / (scale * jnp.maximum(radiance, 1e-3)), warmth - warmth**2 / scale


@jax.jit
def features(radiance: ArrayLike, emissivity: ArrayLike, water: ArrayLike) -> Array:
    """What the nine coefficients multiply to give the surface's black-body radiance; water in g cm-2."""
    w = jnp.asarray(water)
    powers = jnp.stack([w**2, w, jnp.ones_like(w)], axis=-1)
    inverse = 1 / jnp.maximum(jnp.asarray(emissivity), 0.1)[..., None]
    return jnp.concatenate([powers * jnp.asarray(radiance)[..., None] * inverse, powers * inverse, powers], axis=-1)


class GeneralisedSingleChannel(Model):
    """The surface is as warm as the band's radiance, cleared of the air by functions of its water.

    `Ts = g ((psi_1 L + psi_2) / e + psi_3) + d`, g and d from Planck's law around the brightness temperature (see
    `linearised`), psi_i quadratic in column water. Brightness and surface temperature in K, water in kg m-2. `sensor`
    chooses the published coefficients; `refitted` replaces them. Radiance and temperature are those of `band`.

    Jimenez-Munoz et al. (2014), doi:10.1109/LGRS.2014.2312032; (2009), doi:10.1109/TGRS.2008.2007125. Its authors
    report errors below 1 K for less than 2 g cm-2 of water and not acceptable ones above 3. The coefficients are as
    several published programs have them; the papers themselves were not at hand.

    Raises `ValueError` for a sensor without published coefficients.

        >>> pixel = {"brightness_temperature": 295.0, "surface_emissivity": 0.97}
        >>> model = GeneralisedSingleChannel()
        >>> round(float(model({**pixel, "atmosphere_mass_content_of_water_vapor": 15.0})["surface_temperature"]), 1)
        298.2
    """

    coefficients: Parameter
    scale: float = eqx.field(static=True)
    band: SpectralBand = eqx.field(static=True)
    inputs: ClassVar = (BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, WATER_VAPOUR_COLUMN)
    outputs: ClassVar = (SURFACE_TEMPERATURE,)

    def __init__(
        self,
        band: str | SpectralBand = "landsat8_tirs10",
        sensor: Literal["landsat8", "landsat7", "landsat5"] = "landsat8",
    ):
        if sensor not in PUBLISHED:
            raise ValueError(f"no coefficients are published for {sensor!r}; there are {', '.join(PUBLISHED)}")
        values, self.scale = PUBLISHED[sensor]
        meaning = "psi_1, psi_2, psi_3, each for w^2, w and 1, w in g cm-2, radiances in W m-2 sr-1 um-1"
        self.coefficients = Parameter(np.array(values), "1", (-1e3, 1e3), meaning, fixed=True)
        self.band = band_of(band)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        slope, offset, known = self._terms(fields)
        return {"surface_temperature": slope * (known @ jnp.asarray(self.coefficients.value)) + offset}

    def refitted(self, fields: Fields, targets: Fields) -> Self:
        """This method with coefficients fitted to samples (leading axis) of its inputs and `surface_temperature`.

        Least squares on the surface's black-body radiance as Planck's law is linearised here; gaps are left out.
        """
        slope, offset, known = self._terms(fields)
        radiance = (jnp.asarray(targets["surface_temperature"]) - offset) / slope
        water = grams(fields["atmosphere_mass_content_of_water_vapor"])
        (fitted,) = least_squares(known, radiance, water, ALL_WATER)
        return eqx.tree_at(lambda m: m.coefficients.value, self, fitted)

    def _terms(self, fields: Fields) -> tuple[Array, Array, Array]:
        radiance = band_radiance(self.band, fields["brightness_temperature"])
        slope, offset = linearised(fields["brightness_temperature"], radiance, self.scale)
        water = grams(fields["atmosphere_mass_content_of_water_vapor"])
        return slope, offset, features(radiance, fields["surface_emissivity"], water)


def example() -> dict[str, Any]:
    """By hand with Landsat's own constants (K1 774.8853, K2 1321.0789): L = 8.8987, w = 1.5 g cm-2, psi = 1.1494,
    -2.9137, 1.7866, so B = 9.3272; g = 295^2 / (1324 L) = 7.3864, d = 295 - 295^2 / 1324 = 229.2711.
    """
    inputs = {
        "brightness_temperature": 295.0,
        "surface_emissivity": 0.97,
        "atmosphere_mass_content_of_water_vapor": 15.0,
    }
    published = {"surface_temperature": 298.1657}
    fields = {name: jnp.asarray(value) for name, value in inputs.items()}
    source = "Jimenez-Munoz et al. 2014, doi:10.1109/LGRS.2014.2312032; worked by hand"
    model = GeneralisedSingleChannel()
    return {"model": model, "inputs": fields, "published": published, "tolerance": 1e-4, "source": source}
