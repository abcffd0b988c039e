"""What radiation, the ground, convection and rain do to a column of air (one time step)."""

from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...longwave import SECONDS
from ...moist_air import (
    HEAT_CAPACITY,
    KAPPA,
    LATENT_HEAT,
    LAYER_HEATING,
    LAYER_MOISTENING,
    PRECIPITATION_HEAT,
    layer_mass,
    saturation_humidity,
)
from ...parameters import Parameter
from ...soundings import DRY_AIR, WATER_TO_AIR
from ...variables import (
    AIR_PRESSURE,
    AIR_TEMPERATURE_PROFILE,
    HALF_LEVEL_PRESSURE,
    SPECIFIC_HUMIDITY,
    SURFACE_TEMPERATURE,
)
from .._joints import ask, read_by
from ..convection.betts_miller import BettsMiller
from ..radiation.grey_longwave import GreyLongwave
from ..radiation.lacis_hansen import LacisHansen

TRANSPORT = Variable("heat_transport_convergence", "W m-2", long_name="heat that winds bring into the column of air")
LAYER_LONGWAVE = Variable("layer_longwave_heating", "W m-2", ("level",))
LAYER_SHORTWAVE = Variable("layer_shortwave_heating", "W m-2", ("level",))
SURFACE_LONGWAVE = Variable("surface_net_downward_longwave_flux", "W m-2")
SURFACE_SHORTWAVE = Variable("surface_net_downward_shortwave_flux", "W m-2")
TOA_LONGWAVE = Variable("toa_outgoing_longwave_flux", "W m-2")
TOA_NET_SHORTWAVE = Variable("toa_net_downward_shortwave_flux", "W m-2")
SENSIBLE = Variable("surface_upward_sensible_heat_flux", "W m-2")
LATENT = Variable("surface_upward_latent_heat_flux", "W m-2")
FLUXES = (TOA_NET_SHORTWAVE, TOA_LONGWAVE, SURFACE_SHORTWAVE, SURFACE_LONGWAVE, SENSIBLE, LATENT, PRECIPITATION_HEAT)
# What a column of air gains and loses, law by law: the sums of both sides are equal.
BALANCES: dict[str, tuple[tuple[Variable, ...], tuple[Variable, ...]]] = {
    "enthalpy": (
        (TOA_NET_SHORTWAVE, SENSIBLE, LATENT, TRANSPORT),
        (TOA_LONGWAVE, SURFACE_SHORTWAVE, SURFACE_LONGWAVE, LAYER_HEATING, LAYER_MOISTENING),
    ),
    "water": ((LATENT,), (PRECIPITATION_HEAT, LAYER_MOISTENING)),
    "longwave": ((), (TOA_LONGWAVE, SURFACE_LONGWAVE, LAYER_LONGWAVE)),
    "shortwave": ((TOA_NET_SHORTWAVE,), (SURFACE_SHORTWAVE, LAYER_SHORTWAVE)),
}


