"""A column of air over a slab of ocean: its climate under the sun (one time step)."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...longwave import example_column
from ...moist_air import HEAT_CAPACITY, LATENT_HEAT, layer_mass
from ...parameters import Parameter
from ...variables import (
    AIR_PRESSURE,
    AIR_TEMPERATURE_PROFILE,
    HALF_LEVEL_PRESSURE,
    SPECIFIC_HUMIDITY,
    SURFACE_TEMPERATURE,
)
from .._joints import ask, read_by
from ._radiative_convective import BALANCES as BALANCES
from ._radiative_convective import FLUXES, TRANSPORT, RadiativeConvective

ENTHALPY_CHANGE = Variable("enthalpy_change", "W m-2", long_name="change of heat in air, its vapour and the ocean")
ENERGY_INPUT = Variable("net_energy_input", "W m-2", long_name="net radiation at the top, and what winds bring")
OCEAN_HEAT = 1025.0 * 3990.0  # J m-3 K-1


class AirColumn(Model):
    """Air in layers over a slab of ocean, moved on by what radiation, convection and the ground do to it.

    `c_p m dT = Q dt`, `L m dq = M dt` in each layer, `rho c d dT_s = (R_s - H - LE) dt` in the ocean of depth d, with
    heating Q, moistening M and all fluxes (W m-2) from the joint `physics`, whatever takes it. If it keeps enthalpy,
    so does the column: `enthalpy_change = net_energy_input`. Levels run from the ground up; T in K, q in kg kg-1.

    Raises `ValueError` for columns of other than `levels` levels.

        >>> from mechlearn.compose import Rollout
        >>> day = {"toa_incoming_shortwave_flux": 340.0, "cosine_of_solar_zenith_angle": 0.5}
        >>> day |= {"heat_transport_convergence": 0.0}
        >>> weather = {name: jnp.full(80, value) for name, value in day.items()}
        >>> made = Rollout(AirColumn(), static=AirColumn.lasting)({**weather, **standard_grid()})
        >>> made["air_temperature_profile"].shape
        (80, 24)
    """

    physics: Model = eqx.field(default_factory=RadiativeConvective)
    ocean_depth: Parameter = Parameter(10.0, "m", (0.1, 200.0), "d: depth of the ocean that takes part")
    levels: int = eqx.field(static=True, default=24)
    seconds: float = eqx.field(static=True, default=10800.0)
    outputs: ClassVar = (
        *(AIR_TEMPERATURE_PROFILE, SPECIFIC_HUMIDITY, SURFACE_TEMPERATURE, *FLUXES),
        *(ENTHALPY_CHANGE, ENERGY_INPUT),
    )
    state: ClassVar[tuple[str, ...]] = ("air_temperature_profile", "specific_humidity", "surface_temperature")
    lasting: ClassVar[tuple[str, ...]] = (
        *("air_pressure", "air_pressure_at_half_levels", "mole_fraction_of_ozone_in_air", "surface_emissivity"),
    )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        own = (AIR_PRESSURE, HALF_LEVEL_PRESSURE, AIR_TEMPERATURE_PROFILE, SPECIFIC_HUMIDITY, SURFACE_TEMPERATURE)
        return read_by("AirColumn", (*own, TRANSPORT), self.outputs, (self.physics,))

    def initial(self) -> dict[str, ArrayLike]:
        """The air of a standard atmosphere over an ocean of 288 K."""
        middle = standard_grid(self.levels)["air_pressure"] / 1e5
        warmth = jnp.maximum(287.0 * middle**0.19, 210.0)
        return {
            "air_temperature_profile": warmth,
            "specific_humidity": jnp.maximum(8e-3 * middle**3, 3e-6),
            "surface_temperature": 288.0,
        }

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        if jnp.shape(fields["air_pressure"]) != (self.levels,):
            raise ValueError(
                f"this column has {self.levels} levels but air_pressure has the shape "
                f"{jnp.shape(fields['air_pressure'])}; set levels={jnp.size(fields['air_pressure'])}"
            )
        done = ask(self.physics, fields, key=key)
        mass = layer_mass(fields["air_pressure_at_half_levels"])
        ocean = _into_ocean(done)
        before = [fields[name] for name in self.state]
        after = [
            before[0] + self.seconds * done["layer_heating"] / (HEAT_CAPACITY * mass),
            before[1] + self.seconds * done["layer_moistening"] / (LATENT_HEAT * mass),
            before[2] + self.seconds * ocean / (OCEAN_HEAT * self.ocean_depth.value),
        ]
        made = {v.name: done[v.name] for v in FLUXES} | dict(zip(self.state, after, strict=True))
        made["enthalpy_change"] = jnp.sum(done["layer_heating"] + done["layer_moistening"]) + ocean
        made["net_energy_input"] = (
            done["toa_net_downward_shortwave_flux"]
            - done["toa_outgoing_longwave_flux"]
            + fields["heat_transport_convergence"]
        )
        return made


def _into_ocean(done: Fields) -> Array:
    radiation = done["surface_net_downward_shortwave_flux"] + done["surface_net_downward_longwave_flux"]
    return radiation - done["surface_upward_sensible_heat_flux"] - done["surface_upward_latent_heat_flux"]


def standard_grid(levels: int = 24) -> dict[str, Array]:
    """Pressures of a column's levels from 1000 to about 2 hPa, a standard profile of ozone and a dark ocean.

    >>> standard_grid(4)["air_pressure_at_half_levels"].round(-2).tolist()
    [100000.0, 56000.0, 27300.0, 9700.0, 100.0]
    """
    depth = np.linspace(1.0, 0.0, levels + 1)
    half = 100.0 + 99900.0 * (0.5 * depth**1.25 + 0.5 * depth**3)
    middle = 0.5 * (half[1:] + half[:-1])
    ozone = 3e-8 + 8e-6 * np.exp(-(np.log(middle / 900.0) ** 2) / (2 * 1.15**2))
    made = {"air_pressure": middle, "air_pressure_at_half_levels": half, "mole_fraction_of_ozone_in_air": ozone}
    return {name: jnp.asarray(value) for name, value in (made | {"surface_emissivity": 0.98}).items()}


def sunshine(latitude: float, days: ArrayLike, seconds: float = 10800.0) -> dict[str, np.ndarray]:
    """The sun at the top of the air (W m-2) and its height, means over steps that begin at these days of a year of 360.

    The cosine is that of the hours with sun, weighted by their flux. Solar constant 1361 W m-2; circular orbit.

        >>> sun = sunshine(45.0, np.arange(0, 360, 0.125))
        >>> round(float(sun["toa_incoming_shortwave_flux"].mean()))
        307
    """
    begin = np.asarray(days, float)
    moment = begin[..., None] + (np.arange(12) + 0.5) / 12 * seconds / 86400.0
    declination = np.radians(23.44) * np.sin(2 * np.pi * (moment / 360.0 - 0.25))
    place, hour = np.radians(latitude), 2 * np.pi * (moment % 1 - 0.5)
    height = np.sin(place) * np.sin(declination) + np.cos(place) * np.cos(declination) * np.cos(hour)
    height = np.maximum(height, 0.0)
    mean = height.mean(axis=-1)
    seen = (height**2).mean(axis=-1) / np.maximum(mean, 1e-9)
    return {"toa_incoming_shortwave_flux": 1361.0 * mean, "cosine_of_solar_zenith_angle": seen}


def example() -> dict[str, Any]:
    """Noon in warm, dry air without ozone: all but what is thrown back reaches the ground, and nothing rains."""
    column = example_column() | {"toa_incoming_shortwave_flux": jnp.array(600.0)}
    column |= {"cosine_of_solar_zenith_angle": jnp.array(0.5), "heat_transport_convergence": jnp.array(10.0)}
    column |= {"air_temperature_profile": jnp.array([303.0, 302.0, 302.0, 306.0])}
    column |= {name: jnp.zeros(4) for name in ("specific_humidity", "mole_fraction_of_ozone_in_air")}
    return {
        "model": AirColumn(RadiativeConvective(mixed_layers=1), levels=4),
        "inputs": column,
        "published": {"surface_net_downward_shortwave_flux": 420.0, "precipitation_heat_flux": 0.0},
        "tolerance": 1e-5,
        "source": "by hand",
    }
