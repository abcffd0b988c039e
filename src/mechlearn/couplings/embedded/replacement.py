"""Method 4, replacement: a learner takes one sub-process of a mechanism, at its joint."""

from dataclasses import replace

import equinox as eqx
from jaxtyping import ArrayLike, PRNGKeyArray

from ...compose import Rollout
from ...core import Fields, Lesson, Model, System, Variable
from ...parameters import follow, replace_at
from ..series import Untaught, bare, join, terms_of


class Overheard(Model):
    """A one-step model that also tells what one of its joints was given and answered.

    Outputs gain `given_<name>` and `answered_<name>` of the joint, as they were before and after it within the step.
    """

    step: Model
    joint: str = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.step.inputs

    @property
    def outputs(self) -> tuple[Variable, ...]:
        part = follow(self.step, self.joint)
        given = (replace(v, name=f"given_{v.name}") for v in part.inputs)
        answered = (replace(v, name=f"answered_{v.name}") for v in part.outputs)
        return (*self.step.outputs, *given, *answered)

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.step.state

    def initial(self) -> dict[str, ArrayLike]:
        return self.step.initial()

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        heard: list[Fields] = []
        tapped = replace_at(self.step, self.joint, Tap(follow(self.step, self.joint), heard.append))
        return {**tapped(fields, key=key), **heard[-1]}


class Tap(Model):
    """A model that reports every call made to it and changes nothing."""

    part: Model
    report: object = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.part.inputs

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.part.outputs

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        answer = self.part(fields, key=key)
        given = {f"given_{v.name}": fields[v.name] for v in self.inputs}
        self.report({**given, **{f"answered_{name}": value for name, value in answer.items()}})  # pyright: ignore
        return answer


def overhear(host: Rollout, joint: str) -> Rollout:
    """The same roll-out, with what one joint was given and answered at every step among its outputs."""
    return Rollout(Overheard(host.step, joint), host.start, host.static)


def online(mechanism: Model, learner: Untaught, *, joint: str = "evaporation") -> System:
    """Put a learner in the place of one sub-process, taught first to imitate it, then online through the time loop.

    The learner sees what the sub-process saw before the step; the host's balances hold whatever it answers.

    Raises `ValueError` for a mechanism that is no roll-out, or a joint it does not have.
    """
    host = bare(mechanism)
    if not isinstance(host, Rollout):
        raise ValueError("embedded.replacement needs a mechanism carried through time: Rollout(step)")
    part = follow(host.step, joint)
    if not isinstance(part, Model):
        joints = [name for name in vars(host.step) if isinstance(getattr(host.step, name), Model)]
        raise ValueError(f"{joint!r} is no joint of {type(host.step).__name__}; it has {', '.join(joints)}")
    teacher = overhear(host, joint)
    taught = learner(part.inputs, part.outputs)

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        made = teacher({v.name: fields[v.name] for v in teacher.inputs})
        return {v.name: made[f"given_{v.name}"] for v in part.inputs}, {
            v.name: made[f"answered_{v.name}"] for v in part.outputs
        }

    path = join("step", joint)
    return System(replace_at(host, path, taught), terms_of(mechanism), (Lesson(path, examples),))
