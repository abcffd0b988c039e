"""Method 4, replacement: a learner takes one sub-process of a mechanism, at its joint."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import PRNGKeyArray

from ...compose import Chain, Rollout
from ...core import Fields, Lesson, Model, System, Variable, Wrapped, union
from ...forecast import Forecast
from ...parameters import follow, replace_at
from ..series import Untaught, bare, join, terms_of
from ..stencil import in_place_of, lengths_of, seen_from, split_as


class Overheard(Wrapped):
    """A one-step model that also tells what one of its joints was given and answered.

    Outputs gain `given_<name>` and `answered_<name>` of the joint, as they were before and after it within the step.
    """

    step: Model
    joint: str = eqx.field(static=True)
    wraps: ClassVar = "step"

    @property
    def outputs(self) -> tuple[Variable, ...]:
        part = follow(self.step, self.joint)
        given = (replace(v, name=f"given_{v.name}") for v in part.inputs)
        answered = (replace(v, name=f"answered_{v.name}") for v in part.outputs)
        return (*self.step.outputs, *given, *answered)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        heard: list[Fields] = []
        tapped = replace_at(self.step, self.joint, Tap(follow(self.step, self.joint), heard.append))
        return {**tapped(fields, key=key), **heard[-1]}


class Tap(Wrapped):
    """A model that reports every call made to it and changes nothing."""

    part: Model
    report: object = eqx.field(static=True)
    wraps: ClassVar = "part"

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        answer = self.part(fields, key=key)
        given = {f"given_{v.name}": fields[v.name] for v in self.inputs}
        self.report({**given, **{f"answered_{name}": value for name, value in answer.items()}})  # pyright: ignore
        return answer


class Reads(Wrapped):
    """A sub-process that is also shown what it has no use for, so that a learner in its place or beside it may see it.

    The host must offer what it `reads` to the joint.
    """

    part: Model
    reads: tuple[Variable, ...] = eqx.field(static=True)
    wraps: ClassVar = "part"

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return union(self.part.inputs, self.reads, where="Reads")

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return self.part({v.name: fields[v.name] for v in self.part.inputs}, key=key)


class Answer(Model):
    """A sub-process that answers the same whatever it is given."""

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    said: Fields

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return self.said


def overhear(host: Rollout | Forecast, joint: str) -> Rollout | Forecast:
    """The same host carried through time, with what one joint was given and answered at every step."""
    if isinstance(host, Forecast):
        return Forecast(Overheard(host.step, joint), host.length, host.given)
    return Rollout(Overheard(host.step, joint), host.start, host.static)


def pseudo_observations(step: Model, joint: str, before: Fields, after: Fields, *, iterations: int = 2) -> Fields:
    """What a sub-process should have said over one step for the host to go where a finer model, or nature, went.

    The answer u, held over the step, that solves `step(before; u) = after` for the host's state: a Newton search of
    `iterations` Jacobians. Batches by `jax.vmap`.

    Raises `ValueError` where the answer has not as many numbers as the state, so that it is not determined.

    Source: Wilks (2005), doi:10.1256/qj.04.03, his equation 4, for a step of any order.
    """
    part = follow(step, joint)
    said = jax.eval_shape(lambda: Overheard(step, joint)(before))
    nothing = {v.name: jnp.zeros_like(said[f"answered_{v.name}"]) for v in part.outputs}
    flat, unravel = ravel_pytree(nothing)

    def mismatch(answer):
        told = replace_at(step, joint, Answer(part.inputs, part.outputs, unravel(answer)))
        made = told(before)
        return jnp.concatenate([jnp.ravel(made[name] - after[name]) for name in step.state])

    if mismatch(flat).shape != flat.shape:
        raise ValueError(f"the {flat.size} numbers {joint!r} answers are not determined by the host's state alone")
    for _ in range(iterations):
        flat = flat - jnp.linalg.solve(jax.jacfwd(mismatch)(flat), mismatch(flat))
    return unravel(flat)


def offline(
    mechanism: Model,
    learner: Untaught,
    *,
    joint: str = "evaporation",
    taught_by: Literal["mechanism", "observations"] = "mechanism",
    neighbours: Sequence[int] | None = (0,),
    conserving: bool = False,
) -> System:
    """Put a learner in the place of one sub-process, taught alone by examples and never within the time loop.

    `taught_by` the mechanism it is an emulator: the examples are what the sub-process was given and answered along the
    host's own trajectory. Taught by observations it is an enhancer: the examples are the observed inputs and outputs of
    the sub-process itself, such as the pseudo-observations of a finer model. A sub-process that answers along an axis
    is replaced by one learner at every place, which sees its `neighbours`, or with `neighbours=None` by one learner of
    whole fields, such as `learners.dense`; one that answers on a plane by a learner of fields, each layer a field of
    its own, whose mean over the plane `conserving` takes out.

    Raises `ValueError` for a mechanism that is no roll-out or forecast, or a joint it does not have.

    Source: Chevallier et al. (1998), doi:10.1175/1520-0450(1998)037<1385:ANNAFA>2.0.CO;2; Krasnopolsky et al. (2013),
    doi:10.1155/2013/485913.
    """
    host = bare(mechanism)
    if not isinstance(host, Rollout | Forecast):
        raise ValueError("embedded.replacement needs a mechanism carried through time: Rollout(step) or Forecast(step)")
    part = follow(host.step, joint)
    if not isinstance(part, Model):
        joints = [name for name in vars(host.step) if isinstance(getattr(host.step, name), Model)]
        raise ValueError(f"{joint!r} is no joint of {type(host.step).__name__}; it has {', '.join(joints)}")
    taught, where = in_place_of(part, learner, neighbours, lengths=lengths_of(host.step), conserving=conserving)
    heard = listener(host, joint, taught_by)

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        given, answered = heard(fields, observed)
        place = follow(model, join("step", joint))
        seen = {**given, **seen_from(place.parts[0], given)} if isinstance(place, Chain) else given
        return {v.name: seen[v.name] for v in follow(place, where).inputs}, split_as(place, answered)

    path = join("step", joint)
    lesson = Lesson(join(path, where), examples)
    return System(replace_at(host, path, taught), terms_of(mechanism), (lesson,), ("offline",))


def online(
    mechanism: Model,
    learner: Untaught,
    *,
    joint: str = "evaporation",
    taught_by: Literal["mechanism", "observations"] = "mechanism",
    neighbours: Sequence[int] | None = (0,),
    conserving: bool = False,
) -> System:
    """Put a learner in the place of one sub-process, taught as `offline` does, then online through the time loop.

    The learner sees what the sub-process saw before the step; the host's balances hold whatever it answers. Roll-outs
    that grow are taught by `training.growing`.

    Raises `ValueError` for a mechanism that is no roll-out or forecast, or a joint it does not have.

    Source: Brenowitz & Bretherton (2018), doi:10.1029/2018GL078510.
    """
    first = offline(mechanism, learner, joint=joint, taught_by=taught_by, neighbours=neighbours, conserving=conserving)
    return System(first.model, first.terms, first.lessons, ("offline", "online"))


def listener(host: Rollout | Forecast, joint: str, taught_by: Literal["mechanism", "observations"]) -> Callable:
    """What tells of a sample (fields, observed) what a joint was given and what it should have answered."""
    part = follow(host.step, joint)
    return _overheard(overhear(host, joint), part) if taught_by == "mechanism" else _observed(host.step, part)


def _overheard(teacher: Rollout | Forecast, part: Model) -> Callable:
    def heard(fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        made = teacher({v.name: fields[v.name] for v in teacher.inputs})
        given = {v.name: made[f"given_{v.name}"] for v in part.inputs}
        return given, {v.name: made[f"answered_{v.name}"] for v in part.outputs}

    return heard


def _observed(step: Model, part: Model) -> Callable:
    def heard(fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        missing = [v.name for v in part.outputs if v.name not in observed]
        if missing:
            raise ValueError(
                f"taught_by='observations' needs {', '.join(missing)} among the observations, which are "
                f"{', '.join(observed)}; make pseudo-observations, or be taught_by='mechanism'"
            )
        return {v.name: _before(v.name, fields, observed) for v in part.inputs}, {
            v.name: observed[v.name] for v in part.outputs
        }

    def _before(name: str, fields: Fields, observed: Fields):
        if name not in step.state:
            return fields[name] if name in fields else observed[name]
        return jnp.concatenate([fields[f"initial_{name}"][None], observed[name][:-1]])

    return heard
