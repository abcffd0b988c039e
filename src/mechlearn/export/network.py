"""A taught perceptron as plain numbers, ready to be written in another language."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import ArrayLike

from ..core import Model, Variable
from ..learners.mlp import MLP
from ..parameters import dotted, follow

FREE, ABOVE, BELOW, BETWEEN = range(4)
Numbers = np.ndarray


@dataclass(frozen=True)
class Network:
    """A multi-layer perceptron in double precision: what it reads and gives, its scales, its weights, its domain.

    `z = (x - location) / scale`, `z <- gelu(W z + b)` through all layers but the last, which is linear; output i is
    then, by its `kind`, `a + b z` (no bound), `a + b softplus(z + c)` (a lower one), `a - b softplus(c - z)` (an upper
    one) or `a + b sigmoid(z + c)` (two), with the rows (a, b, c) of `leaving`. Inputs between `lower` and `upper` lie
    in the domain.
    """

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    location: Numbers
    scale: Numbers
    layers: tuple[tuple[Numbers, Numbers], ...]
    kind: tuple[int, ...]
    leaving: Numbers
    lower: Numbers
    upper: Numbers

    def __call__(self, x: ArrayLike) -> Numbers:
        """Outputs (..., output) for inputs (..., input): what every written module must reproduce."""
        z = (np.asarray(x, float) - self.location) / self.scale
        for weight, bias in self.layers[:-1]:
            z = _gelu(z @ weight.T + bias)
        z = z @ self.layers[-1][0].T + self.layers[-1][1]
        return np.stack([_bounded(z[..., i], kind, *self.leaving[i]) for i, kind in enumerate(self.kind)], axis=-1)

    def outside(self, x: ArrayLike) -> int:
        """The number (from 1) of the first input that lies outside the domain or is NaN, 0 when all lie inside."""
        wrong = ~((np.asarray(x, float) >= self.lower) & (np.asarray(x, float) <= self.upper))
        return int(np.argmax(wrong)) + 1 if wrong.any() else 0

    def cases(self, count: int = 8) -> Numbers:
        """Inputs (case, input) all over the domain, the same every time, for a driver to be tested with."""
        share = np.random.default_rng(0).uniform(size=(count, len(self.inputs)))
        return self.lower + share * (self.upper - self.lower)


def networks_in(model: Model) -> dict[str, MLP]:
    """Every multi-layer perceptron inside a model, by its dotted path ("" for the model itself)."""
    leaves = jax.tree_util.tree_leaves_with_path(model, is_leaf=lambda node: isinstance(node, MLP))
    return {dotted(path): node for path, node in leaves if isinstance(node, MLP)}


def network(model: Model, path: str | None = None, seen: Mapping[str, ArrayLike] | None = None) -> Network:
    """The perceptron at a path of a model (the only one there by default) as plain numbers.

    The domain is the range of the inputs it has `seen`; without them four standard deviations about their mean, as
    its scales tell.

    Raises `ValueError` when the path leads to none, or when there are several to choose from.
    """
    there = networks_in(model)
    if path is None and len(there) == 1:
        path = next(iter(there))
    if path not in there:
        found = follow(model, path) if path else model
        raise ValueError(
            f"export writes learners of kind MLP; {type(found).__name__} at {path!r} is none; "
            f"choose one of: {', '.join(map(repr, there)) or 'there are none'}"
        )
    learner = there[path]
    location, scale = (np.asarray(values, float) for values in (learner.entering.location, learner.entering.scale))
    lower, upper = location - 4 * scale, location + 4 * scale
    if seen is not None:
        columns = [np.asarray(seen[v.name], float) for v in learner.inputs]
        lower, upper = (np.array([end(column) for column in columns]) for end in (np.nanmin, np.nanmax))
    layers = tuple((np.asarray(layer.weight, float), np.asarray(layer.bias, float)) for layer in learner.layers)
    middles, spreads = (np.asarray(values, float) for values in (learner.leaving.location, learner.leaving.scale))
    maps = [_map(*row) for row in zip(middles, spreads, (v.bounds for v in learner.outputs), strict=True)]
    kind, leaving = tuple(row[0] for row in maps), np.array([row[1:] for row in maps])
    return Network(learner.inputs, learner.outputs, location, scale, layers, kind, leaving, lower, upper)


def _map(middle: float, spread: float, bounds: tuple[float, float]) -> tuple[int, float, float, float]:
    """The constants of `learners.scaling`, of one output."""
    lower, upper = bounds
    if math.isinf(lower) and math.isinf(upper):
        return FREE, middle, spread, 0.0
    if math.isinf(upper):
        return ABOVE, lower, spread, _before_softplus((middle - lower) / spread)
    if math.isinf(lower):
        return BELOW, upper, spread, _before_softplus((upper - middle) / spread)
    share = min(max((middle - lower) / (upper - lower), 0.01), 0.99)
    return BETWEEN, lower, upper - lower, math.log(share) - math.log1p(-share)


def _before_softplus(value: float) -> float:
    value = max(value, 0.01)
    return value + math.log(-math.expm1(-value))


def _gelu(z: Numbers) -> Numbers:
    return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _bounded(z: Numbers, kind: int, a: float, b: float, c: float) -> Numbers:
    if kind == FREE:
        return a + b * z
    if kind == ABOVE:
        return a + b * np.logaddexp(0, z + c)
    if kind == BELOW:
        return a - b * np.logaddexp(0, c - z)
    return a + b / (1 + np.exp(-(z + c)))
