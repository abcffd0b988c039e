"""HBV: a catchment as snow, soil, two ground-water zones and a unit hydrograph (one day)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.lax import optimization_barrier
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ...variables import AIR_TEMPERATURE, EVAPOTRANSPIRATION, POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF
from .._joints import ask, read_by
from ._hydrograph import gamma, power, spread, triangle

LAGS = 15


def _flux(name: str, meaning: str) -> Variable:
    return Variable(name, "mm day-1", bounds=(0, math.inf), long_name=meaning)


def _store(name: str, meaning: str, *dims: str) -> Variable:
    return Variable(name, "mm", dims, bounds=(0, math.inf), long_name=meaning)


SNOWPACK = _store("snowpack", "frozen water in the snow cover")
LIQUID = _store("liquid_water_in_snow", "melt water held in the snow cover")
SOIL = _store("soil_moisture", "water in the soil")
UPPER = _store("upper_zone_storage", "water in the quick ground-water zone")
LOWER = _store("lower_zone_storage", "water in the slow ground-water zone")
BUFFER = _store("routing_buffer", "generated runoff still on its way to the outlet", "lag")
SNOWFALL = _flux("snowfall", "precipitation that falls as snow")
SNOWMELT = _flux("snowmelt", "ice that melts into the snow cover")
REFREEZING = _flux("refreezing", "melt water that freezes again")
TO_SOIL = _flux("water_to_soil", "rain and outflow of the snow cover")
SATURATION = Variable("soil_saturation", "1", bounds=(0, 1), long_name="soil moisture over field capacity")
RECHARGE = _flux("recharge", "water that passes the soil")
PERCOLATION = _flux("percolation", "water from the upper to the lower zone")
CAPILLARY = _flux("capillary_rise", "water from the lower zone back to the soil")
SURFACE = _flux("surface_flow", "outflow of the upper zone above its threshold")
INTERFLOW = _flux("interflow", "outflow of the upper zone")
BASEFLOW = _flux("baseflow", "outflow of the lower zone")
GENERATED = _flux("generated_runoff", "runoff before routing")


class DegreeDay(Model):
    """Snow falls and melts with the excess of air temperature over a threshold.

    `melt = CFMAX max(T - TT, 0)`, `refreezing = CFR CFMAX max(TT - T, 0)`; the snow cover holds
    melt water up to CWH of its ice. Snow turns into rain linearly over an interval around TT.
    """

    threshold_temperature: Parameter = Parameter(
        0.0, "degC", (-2.5, 2.5), "TT: temperature at which snow falls and melts"
    )
    transition_interval: Parameter = Parameter(2.0, "degC", (0.5, 6.0), "TTI: range over which snow turns into rain")
    degree_day_factor: Parameter = Parameter(3.0, "mm degC-1 day-1", (0.5, 10.0), "CFMAX: melt per degree and day")
    refreezing_coefficient: Parameter = Parameter(0.05, "1", (0.0, 0.1), "CFR: refreezing relative to melt")
    water_holding_capacity: Parameter = Parameter(0.1, "1", (0.0, 0.2), "CWH: melt water held per unit of ice")
    inputs: ClassVar = (PRECIPITATION, AIR_TEMPERATURE, SNOWPACK, LIQUID)
    outputs: ClassVar = (SNOWFALL, SNOWMELT, REFREEZING, TO_SOIL)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        warmth = fields["air_temperature"] - self.threshold_temperature.value
        cold = jnp.clip(0.5 - warmth / self.transition_interval.value, 0, 1)
        snowfall = fields["precipitation"] * cold
        ice = fields["snowpack"] + snowfall
        melt = jnp.minimum(self.degree_day_factor.value * jnp.maximum(warmth, 0), ice)
        freezing = self.refreezing_coefficient.value * self.degree_day_factor.value * jnp.maximum(-warmth, 0)
        liquid = fields["liquid_water_in_snow"] + melt
        refreezing = jnp.minimum(freezing, liquid)
        held = self.water_holding_capacity.value * (ice - melt + refreezing)
        outflow = jnp.maximum(liquid - refreezing - held, 0)
        to_soil = fields["precipitation"] - snowfall + outflow
        return {"snowfall": snowfall, "snowmelt": melt, "refreezing": refreezing, "water_to_soil": to_soil}


class SoilLimitedEvaporation(Model):
    """Soil evaporates at the potential rate until it dries below a threshold.

    `ET = PET min(1, (SM / FC) / LP) ** beta_et`
    """

    evaporation_threshold: Parameter = Parameter(
        0.7, "1", (0.2, 1.0), "LP: saturation below which evaporation is reduced"
    )
    evaporation_exponent: Parameter = Parameter(1.0, "1", (0.3, 5.0), "beta_et: shape of the reduction of evaporation")
    inputs: ClassVar = (POTENTIAL_EVAPOTRANSPIRATION, SATURATION)
    outputs: ClassVar = (EVAPOTRANSPIRATION,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        wetness = jnp.minimum(fields["soil_saturation"] / self.evaporation_threshold.value, 1)
        stress = power(wetness, self.evaporation_exponent.value)
        return {"evapotranspiration": fields["potential_evapotranspiration"] * stress}


class PowerRecharge(Model):
    """The wetter the soil, the larger the share of water that passes it.

    `recharge = water (SM / FC) ** BETA`
    """

    recharge_exponent: Parameter = Parameter(2.0, "1", (1.0, 6.0), "BETA: shape of the recharge of ground water")
    inputs: ClassVar = (TO_SOIL, SATURATION)
    outputs: ClassVar = (RECHARGE,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {"recharge": fields["water_to_soil"] * power(fields["soil_saturation"], self.recharge_exponent.value)}


class ConstantPercolation(Model):
    """The upper zone feeds the lower zone at a constant rate."""

    maximum_percolation: Parameter = Parameter(1.5, "mm day-1", (0.0, 10.0), "PERC: percolation to the lower zone")
    inputs: ClassVar = (UPPER,)
    outputs: ClassVar = (PERCOLATION,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {"percolation": jnp.minimum(fields["upper_zone_storage"], self.maximum_percolation.value)}


class ThreeOutlets(Model):
    """Two linear zones empty through three outlets.

    `Q0 = K0 max(SUZ - UZL, 0)`, `Q1 = K1 (SUZ - Q0)`, `Q2 = K2 SLZ`
    """

    surface_recession: Parameter = Parameter(0.3, "day-1", (0.05, 0.9), "K0: recession above the threshold")
    interflow_recession: Parameter = Parameter(0.1, "day-1", (0.01, 0.5), "K1: recession of the upper zone")
    baseflow_recession: Parameter = Parameter(0.03, "day-1", (0.001, 0.2), "K2: recession of the lower zone")
    surface_threshold: Parameter = Parameter(20.0, "mm", (0.0, 100.0), "UZL: storage above which surface flow starts")
    inputs: ClassVar = (UPPER, LOWER)
    outputs: ClassVar = (SURFACE, INTERFLOW, BASEFLOW)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        upper = fields["upper_zone_storage"]
        surface = self.surface_recession.value * jnp.maximum(upper - self.surface_threshold.value, 0)
        interflow = self.interflow_recession.value * (upper - surface)
        baseflow = self.baseflow_recession.value * fields["lower_zone_storage"]
        return {"surface_flow": surface, "interflow": interflow, "baseflow": baseflow}


class TriangularRouting(Model):
    """Generated runoff reaches the outlet spread over a triangle of MAXBAS days; a roll-out makes `shares` once."""

    routing_time_base: Parameter = Parameter(2.5, "day", (1.0, 10.0), "MAXBAS: base of the triangular unit hydrograph")
    shares: Array | None = None
    inputs: ClassVar = (GENERATED, BUFFER)
    outputs: ClassVar = (RUNOFF, BUFFER)

    def prepare(self, fixed: Fields) -> Model:
        return TriangularRouting(self.routing_time_base, triangle(self.routing_time_base.value, LAGS))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        shares = triangle(self.routing_time_base.value, LAGS) if self.shares is None else self.shares
        runoff, buffer = spread(fields["routing_buffer"], fields["generated_runoff"], shares)
        return {"runoff": runoff, "routing_buffer": buffer}


class GammaRouting(Model):
    """Generated runoff reaches the outlet spread over a gamma density, cut after 15 days and normalised."""

    routing_shape: Parameter = Parameter(1.5, "1", (0.2, 3.0), "a: shape of the gamma unit hydrograph")
    routing_scale: Parameter = Parameter(1.0, "day", (0.2, 6.5), "tau: time scale of the gamma unit hydrograph")
    shares: Array | None = None
    inputs: ClassVar = (GENERATED, BUFFER)
    outputs: ClassVar = (RUNOFF, BUFFER)

    def prepare(self, fixed: Fields) -> Model:
        shares = gamma(self.routing_shape.value, self.routing_scale.value, LAGS)
        return GammaRouting(self.routing_shape, self.routing_scale, shares)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        shape, scale = self.routing_shape.value, self.routing_scale.value
        shares = gamma(shape, scale, LAGS) if self.shares is None else self.shares
        runoff, buffer = spread(fields["routing_buffer"], fields["generated_runoff"], shares)
        return {"runoff": runoff, "routing_buffer": buffer}


class HBV(Model):
    """HBV turns a day of rain, temperature and evaporative demand into runoff and five stores of water.

    Snow (degree-day) feeds the soil; soil passes `water (SM/FC)**BETA` on and evaporates; an upper
    and a lower zone empty through three outlets; a unit hydrograph delays their sum. Fluxes in
    mm day-1, stores in mm, one step is one day. Every sub-process is a joint that any model of the
    same outputs can take; HBV keeps the books, limiting each flux to the water there is, so that
    `precipitation = runoff + evapotranspiration + change of stores` whatever takes a joint (but routing).

    Bergstrom 1992; Lindstrom et al. 1997, doi:10.1016/S0022-1694(97)00041-3; parameter ranges of
    Seibert & Vis 2012, doi:10.5194/hess-16-3315-2012; the order of steps, beta_et and capillary
    rise as in Feng et al. 2022, doi:10.1029/2022WR032404.

        >>> from mechlearn.compose import Rollout
        >>> year = {"precipitation": jnp.full(365, 3.0), "air_temperature": jnp.full(365, 10.0)}
        >>> made = Rollout(HBV())({**year, "potential_evapotranspiration": jnp.full(365, 1.0)})
        >>> round(float(made["runoff"][-1]), 2)
        2.0
    """

    snow: Model = eqx.field(default_factory=DegreeDay)
    evaporation: Model = eqx.field(default_factory=SoilLimitedEvaporation)
    soil: Model = eqx.field(default_factory=PowerRecharge)
    percolation: Model = eqx.field(default_factory=ConstantPercolation)
    response: Model = eqx.field(default_factory=ThreeOutlets)
    routing: Model = eqx.field(default_factory=TriangularRouting)
    field_capacity: Parameter = Parameter(250.0, "mm", (50.0, 1000.0), "FC: water the soil can hold")
    capillary_coefficient: Parameter = Parameter(
        0.01, "day-1", (0.0, 1.0), "C: capillary rise from the lower zone to dry soil"
    )

    state: ClassVar[tuple[str, ...]] = tuple(v.name for v in (SNOWPACK, LIQUID, SOIL, UPPER, LOWER, BUFFER))
    stores: ClassVar[tuple[str, ...]] = state
    exchange: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar = (
        *(RUNOFF, EVAPOTRANSPIRATION, SNOWPACK, LIQUID, SOIL, UPPER, LOWER, BUFFER, SNOWFALL, SNOWMELT, REFREEZING),
        *(TO_SOIL, SATURATION, RECHARGE, PERCOLATION, CAPILLARY, SURFACE, INTERFLOW, BASEFLOW, GENERATED),
    )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        own = (
            PRECIPITATION,
            AIR_TEMPERATURE,
            POTENTIAL_EVAPOTRANSPIRATION,
            SNOWPACK,
            LIQUID,
            SOIL,
            UPPER,
            LOWER,
            BUFFER,
        )
        joints = (self.snow, self.evaporation, self.soil, self.percolation, self.response, self.routing)
        return read_by("HBV", own, self.outputs, joints)

    def initial(self) -> dict[str, ArrayLike]:
        empty = {"snowpack": 0.0, "liquid_water_in_snow": 0.0, "routing_buffer": jnp.zeros(LAGS)}
        return {
            **empty,
            "soil_moisture": 0.5 * jnp.asarray(self.field_capacity.value),
            "upper_zone_storage": 5.0,
            "lower_zone_storage": 10.0,
        }

    def prepare(self, fixed: Fields) -> Model:
        return eqx.tree_at(lambda m: m.routing, self, self.routing.prepare(fixed))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = {**fields}
        self._melt(made)
        self._wet_the_soil(made)
        self._drain(made)
        made |= _answer(self.routing, made)
        return {variable.name: made[variable.name] for variable in self.outputs}

    def _melt(self, made: Fields) -> None:
        flux = _answer(self.snow, made)
        snowfall = jnp.minimum(flux["snowfall"], made["precipitation"])
        melt = jnp.minimum(flux["snowmelt"], made["snowpack"] + snowfall)
        refreezing = jnp.minimum(flux["refreezing"], made["liquid_water_in_snow"] + melt)
        wet = made["precipitation"] - snowfall + (made["liquid_water_in_snow"] + melt - refreezing)
        to_soil = jnp.minimum(flux["water_to_soil"], wet)
        made |= {"snowfall": snowfall, "snowmelt": melt, "refreezing": refreezing, "water_to_soil": to_soil}
        made |= {"snowpack": made["snowpack"] + snowfall - melt + refreezing, "liquid_water_in_snow": wet - to_soil}

    def _wet_the_soil(self, made: Fields) -> None:
        capacity, soil, water = self.field_capacity.value, made["soil_moisture"], made["water_to_soil"]
        made["soil_saturation"] = jnp.minimum(soil / capacity, 1)
        passed = jnp.minimum(_answer(self.soil, made)["recharge"], water)
        soil = soil + (water - passed)
        spill = jnp.maximum(soil - capacity, 0)
        soil = soil - spill
        made |= {"recharge": passed + spill, "soil_moisture": soil, "soil_saturation": soil / capacity}
        evaporated = jnp.minimum(_answer(self.evaporation, made)["evapotranspiration"], soil)
        soil = soil - evaporated
        rise = self.capillary_coefficient.value * made["lower_zone_storage"] * (1 - soil / capacity)
        made |= {"evapotranspiration": evaporated, "capillary_rise": rise, "soil_moisture": soil + rise}
        made["lower_zone_storage"] = made["lower_zone_storage"] - rise

    def _drain(self, made: Fields) -> None:
        made["upper_zone_storage"] = made["upper_zone_storage"] + made["recharge"]
        percolation = jnp.minimum(_answer(self.percolation, made)["percolation"], made["upper_zone_storage"])
        upper, lower = made["upper_zone_storage"] - percolation, made["lower_zone_storage"] + percolation
        flux = _answer(self.response, {**made, "upper_zone_storage": upper, "lower_zone_storage": lower})
        surface = jnp.minimum(flux["surface_flow"], upper)
        interflow = jnp.minimum(flux["interflow"], upper - surface)
        baseflow = jnp.minimum(flux["baseflow"], lower)
        made |= {"percolation": percolation, "surface_flow": surface, "interflow": interflow, "baseflow": baseflow}
        made |= {"upper_zone_storage": upper - surface - interflow, "lower_zone_storage": lower - baseflow}
        made["generated_runoff"] = surface + interflow + baseflow


def _answer(joint: Model, fields: Fields) -> Fields:
    # Without the barrier the compiler repeats a sub-process in every flux and store that its answer reaches.
    return optimization_barrier(ask(joint, fields))


def example() -> dict[str, Any]:
    """A mild wet day on a snow cover, worked by hand from the equations."""
    day = {"precipitation": 10.0, "air_temperature": 2.0, "potential_evapotranspiration": 2.0, "snowpack": 20.0}
    store = {
        "liquid_water_in_snow": 1.0,
        "soil_moisture": 125.0,
        "upper_zone_storage": 30.0,
        "lower_zone_storage": 10.0,
    }
    inputs = {name: jnp.asarray(value) for name, value in (day | store).items()} | {
        "routing_buffer": jnp.full(LAGS, 0.1)
    }
    # melt 3*2 = 6; held 0.1*14 = 1.4; to soil 10 + 7 - 1.4 = 15.6; recharge 15.6/4 = 3.9; soil 125 + 11.7 = 136.7;
    # evaporation 2*(136.7/250)/0.7; upper 30 + 3.9 - 1.5 = 32.4; surface 0.3*12.4; interflow 0.1*(32.4 - 3.72);
    # capillary rise 0.01*10*(1 - 135.14/250); baseflow 0.03*(11.5 - 0.046); runoff 0.1 + 2/2.5**2 of all three.
    published = {"water_to_soil": 15.6, "recharge": 3.9, "evapotranspiration": 1.562286, "surface_flow": 3.72}
    published |= {"interflow": 2.868, "baseflow": 0.343622, "runoff": 2.318119, "snowpack": 14.0}
    source = "Seibert & Vis 2012, doi:10.5194/hess-16-3315-2012"
    return {"model": HBV(), "inputs": inputs, "published": published, "tolerance": 1e-4, "source": source}
