"""How a learner reads a series: by its own memory, or day by day on trailing means."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..compose import Chain, Rollout
from ..core import Fields, Learner, Model, System, Term, Variable, named
from ..parameters import follow

Untaught = Callable[[Sequence[Variable], Sequence[Variable]], Learner]


class Trailing(Model):
    """The memory of a series: its means over the last n days, for learners that see one day at a time.

    `m_n(t) = (x(t-n+1) + ... + x(t)) / n`, with the first value repeated before the record begins.
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)
    windows: tuple[int, ...] = eqx.field(static=True, default=(1, 3, 7, 30, 90, 365))

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.variables

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(replace(v, name=f"{v.name}_mean_{n}") for v in self.variables for n in self.windows)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {f"{v.name}_mean_{n}": _trailing_mean(fields[v.name], n) for v in self.variables for n in self.windows}


def _trailing_mean(series: Array, days: int) -> Array:
    padded = jnp.concatenate([jnp.full((days - 1,), series[0]), series])
    return (
        jnp.convolve(padded, jnp.full((days,), 1.0 / days, series.dtype), mode="valid", precision="highest")
        if days > 1
        else series
    )


def along_time(learner: Untaught | Model, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> tuple[Model, str]:
    """Make a model of whole series from a learner, and say at which path the learner itself sits.

    A learner with memory reads the series as it is; any other sees each day's values and their trailing means.
    """
    if isinstance(learner, Model):
        return learner, ""
    if getattr(getattr(learner, "func", learner), "sequential", False):
        return learner(inputs, outputs), ""
    dynamic = tuple(variable for variable in inputs if "time" in variable.dims)
    static = tuple(variable for variable in inputs if "time" not in variable.dims)
    memory = Trailing(dynamic)
    features = [_instant(variable) for variable in memory.outputs] + list(static)
    daily = learner(features, [_instant(variable) for variable in outputs])
    return Chain(memory, Rollout(daily, static=tuple(v.name for v in static))), "parts.1.step"


def reach(model: Model, where: str, fields: Fields) -> Fields:
    """What the learner at a path of `along_time` sees of a sample's fields."""
    if where:
        fields = {**fields, **follow(model, "parts.0")(fields)}
    return {variable.name: fields[variable.name] for variable in follow(model, where).inputs}


def remembers(model: Model, where: str) -> bool:
    """Whether the learner reads whole series itself, so that teaching it online leaves nothing for a lesson to add."""
    return not where and getattr(model, "sequential", False)


def settled(mechanism: Model, where: str) -> Model:
    """A mechanism that may already teach others.

    Raises `ValueError` for a system that has still to be taught itself.
    """
    if isinstance(mechanism, System) and mechanism.stages:
        raise ValueError(f"{where} learns from what the mechanism says: teach the inner system first with training.fit")
    return mechanism


def bare(mechanism: Model) -> Model:
    """The mechanism inside, however many systems have been put around it."""
    while isinstance(mechanism, System):
        mechanism = mechanism.model
    return mechanism


def forcing_of(mechanism: Model) -> tuple[Variable, ...]:
    """What a mechanism reads of the world: its inputs but for the number by which it looks up a site's parameters."""
    return tuple(variable for variable in mechanism.inputs if variable.name != "site_number")


def terms_of(model: Model) -> tuple[Term, ...]:
    """What a part brings along to be paid for: a system's terms, nothing for any other model."""
    return model.terms if isinstance(model, System) else ()


def output(model: Model, name: str) -> Variable:
    """The declaration of one output.

    Raises `ValueError` when the model does not give it, with what it gives.
    """
    known = named(model.outputs)
    if name not in known:
        raise ValueError(f"{type(model).__name__} gives no {name!r}; it gives {', '.join(known)}")
    return known[name]


def join(*words: str) -> str:
    """Join dotted paths, leaving out the empty ones."""
    return ".".join(word for word in words if word)


def _instant(variable: Variable) -> Variable:
    return replace(variable, dims=tuple(dim for dim in variable.dims if dim != "time"))
