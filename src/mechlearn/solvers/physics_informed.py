"""The physics-informed network: a differential equation solved by descent on its residual."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..descent import Descent, descend

Residual = Callable[[Callable[[Array], Array], Array], Array]


class Condition(NamedTuple):
    """What must hold at points (point, coordinate): `residual(u, x)` is 0, and how much it weighs."""

    points: Array
    residual: Residual
    weight: float = 1.0


class _Points(eqx.Module):
    conditions: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.conditions[0])

    def take(self, indices: Array) -> tuple[Array, ...]:
        # Conditions at fewer points than the first are met again and again.
        return tuple(points[indices % len(points)] for points in self.conditions)


def physics_informed(
    conditions: Sequence[Condition],
    *,
    key: PRNGKeyArray,
    width: int = 32,
    depth: int = 3,
    how: Descent = Descent(epochs=300, batch_size=128, learning_rate=3e-3, patience=0),
) -> Callable[[Array], Array]:
    """A function u(x) of coordinates of order one that meets all conditions as nearly as a network can.

    Least is `sum_k w_k mean |residual_k(u, x)|²`; derivatives of u inside a residual are `jax.grad(u)`. The first
    condition is the equation itself, at the points it is to hold.

    Raises `ValueError` without conditions, or for points that are not (point, coordinate), alike in all conditions.

    Source: Raissi et al. (2019), doi:10.1016/j.jcp.2018.10.045.

        >>> growth = Condition(jnp.linspace(0, 1, 16)[:, None], lambda u, x: jax.grad(u)(x)[0] - u(x))
        >>> start = Condition(jnp.zeros((1, 1)), lambda u, x: u(x) - 1.0)
        >>> u = physics_informed([growth, start], key=jax.random.key(0), width=8, how=Descent(5, 16, 1e-2))
        >>> u(jnp.ones(1)).shape
        ()
    """
    if not conditions:
        raise ValueError("physics_informed needs at least one condition: the equation, and what holds at its bounds")
    shapes = [jnp.shape(condition.points) for condition in conditions]
    if any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) != 1:
        raise ValueError(f"points are (point, coordinate), with the same coordinates in all conditions; got {shapes}")
    size = shapes[0][1]
    network = eqx.nn.MLP(size, "scalar", width, depth, jnp.tanh, key=key)

    def loss(u: Any, batch: tuple[Array, ...], now: PRNGKeyArray | None) -> Array:
        parts = [
            condition.weight * jnp.mean(jax.vmap(lambda x, c=condition: c.residual(u, x))(points) ** 2)
            for condition, points in zip(conditions, batch, strict=True)
        ]
        return jnp.sum(jnp.stack(parts))

    points = _Points(tuple(jnp.asarray(condition.points) for condition in conditions))
    return descend(network, loss, points, key=key, how=how).model
