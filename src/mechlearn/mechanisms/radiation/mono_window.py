"""The mono-window method: surface temperature from one band, the air's transmittance and its mean temperature."""

from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model
from ...parameters import Parameter
from ...variables import (
    AIR_TEMPERATURE,
    BRIGHTNESS_TEMPERATURE,
    SURFACE_EMISSIVITY,
    SURFACE_TEMPERATURE,
    WATER_VAPOUR_COLUMN,
)
from ._water_classes import grams, least_squares

ALL_WATER = ((0.0, float("inf")),)
ZERO_CELSIUS = 273.15
# Wang et al. (2015), table 1: L / (dL/dT) = a + b T, by the range of temperature, of Landsat 8's band 10.
LINES = {"0 to 50 degC": (-62.7182, 0.4339), "20 to 70 degC": (-70.1775, 0.4581)}
# Qin et al. (2001): mean temperature of the air over that near the ground, in K.
MEAN_TEMPERATURES = {
    "tropical": (17.9769, 0.91715),
    "mid-latitude summer": (16.0110, 0.92621),
    "mid-latitude winter": (19.2704, 0.91118),
    "US standard 1976": (25.9396, 0.88045),
}
# Of column water in g cm-2, w^2, w and 1, for band 10: as the R package LST 2.0.0 has it.
TRANSMITTANCE_BY_WATER = (-0.0164, -0.04203, 0.9715)


def transmittance(coefficients: ArrayLike, water: ArrayLike) -> Array:
    """The transmittance of air with a column water (g cm-2): `c0 w^2 + c1 w + c2`, kept in [0.2, 1].

    The published curve falls to 0.2 at 5.7 g cm-2 and makes no sense beyond.
    """
    c, w = jnp.asarray(coefficients), jnp.asarray(water)
    return jnp.clip(c[0] * w**2 + c[1] * w + c[2], 0.2, 1.0)


def internal(transmittance: ArrayLike, emissivity: ArrayLike) -> tuple[Array, Array]:
    """The method's C and D: `C = e tau`, `D = (1 - tau)(1 + (1 - e) tau)`.

    >>> [round(float(value), 3) for value in internal(0.8, 0.97)]
    [0.776, 0.205]
    """
    tau, e = jnp.asarray(transmittance), jnp.maximum(jnp.asarray(emissivity), 0.1)
    return e * tau, (1 - tau) * (1 + (1 - e) * tau)


class MonoWindow(Model):
    """The surface's temperature is that at the sensor, less the air's share at the air's mean temperature.

    `Ts = (a (1 - C - D) + (b (1 - C - D) + C + D) T - D Ta) / C`, see `internal`; Planck's law is a straight line (a,
    b), the mean temperature of the air one of that near the ground, `Ta = c0 + c1 T0`, and the transmittance quadratic
    in column water. Temperatures in K but that of the air near the ground, `air_temperature`, in degC; water in kg m-2.

    Qin, Karnieli & Berliner (2001), doi:10.1080/01431160010006971; for Landsat 8 Wang et al. (2015),
    doi:10.3390/rs70404268. The transmittance is that of the R package LST, as Wang's own lines, with aerosol, could be
    confirmed below 1.6 g cm-2 only.

    Raises `ValueError` for a line or an atmosphere that is not published.

        >>> pixel = {"brightness_temperature": 295.0, "surface_emissivity": 0.97, "air_temperature": 20.0}
        >>> model = MonoWindow()
        >>> round(float(model({**pixel, "atmosphere_mass_content_of_water_vapor": 15.0})["surface_temperature"]), 1)
        297.9
    """

    line: Parameter
    mean_temperature: Parameter
    transmittance: Parameter
    inputs: ClassVar = (BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY, WATER_VAPOUR_COLUMN, AIR_TEMPERATURE)
    outputs: ClassVar = (SURFACE_TEMPERATURE,)

    def __init__(
        self,
        line: Literal["0 to 50 degC", "20 to 70 degC"] = "0 to 50 degC",
        atmosphere: Literal[
            "tropical", "mid-latitude summer", "mid-latitude winter", "US standard 1976"
        ] = "mid-latitude summer",
    ):
        if line not in LINES or atmosphere not in MEAN_TEMPERATURES:
            known = f"{', '.join(LINES)}; {', '.join(MEAN_TEMPERATURES)}"
            raise ValueError(f"no line {line!r} or atmosphere {atmosphere!r} is published; there are {known}")
        values = (LINES[line], MEAN_TEMPERATURES[atmosphere], TRANSMITTANCE_BY_WATER)
        a, b, c = (np.array(given) for given in values)
        self.line = Parameter(a, "1", (-1e3, 1e3), "a (K) and b: Planck's law as a line", fixed=True)
        self.mean_temperature = Parameter(b, "1", (-1e3, 1e3), "c0 (K) and c1: Ta of the air", fixed=True)
        self.transmittance = Parameter(c, "1", (-10, 10), "of column water in g cm-2: w^2, w and 1", fixed=True)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        known, seen, share = self._terms(fields, self.transmittance.value)
        lines = jnp.concatenate([jnp.asarray(self.line.value), jnp.asarray(self.mean_temperature.value)])
        return {"surface_temperature": (known @ lines + seen) / share}

    def refitted(self, fields: Fields, targets: Fields) -> Self:
        """This method with its lines fitted to samples (leading axis) of its inputs and `surface_temperature`.

        Where the samples hold the band's `transmittance`, that of water is fitted first; then a, b, c0 and c1 together
        by least squares on `C Ts - (C + D) T`, in which they are linear. Gaps are left out.
        """
        water = grams(fields["atmosphere_mass_content_of_water_vapor"])
        curve = self.transmittance.value
        if "transmittance" in fields:
            powers = jnp.stack([water**2, water, jnp.ones_like(water)], axis=-1)
            (curve,) = least_squares(powers, fields["transmittance"], water, ALL_WATER)
        known, seen, share = self._terms(fields, curve)
        target = share * jnp.asarray(targets["surface_temperature"]) - seen
        (fitted,) = least_squares(known, target, water, ALL_WATER)
        leaves = lambda m: (m.line.value, m.mean_temperature.value, m.transmittance.value)  # noqa: E731
        return eqx.tree_at(leaves, self, (fitted[:2], fitted[2:], np.asarray(curve)))

    def _terms(self, fields: Fields, curve: ArrayLike) -> tuple[Array, Array, Array]:
        tau = transmittance(curve, grams(fields["atmosphere_mass_content_of_water_vapor"]))
        share, air = internal(tau, fields["surface_emissivity"])
        warmth, rest = jnp.asarray(fields["brightness_temperature"]), 1 - share - air
        ground = jnp.asarray(fields["air_temperature"]) + ZERO_CELSIUS
        return jnp.stack([rest, rest * warmth, -air, -air * ground], axis=-1), (share + air) * warmth, share


def example() -> dict[str, Any]:
    """By hand: tau = 0.87156 at 1.5 g cm-2, C = 0.84541, D = 0.13180, Ta = 287.529."""
    inputs = {
        "brightness_temperature": 295.0,
        "surface_emissivity": 0.97,
        "atmosphere_mass_content_of_water_vapor": 15.0,
        "air_temperature": 20.0,
    }
    fields = {name: jnp.asarray(value) for name, value in inputs.items()}
    published = {"surface_temperature": 297.9244}
    source = "Wang et al. 2015, doi:10.3390/rs70404268; worked by hand"
    return {"model": MonoWindow(), "inputs": fields, "published": published, "tolerance": 1e-5, "source": source}
