"""Moist convection that brings a column back to a moist adiabat (one time step)."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model
from ...longwave import example_column
from ...moist_air import (
    HEAT_CAPACITY,
    LATENT_HEAT,
    LAYER_HEATING,
    LAYER_MOISTENING,
    PRECIPITATION_HEAT,
    layer_mass,
    parcel_temperature,
    saturation_humidity,
)
from ...parameters import Parameter
from ...variables import AIR_PRESSURE, AIR_TEMPERATURE_PROFILE, HALF_LEVEL_PRESSURE, SPECIFIC_HUMIDITY

HIGHEST = 5e3  # Pa, above which nothing convects


class BettsMiller(Model):
    """Where air from the lowest layer is buoyant, temperature and humidity relax to those of a moist adiabat.

    `dT = (T_ref - T) s`, `dq = (q_ref - q) s`, `s = 1 - exp(-dt / tau)`, in the layers up to the level of neutral
    buoyancy: T_ref that of the rising parcel, q_ref a fixed relative humidity there. T_ref is moved as a whole so that
    `sum(m (c_p dT + L dq)) = 0`, what dries rains. Where drying would not rain, convection is shallow: q_ref is scaled
    and T_ref moved until neither heat nor water is gained. Heat and water of the column are kept to rounding whatever
    comes in. Answers are means over the step of `seconds`, in W m-2, vapour as the heat it holds.

    Betts & Miller (1986), doi:10.1002/qj.49711247308; simplified as in Frierson (2007), doi:10.1175/JAS3935.1.

        >>> made = BettsMiller()(example_column())
        >>> round(float(jnp.sum(made["layer_heating"] + made["layer_moistening"])), 3)
        0.0
    """

    relaxation: Parameter = Parameter(7200.0, "s", (600.0, 86400.0), "tau: time in which convection adjusts a column")
    humidity: Parameter = Parameter(0.7, "1", (0.3, 1.0), "relative humidity that convection leaves behind")
    seconds: float = eqx.field(static=True, default=10800.0)
    inputs: ClassVar = (AIR_PRESSURE, HALF_LEVEL_PRESSURE, AIR_TEMPERATURE_PROFILE, SPECIFIC_HUMIDITY)
    outputs: ClassVar = (LAYER_HEATING, LAYER_MOISTENING, PRECIPITATION_HEAT)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        pressure, warmth = fields["air_pressure"], fields["air_temperature_profile"]
        vapour, mass = fields["specific_humidity"], layer_mass(fields["air_pressure_at_half_levels"])
        level = jnp.maximum(pressure, HIGHEST)
        parcel = parcel_temperature(warmth[0], vapour[0], pressure[0], level)
        within = convecting((parcel > warmth) & (pressure > HIGHEST))
        weight = jnp.where(within, mass, 0.0)
        heated, moistened, rain = _changes(
            parcel - warmth, vapour, self.humidity.value * saturation_humidity(parcel, level), weight
        )
        rate = -jnp.expm1(-self.seconds / self.relaxation.value) / self.seconds
        made = (HEAT_CAPACITY * rate * heated, LATENT_HEAT * rate * moistened, LATENT_HEAT * rate * rain)
        return {v.name: value for v, value in zip(self.outputs, made, strict=True)}


@jax.jit
def convecting(buoyant: Array) -> Array:
    """The layers from the ground to the top of the lowest run of buoyant ones.

    >>> convecting(jnp.array([False, True, True, False, True])).tolist()
    [True, True, True, False, False]
    """
    begun = jax.lax.cummax(buoyant.astype(jnp.int32))
    over = jax.lax.cummax(begun * (1 - buoyant.astype(jnp.int32)))
    rising = buoyant & (over == 0)
    return jax.lax.cummax(rising.astype(jnp.int32), reverse=True) > 0


@jax.jit
def _changes(warming: Array, vapour: Array, reference: Array, weight: Array) -> tuple[Array, Array, Array]:
    """By how much each layer is to warm (kg K m-2) and moisten (kg m-2), and what rains (kg m-2)."""
    air = jnp.maximum(jnp.sum(weight), 1.0)
    rain = jnp.sum(weight * (vapour - reference))
    released = HEAT_CAPACITY * jnp.sum(weight * warming)
    deep = rain > 0
    share = jnp.sum(weight * vapour) / jnp.maximum(jnp.sum(weight * reference), 1e-9)
    dried = weight * (jnp.where(deep, reference, share * reference) - vapour)
    moved = (jnp.where(deep, LATENT_HEAT * rain, 0.0) - released) / HEAT_CAPACITY / air
    active = released > 0
    made = weight * (warming + moved), dried, jnp.maximum(rain, 0.0)
    heated, moistened, rained = (jnp.where(active, one, 0.0) for one in made)
    return heated, moistened, rained


def example() -> dict[str, Any]:
    """Moist air under dry: convection is shallow, and nothing rains."""
    column = example_column()
    fields = {v.name: column[v.name] for v in BettsMiller.inputs}
    fields |= {"air_temperature_profile": jnp.array([300.0, 284.0, 250.0, 210.0])}
    fields |= {"specific_humidity": jnp.array([17e-3, 9e-3, 9e-4, 3e-6])}
    return {
        "model": BettsMiller(),
        "inputs": fields,
        "published": {"precipitation_heat_flux": 0.0},
        "tolerance": 1e-4,
        "source": "Frierson 2007, doi:10.1175/JAS3935.1",
    }
