"""A dense network of whole fields: vectors in, vectors out."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from ..descent import Descent, descend
from .examples import distinct, usable


class Flat(eqx.Module):
    """Fields of known sizes as one vector, every number in units of its own spread in examples; training leaves it.

    A number that hardly varies counts as if it varied by a hundredth of its field's root mean square spread.
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    location: Array
    scale: Array
    frozen: ClassVar[bool] = True

    def __init__(self, variables: Sequence[Variable], sizes: dict[str, int]):
        self.variables = tuple(variables)
        for variable in self.variables:
            if set(variable.dims) - set(sizes):
                raise ValueError(
                    f"Dense must be told the size of each axis: {variable.name!r} has {variable.dims}, sizes: {sizes}"
                )
        self.shapes = tuple(tuple(sizes[dim] for dim in v.dims) for v in self.variables)
        self.location = jnp.zeros(sum(math.prod(shape) for shape in self.shapes))
        self.scale = jnp.ones_like(self.location)

    def seen(self, fields: Fields) -> Self:
        """The scales set from examples along a leading axis, NaN left out; fields not given keep theirs."""
        parts = [fields.get(v.name) for v in self.variables]
        old = self._parts(self.location), self._parts(self.scale)
        both = [
            (place, spread) if part is None else _spread(jnp.asarray(part), len(shape))
            for part, place, spread, shape in zip(parts, *old, self.shapes, strict=True)
        ]
        new = tuple(jnp.concatenate([jnp.ravel(pair[i]) for pair in both]) for i in (0, 1))
        return eqx.tree_at(lambda f: (f.location, f.scale), self, new)

    def pack(self, fields: Fields) -> Array:
        """The fields of one sample as a vector of order one."""
        values = [jnp.broadcast_to(fields[v.name], s).ravel() for v, s in zip(self.variables, self.shapes, strict=True)]
        return (jnp.concatenate(values) - self.location) / self.scale

    def unpack(self, vector: Array) -> Fields:
        """The vector of one sample as fields, cut at their bounds."""
        parts = self._parts(self.location + self.scale * vector)
        return {v.name: jnp.clip(part, *v.bounds) for v, part in zip(self.variables, parts, strict=True)}

    def scales(self) -> Fields:
        """The spread of every number, field by field."""
        return {v.name: part for v, part in zip(self.variables, self._parts(self.scale), strict=True)}

    def _parts(self, vector: Array) -> list[Array]:
        ends = accumulate((math.prod(shape) for shape in self.shapes), initial=0)
        return [vector[a:b].reshape(shape) for (a, b), shape in zip(pairwise(ends), self.shapes, strict=True)]


class Dense(Learner):
    """A feed-forward network of fields of known sizes, such as the profiles of a column on its own levels.

    `a_k = tanh(W_k a_{k-1} + b_k)` for each of `depth` layers of `width`, `y = W a + b`: every number of the inputs
    (scaled) acts on every number of the outputs. `sizes` names the axes and how long they are. It is taught on the mean
    square error, each number of the targets in units of its spread; answers are cut at the bounds of their variables.

    Raises `ValueError` for an axis whose size is not told.

    Source: Krasnopolsky et al. (2005), doi:10.1175/MWR2923.1, whose networks have one layer.

        >>> profile = Variable("profile", "K", ("level",))
        >>> Dense([profile], [profile], sizes={"level": 3})({"profile": jnp.ones(3)})["profile"].shape
        (3,)
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    layers: tuple[eqx.nn.Linear, ...]
    entering: Flat
    leaving: Flat
    descent: Descent = eqx.field(static=True)
    sizes: tuple[tuple[str, int], ...] = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        sizes: dict[str, int] | None = None,
        width: int = 64,
        depth: int = 1,
        seed: int = 0,
        descent: Descent = Descent(learning_rate=2e-3, batch_size=128),
    ):
        self.inputs, self.outputs = tuple(distinct(inputs, "Dense")), tuple(distinct(outputs, "Dense"))
        self.sizes = tuple((sizes or {}).items())
        self.entering, self.leaving = Flat(self.inputs, dict(self.sizes)), Flat(self.outputs, dict(self.sizes))
        ends = [self.entering.location.size, *[width] * depth, self.leaving.location.size]
        keys = jax.random.split(jax.random.key(seed), depth + 1)
        self.layers = tuple(eqx.nn.Linear(*pair, key=k) for *pair, k in zip(ends, ends[1:], keys, strict=False))
        self.descent = descent

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Dense")
        active = self.entering.pack(fields)
        for layer in self.layers[:-1]:
            active = jnp.tanh(layer(active))
        return self.leaving.unpack(self.layers[-1](active))

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        scales = self.entering.seen(inputs), self.leaving.seen(targets)
        return eqx.tree_at(lambda d: (d.entering, d.leaving), self, scales)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        samples = usable(self, inputs, targets)
        ready = self.standardise(samples.inputs, samples.targets)
        if self.descent.epochs == 0:
            return ready
        train, held_out = samples.split(0.1)
        return descend(ready, misfit, train, key=key, validation=held_out, how=self.descent).model


def misfit(learner: Dense, batch: tuple[Fields, Fields], key: PRNGKeyArray | None) -> Array:
    """The mean square error, every number in units of its spread, NaN targets left out."""
    inputs, targets = batch
    return misfit_of(jax.vmap(lambda sample: learner(sample))(inputs), targets, learner.leaving.scales())


def misfit_of(predicted: Fields, targets: Fields, scales: Fields) -> Array:
    """The mean over all numbers of the squared error over the squared scale, NaN targets left out."""
    known = {name: jnp.isfinite(wanted) for name, wanted in targets.items()}
    squares = [
        jnp.sum(jnp.where(known[n], (predicted[n] - jnp.where(known[n], wanted, 0.0)) / scales[n], 0.0) ** 2)
        for n, wanted in targets.items()
    ]
    return sum(squares, jnp.zeros(())) / sum(jnp.sum(one) for one in known.values())


def _spread(values: Array, axes: int) -> tuple[Array, Array]:
    values = values.reshape(-1, *values.shape[values.ndim - axes :])
    spread = jnp.nanstd(values, axis=0)
    floor = jnp.maximum(0.01 * jnp.sqrt(jnp.mean(spread**2)), 1e-6 * jnp.max(jnp.abs(values)) + 1e-30)
    # What never varies says nothing: a unit scale keeps it at zero.
    return jnp.nanmean(values, axis=0), jnp.where(jnp.max(spread) > floor, jnp.maximum(spread, floor), 1.0)


def example() -> dict:
    """Two numbers that change places."""
    pair, turned = Variable("pair", "1", ("place",)), Variable("turned", "1", ("place",))
    pairs = jax.random.normal(jax.random.key(0), (256, 2))
    descent = Descent(epochs=40, batch_size=32, learning_rate=2e-2)
    return {
        "learner": Dense([pair], [turned], sizes={"place": 2}, width=16, descent=descent),
        "inputs": {"pair": pairs},
        "targets": {"turned": pairs[:, ::-1]},
        "source": "doi:10.1175/MWR2923.1",
    }
