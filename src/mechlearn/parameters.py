"""Physical parameters: bounds, units, priors, and the map to unbounded space."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logit
from jaxtyping import Array, ArrayLike

from .core import Variable


class Parameter(eqx.Module):
    """A physical constant of a mechanism: a value that stays inside its bounds.

    The leaf is the physical value itself (a number, or one value a site). Descent and
    priors work in the unbounded space of `unbounded`, so no step ever leaves the bounds.
    The prior is uniform over the bounds unless a `prior=(mean, standard deviation)` is given.

        >>> Parameter(250.0, "mm", (50, 700), "water the soil can hold").bounds
        (50, 700)
    """

    value: ArrayLike
    units: str = eqx.field(static=True)
    bounds: tuple[float, float] = eqx.field(static=True)
    meaning: str = eqx.field(static=True, default="")
    prior: tuple[float, float] | None = eqx.field(static=True, default=None)
    fixed: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds {self.bounds} must be (lower, upper) with lower < upper")
        if isinstance(self.value, int | float) and not self.bounds[0] <= self.value <= self.bounds[1]:
            raise ValueError(f"value {self.value} {self.units} lies outside its bounds {self.bounds} ({self.meaning})")


def is_parameter(node: Any) -> bool:
    """Whether a node of a tree is a physical parameter."""
    return isinstance(node, Parameter)


def unbounded(value: ArrayLike, bounds: tuple[float, float]) -> Array:
    """Map a physical value to the real line.

    `logit((v - lower) / (upper - lower))` between two bounds, a logarithm with one.
    """
    lower, upper = bounds
    value = jnp.asarray(value, dtype=jnp.result_type(float))
    if math.isinf(lower) and math.isinf(upper):
        return value
    if math.isinf(upper):
        return jnp.log(jnp.maximum(value - lower, 1e-6))
    if math.isinf(lower):
        return -jnp.log(jnp.maximum(upper - value, 1e-6))
    return logit(jnp.clip((value - lower) / (upper - lower), 1e-4, 1 - 1e-4))


def bounded(value: ArrayLike, bounds: tuple[float, float]) -> Array:
    """Map a real number into its bounds: the inverse of `unbounded`."""
    lower, upper = bounds
    value = jnp.asarray(value)
    if math.isinf(lower) and math.isinf(upper):
        return value
    if math.isinf(upper):
        return lower + jnp.exp(value)
    if math.isinf(lower):
        return upper - jnp.exp(-value)
    # Rounding alone can carry the sum past a bound.
    return jnp.clip(lower + (upper - lower) * jax.nn.sigmoid(value), lower, upper)


def map_parameters(function, tree):
    """Apply a function to every `Parameter` of a tree and leave the rest."""
    return jax.tree.map(lambda node: function(node) if is_parameter(node) else node, tree, is_leaf=is_parameter)


def to_unbounded(tree):
    """The tree with every free parameter's value on the real line, ready for descent."""
    return _map_free(lambda p: _with_value(p, unbounded(p.value, p.bounds)), tree)


def to_physical(tree):
    """The tree with every free parameter's value back inside its bounds."""
    return _map_free(lambda p: _with_value(p, bounded(p.value, p.bounds)), tree)


def is_frozen(node: Any) -> bool:
    """Whether a part of a model is one that training leaves as it is."""
    return getattr(node, "frozen", False)


def _map_free(function, tree):
    def moved(node: Any) -> Any:
        return function(node) if is_parameter(node) and not node.fixed else node

    # There and back is not exact at the bounds, so that what is frozen never goes.
    return jax.tree.map(moved, tree, is_leaf=lambda node: is_parameter(node) or is_frozen(node))


def _with_value(parameter: Parameter, value: Array) -> Parameter:
    return eqx.tree_at(lambda p: p.value, parameter, value)


def parameters(model) -> dict[str, Parameter]:
    """Every parameter of a model by dotted path: `{"soil.field_capacity": Parameter(...)}`."""
    leaves = jax.tree_util.tree_leaves_with_path(model, is_leaf=is_parameter)
    return {dotted(path): node for path, node in leaves if is_parameter(node)}


def dotted(path) -> str:
    """Write a tree path the way users do: "parts.0.step.soil"."""
    return ".".join(str(getattr(key, "name", getattr(key, "idx", getattr(key, "key", key)))) for key in path)


def variable_of(path: str, parameter: Parameter) -> Variable:
    """The variable a learner predicts when it sets a parameter: named by the last word of its path."""
    return Variable(path.rsplit(".", 1)[-1], parameter.units, (), parameter.bounds, long_name=parameter.meaning)


def log_prior(model) -> Array:
    """The log density of all free parameters under their priors, up to a constant."""
    free = (p for p in parameters(model).values() if p.prior is not None and not p.fixed)
    densities = [-0.5 * jnp.sum(((jnp.asarray(p.value) - p.prior[0]) / p.prior[1]) ** 2) for p in free if p.prior]
    return jnp.sum(jnp.asarray(densities)) if densities else jnp.zeros(())


def set_parameters(model, values: dict[str, ArrayLike]):
    """Return the model with some parameters set, by dotted path or by last word if that is unique.

    Raises `ValueError` for a name the model does not have, with those it has.
    """
    for name, value in values.items():
        path = find(model, name)
        model = eqx.tree_at(lambda m, p=path: follow(m, p).value, model, value, is_leaf=lambda x: x is None)
    return model


def find(model, name: str) -> str:
    """The one dotted path of a parameter named by its path or its last word.

    Raises `ValueError` when there is none, or more than one.
    """
    paths = list(parameters(model))
    matches = [path for path in paths if path == name or path.endswith("." + name)]
    if len(matches) != 1:
        raise ValueError(
            f"{name!r} names {len(matches)} parameters of {type(model).__name__}; it has {', '.join(paths)}"
        )
    return matches[0]


def follow(tree, path: str):
    """Walk a dotted path into a model: attributes, tuple places and dictionary keys.

    Raises `ValueError` where the path leaves the model, with what is there.
    """
    node = tree
    for word in path.split(".") if path else ():
        try:
            node = node[word] if isinstance(node, dict) else node[int(word)] if word.isdigit() else getattr(node, word)
        except (AttributeError, KeyError, IndexError, TypeError):
            there = list(node) if isinstance(node, dict) else list(getattr(node, "__dataclass_fields__", ()))
            raise ValueError(f"path {path!r}: no {word!r} in {type(node).__name__}; it has {there}") from None
    return node


def replace_at(tree, path: str, node):
    """Return the tree with what stands at a dotted path replaced: how one model is embedded in another."""
    return node if not path else eqx.tree_at(lambda t: follow(t, path), tree, node, is_leaf=lambda x: x is None)
