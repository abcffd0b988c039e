"""The practical single-channel method: the surface's radiance from that of one thermal band, and column water."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model
from ...parameters import Parameter
from ...planck import band_radiance, brightness_temperature
from ...spectral_bands import SpectralBand
from ...spectral_bands import band as band_of
from ...variables import BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, SURFACE_TEMPERATURE, WATER_VAPOUR_COLUMN
from ._water_classes import ELSEWHERE, applied, grams, least_squares, weights

# a0 to a7 for column water of 0 to 2, 2 to 4 and 4 to 7 g cm-2, and for all (Wang et al. 2019, Landsat 8 band 10).
RANGES = ((0.0, 2.0), (2.0, 4.0), (4.0, 7.0), ELSEWHERE)
PUBLISHED = (
    (-0.28009, 1.257429, 0.275109, -1.32876, -0.1696, 0.999069, 0.033453, 0.015232),
    (-0.60336, 1.613485, -4.98989, 2.772703, -1.04271, 1.739598, -0.54978, 0.129006),
    (2.280539, 0.918191, -38.3363, 13.82581, -1.75455, 5.003919, -1.62832, 0.196687),
    (-0.4107, 1.493577, 0.278271, -1.22502, -0.31067, 1.022016, -0.01969, 0.036001),
)


@jax.jit
def features(radiance: ArrayLike, emissivity: ArrayLike, water: ArrayLike) -> Array:
    """What a0 to a7 multiply: 1, w, then 1, w, w^2 over emissivity, then those times the radiance; w in g cm-2."""
    w, shining = jnp.asarray(water), jnp.asarray(radiance)[..., None]
    powers = jnp.stack([jnp.ones_like(w), w, w**2], axis=-1)
    inverse = powers / jnp.maximum(jnp.asarray(emissivity), 0.1)[..., None]
    return jnp.concatenate([powers[..., :2], inverse, inverse * shining], axis=-1)


class PracticalSingleChannel(Model):
    """The surface's black-body radiance is linear in that at the sensor, with coefficients quadratic in column water.

    `B(Ts) = a0 + a1 w + (a2 + a3 w + a4 w^2 + (a5 + a6 w + a7 w^2) L) / e`; with `piecewise` the coefficients of the
    class of water, otherwise those of all water, which also serve above 7 g cm-2. Temperatures in K, water in kg m-2.
    Radiance and temperature are those of `band`, where the paper takes Planck's law at 10.904 micrometres.

    Wang et al. (2019), doi:10.1029/2018JD029330, who find 1.77 K at the stations of SURFRAD (as Sekertekin & Bonafoni
    2020 quote them). The coefficients are as several published programs have them; the paper itself was not at hand.

        >>> pixel = {"brightness_temperature": 295.0, "surface_emissivity": 0.97}
        >>> model = PracticalSingleChannel()
        >>> round(float(model({**pixel, "atmosphere_mass_content_of_water_vapor": 15.0})["surface_temperature"]), 1)
        298.5
    """

    coefficients: Parameter
    band: SpectralBand = eqx.field(static=True)
    piecewise: bool = eqx.field(static=True)
    inputs: ClassVar = (BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, WATER_VAPOUR_COLUMN)
    outputs: ClassVar = (SURFACE_TEMPERATURE,)

    def __init__(self, band: str | SpectralBand = "landsat8_tirs10", piecewise: bool = True):
        meaning = "a0 to a7 of each class of water, w in g cm-2, radiances in W m-2 sr-1 um-1"
        self.coefficients = Parameter(np.array(PUBLISHED), "1", (-1e3, 1e3), meaning, fixed=True)
        self.band, self.piecewise = band_of(band), piecewise

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        known, water = self._terms(fields)
        shares = weights(water, RANGES if self.piecewise else (ELSEWHERE,) * len(RANGES))
        radiance = applied(self.coefficients.value, known, shares)
        return {"surface_temperature": brightness_temperature(self.band, radiance)}

    def refitted(self, fields: Fields, targets: Fields) -> Self:
        """This method with coefficients fitted to samples (leading axis) of its inputs and `surface_temperature`.

        Least squares on the surface's black-body radiance in each class of water; gaps are left out.
        """
        known, water = self._terms(fields)
        fitted = least_squares(known, band_radiance(self.band, targets["surface_temperature"]), water, RANGES)
        return eqx.tree_at(lambda m: m.coefficients.value, self, fitted)

    def _terms(self, fields: Fields) -> tuple[Array, Array]:
        radiance = band_radiance(self.band, fields["brightness_temperature"])
        water = grams(fields["atmosphere_mass_content_of_water_vapor"])
        return features(radiance, fields["surface_emissivity"], water), water


def example() -> dict[str, Any]:
    """By hand with Landsat's own constants (K1 774.8853, K2 1321.0789): L = 8.8987, w = 1.5 g cm-2, B = 9.3816."""
    inputs = {
        "brightness_temperature": 295.0,
        "surface_emissivity": 0.97,
        "atmosphere_mass_content_of_water_vapor": 15.0,
    }
    fields = {name: jnp.asarray(value) for name, value in inputs.items()}
    source = "Wang et al. 2019, doi:10.1029/2018JD029330; worked by hand"
    published = {"surface_temperature": 298.4812}
    model = PracticalSingleChannel()
    return {"model": model, "inputs": fields, "published": published, "tolerance": 1e-4, "source": source}