class RadiativeConvective(Model):
    """Radiation, exchange with a wet ground, a mixed boundary layer, convection and rain, one after the other.

    Radiation (joints `longwave`, `shortwave`) and exchange with the ground see the column as it came: `H = rho c_p C
    U (T_s - T_1)`, `LE = rho L C U (q_s(T_s) - q_1)`. What winds bring warms all air below 200 hPa alike. Then the
    `mixed_layers` lowest layers become one in potential temperature and humidity, air convects (joint `convection`),
    and what is still above saturation rains. Answers are means over the step of `seconds`, in W m-2, gains of layers
    and fluxes as they are named; they keep enthalpy, water, long wave and short wave (`BALANCES`) to rounding.

    Raises `ValueError` for fewer than one mixed layer.

    Manabe & Wetherald (1967), doi:10.1175/1520-0469(1967)024<0241:TEOTAW>2.0.CO;2, is the idea of such columns.

        >>> BALANCES["water"][1][0].name
        'precipitation_heat_flux'
    """

    longwave: Model = eqx.field(default_factory=GreyLongwave)
    shortwave: Model = eqx.field(default_factory=LacisHansen)
    convection: Model = eqx.field(default_factory=BettsMiller)
    exchange: Parameter = Parameter(1.1e-3, "1", (0.0, 5e-3), "C: exchange coefficient of the ground")
    wind: Parameter = Parameter(6.0, "m s-1", (0.0, 30.0), "U: wind near the ground")
    mixed_layers: int = eqx.field(static=True, default=3)
    seconds: float = eqx.field(static=True, default=10800.0)
    outputs: ClassVar = (LAYER_HEATING, LAYER_MOISTENING, LAYER_LONGWAVE, LAYER_SHORTWAVE, *FLUXES)

    def __check_init__(self) -> None:
        if self.mixed_layers < 1:
            raise ValueError(f"at least the lowest layer is mixed, got mixed_layers={self.mixed_layers}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        air = (AIR_PRESSURE, HALF_LEVEL_PRESSURE, AIR_TEMPERATURE_PROFILE, SPECIFIC_HUMIDITY, SURFACE_TEMPERATURE)
        joints = (self.longwave, self.shortwave, self.convection)
        return read_by("RadiativeConvective", (*air, TRANSPORT), self.outputs, joints)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        mass = layer_mass(fields["air_pressure_at_half_levels"])
        made = self._radiation(fields, mass) | self._exchanged(fields)
        carried = jnp.where(fields["air_pressure"] > 2e4, mass, 0.0)
        heat = made["layer_longwave_heating"] + made["layer_shortwave_heating"]
        heat = heat + fields["heat_transport_convergence"] * carried / jnp.sum(carried)
        heat = heat.at[0].add(made["surface_upward_sensible_heat_flux"])
        vapour = jnp.zeros_like(mass).at[0].add(made["surface_upward_latent_heat_flux"])
        before = fields["air_temperature_profile"], fields["specific_humidity"]
        now = _moved(before, (heat, vapour), mass, self.seconds)
        pooled = _mixing(*now, fields["air_pressure"], mass, self.mixed_layers, self.seconds)
        mixed = _moved(now, pooled, mass, self.seconds)
        air = dict(zip(("air_temperature_profile", "specific_humidity"), mixed, strict=True))
        risen = ask(self.convection, {**fields, **air}, key=key)
        left = _moved(mixed, (risen["layer_heating"], risen["layer_moistening"]), mass, self.seconds)
        rained = LATENT_HEAT * mass * condensing(*left, fields["air_pressure"]) / self.seconds
        made["layer_heating"] = heat + pooled[0] + risen["layer_heating"] + rained
        made["layer_moistening"] = vapour + pooled[1] + risen["layer_moistening"] - rained
        made["precipitation_heat_flux"] = risen["precipitation_heat_flux"] + jnp.sum(rained)
        return {v.name: made[v.name] for v in self.outputs}

    def _radiation(self, fields: Fields, mass: Array) -> Fields:
        held = {**fields, "specific_humidity": jnp.maximum(fields["specific_humidity"], 0.0)}
        longwave = ask(self.longwave, held)
        sun = ask(self.shortwave, held)["net_downward_shortwave_flux_in_air"]
        net = longwave["net_downward_longwave_flux_in_air"]
        warming = longwave["tendency_of_air_temperature_due_to_longwave_heating"]
        return {
            "layer_longwave_heating": HEAT_CAPACITY * mass * warming / SECONDS,
            "layer_shortwave_heating": jnp.diff(sun),
            "surface_net_downward_longwave_flux": net[0],
            "toa_outgoing_longwave_flux": -net[-1],
            "surface_net_downward_shortwave_flux": sun[0],
            "toa_net_downward_shortwave_flux": sun[-1],
        }

    def _exchanged(self, fields: Fields) -> Fields:
        surface, warmth = fields["surface_temperature"], fields["air_temperature_profile"][0]
        ground, level = fields["air_pressure_at_half_levels"][0], fields["air_pressure"][0]
        passing = ground / (DRY_AIR * warmth) * self.exchange.value * self.wind.value
        warm = warmth * (ground / level) ** KAPPA
        moist = saturation_humidity(surface, ground) - fields["specific_humidity"][0]
        return {
            "surface_upward_sensible_heat_flux": HEAT_CAPACITY * passing * (surface - warm),
            "surface_upward_latent_heat_flux": LATENT_HEAT * passing * moist,
        }


@partial(jax.jit, static_argnums=(4, 5))
def _mixing(
    temperature: Array, humidity: Array, pressure: Array, mass: Array, count: int, seconds: float
) -> tuple[Array, Array]:
    """What the lowest `count` layers gain by becoming one in potential temperature and humidity."""
    weight, shape = jnp.where(jnp.arange(len(mass)) < count, mass, 0.0), pressure**KAPPA
    potential = jnp.sum(weight * temperature) / jnp.sum(weight * shape)
    moist = jnp.sum(weight * humidity) / jnp.sum(weight)

    def gain(change: Array) -> Array:
        # Rounding of the large values would be heat from nowhere.
        return weight * (change - jnp.sum(weight * change) / jnp.sum(weight)) / seconds

    return HEAT_CAPACITY * gain(potential * shape - temperature), LATENT_HEAT * gain(moist - humidity)


@jax.jit
def condensing(temperature: Array, humidity: Array, pressure: Array) -> Array:
    """The vapour (1) that rains out of air above saturation, whose latent heat raises what the air then holds."""
    held = saturation_humidity(temperature, pressure)
    # Clausius-Clapeyron gives how much more the warmed air holds.
    steeper = LATENT_HEAT**2 * held * WATER_TO_AIR / (HEAT_CAPACITY * DRY_AIR * temperature**2)
    return jnp.maximum(humidity - held, 0.0) / (1 + steeper)


@jax.jit
def _moved(air: tuple[Array, Array], gains: tuple[Array, Array], mass: Array, seconds: float) -> tuple[Array, Array]:
    heat, vapour = gains
    return air[0] + heat * seconds / (HEAT_CAPACITY * mass), air[1] + vapour * seconds / (LATENT_HEAT * mass)
