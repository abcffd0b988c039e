"""GR4J: a catchment in four parameters, with snow in front (one day)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ...variables import EVAPOTRANSPIRATION, POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF
from .._joints import ask, read_by
from ._hydrograph import power, spread
from .cemaneige import CemaNeige

LONGEST = 10
POSITIVE = (0, math.inf)
STORE = Variable("production_store", "mm", (), POSITIVE, long_name="water in the production store")
ROUTING = Variable("routing_store", "mm", (), POSITIVE, long_name="water in the routing store")
SLOW = Variable("slow_buffer", "mm", ("slow_lag",), POSITIVE, long_name="water on its way to the routing store")
QUICK = Variable("quick_buffer", "mm", ("quick_lag",), POSITIVE, long_name="water on its way to the outlet")
CAPACITY = Variable("production_size", "mm", (), POSITIVE, long_name="X1 as the production joint reads it")
FILLING = Variable("routing_filling", "1", (), POSITIVE, long_name="routing store over its capacity")
TO_SOIL = Variable("water_to_soil", "mm day-1", (), POSITIVE, long_name="rain and outflow of the snow cover")
NET_WATER = Variable("net_water", "mm day-1", (), POSITIVE, long_name="water left over by evaporation of interception")
NET_DEMAND = Variable("net_demand", "mm day-1", (), POSITIVE, long_name="evaporative demand left over by interception")
INFILTRATION = Variable("infiltration", "mm day-1", (), POSITIVE, long_name="net water that fills the production store")
SOIL_EVAPORATION = Variable(
    "soil_evaporation", "mm day-1", (), POSITIVE, long_name="evaporation of the production store"
)
PERCOLATION = Variable("percolation", "mm day-1", (), POSITIVE, long_name="leakage of the production store")
EXCHANGE = Variable(
    "groundwater_exchange", "mm day-1", long_name="water gained from (or lost to) neighbouring aquifers"
)
ROUTED = Variable("routed_flow", "mm day-1", (), POSITIVE, long_name="outflow of the routing store")
DIRECT = Variable("direct_flow", "mm day-1", (), POSITIVE, long_name="outflow that passes by the routing store")


class ProductionStore(Model):
    """A store that takes water less readily the fuller, and gives it less readily the emptier, it is.

    With s = S / X1: `Ps = X1 (1 - s^2) tanh(Pn/X1) / (1 + s tanh(Pn/X1))`,
    `Es = S (2 - s) tanh(En/X1) / (1 + (1 - s) tanh(En/X1))`, `Perc = S (1 - (1 + (s / 2.25)^4)^-1/4)`.
    """

    percolation_scale: Parameter = Parameter(
        2.25, "1", (1.0, 6.0), "filling that percolates; 5.25 by the hour", fixed=True
    )
    inputs: ClassVar = (NET_WATER, NET_DEMAND, STORE, CAPACITY)
    outputs: ClassVar = (INFILTRATION, SOIL_EVAPORATION, PERCOLATION)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        size, store = fields["production_size"], fields["production_store"]
        full = store / size
        wet, dry = jnp.tanh(fields["net_water"] / size), jnp.tanh(fields["net_demand"] / size)
        infiltration = size * (1 - full**2) * wet / (1 + full * wet)
        evaporation = store * (2 - full) * dry / (1 + (1 - full) * dry)
        return {
            "infiltration": infiltration,
            "soil_evaporation": evaporation,
            "percolation": outflow(store + infiltration - evaporation, self.percolation_scale.value * size),
        }


class GroundwaterExchange(Model):
    """The catchment gains or loses ground water with the filling of its routing store: `F = X2 (R / X3)^3.5`."""

    exchange_coefficient: Parameter = Parameter(0.0, "mm day-1", (-10.0, 5.0), "X2: exchange with a full routing store")
    inputs: ClassVar = (FILLING,)
    outputs: ClassVar = (EXCHANGE,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {"groundwater_exchange": self.exchange_coefficient.value * power(fields["routing_filling"], 3.5)}


def outflow(store: ArrayLike, capacity: ArrayLike) -> Array:
    """What a store loses in a day: `S (1 - (1 + (S / C)^4)^-1/4)`."""
    filling = jnp.asarray(store) / capacity
    return store * (1 - jax.lax.rsqrt(jnp.sqrt(1 + filling**4)))


@jax.custom_jvp
def _rise_daily(position: Array) -> Array:
    return position**2 * jnp.sqrt(position)


@_rise_daily.defjvp
def _rise_daily_slope(point, way):
    root = jnp.sqrt(point[0])
    return point[0] ** 2 * root, 2.5 * point[0] * root * way[0]


def _rise(position: Array, exponent: float) -> Array:
    if exponent == 2.5:  # roots are much faster than logarithms here
        return _rise_daily(position)
    return jnp.where(position > 0, power(position, exponent), 0)


def slow_shares(time_base: ArrayLike, exponent: float = 2.5) -> Array:
    """Ordinates of the one-sided hydrograph UH1 of X4 days (slow_lag,); they sum to 1."""
    return jnp.diff(_rise(jnp.clip(jnp.arange(LONGEST + 1) / time_base, 0, 1), exponent))


def quick_shares(time_base: ArrayLike, exponent: float = 2.5) -> Array:
    """Ordinates of the two-sided hydrograph UH2 of 2 X4 days (quick_lag,); they sum to 1."""
    position = jnp.clip(jnp.arange(2 * LONGEST + 1) / time_base, 0, 2)
    half = 0.5 * _rise(jnp.minimum(position, 2 - position), exponent)
    return jnp.diff(jnp.where(position <= 1, half, 1 - half))


class GR4J(Model):
    """GR4J turns a day of water and evaporative demand into runoff with two stores and two hydrographs.

    A production store (X1) splits net water; nine tenths of what is left reach a routing store (X3)
    through the hydrograph UH1, one tenth the outlet through UH2 (X4 and 2 X4 days); both exchange
    ground water (X2). `snow` is CemaNeige, or NoSnow, or any model that gives `water_to_soil`.
    Balance: `precipitation + groundwater_exchange = runoff + evapotranspiration + change of stores`.

    Perrin et al. 2003, doi:10.1016/S0022-1694(03)00225-7 (80 % intervals of the parameters: X1 100
    to 1200 mm, X2 -5 to 3 mm day-1, X3 20 to 300 mm, X4 1.1 to 2.9 days; the bounds are wider). The
    hydrographs rise with the power 2.5 of time; the hourly model has 1.25, and percolates from 5.25 X1.

        >>> from mechlearn.compose import Rollout
        >>> from mechlearn.mechanisms.water.cemaneige import NoSnow
        >>> days = {"precipitation": jnp.full(900, 3.0), "potential_evapotranspiration": jnp.full(900, 1.0)}
        >>> round(float(Rollout(GR4J(snow=NoSnow()))(days)["runoff"][-1]), 2)
        2.0
    """

    snow: Model = eqx.field(default_factory=CemaNeige)
    production: Model = eqx.field(default_factory=ProductionStore)
    groundwater: Model = eqx.field(default_factory=GroundwaterExchange)
    production_capacity: Parameter = Parameter(350.0, "mm", (10.0, 2000.0), "X1: capacity of the production store")
    routing_capacity: Parameter = Parameter(90.0, "mm", (1.0, 500.0), "X3: capacity of the routing store for one day")
    hydrograph_base: Parameter = Parameter(1.7, "day", (0.5, 10.0), "X4: time base of the unit hydrograph UH1")
    hydrograph_exponent: float = eqx.field(static=True, default=2.5)

    exchange: ClassVar[tuple[str, ...]] = ("groundwater_exchange",)
    inside: ClassVar = (STORE, ROUTING, SLOW, QUICK)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        fluxes = (NET_WATER, NET_DEMAND, INFILTRATION, SOIL_EVAPORATION, PERCOLATION, EXCHANGE, ROUTED, DIRECT)
        return (RUNOFF, EVAPOTRANSPIRATION, *self.inside, FILLING, *fluxes, *self.snow.outputs)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        own = (PRECIPITATION, POTENTIAL_EVAPOTRANSPIRATION, *self.inside)
        snow = tuple(variable for variable in self.snow.inputs if variable.name in self.snow.state)
        return read_by("GR4J", (*own, *snow), (*self.outputs, CAPACITY), (self.snow, self.production, self.groundwater))

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*(variable.name for variable in self.inside), *self.snow.state)

    @property
    def stores(self) -> tuple[str, ...]:
        return (*(variable.name for variable in self.inside), *getattr(self.snow, "stores", ()))

    def initial(self) -> dict[str, ArrayLike]:
        buffers = {"slow_buffer": jnp.zeros(LONGEST), "quick_buffer": jnp.zeros(2 * LONGEST)}
        production = 0.3 * jnp.asarray(self.production_capacity.value)
        routing = 0.5 * jnp.asarray(self.routing_capacity.value)
        return {"production_store": production, "routing_store": routing, **buffers, **self.snow.initial()}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = {**fields} | ask(self.snow, fields)
        self._produce(made)
        self._route(made)
        return {variable.name: made[variable.name] for variable in self.outputs}

    def _produce(self, made: Fields) -> None:
        water, demand = made["water_to_soil"], made["potential_evapotranspiration"]
        intercepted = jnp.minimum(water, demand)
        made |= {"net_water": water - intercepted, "net_demand": demand - intercepted}
        made["production_size"] = jnp.asarray(self.production_capacity.value)
        flux = ask(self.production, made)
        infiltration = jnp.minimum(flux["infiltration"], made["net_water"])
        evaporation = jnp.minimum(flux["soil_evaporation"], made["production_store"] + infiltration)
        wet = made["production_store"] + infiltration - evaporation
        percolation = jnp.minimum(flux["percolation"], wet)
        made |= {"infiltration": infiltration, "soil_evaporation": evaporation, "percolation": percolation}
        made |= {"production_store": wet - percolation, "evapotranspiration": intercepted + evaporation}

    def _route(self, made: Fields) -> None:
        base, rise, capacity = self.hydrograph_base.value, self.hydrograph_exponent, self.routing_capacity.value
        water = made["percolation"] + (made["net_water"] - made["infiltration"])
        slow, made["slow_buffer"] = spread(made["slow_buffer"], 0.9 * water, slow_shares(base, rise))
        quick, made["quick_buffer"] = spread(made["quick_buffer"], 0.1 * water, quick_shares(base, rise))
        made["routing_filling"] = made["routing_store"] / capacity
        wanted = ask(self.groundwater, made)["groundwater_exchange"]
        store = made["routing_store"] + slow
        to_store, to_outlet = jnp.maximum(wanted, -store), jnp.maximum(wanted, -quick)
        routed = outflow(store + to_store, capacity)
        made |= {"groundwater_exchange": to_store + to_outlet, "routed_flow": routed, "direct_flow": quick + to_outlet}
        made |= {"routing_store": store + to_store - routed, "runoff": routed + quick + to_outlet}


def example() -> dict[str, Any]:
    """One wet day on half-full stores; the first ordinates of both hydrographs carry it to the outlet."""
    day = {"precipitation": 22.0, "air_temperature": 15.0, "potential_evapotranspiration": 2.0}
    inputs = {name: jnp.asarray(value) for name, value in day.items()}
    store = {"production_store": jnp.asarray(175.0), "routing_store": jnp.asarray(45.0), **CemaNeige().initial()}
    buffers = {"slow_buffer": jnp.zeros(LONGEST), "quick_buffer": jnp.zeros(2 * LONGEST)}
    # Ps = 350*0.75*tanh(20/350)/(1 + 0.5*tanh(20/350)); S = 189.568; Perc = S(1 - (1 + (S/787.5)^4)^-1/4);
    # 0.9*(20 - Ps + Perc)/1.7^2.5 reaches the routing store and 0.1*(...)/2/1.7^2.5 the outlet.
    published = {"infiltration": 14.568, "evapotranspiration": 2.0}
    source = "Perrin et al. 2003, doi:10.1016/S0022-1694(03)00225-7"
    return {
        "model": GR4J(),
        "inputs": inputs | store | buffers,
        "published": published,
        "tolerance": 1e-3,
        "source": source,
    }
