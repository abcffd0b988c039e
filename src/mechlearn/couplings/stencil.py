"""One learner for every place of an axis, and what it sees of the places around it."""

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..along import Along
from ..compose import Chain
from ..core import Fields, Model, Variable
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


def in_place_of(part: Model, learner: Untaught, neighbours: Sequence[int] | None = (0,)) -> tuple[Model, str]:
    """A learner with the inputs and outputs of a sub-process, and the path at which it sits in what is returned.

    Where the sub-process answers along an axis, one learner serves every place and sees its `neighbours`; without
    (None) the learner takes whole fields.

    Raises `ValueError` for a sub-process that answers along several axes.
    """
    dims = sorted({dim for variable in part.outputs for dim in variable.dims})
    if neighbours is None or not dims:
        return learner(part.inputs, part.outputs), ""
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


def _at_a_place(variable: Variable, dim: str) -> Variable:
    return replace(variable, dims=tuple(other for other in variable.dims if other != dim))
