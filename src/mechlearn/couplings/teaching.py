"""The lesson that most couplings share: a learner after a mechanism, taught to match what was observed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ..core import Fields, Learner, Lesson, Model, System, Variable
from ..parameters import follow, replace_at
from .series import Untaught, along_time, forcing_of, join, output, reach, remembers


@runtime_checkable
class Silent(Protocol):
    """A learner that can begin by saying nothing but the mean of its examples."""

    def silent(self) -> Learner: ...


def taught_after(
    mechanism: Model, learner: Untaught | Model, inputs: Sequence[Variable], target: str, *, residual: bool = False
) -> tuple[Model, Lesson]:
    """A learner that stands behind a mechanism in a Chain, and its lesson: the observations, or what is left of them.

    A learner with memory only takes its scales from the lesson; online teaching does the rest. A correction begins at
    nothing where the learner knows how to be `silent`.
    """
    variable = output(mechanism, target)
    wanted = replace(variable, bounds=(-float("inf"), float("inf"))) if residual else variable
    model, where = along_time(learner, inputs, [wanted])
    if residual and isinstance(learned := follow(model, where), Silent):
        model = replace_at(model, where, learned.silent())

    def examples(chain: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        simulated = follow(chain, "parts.0")({v.name: fields[v.name] for v in mechanism.inputs})
        known = reach(model_in(chain), where, {**fields, **simulated})
        return known, {target: observed[target] - simulated[target] if residual else observed[target]}

    def model_in(chain: Model) -> Model:
        return follow(chain, "parts.1.parts.1" if residual else "parts.1")

    path = join("parts.1.parts.1" if residual else "parts.1", where)
    return model, Lesson(path, examples, scale_only=remembers(model, where))


def learned_alone(
    mechanism: Model,
    learner: Untaught,
    *,
    target: str = "runoff",
    also: Sequence[Variable] = (),
    reads: Sequence[Variable] | None = None,
) -> System:
    """The learner alone, on the forcing that the mechanism would read: the baseline every coupling must beat.

    With `reads` it is taught on these instead of the forcing.
    """
    forcing = forcing_of(mechanism) if reads is None else reads
    model, where = along_time(learner, [*forcing, *also], [output(mechanism, target)])

    def examples(alone: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        return reach(alone, where, fields), {target: observed[target]}

    return System(model, lessons=(Lesson(where, examples, scale_only=remembers(model, where)),))
