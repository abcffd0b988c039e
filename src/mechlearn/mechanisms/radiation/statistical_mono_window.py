"""The statistical mono-window method: surface temperature as a straight line of that of one band, by column water."""

from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model
from ...parameters import Parameter
from ...variables import BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, SURFACE_TEMPERATURE, WATER_VAPOUR_COLUMN
from ._water_classes import Ranges, applied, grams, least_squares, weights

EDGES = (*(round(0.6 * place, 1) for place in range(10)), float("inf"))
RANGES: Ranges = tuple(pairwise(EDGES))
# A, B and C for column water of 0 to 0.6, 0.6 to 1.2, ... and above 5.4 g cm-2, as their authors publish them with the
# code: github.com/sofiaermida/Landsat_SMW_LST, modules/SMW_coefficients.js.
PUBLISHED = {
    "landsat8": (
        (0.9751, 1.0090, 1.0541, 1.1282, 1.1987, 1.3205, 1.4540, 1.6350, 1.5468, 1.9403),
        (-205.8929, -232.2750, -253.1943, -279.4212, -307.4497, -348.0228, -393.1718, -451.0790, -429.5095, -547.2681),
        (212.7173, 230.5698, 238.9548, 244.0772, 251.8341, 257.2740, 263.5599, 268.9405, 275.0895, 277.9953),
    ),
    "landsat7": (
        (0.9764, 1.0201, 1.0750, 1.1612, 1.2425, 1.3864, 1.5336, 1.7345, 1.6066, 2.0533),
        (-205.3511, -235.2416, -259.6560, -289.8190, -321.4658, -368.4078, -417.7796, -481.5714, -448.5071, -581.2619),
        (211.8507, 230.5468, 239.6619, 245.3286, 253.6144, 259.1390, 265.7486, 271.3659, 277.9058, 280.6800),
    ),
    "landsat5": (
        (0.9765, 1.0229, 1.0817, 1.1738, 1.2605, 1.4166, 1.5727, 1.7879, 1.6347, 2.1168),
        (-204.6584, -235.5384, -261.3886, -293.6128, -327.1417, -377.7741, -430.0388, -498.1947, -457.8183, -600.7079),
        (211.1321, 230.0619, 239.5256, 245.6042, 254.2301, 259.9711, 266.9520, 272.8413, 279.6160, 282.4583),
    ),
    "landsat4": (
        (0.9755, 1.0155, 1.0672, 1.1499, 1.2277, 1.3649, 1.5085, 1.7045, 1.5886, 2.0215),
        (-205.2767, -233.8902, -257.1884, -286.2166, -316.7643, -361.8276, -410.1157, -472.4909, -442.9489, -571.8563),
        (212.0051, 230.4049, 239.3072, 244.8497, 253.0033, 258.5471, 265.1131, 270.7000, 277.1511, 279.9854),
    ),
}


@jax.jit
def features(temperature: ArrayLike, emissivity: ArrayLike) -> Array:
    """What A, B and C multiply: `T/e`, `1/e` and 1."""
    inverse = 1 / jnp.maximum(jnp.asarray(emissivity), 0.1)
    return jnp.stack([temperature * inverse, inverse, jnp.ones_like(inverse)], axis=-1)


class StatisticalMonoWindow(Model):
    """Surface temperature is linear in brightness temperature over emissivity, by classes of 0.6 g cm-2 of water.

    `Ts = A T/e + B/e + C`. Temperatures in K, water in kg m-2. `sensor` chooses the published coefficients; `refitted`
    replaces them.

    Ermida et al. (2020), doi:10.3390/rs12091471.

    Raises `ValueError` for a sensor without published coefficients.

        >>> pixel = {"brightness_temperature": 295.0, "surface_emissivity": 0.97}
        >>> model = StatisticalMonoWindow()
        >>> round(float(model({**pixel, "atmosphere_mass_content_of_water_vapor": 15.0})["surface_temperature"]), 2)
        298.51
    """

    coefficients: Parameter
    inputs: ClassVar = (BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, WATER_VAPOUR_COLUMN)
    outputs: ClassVar = (SURFACE_TEMPERATURE,)

    def __init__(self, sensor: Literal["landsat8", "landsat7", "landsat5", "landsat4"] = "landsat8"):
        if sensor not in PUBLISHED:
            raise ValueError(f"no coefficients are published for {sensor!r}; there are {', '.join(PUBLISHED)}")
        meaning = "A (1), B (K) and C (K) of each class of column water"
        self.coefficients = Parameter(np.array(PUBLISHED[sensor]).T, "1", (-1e4, 1e4), meaning, fixed=True)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        known = features(fields["brightness_temperature"], fields["surface_emissivity"])
        shares = weights(grams(fields["atmosphere_mass_content_of_water_vapor"]), RANGES)
        return {"surface_temperature": applied(self.coefficients.value, known, shares)}

    def refitted(self, fields: Fields, targets: Fields) -> Self:
        """This method with coefficients fitted to samples (leading axis) of its inputs and `surface_temperature`.

        Least squares in each class of water; gaps are left out.
        """
        known = features(fields["brightness_temperature"], fields["surface_emissivity"])
        water = grams(fields["atmosphere_mass_content_of_water_vapor"])
        fitted = least_squares(known, targets["surface_temperature"], water, RANGES)
        return eqx.tree_at(lambda m: m.coefficients.value, self, fitted)


def example() -> dict[str, Any]:
    """By hand: w = 1.5 g cm-2 is of the third class, 1.0541 * 295 / 0.97 - 253.1943 / 0.97 + 238.9548."""
    inputs = {
        "brightness_temperature": 295.0,
        "surface_emissivity": 0.97,
        "atmosphere_mass_content_of_water_vapor": 15.0,
    }
    fields = {name: jnp.asarray(value) for name, value in inputs.items()}
    published = {"surface_temperature": 298.5067}
    source = "Ermida et al. 2020, doi:10.3390/rs12091471; worked by hand"
    model = StatisticalMonoWindow()
    return {"model": model, "inputs": fields, "published": published, "tolerance": 1e-5, "source": source}
