"""Method 6, solution: the surface under an uncertain air, by the mechanism and a solver alone."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ...compose import Rollout
from ...core import Fields, Model, System, Variable
from ...mechanisms.radiation.standard_retrieval import StandardRetrieval
from ...planck import band_radiance, brightness_temperature
from ...radiative_transfer import at_sensor_radiance
from ...solvers.optimal_estimation import OptimalEstimation
from ...variables import (
    AIR_TEMPERATURE,
    BRIGHTNESS_TEMPERATURE,
    SURFACE_EMISSIVITY,
    SURFACE_TEMPERATURE,
    WATER_VAPOUR_COLUMN,
)
from ..radiative import AIR, retrieval_of
from ..series import output, terms_of

ICE_POINT = 273.15  # K
DEVIATION = replace(SURFACE_TEMPERATURE, name=f"{SURFACE_TEMPERATURE.name}_standard_deviation", bounds=(0.0, 200.0))
LOGARITHM = "logarithm_of_water"
SOUGHT = (SURFACE_TEMPERATURE.name, SURFACE_EMISSIVITY.name, LOGARITHM, AIR_TEMPERATURE.name)


class Estimate(Model):
    """The most probable surface temperature, with its posterior standard deviation (K).

    Surface temperature, emissivity, water column and air temperature are sought together, around what is given of
    them; the observation is the brightness temperature.
    """

    retrieval: StandardRetrieval
    solver: OptimalEstimation
    excess: float = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.retrieval.inputs

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return SURFACE_TEMPERATURE, DEVIATION

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        warmth = fields[AIR_TEMPERATURE.name]
        prior = {
            SURFACE_TEMPERATURE.name: warmth + ICE_POINT + self.excess,
            SURFACE_EMISSIVITY.name: fields[SURFACE_EMISSIVITY.name],
            LOGARITHM: jnp.log(jnp.maximum(fields[WATER_VAPOUR_COLUMN.name], 0.1)),
            AIR_TEMPERATURE.name: warmth,
        }
        solver = eqx.tree_at(lambda s: s.prior, self.solver, prior)
        found = solver.retrieve(lambda state: self.missed(state, fields))
        return {
            SURFACE_TEMPERATURE.name: found.fields[SURFACE_TEMPERATURE.name],
            DEVIATION.name: found.deviation[SURFACE_TEMPERATURE.name],
        }

    def missed(self, state: Fields, fields: Fields) -> Array:
        """By how much (K) a state would look warmer than what was seen."""
        given = {**fields, AIR_TEMPERATURE.name: state[AIR_TEMPERATURE.name]}
        given[WATER_VAPOUR_COLUMN.name] = jnp.exp(state[LOGARITHM])
        air = self.retrieval.air({v.name: given[v.name] for v in self.retrieval.air.inputs})
        band = self.retrieval.equation.band
        through, up, down = (air[v.name] for v in AIR)
        surface = band_radiance(band, state[SURFACE_TEMPERATURE.name])
        seen = at_sensor_radiance(through, state[SURFACE_EMISSIVITY.name], surface, down, up)
        return jnp.atleast_1d(brightness_temperature(band, seen) - fields[BRIGHTNESS_TEMPERATURE.name])


def optimal_estimation(
    mechanism: Model,
    *,
    target: str = "surface_temperature",
    error: float = 0.3,
    temperature: float = 10.0,
    emissivity: float = 0.01,
    water: float = 0.12,
    air_temperature: float = 1.5,
    excess: float = 6.0,
) -> System:
    """Find the most probable surface temperature with the mechanism alone: no learner, but a posterior.

    `min ((T_b(x) - T_b) / error)^2 + (x - x_a)' S_a^-1 (x - x_a)`, x the surface temperature, its emissivity, the
    logarithm of the water column and the air temperature, with the standard deviations named; a surface is expected
    to be `excess` K warmer than the air. The output beside the temperature is its posterior standard deviation.

    Raises `ValueError` for any mechanism but `radiation.standard_retrieval`.

    Source: Rodgers (2000), doi:10.1142/3171.
    """
    output(mechanism, target)
    retrieval = retrieval_of(mechanism, "embedded.retrieval.optimal_estimation")
    deviations = dict(zip(SOUGHT, (temperature, emissivity, water, air_temperature), strict=True))
    solver = OptimalEstimation(dict.fromkeys(SOUGHT, 0.0), deviations, [error**2], iterations=6)
    return System(Rollout(Estimate(retrieval, solver, excess)), terms_of(mechanism), stages=())
