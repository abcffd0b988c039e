"""Short-wave radiation in a clear column: what ozone and water vapour take from the sun's beam."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...longwave import example_column
from ...moist_air import layer_mass
from ...parameters import Parameter
from ...soundings import WATER_TO_AIR
from ...variables import AIR_PRESSURE, HALF_LEVEL_PRESSURE, OZONE, SPECIFIC_HUMIDITY

TOA_SHORTWAVE = Variable(
    "toa_incoming_shortwave_flux", "W m-2", bounds=(0, 1500), standard_name="toa_incoming_shortwave_flux"
)
SUN_HEIGHT = Variable(
    "cosine_of_solar_zenith_angle", "1", bounds=(0, 1), long_name="of the hours that the step has sun"
)
NET_SHORTWAVE_FLUX = Variable(
    "net_downward_shortwave_flux_in_air", "W m-2", ("half_level",), standard_name="net_downward_shortwave_flux_in_air"
)
OZONE_CENTIMETRES = 100 / (18.015e-3 / WATER_TO_AIR * 44.615)  # of ozone at 0 degC and 1 atm, from kg m-2 of air


class LacisHansen(Model):
    """The sun's beam loses to ozone and water vapour on its way down, and again after the ground has thrown it back.

    Net downward flux at half levels (W m-2), `S (1 - A(M y)) - R S (1 - A(M y_0 + m (y_0 - y)))`, with A the share
    absorbed by an amount y above, `M = 35 / sqrt(1224 mu^2 + 1)`, m = 5/3 for vapour and 1.9 for ozone. The
    `reflectance` R stands for clouds as well as the ground; air does not scatter. Levels from the ground up.

    Lacis & Hansen (1974), doi:10.1175/1520-0469(1974)031<0118:APFTAO>2.0.CO;2, their equations 4, 8-10, 15 and 22-23.

        >>> sun = {"toa_incoming_shortwave_flux": 600.0, "cosine_of_solar_zenith_angle": 0.5}
        >>> net = LacisHansen()({**example_column(), **sun})["net_downward_shortwave_flux_in_air"]
        >>> net[jnp.array([0, -1])].round().tolist()
        [342.0, 462.0]
    """

    reflectance: Parameter = Parameter(0.3, "1", (0.0, 1.0), "R: short wave that ground and clouds throw back")
    inputs: ClassVar = (
        *(AIR_PRESSURE, HALF_LEVEL_PRESSURE, SPECIFIC_HUMIDITY, OZONE),
        *(TOA_SHORTWAVE, SUN_HEIGHT),
    )
    outputs: ClassVar = (NET_SHORTWAVE_FLUX,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        mass = layer_mass(fields["air_pressure_at_half_levels"])
        vapour = above(0.1 * mass * fields["specific_humidity"] * fields["air_pressure"] / 101325.0)
        ozone = above(OZONE_CENTIMETRES * mass * fields["mole_fraction_of_ozone_in_air"])
        slant = 35 / jnp.sqrt(1224 * jnp.asarray(fields["cosine_of_solar_zenith_angle"]) ** 2 + 1)
        down = 1 - taken_by_vapour(slant * vapour) - taken_by_ozone(slant * ozone)
        back_vapour = taken_by_vapour(slant * vapour[0] + 5 / 3 * (vapour[0] - vapour))
        back_ozone = taken_by_ozone(slant * ozone[0] + 1.9 * (ozone[0] - ozone))
        net = down - self.reflectance.value * (1 - back_vapour - back_ozone)
        return {"net_downward_shortwave_flux_in_air": fields["toa_incoming_shortwave_flux"] * net}


@jax.jit
def above(amount: Array) -> Array:
    """What lies above each half level, from what each layer holds.

    >>> above(jnp.array([2.0, 1.0])).tolist()
    [3.0, 1.0, 0.0]
    """
    return jnp.concatenate([jnp.cumsum(amount[::-1])[::-1], jnp.zeros(1)])


@jax.jit
def taken_by_vapour(amount: ArrayLike) -> Array:
    """The share of the sun's flux that an amount of vapour absorbs (cm of water, scaled by pressure).

    >>> round(float(taken_by_vapour(2.0)), 3)
    0.121
    """
    y = jnp.asarray(amount)
    return 2.9 * y / ((1 + 141.5 * y) ** 0.635 + 5.925 * y)


@jax.jit
def taken_by_ozone(amount: ArrayLike) -> Array:
    """The share of the sun's flux that an amount of ozone absorbs (cm at 0 degC and 1 atm), visible and ultraviolet.

    >>> round(float(taken_by_ozone(0.35)), 3)
    0.024
    """
    x = jnp.asarray(amount)
    visible = 0.02118 * x / (1 + 0.042 * x + 0.000323 * x**2)
    ultraviolet = 1.082 * x / (1 + 138.6 * x) ** 0.805 + 0.0658 * x / (1 + (103.6 * x) ** 3)
    return visible + ultraviolet


def example() -> dict[str, Any]:
    """Without vapour and ozone all passes, and what is not thrown back is kept by the ground."""
    column = example_column() | {"toa_incoming_shortwave_flux": jnp.array(500.0)}
    column |= {"cosine_of_solar_zenith_angle": jnp.array(0.6)}
    fields = {v.name: column[v.name] for v in LacisHansen.inputs}
    fields |= {name: jnp.zeros(4) for name in ("specific_humidity", "mole_fraction_of_ozone_in_air")}
    return {
        "model": LacisHansen(),
        "inputs": fields,
        "published": {"net_downward_shortwave_flux_in_air": [350.0] * 5},
        "tolerance": 1e-6,
        "source": "Lacis & Hansen 1974, doi:10.1175/1520-0469(1974)031<0118:APFTAO>2.0.CO;2",
    }
