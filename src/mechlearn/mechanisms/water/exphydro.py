"""EXP-Hydro: a catchment as a snow bucket and a water bucket in six parameters (one day)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ...variables import AIR_TEMPERATURE, EVAPOTRANSPIRATION, POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF
from .._joints import ask, read_by

POSITIVE = (0, math.inf)
SNOWPACK = Variable("snowpack", "mm", (), POSITIVE, long_name="water in the snow bucket")
WATER = Variable("water_storage", "mm", (), POSITIVE, long_name="water in the catchment bucket")
SNOWFALL = Variable("snowfall", "mm day-1", (), POSITIVE, long_name="precipitation that falls as snow")
SNOWMELT = Variable("snowmelt", "mm day-1", (), POSITIVE, long_name="water that leaves the snow bucket")
FILLING = Variable("relative_storage", "1", (), POSITIVE, long_name="water bucket over its capacity")
SIZE = Variable("storage_size", "mm", (), POSITIVE, long_name="Smax as the discharge joint reads it")


class DegreeDay(Model):
    """Precipitation freezes below Tmin and snow melts above Tmax: `M = min(S0, Ddf (T - Tmax))`.

    Snow turns into rain along `(1 + tanh(5 (Tmin - T))) / 2`, a step of half a degree.
    """

    snowfall_temperature: Parameter = Parameter(-1.0, "degC", (-6.0, 0.5), "Tmin: temperature below which snow falls")
    melt_temperature: Parameter = Parameter(1.0, "degC", (-0.5, 3.0), "Tmax: temperature above which snow melts")
    degree_day_factor: Parameter = Parameter(2.5, "mm degC-1 day-1", (0.0, 10.0), "Ddf: melt per degree and day")
    inputs: ClassVar = (PRECIPITATION, AIR_TEMPERATURE, SNOWPACK)
    outputs: ClassVar = (SNOWFALL, SNOWMELT)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        warmth = fields["air_temperature"]
        cold = 0.5 * (1 + jnp.tanh(5 * (self.snowfall_temperature.value - warmth)))
        melt = self.degree_day_factor.value * jnp.maximum(warmth - self.melt_temperature.value, 0)
        return {"snowfall": fields["precipitation"] * cold, "snowmelt": jnp.minimum(melt, fields["snowpack"])}


class StorageLimitedEvaporation(Model):
    """The catchment evaporates in proportion to its filling: `ET = PET min(1, S1 / Smax)`."""

    inputs: ClassVar = (POTENTIAL_EVAPOTRANSPIRATION, FILLING)
    outputs: ClassVar = (EVAPOTRANSPIRATION,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {
            "evapotranspiration": fields["potential_evapotranspiration"] * jnp.minimum(fields["relative_storage"], 1)
        }


class ExponentialDischarge(Model):
    """Discharge grows exponentially up to the capacity, and what is above it spills within a day.

    `Q = Qmax exp(-f max(Smax - S1, 0)) + max(S1 - Smax, 0)`
    """

    recession: Parameter = Parameter(0.03, "mm-1", (0.001, 0.2), "f: decline of discharge with storage deficit")
    maximum_baseflow: Parameter = Parameter(20.0, "mm day-1", (1.0, 100.0), "Qmax: discharge of a full bucket")
    inputs: ClassVar = (WATER, SIZE)
    outputs: ClassVar = (RUNOFF,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        excess = fields["water_storage"] - fields["storage_size"]
        base = self.maximum_baseflow.value * jnp.exp(self.recession.value * jnp.minimum(excess, 0))
        return {"runoff": base + jnp.maximum(excess, 0)}


class EXPHydro(Model):
    """EXP-Hydro turns rain, temperature and evaporative demand into runoff with a snow and a water bucket.

    `dS0/dt = Ps - M`, `dS1/dt = Pr + M - ET - Q`. A step is integrated in `substeps` semi-implicit
    steps, `flux h / (1 + h dflux/dS1)`, limited to the water there is, so the balance
    `precipitation = runoff + evapotranspiration + change of stores` closes whatever takes a joint.
    Fluxes are means over the step in mm day-1, stores in mm at its end; a step is `days` long (forcing
    interpolated within the day reproduces published runs of adaptive solvers).

    Patil & Stieglitz 2014, doi:10.1002/2014WR015463; continuous form of Jiang et al. 2020,
    doi:10.1029/2020GL088229, whose ranges the bounds contain.

        >>> from mechlearn.compose import Rollout
        >>> year = {"precipitation": jnp.full(2000, 3.0), "air_temperature": jnp.full(2000, 10.0)}
        >>> made = Rollout(EXPHydro())({**year, "potential_evapotranspiration": jnp.full(2000, 1.0)})
        >>> round(float(made["runoff"][-1] + made["evapotranspiration"][-1]), 2)
        3.0
    """

    snow: Model = eqx.field(default_factory=DegreeDay)
    evaporation: Model = eqx.field(default_factory=StorageLimitedEvaporation)
    discharge: Model = eqx.field(default_factory=ExponentialDischarge)
    storage_capacity: Parameter = Parameter(400.0, "mm", (50.0, 3000.0), "Smax: capacity of the water bucket")
    substeps: int = eqx.field(static=True, default=4)
    days: float = eqx.field(static=True, default=1.0)

    state: ClassVar[tuple[str, ...]] = ("snowpack", "water_storage")
    stores: ClassVar[tuple[str, ...]] = state
    exchange: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar = (RUNOFF, EVAPOTRANSPIRATION, SNOWPACK, WATER, SNOWFALL, SNOWMELT)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        own = (PRECIPITATION, AIR_TEMPERATURE, POTENTIAL_EVAPOTRANSPIRATION, SNOWPACK, WATER)
        joints = (self.snow, self.evaporation, self.discharge)
        return read_by("EXPHydro", own, (*self.outputs, FILLING, SIZE), joints)

    def initial(self) -> dict[str, ArrayLike]:
        return {"snowpack": 0.0, "water_storage": 0.7 * jnp.asarray(self.storage_capacity.value)}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        now, total = {**fields}, dict.fromkeys(("runoff", "evapotranspiration", "snowfall", "snowmelt"), 0.0)
        for _ in range(self.substeps):
            flux = self._advance(now)
            total = {name: total[name] + flux[name] for name in total}
        total = {name: amount / self.days for name, amount in total.items()}
        return {**total, "snowpack": now["snowpack"], "water_storage": now["water_storage"]}

    def _advance(self, now: Fields) -> Fields:
        span = self.days / self.substeps
        flux = ask(self.snow, now)
        snowfall = span * jnp.minimum(flux["snowfall"], now["precipitation"])
        melt = jnp.minimum(span * flux["snowmelt"], now["snowpack"] + snowfall)
        wet = now["water_storage"] + (span * now["precipitation"] - snowfall) + melt
        evaporated, runoff = self._drain(now, wet, span)
        now |= {"snowpack": now["snowpack"] + snowfall - melt, "water_storage": wet - evaporated - runoff}
        return {"runoff": runoff, "evapotranspiration": evaporated, "snowfall": snowfall, "snowmelt": melt}

    def _drain(self, now: Fields, wet: Array, span: float) -> tuple[Array, Array]:
        size = jnp.asarray(self.storage_capacity.value)

        def losses(water):
            here = {**now, "water_storage": water, "relative_storage": water / size, "storage_size": size}
            return ask(self.evaporation, here)["evapotranspiration"], ask(self.discharge, here)["runoff"]

        rates, slopes = jax.jvp(losses, (wet,), (jnp.ones_like(wet),))
        damping = span / (1 + span * jnp.maximum(slopes[0] + slopes[1], 0))
        evaporated = jnp.minimum(damping * rates[0], wet)
        return evaporated, jnp.minimum(damping * rates[1], wet - evaporated)


def example() -> dict[str, Any]:
    """A warm dry day below capacity, worked by hand from the equations (one step a day)."""
    day = {"precipitation": 0.0, "air_temperature": 10.0, "potential_evapotranspiration": 4.0}
    inputs = {name: jnp.asarray(value) for name, value in (day | {"snowpack": 10.0, "water_storage": 290.0}).items()}
    # melt all 10, so S1 = 300; ET 4*300/400 = 3, slope 0.01; Q 20 exp(-0.03*100) = 0.995741, slope 0.029872;
    # both over 1 + 0.039872.
    published = {"snowmelt": 10.0, "evapotranspiration": 2.884970, "runoff": 0.957562}
    source = "Patil & Stieglitz 2014, doi:10.1002/2014WR015463"
    model = EXPHydro(substeps=1)
    return {"model": model, "inputs": inputs, "published": published, "tolerance": 1e-4, "source": source}
