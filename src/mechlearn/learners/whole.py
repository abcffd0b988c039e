"""A learner of single numbers, set to look at whole fields at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from ..descent import Descent
from .examples import distinct, usable
from .mlp import MLP


class Whole(Learner):
    """Every number of every field is an input of its own, every number of the outputs an output of its own.

    `y_1..y_m = f(x_1..x_n)` for fields of few numbers, whose `sizes` are told by axis; nothing is shared between
    places. Any learner of numbers will do.

    Raises `ValueError` for an axis whose size is not told.

    Source: Haerter & de Campos Velho (2008), doi:10.1016/j.apm.2007.09.006, a network for all variables of a model.

        >>> mode = Variable("convection", "1", ("mode",))
        >>> len(Whole([mode], [mode], sizes={"mode": 3}).learner.inputs)
        3
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    learner: Learner
    sizes: tuple[tuple[str, int], ...] = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        sizes: dict[str, int] | None = None,
        learner: Callable[[Sequence[Variable], Sequence[Variable]], Learner] = MLP,
    ):
        known = dict(sizes or {})
        for variable in (*distinct(inputs, "Whole"), *distinct(outputs, "Whole")):
            if set(variable.dims) - set(known):
                raise ValueError(
                    f"Whole must be told the size of each axis: {variable.name!r} has {variable.dims}, sizes: {known}"
                )
        self.inputs, self.outputs, self.sizes = tuple(inputs), tuple(outputs), tuple(known.items())
        self.learner = learner(self._numbers(self.inputs), self._numbers(self.outputs))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Whole")
        made = self.learner(self._apart({v.name: jnp.asarray(fields[v.name]) for v in self.inputs}), key=key)
        flat = {v.name: jnp.stack([made[number.name] for number in self._numbers([v])]) for v in self.outputs}
        return {v.name: flat[v.name].reshape(self._shape(v)) for v in self.outputs}

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        return eqx.tree_at(lambda w: w.learner, self, self.learner.standardise(*self._examples(inputs, targets)))

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        return eqx.tree_at(lambda w: w.learner, self, self.learner.fit(*self._examples(inputs, targets), key=key))

    def _examples(self, inputs: Fields, targets: Fields) -> tuple[Fields, Fields]:
        samples = usable(self, inputs, targets)
        return jax.vmap(self._apart)(samples.inputs), jax.vmap(self._apart)(samples.targets)

    def _apart(self, fields: Fields) -> Fields:
        return {f"{name}_{place}": x for name, field in fields.items() for place, x in enumerate(jnp.ravel(field))}

    def _numbers(self, variables: Sequence[Variable]) -> list[Variable]:
        return [
            replace(v, name=f"{v.name}_{place}", dims=())
            for v in variables
            for place in range(int(np.prod(self._shape(v), dtype=int)))
        ]

    def _shape(self, variable: Variable) -> tuple[int, ...]:
        return tuple(dict(self.sizes)[dim] for dim in variable.dims)


def example() -> dict:
    """Two numbers that change places."""
    pair, turned = Variable("pair", "1", ("place",)), Variable("turned", "1", ("place",))
    pairs = jax.random.normal(jax.random.key(0), (256, 2))
    small = partial(MLP, width=8, depth=1, descent=Descent(epochs=15, batch_size=16, learning_rate=2e-2))
    return {
        "learner": Whole([pair], [turned], sizes={"place": 2}, learner=small),
        "inputs": {"pair": pairs},
        "targets": {"turned": pairs[:, ::-1]},
        "source": "doi:10.1016/j.apm.2007.09.006",
    }
