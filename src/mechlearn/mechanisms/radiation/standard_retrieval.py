"""Surface temperature from one thermal band, with what is to be known of the air taken from a standard shape."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ...core import Fields, Model, Variable, union
from ...spectral_bands import SpectralBand
from ...variables import BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY
from .standard_air import StandardAir
from .standard_air import example as example_of_air
from .transfer_equation import TransferEquation


class StandardRetrieval(Model):
    """Solve the radiative transfer equation for the surface, the air known by four numbers.

    `B(T_s) = ((L - L_up) / t - (1 - e) L_down) / e`, with t, L_up and L_down from the joint `air`. All that the air
    does is among the outputs.

    Inputs: brightness temperature (K), emissivity, air temperature (degC), water vapour column (kg m-2), surface
    pressure (Pa), view angle (degree). Outputs: surface temperature (K), transmittance, radiances.
    """

    air: Model
    equation: TransferEquation

    def __init__(self, band: str | SpectralBand = "landsat8_tirs10", air: Model | None = None):
        self.air = StandardAir(band) if air is None else air
        self.equation = TransferEquation(band)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return union((BRIGHTNESS_TEMPERATURE, SURFACE_EMISSIVITY), self.air.inputs, where="StandardRetrieval")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (*self.equation.outputs, *self.air.outputs)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        air = self.air({v.name: fields[v.name] for v in self.air.inputs}, key=key)
        seen = {**fields, **air}
        return {**self.equation({v.name: seen[v.name] for v in self.equation.inputs}), **air}


def example() -> dict[str, Any]:
    """A surface as warm as the air above it in the mid-latitude summer of AFGL, seen in Landsat's band 10.

    The standard shape of the air is 1.4 K wrong here: that is what a learner is for.
    """
    seen = {BRIGHTNESS_TEMPERATURE.name: jnp.asarray(290.92), SURFACE_EMISSIVITY.name: jnp.asarray(0.97)}
    return {
        "model": StandardRetrieval(),
        "inputs": {**example_of_air()["inputs"], **seen},
        "published": {"surface_temperature": 294.2},
        "tolerance": 6e-3,
        "source": "LOWTRAN7 through the mid-latitude summer of AFGL-TR-86-0110, doi:10.21236/ada175173",
    }
