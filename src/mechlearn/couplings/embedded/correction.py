"""Compound terms: a sub-process stays where it is, and a learner adds to what it answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ...core import Fields, Learner, Lesson, Model, System, Variable, union
from ...learners.mlp import MLP
from ...learners.scaling import clip
from ...parameters import follow, replace_at
from ..series import Untaught, bare, join, over_further_axes
from ..teaching import Silent
from .replacement import listener, offline


class Compound(Model):
    """A sub-process and what is added to its answer, kept within the bounds of the answer.

    `y = scheme(x) + correction(x)`; a correction of nothing leaves the scheme as it is.
    """

    scheme: Model
    correction: Model

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return union(self.scheme.inputs, self.correction.inputs, where="Compound")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.scheme.outputs

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        first, added = (
            part({v.name: fields[v.name] for v in part.inputs}, key=key) for part in (self.scheme, self.correction)
        )
        return {v.name: clip(first[v.name] + added[v.name], v.bounds) for v in self.outputs}


def corrected(
    mechanism: Model,
    learner: Untaught,
    *,
    joint: str = "evaporation",
    taught_by: Literal["nothing", "observations"] = "nothing",
    neighbours: Sequence[int] = (0,),
    through_time: bool = True,
) -> System:
    """Add a learner to what one sub-process answers: it learns what the scheme there leaves, and begins at nothing.

    `taught_by` observations of the sub-process (pseudo-observations of a finer model), the examples are what the scheme
    at the joint misses of them. Taught by `nothing` of its own it takes only its scales, from what the scheme answers
    along the host's trajectory, and learns `through_time` from what is observed of the host. A network or polynomial
    begins at zero, so that the untaught system is the mechanism.

    Raises `ValueError` for a mechanism that is no roll-out or forecast, or a joint it does not have.

    Source: Watt-Meyer et al. (2021), doi:10.1029/2021GL092555; Rasp (2020), doi:10.5194/gmd-13-2185-2020.
    """
    own = "observations" if taught_by == "observations" else "mechanism"
    first = offline(mechanism, _beginning_at_nothing(learner), joint=joint, taught_by=own, neighbours=neighbours)
    path, (lesson,) = join("step", joint), first.lessons
    scheme, addition = follow(bare(mechanism), path), follow(first.model, path)
    heard = listener(bare(mechanism), joint, own)
    where = lesson.where.removeprefix(path).strip(".")

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        both = follow(model, path)
        inputs, answered = lesson.examples(replace_at(model, path, both.correction), fields, observed)
        if taught_by == "nothing":
            return inputs, {name: value - jnp.mean(value) for name, value in answered.items()}
        said = over_further_axes(both.scheme, heard(fields, observed)[0], answered)
        return inputs, {v.name: answered[v.name] - said[v.name] for v in scheme.outputs if v.name in answered}

    model = replace_at(first.model, path, Compound(scheme, addition))
    stages = ("offline", "online") if through_time else ("offline",)
    taught = Lesson(join(path, "correction", where), examples, scale_only=taught_by == "nothing")
    return System(model, first.terms, (taught,), stages)


def _beginning_at_nothing(learner: Untaught) -> Untaught:
    def made(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Learner:
        free = [replace(v, bounds=(-float("inf"), float("inf"))) for v in outputs]
        untaught = learner(inputs, free)
        if isinstance(untaught, MLP):
            last = untaught.layers[-1]
            return eqx.tree_at(lambda m: m.layers[-1], untaught, eqx.tree_at(_weights, last, replace_fn=jnp.zeros_like))
        return untaught.silent() if isinstance(untaught, Silent) else untaught

    return made


def _weights(layer: eqx.nn.Linear) -> tuple:
    return layer.weight, layer.bias
