"""How a learner reads a series: by its own memory, or day by day on trailing means."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..along import Along
from ..compose import Chain, Rollout
from ..core import Fields, Learner, Model, System, Term, Variable, named
from ..parameters import follow

Untaught = Callable[[Sequence[Variable], Sequence[Variable]], Learner]
WINDOWS = (1, 3, 7, 30, 90, 365)


class Reader(eqx.Module):
    """A way to make learners that see one day at a time, with the trailing means (in days) that they are to see."""

    learner: Untaught = eqx.field(static=True)
    windows: tuple[int, ...] = eqx.field(static=True, default=WINDOWS)

    def __call__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Learner:
        return self.learner(inputs, outputs)


class Trailing(Model):
    """The memory of a series: its means over the last n days, for learners that see one day at a time.

    `m_n(t) = (x(t-n+1) + ... + x(t)) / n`, with the first value repeated before the record begins; profiles keep
    their further axes.
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)
    windows: tuple[int, ...] = eqx.field(static=True, default=WINDOWS)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.variables

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(replace(v, name=f"{v.name}_mean_{n}") for v in self.variables for n in self.windows)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {f"{v.name}_mean_{n}": _trailing_mean(fields[v.name], n) for v in self.variables for n in self.windows}


def _trailing_mean(series: Array, days: int) -> Array:
    if series.ndim > 1:
        return jax.vmap(_trailing_mean, (-1, None), -1)(series, days)
    padded = jnp.concatenate([jnp.full((days - 1,), series[0]), series])
    return (
        jnp.convolve(padded, jnp.full((days,), 1.0 / days, series.dtype), mode="valid", precision="highest")
        if days > 1
        else series
    )


def along_time(learner: Untaught | Model, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> tuple[Model, str]:
    """Make a model of whole series from a learner, and say at which path the learner itself sits.

    A learner with memory reads the series as it is; any other sees each day's values and their trailing means (with the
    windows `(1,)` the values alone). For
    outputs with a further axis, such as depth, one learner serves every place along it.

    Raises `ValueError` when there is nothing to read.
    """
    if isinstance(learner, Model):
        return learner, ""
    inputs = tuple(named(inputs).values())
    if not inputs:
        raise ValueError(
            "the learner would read nothing: a recorded mechanism has no forcing of its own to share; "
            'name fields of the data, as in [learner] also = ["air_temperature", "depth"]'
        )
    kind = learner.learner if isinstance(learner, Reader) else learner
    if getattr(getattr(kind, "func", kind), "sequential", False):
        return _everywhere(learner(_placeless(inputs), _placeless(outputs)), inputs, outputs, "")
    dynamic = tuple(variable for variable in inputs if "time" in variable.dims)
    static = tuple(variable for variable in inputs if "time" not in variable.dims)
    windows = learner.windows if isinstance(learner, Reader) else WINDOWS
    if windows == (1,):
        alone = learner([_instant(v) for v in _placeless(inputs)], [_instant(v) for v in _placeless(outputs)])
        return _everywhere(Rollout(alone, static=tuple(v.name for v in static)), inputs, outputs, "step")
    memory = Trailing(dynamic, windows)
    features = (*memory.outputs, *static)
    daily = learner([_instant(v) for v in _placeless(features)], [_instant(v) for v in _placeless(outputs)])
    series = Rollout(daily, static=tuple(v.name for v in static))
    model, where = _everywhere(series, features, outputs, "step")
    return Chain(memory, model), join("parts.1", where)


def _everywhere(model: Model, inputs: Sequence[Variable], outputs: Sequence[Variable], where: str) -> tuple[Model, str]:
    """The model at every place along the axis that its outputs have beside time, if they have one."""
    dims = {dim for variable in outputs for dim in variable.dims if dim != "time"}
    if not dims:
        return model, where
    (dim,) = dims
    return Along(model, dim, tuple(v.name for v in inputs if dim in v.dims)), join("part", where)


def _placeless(variables: Sequence[Variable]) -> list[Variable]:
    return [replace(v, dims=tuple(dim for dim in v.dims if dim == "time")) for v in variables]


def reach(model: Model, where: str, fields: Fields) -> Fields:
    """What the learner at a path of `along_time` sees of a sample's fields."""
    if where.startswith("parts.1"):
        fields = {**fields, **follow(model, "parts.0")(fields)}
    return {variable.name: fields[variable.name] for variable in follow(model, where).inputs}


def remembers(model: Model, where: str) -> bool:
    """Whether the learner reads whole series itself, so that teaching it online leaves nothing for a lesson to add."""
    return bool(getattr(follow(model, where), "sequential", False))


def over_further_axes(model: Model, given: Fields, answered: Fields) -> Fields:
    """What a model says to samples along further axes, in front (time) or behind (place), as many as `answered` has."""
    first = next(v for v in model.outputs if v.name in answered)
    run: Callable = model
    for _ in range(jnp.ndim(answered[first.name]) - len(first.dims) if model.inputs else 0):
        run = _over_one_more(run, model.inputs)
    return run({v.name: given[v.name] for v in model.inputs})


def _over_one_more(run: Callable, inputs: Sequence[Variable]) -> Callable:
    def mapped(fields: Fields) -> Fields:
        further = {v.name: jnp.ndim(fields[v.name]) - len(v.dims) for v in inputs}
        axes = {name: 0 if count == max(further.values()) else None for name, count in further.items()}
        return jax.vmap(run, in_axes=(axes,))(fields)

    return mapped


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
    """What a mechanism reads of the world.

    The number by which it looks up a site's parameters is none of it, nor what a recorded mechanism has `said`.
    """
    apart = ("site_number", *getattr(bare(mechanism), "said", ()))
    return tuple(variable for variable in mechanism.inputs if variable.name not in apart)


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
