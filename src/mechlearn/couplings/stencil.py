"""One learner for every place of an axis, and what it sees of the places around it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..along import Along
from ..compose import Chain
from ..core import Fields, Model, Variable, named
from .series import Untaught


class Neighbours(Model):
    """The values around every place of a closed axis, so that a learner of one place sees its surroundings.

    `v_s(i) = v(i + s)`, s in `offsets`, around the circle; the outputs are called `v_plus_1`, `v_minus_2`, and `v`
    itself for 0.

        >>> around = Neighbours((Variable("height", "m", ("sector",)),), (-1, 0))
        >>> {name: value.tolist() for name, value in around({"height": jnp.arange(3.0)}).items()}
        {'height_minus_1': [2.0, 0.0, 1.0], 'height': [0.0, 1.0, 2.0]}
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)
    offsets: tuple[int, ...] = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.variables

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(replace(v, name=_name(v.name, by)) for v in self.variables for by in self.offsets)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {_name(v.name, by): jnp.roll(fields[v.name], -by, -1) for v in self.variables for by in self.offsets}


def _name(name: str, by: int) -> str:
    return name if by == 0 else f"{name}_{'plus' if by > 0 else 'minus'}_{abs(by)}"


def checked(offsets: Sequence[int]) -> tuple[int, ...]:
    """Offsets as a tuple.

    Raises `ValueError` when there are none, or one twice.
    """
    if not offsets or len(set(offsets)) < len(offsets):
        raise ValueError(f"neighbours are named by distinct offsets, as in [-2, -1, 0, 1, 2]; got {list(offsets)}")
    return tuple(offsets)


class Layers(Model):
    """Fields on a plane, each layer of one as a field of its own, so that a learner of fields tells layers apart.

    `v_i = v[i]` for the `count` layers of a variable with an axis before those of the plane; others pass as they are.

        >>> apart = Layers((Variable("vorticity", "s-1", ("layer", "y", "x")),), 2)
        >>> {name: value.shape for name, value in apart({"vorticity": jnp.zeros((2, 4, 4))}).items()}
        {'vorticity_0': (4, 4), 'vorticity_1': (4, 4)}
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)
    count: int = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.variables

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(each for v in self.variables for each in self._of(v))

    def _of(self, variable: Variable) -> tuple[Variable, ...]:
        if len(variable.dims) < 3:
            return (variable,)
        plane = variable.dims[-2:]
        return tuple(replace(variable, name=f"{variable.name}_{n}", dims=plane) for n in range(self.count))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {
            each.name: fields[v.name][n] if len(v.dims) > 2 else fields[v.name]
            for v in self.variables
            for n, each in enumerate(self._of(v))
        }


class Together(Model):
    """The layers of fields put together again, and with `conserving` the mean over the plane taken out of each layer.

    `S[i] = S_i - <S_i>`: whatever the learner says, nothing is made or lost in all.

        >>> one = Together((Variable("forcing", "s-2", ("layer", "y", "x")),), 1, conserving=True)
        >>> one({"forcing_0": jnp.array([[1.0, 2.0], [3.0, 6.0]])})["forcing"].tolist()
        [[[-2.0, -1.0], [0.0, 3.0]]]
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)
    count: int = eqx.field(static=True)
    conserving: bool = eqx.field(static=True, default=False)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return Layers(self.variables, self.count).outputs

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.variables

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = {v.name: self._one(v, fields) for v in self.variables}
        if not self.conserving:
            return made
        return {name: value - jnp.mean(value, axis=(-2, -1), keepdims=True) for name, value in made.items()}

    def _one(self, variable: Variable, fields: Fields) -> Array:
        if len(variable.dims) < 3:
            return fields[variable.name]
        return jnp.stack([fields[f"{variable.name}_{n}"] for n in range(self.count)])


