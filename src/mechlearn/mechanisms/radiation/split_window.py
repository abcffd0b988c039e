"""The split-window method: what the air hides is told by how much more it hides of a second band."""

from dataclasses import replace
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ...variables import BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, SURFACE_TEMPERATURE, WATER_VAPOUR_COLUMN
from ._water_classes import ELSEWHERE, applied, grams, least_squares, weights

SECOND_TEMPERATURE = Variable(
    "brightness_temperature_tirs11",
    "K",
    bounds=BRIGHTNESS_TEMPERATURE.bounds,
    standard_name="toa_brightness_temperature",
    long_name="of the band near 12 micrometres",
)
SECOND_EMISSIVITY = Variable(
    "surface_emissivity_tirs11", "1", bounds=(0, 1), standard_name="surface_longwave_emissivity", long_name="near 12 um"
)
# b0 to b7 for overlapping ranges of column water in g cm-2, and for all of it (Du et al. 2015, table 2).
RANGES = ((0.0, 2.5), (2.0, 3.5), (3.0, 4.5), (4.0, 5.5), (5.0, 6.3), ELSEWHERE)
PUBLISHED = (
    (-2.78009, 1.01408, 0.15833, -0.34991, 4.04487, 3.55414, -8.88394, 0.09152),
    (11.00824, 0.95995, 0.17243, -0.28852, 7.11492, 0.42684, -6.62025, -0.06381),
    (9.62610, 0.96202, 0.13834, -0.17262, 7.87883, 5.17910, -13.26611, -0.07603),
    (0.61258, 0.99124, 0.10051, -0.09664, 7.85758, 6.86626, -15.00742, -0.01185),
    (-0.34808, 0.98123, 0.05599, -0.03518, 11.96444, 9.06710, -14.74085, -0.20471),
    (-0.41165, 1.00522, 0.14543, -0.27297, 4.06655, -6.92512, -18.27461, 0.24468),
)


@jax.jit
def features(first: ArrayLike, second: ArrayLike, first_emissivity: ArrayLike, second_emissivity: ArrayLike) -> Array:
    """What b0 to b7 multiply, of the temperatures and emissivities of two bands.

    1, the mean of the temperatures and half their difference, each times `1, (1 - e)/e, de/e^2` of the mean emissivity
    and the difference of the two, and the temperatures' difference squared.
    """
    e = jnp.maximum(0.5 * (jnp.asarray(first_emissivity) + second_emissivity), 0.1)
    shape = (jnp.ones_like(e), (1 - e) / e, (jnp.asarray(first_emissivity) - second_emissivity) / e**2)
    mean, half = 0.5 * (jnp.asarray(first) + second), 0.5 * (jnp.asarray(first) - second)
    terms = [jnp.ones_like(mean), *(mean * s for s in shape), *(half * s for s in shape), 4 * half**2]
    return jnp.stack(terms, axis=-1)


class SplitWindow(Model):
    """Surface temperature from two neighbouring bands, their emissivities and the class of column water.

    `Ts = b0 + (b1 + b2 (1-e)/e + b3 de/e^2) (Ti + Tj)/2 + (b4 + b5 (1-e)/e + b6 de/e^2) (Ti - Tj)/2 + b7 (Ti - Tj)^2`,
    i and j the bands near 10.9 and 12.0 micrometres. Temperatures in K, water in kg m-2. Where ranges of water overlap
    the mean of both is taken; beyond 6.3 g cm-2 the coefficients of all water.
    `second` names the band j of the fields that are read; the published coefficients are those of Landsat-8.

    Du et al. (2015), doi:10.3390/rs70100647: 0.34 K below 2.5 g cm-2, 0.93 K at 5 to 6.3, 0.87 K for all (simulated).

        >>> bands = {"brightness_temperature": 300.0, "brightness_temperature_tirs11": 298.5}
        >>> surface = {"surface_emissivity": 0.97, "surface_emissivity_tirs11": 0.975}
        >>> pixel = {**bands, **surface, "atmosphere_mass_content_of_water_vapor": 15.0}
        >>> round(float(SplitWindow()(pixel)["surface_temperature"]), 1)
        305.9
    """

    coefficients: Parameter = Parameter(
        np.array(PUBLISHED), "1", (-1e3, 1e3), "b0 (K), b1 to b6 and b7 (K-1) of each range of water", fixed=True
    )
    second: str = eqx.field(static=True, default="tirs11")
    outputs: ClassVar = (SURFACE_TEMPERATURE,)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        temperature = replace(SECOND_TEMPERATURE, name=f"{BRIGHTNESS_TEMPERATURE.name}_{self.second}")
        emissivity = replace(SECOND_EMISSIVITY, name=f"{SURFACE_EMISSIVITY.name}_{self.second}")
        return BRIGHTNESS_TEMPERATURE, temperature, SURFACE_EMISSIVITY, emissivity, WATER_VAPOUR_COLUMN

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        shares = weights(grams(fields["atmosphere_mass_content_of_water_vapor"]), RANGES)
        return {"surface_temperature": applied(self.coefficients.value, self._features(fields), shares)}

    def refitted(self, fields: Fields, targets: Fields) -> Self:
        """This method with coefficients fitted to samples (leading axis) of its inputs and `surface_temperature`.

        Least squares in each range of water; gaps are left out.
        """
        water = grams(fields["atmosphere_mass_content_of_water_vapor"])
        fitted = least_squares(self._features(fields), targets["surface_temperature"], water, RANGES)
        return eqx.tree_at(lambda m: m.coefficients.value, self, fitted)

    def _features(self, fields: Fields) -> Array:
        return features(*(fields[variable.name] for variable in self.inputs[:4]))


def example() -> dict[str, Any]:
    """By hand, in the first range of water: the mean of the temperatures 299.25, half their difference 0.75."""
    inputs = {
        "brightness_temperature": 300.0,
        "brightness_temperature_tirs11": 298.5,
        "surface_emissivity": 0.97,
        "surface_emissivity_tirs11": 0.975,
        "atmosphere_mass_content_of_water_vapor": 15.0,
    }
    fields = {name: jnp.asarray(value) for name, value in inputs.items()}
    published = {"surface_temperature": 305.9269}
    source = "Du et al. 2015, doi:10.3390/rs70100647; worked by hand"
    return {"model": SplitWindow(), "inputs": fields, "published": published, "tolerance": 1e-5, "source": source}
