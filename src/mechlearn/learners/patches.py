"""A learner of single numbers, set to look at the surroundings of every place of a periodic grid."""

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
from .convolution import views
from .examples import on_one_grid, usable
from .mlp import MLP


class Patches(Learner):
    """One learner serves every place: it reads the values within `reach` cells and gives those of the middle.

    `y(s) = f(x(s - reach), ..., x(s + reach))` around a periodic grid of one or two axes; each place of each example
    teaches, `most` of them drawn at random. Any learner of numbers will do: a network, a support vector machine, trees.

    Raises `ValueError` for variables on different grids.

    Source: a network for each region of a grid as in Cintra & de Campos Velho (2018), doi:10.5772/intechopen.70791.

        >>> height, rate = Variable("height", "m", ("x",)), Variable("rate", "m s-1", ("x",))
        >>> [v.name for v in Patches([height], [rate], reach=1).learner.inputs]
        ['height_0', 'height_1', 'height_2']
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    learner: Learner
    reach: int = eqx.field(static=True)
    most: int = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        learner: Callable[[Sequence[Variable], Sequence[Variable]], Learner] = MLP,
        reach: int = 2,
        most: int = 100_000,
    ):
        axes = on_one_grid(inputs, outputs, "Patches")
        self.inputs, self.outputs, self.reach, self.most = tuple(inputs), tuple(outputs), reach, most
        seen = range((2 * reach + 1) ** axes)
        scalars = [replace(v, name=f"{v.name}_{place}", dims=()) for v in self.inputs for place in seen]
        self.learner = learner(scalars, [replace(v, dims=()) for v in self.outputs])

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Patches")
        shape = jnp.shape(fields[self.inputs[0].name])
        made = jax.vmap(lambda sample: self.learner(sample, key=key))(self._examples(fields))
        return {v.name: made[v.name].reshape(shape) for v in self.outputs}

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        drawn = self._drawn(inputs, targets, jax.random.key(0))
        return eqx.tree_at(lambda p: p.learner, self, self.learner.standardise(*drawn))

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        draw, own = jax.random.split(key)
        taught = self.learner.fit(*self._drawn(inputs, targets, draw), key=own)
        return eqx.tree_at(lambda p: p.learner, self, taught)

    def _examples(self, fields: Fields) -> Fields:
        """The values around every place, each named by its neighbour, along one axis of places."""
        made = {}
        for variable in self.inputs:
            around = jnp.pad(fields[variable.name], self.reach, mode="wrap")
            for place, view in enumerate(views(around, (2 * self.reach + 1,) * around.ndim)):
                made[f"{variable.name}_{place}"] = view.ravel()
        return made

    def _drawn(self, inputs: Fields, targets: Fields, key: PRNGKeyArray) -> tuple[Fields, Fields]:
        samples = usable(self, inputs, targets)
        total = int(np.size(samples.inputs[self.inputs[0].name]))
        chosen = jnp.sort(jax.random.choice(key, total, (min(self.most, total),), replace=False))
        seen = jax.vmap(self._examples)(samples.inputs)
        return tuple({name: jnp.ravel(x)[chosen] for name, x in part.items()} for part in (seen, samples.targets))  # pyright: ignore


def example() -> dict:
    """The slope of a wave from its neighbours, the same everywhere."""
    height, slope = Variable("height", "m", ("x",)), Variable("slope", "m", ("x",))
    waves = jax.random.normal(jax.random.key(0), (32, 8))
    small = partial(MLP, width=8, depth=1, descent=Descent(epochs=15, batch_size=32, learning_rate=2e-2))
    return {
        "learner": Patches([height], [slope], reach=1, learner=small),
        "inputs": {"height": waves},
        "targets": {"slope": jnp.roll(waves, -1, 1) - jnp.roll(waves, 1, 1)},
        "source": "doi:10.5772/intechopen.70791",
    }
