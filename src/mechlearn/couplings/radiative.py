"""What couplings of thermal retrievals share: the air between surface and sensor, learned and put right."""

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..compose import Rollout
from ..core import Fields, Lesson, Model, Term, Variable
from ..laws.agreement import Agreement
from ..mechanisms.radiation.standard_air import as_depth, from_depth
from ..mechanisms.radiation.standard_retrieval import StandardRetrieval
from ..spectral_bands import SpectralBand
from ..variables import DOWNWELLING_RADIANCE, TRANSMITTANCE, UPWELLING_RADIANCE
from .series import bare

AIR = (TRANSMITTANCE, UPWELLING_RADIANCE, DOWNWELLING_RADIANCE)
UNCERTAIN = {TRANSMITTANCE.name: 0.05, UPWELLING_RADIANCE.name: 0.3, DOWNWELLING_RADIANCE.name: 0.5}


class CorrectAir(Model):
    """Air put right by three corrections: of its optical depth (a factor) and of its two effective temperatures (K).

    `d' = d exp(a)`, `T_up' = T_up + b`, `T_down' = T_down + c`; then transmittance and radiances follow, so that
    whatever the corrections say no air transmits more than all or shines without absorbing.
    """

    band: SpectralBand = eqx.field(static=True)
    depth: float = eqx.field(static=True, default=0.8)
    warmth: float = eqx.field(static=True, default=15.0)

    @property
    def corrections(self) -> tuple[Variable, ...]:
        """What a learner has to say, within the bounds that keep it near the mechanism."""
        kelvin = (-self.warmth, self.warmth)
        return (
            Variable("optical_depth_correction", "1", bounds=(-self.depth, self.depth)),
            Variable("upwelling_temperature_correction", "K", bounds=kelvin),
            Variable("downwelling_temperature_correction", "K", bounds=kelvin),
        )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (*AIR, *self.corrections)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return AIR

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        depth, up, down = as_depth(self.band, *(fields[v.name] for v in AIR))
        factor, more_up, more_down = (fields[v.name] for v in self.corrections)
        return from_depth(self.band, depth * jnp.exp(factor), up + more_up, down + more_down)

    def needed(self, given: Fields, wanted: Fields) -> Fields:
        """The corrections that turn one air into another, as far as their bounds allow."""
        before = as_depth(self.band, *(given[v.name] for v in AIR))
        after = as_depth(self.band, *(wanted[v.name] for v in AIR))
        apart = jnp.log(after[0] / before[0]), after[1] - before[1], after[2] - before[2]
        bounds = (0.98 * v.bounds[1] for v in self.corrections)
        return {v.name: jnp.clip(x, -b, b) for v, x, b in zip(self.corrections, apart, bounds, strict=True)}


def retrieval_of(mechanism: Model, where: str) -> StandardRetrieval:
    """The retrieval of single samples inside a mechanism.

    Raises `ValueError` for any other mechanism.
    """
    host = bare(mechanism)
    step = host.step if isinstance(host, Rollout) else host
    if not isinstance(step, StandardRetrieval):
        raise ValueError(f"{where} needs the mechanism radiation.standard_retrieval, got {type(step).__name__}")
    return step


def simulated(variable: Variable) -> Variable:
    """What a radiative transfer has said of a quantity, for each sample of a record."""
    return replace(variable, name=f"simulated_{variable.name}").over("time")


def supervision(weight: float) -> tuple[Term, ...]:
    """What a learner pays for air that differs from what a radiative transfer said: nothing without a weight.

    `weight * mean(((x - x_simulated) / u)^2)` with u = 0.05 of transmittance, 0.3 and 0.5 W m-2 sr-1 um-1.
    """
    if weight == 0:
        return ()
    return tuple(Term(Agreement(v.over("time"), simulated(v)), weight / UNCERTAIN[v.name] ** 2) for v in AIR)


def air_lesson(where: str, read: Sequence[Variable]) -> Lesson:
    """Teach a learner in the place of the air what a radiative transfer has said of it."""

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        return {v.name: fields[v.name] for v in read}, {v.name: fields[simulated(v).name] for v in AIR}

    return Lesson(where, examples, reads=tuple(simulated(v) for v in AIR))
