"""Method 1, preprocessing and initialisation: learning prepares what the mechanism or the learner starts from."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ...compose import Chain, Freeze, Rollout
from ...core import Fields, Learner, Lesson, Model, Stage, System, Variable, named
from ...parameters import follow
from ..series import Untaught, along_time, bare, forcing_of, join, output, reach, settled, terms_of


class Screen(Model):
    """A series with gaps and outliers replaced by what a learner expects from the other series.

    `x'(t) = f(others)(t)` where x(t) is missing or `|x(t) - f(others)(t)| > tolerance`, else `x(t)`.
    """

    expected: Model
    variable: Variable = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (*self.expected.inputs, self.variable)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (self.variable.name,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        seen = fields[self.variable.name]
        expected = self.expected(fields, key=key)[self.variable.name]
        doubtful = ~jnp.isfinite(seen) | (jnp.abs(jnp.nan_to_num(seen) - expected) > self.tolerance)
        return {self.variable.name: jnp.where(doubtful, expected, seen)}


def quality_control(
    mechanism: Model,
    learner: Untaught,
    *,
    series: str = "air_temperature",
    tolerance: float = 15.0,
    also: Sequence[Variable] = (),
) -> System:
    """Clean one forcing series before the mechanism reads it: fill gaps, replace what cannot be.

    The learner expects the series from the other forcing; a value that is missing, or further than `tolerance`
    (in the units of the series) from the expected one, is replaced.
    """
    others = [v for v in forcing_of(mechanism) if v.name != series and "time" in v.dims] + list(also)
    variable = named(mechanism.inputs)[series]
    expected, where = along_time(learner, others, [variable])

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        return reach(follow(model, "parts.0.expected"), where, fields), {series: fields[series]}

    lesson = Lesson(join("parts.0.expected", where), examples)
    return System(
        Chain(Screen(expected, variable, tolerance), Freeze(mechanism)), terms_of(mechanism), (lesson,), ("offline",)
    )


def calibration(mechanism: Model) -> System:
    """Find the mechanism's physical parameters by gradient descent on the misfit, inside their bounds."""
    return System(mechanism, terms_of(mechanism), stages=("online",))


@runtime_checkable
class Formula(Protocol):
    """A model whose coefficients follow from examples in closed form."""

    def refitted(self, inputs: Fields, targets: Fields) -> Model: ...


class Refit(Learner):
    """A formula with coefficients found anew, by least squares, on the examples that it is taught with."""

    formula: Model

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.formula.inputs

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.formula.outputs

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return self.formula(fields, key=key)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> "Refit":
        known = np.isfinite(np.stack([np.asarray(v, float) for v in (*inputs.values(), *targets.values())])).all(axis=0)
        given, wanted = ({n: np.asarray(v)[known] for n, v in part.items()} for part in (inputs, targets))
        return Refit(self.formula.refitted(given, wanted))  # pyright: ignore[reportAttributeAccessIssue]


def refit(mechanism: Model, *, target: str = "surface_temperature") -> System:
    """Find the published coefficients of a formula anew, by least squares on the observations.

    Raises `ValueError` for a mechanism that is no formula, or that does not give the target.
    """
    variable = output(mechanism, target)
    host = bare(mechanism)
    step = host.step if isinstance(host, Rollout) else host
    if not isinstance(step, Formula):
        raise ValueError(
            f"cascade.initialization.refit needs a formula with coefficients to find, such as "
            f"radiation.practical_single_channel; {type(step).__name__} has no method `refitted`"
        )

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        return {v.name: fields[v.name] for v in step.inputs}, {variable.name: observed[variable.name]}

    return System(Rollout(Refit(step)), lessons=(Lesson("step", examples),), stages=("offline",))


def surrogate_calibration(mechanism: Model) -> System:
    """Find the parameters of a mechanism without gradients, on a Gaussian process of its misfit.

    `J(theta) ~ GP`, refined where it expects the misfit to fall most (Sawada 2020, doi:10.1029/2020MS002071).
    """
    return System(mechanism, terms_of(mechanism), stages=("surrogate",))


def sample_generation(
    mechanism: Model, learner: Untaught, *, target: str = "runoff", also: Sequence[Variable] = ()
) -> System:
    """Teach the learner on samples that the mechanism makes, and on nothing else."""
    return _taught_by_simulation(mechanism, learner, target, also, ("offline",))


def pretraining(
    mechanism: Model, learner: Untaught, *, target: str = "runoff", also: Sequence[Variable] = ()
) -> System:
    """Teach the learner on simulations first, then on the observations: transfer learning.

    Source: Jia et al. (2021), doi:10.1145/3447814.
    """
    return _taught_by_simulation(mechanism, learner, target, also, ("offline", "online"))


def _taught_by_simulation(
    mechanism: Model, learner: Untaught, target: str, also: Sequence[Variable], stages: tuple[Stage, ...]
) -> System:
    mechanism = settled(mechanism, "cascade.initialization")
    inputs = [*forcing_of(mechanism), *also]
    model, where = along_time(learner, inputs, [output(mechanism, target)])

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        given = {v.name: fields[v.name] for v in mechanism.inputs}
        return reach(model, where, fields), {target: mechanism(given)[target]}

    return System(model, lessons=(Lesson(where, examples, reads=mechanism.inputs),), stages=stages)
