"""Microwave emission of land seen through one layer of air: seven channels of a conical radiometer."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable, require
from ...parameters import Parameter
from ...variables import SURFACE_TEMPERATURE, WATER_VAPOUR_COLUMN

CHANNELS = ("19v", "19h", "22v", "37v", "37h", "85v", "85h")
LIQUID_WATER = Variable(
    "atmosphere_mass_content_of_cloud_liquid_water",
    "kg m-2",
    bounds=(0, 20),
    standard_name="atmosphere_mass_content_of_cloud_liquid_water",
)
LAYER_TEMPERATURE = Variable("layer_temperature", "K", bounds=(180, 340), long_name="at which the air emits")
EMISSIVITIES = tuple(
    Variable(f"surface_emissivity_{one}", "1", bounds=(0, 1), long_name=f"in the channel {one}") for one in CHANNELS
)
SEEN = tuple(Variable(f"brightness_temperature_{one}", "K", bounds=(0, 350)) for one in CHANNELS)
INCIDENCE = 53.1  # degrees
# In the order of CHANNELS: of dry air at the zenith, and of each kg m-2 of vapour and of cloud water.
OXYGEN = np.array([0.012, 0.012, 0.015, 0.038, 0.038, 0.06, 0.06])
VAPOUR = np.array([0.0022, 0.0022, 0.0060, 0.0019, 0.0019, 0.0105, 0.0105])
CLOUD = np.array([0.058, 0.058, 0.078, 0.205, 0.205, 0.85, 0.85])


def transmittance(vapour: ArrayLike, liquid: ArrayLike, depths: tuple[ArrayLike, ArrayLike, ArrayLike]) -> Array:
    """The share (channel,) that passes the air: `t = exp(-(d_o + d_v W + d_l L) / cos 53.1)`, W and L in kg m-2."""
    dry, of_vapour, of_liquid = (jnp.asarray(depth) for depth in depths)
    depth = dry + of_vapour * jnp.asarray(vapour) + of_liquid * jnp.asarray(liquid)
    return jnp.exp(-depth / jnp.cos(jnp.deg2rad(INCIDENCE)))


def brightness(surface: ArrayLike, air: ArrayLike, emissivity: ArrayLike, passed: ArrayLike) -> Array:
    """What is seen (K, channel): `T_b = e T_s t + (1 - e) T_down t + T_up`, `T_up = T_down = (1 - t) T_a`.

    >>> round(float(brightness(300.0, 280.0, 0.9, 0.8)), 2)
    276.48
    """
    emissivity, passed = jnp.asarray(emissivity), jnp.asarray(passed)
    shine = (1 - passed) * jnp.asarray(air)
    return emissivity * jnp.asarray(surface) * passed + (1 - emissivity) * shine * passed + shine


class OneLayer(Model):
    """Brightness temperatures of SSM/I's seven channels over land, through one layer of moist and cloudy air.

    `T_b = e T_s t + (1 - e) T_down t + T_up` with `T_up = T_down = (1 - t) T_a` and
    `t = exp(-(d_o + d_v W + d_l L) / cos 53.1)`: no scattering, Rayleigh-Jeans, a specular surface. Temperatures in K,
    column water W and cloud water L in kg m-2, emissivities of each channel. The absorption at 19 to 37 GHz is of the
    size that Wentz (1997), doi:10.1029/96JC01751, gives; that of dry air, vapour and cloud at 85 GHz is an estimate of
    this library. For studies of retrieval, not for measured data.

        >>> case = example()
        >>> clear = case["model"]({**case["inputs"], "atmosphere_mass_content_of_cloud_liquid_water": jnp.asarray(0.0)})
        >>> round(float(clear["brightness_temperature_85v"]), 1)
        281.4
    """

    oxygen: Parameter = Parameter(OXYGEN, "1", (0.0, 1.0), "zenith optical depth of dry air, each channel", fixed=True)
    vapour: Parameter = Parameter(VAPOUR, "m2 kg-1", (0.0, 0.1), "optical depth a unit of vapour", fixed=True)
    cloud: Parameter = Parameter(CLOUD, "m2 kg-1", (0.0, 5.0), "optical depth a unit of cloud water", fixed=True)
    inputs: ClassVar = (SURFACE_TEMPERATURE, WATER_VAPOUR_COLUMN, LIQUID_WATER, LAYER_TEMPERATURE, *EMISSIVITIES)
    outputs: ClassVar = SEEN

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "OneLayer")
        surface, vapour, liquid, air, *emissivity = (fields[v.name] for v in self.inputs)
        passed = transmittance(vapour, liquid, (self.oxygen.value, self.vapour.value, self.cloud.value))
        seen = brightness(surface, air, jnp.stack([jnp.asarray(one) for one in emissivity]), passed)
        return {v.name: seen[place] for place, v in enumerate(self.outputs)}


def example() -> dict[str, Any]:
    """Vegetation under a thin cloud; the 19 GHz channels worked by hand: a depth of 0.12125 along the view."""
    state = {"surface_temperature": 295.0, "layer_temperature": 275.0}
    water = {WATER_VAPOUR_COLUMN.name: 25.0, LIQUID_WATER.name: 0.1}
    cover = {v.name: 0.95 if v.name.endswith("v") else 0.93 for v in EMISSIVITIES}
    return {
        "model": OneLayer(),
        "inputs": {name: jnp.asarray(value) for name, value in {**state, **water, **cover}.items()},
        "published": {"brightness_temperature_19v": 281.0413, "brightness_temperature_19h": 276.3713},
        "tolerance": 1e-6,
        "source": "worked by hand",
    }