def in_place_of(
    part: Model,
    learner: Untaught,
    neighbours: Sequence[int] | None = (0,),
    *,
    lengths: Mapping[str, int] = MappingProxyType({}),
    conserving: bool = False,
) -> tuple[Model, str]:
    """A learner with the inputs and outputs of a sub-process, and the path at which it sits in what is returned.

    Where the sub-process answers along an axis, one learner serves every place and sees its `neighbours`. Where it
    answers on a plane, or on layers of planes, whose number `lengths` tells, one learner of fields, such as
    `convolution`, serves the whole plane; `conserving` then takes the mean out of what it says. Without `neighbours`
    (None) the learner takes whole fields as they are.

    Raises `ValueError` for neighbours on a plane, a mean to be taken out elsewhere, or more axes than those.
    """
    dims = sorted({dim for variable in part.outputs for dim in variable.dims})
    planes = any(len(variable.dims) > 1 for variable in part.outputs)
    if conserving and (neighbours is None or not planes):
        raise ValueError(f"conserving=True takes the mean over a plane out; {type(part).__name__} answers along {dims}")
    if neighbours is None or not dims:
        return learner(part.inputs, part.outputs), ""
    if planes:
        return _on_a_plane(part, learner, tuple(neighbours), lengths, conserving)
    if len(dims) > 1:
        raise ValueError(
            f"{type(part).__name__} answers along {dims}; one learner serves one axis: give a learner of whole fields, "
            "with neighbours=None"
        )
    varying, offsets = tuple(v for v in part.inputs if dims[0] in v.dims), checked(neighbours)
    around = Neighbours(varying, offsets)
    features = (*around.outputs, *(v for v in part.inputs if v not in varying))
    one = learner([_at_a_place(v, dims[0]) for v in features], [_at_a_place(v, dims[0]) for v in part.outputs])
    everywhere = Along(one, dims[0], tuple(v.name for v in around.outputs))
    return (everywhere, "part") if offsets == (0,) else (Chain(around, everywhere), "parts.1.part")


def _on_a_plane(part: Model, learner: Untaught, neighbours, lengths, conserving) -> tuple[Model, str]:
    if neighbours != (0,):
        raise ValueError(
            "on a plane the learner itself says how far it sees: the kernels of convolution, the reach of patches"
        )
    layered = {v.dims[0] for v in (*part.inputs, *part.outputs) if len(v.dims) == 3}
    if len(layered) > 1 or not layered <= set(lengths) or any(len(v.dims) > 3 for v in (*part.inputs, *part.outputs)):
        raise ValueError(
            f"{type(part).__name__} answers along several axes; one learner serves one axis, a plane, or planes in "
            f"layers whose number the host's state tells ({', '.join(lengths)}): give a learner of whole fields, with "
            "neighbours=None"
        )
    count = lengths[layered.pop()] if layered else 1
    apart, together = Layers(part.inputs, count), Together(part.outputs, count, conserving)
    return Chain(apart, learner(apart.outputs, together.inputs), together), "parts.1"


def seen_from(first: Model, series: Fields) -> Fields:
    """What a learner sees through the first part of its place, of a series of what its sub-process was given."""
    return jax.vmap(first)(series) if isinstance(first, Layers) else first(series)


def split_as(place: Model, targets: Fields) -> Fields:
    """What a learner on a plane is to say, of what its sub-process says: each layer (time, y, x) apart."""
    if isinstance(place, Chain) and isinstance(place.parts[-1], Together):
        last = place.parts[-1]
        return seen_from(Layers(last.variables, last.count), {v.name: targets[v.name] for v in last.variables})
    return targets


def lengths_of(step: Model) -> dict[str, int]:
    """How long each axis is along which a model has a state."""
    start, reads = step.initial(), named(step.inputs)
    return {
        dim: size for name in step.state for dim, size in zip(reads[name].dims, np.shape(start[name]), strict=False)
    }


def _at_a_place(variable: Variable, dim: str) -> Variable:
    return replace(variable, dims=tuple(other for other in variable.dims if other != dim))
