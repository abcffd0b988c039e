"""Lyapunov exponents: how fast neighbouring states of a model part, in every direction."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike
from numpy.typing import NDArray

from ..core import Model


def lyapunov_exponents(
    model: Model,
    time_step: float,
    steps: int,
    *,
    spin_up: int = 500,
    count: int | None = None,
    start: Array | None = None,
) -> NDArray[np.float64]:
    """The largest `count` exponents (all by default) of one step without forcing, per unit of time, in falling order.

    Tangents `Q` are carried by the derivative of the step and made orthogonal again each step, `M Q = Q' R`; the
    exponents are the means of `log diag(R) / time_step` over `steps` after `spin_up` (in which they settle too).
    Benettin et al. (1980), doi:10.1007/BF02128236; Shimada & Nagashima (1979), doi:10.1143/PTP.61.1605.

    Raises `ValueError` for a model that has no state.

        >>> from mechlearn.mechanisms.flow.lorenz63 import Lorenz63
        >>> found = lyapunov_exponents(Lorenz63(), 0.01, 2000)
        >>> round(float(found.sum()), 1)  # what a volume loses is known: - (s + 1 + b)
        -13.7
    """
    if not model.state:
        raise ValueError(f"{type(model).__name__} has no state; give a model of one step")
    initial = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in model.initial().items()}
    state = ravel_pytree(initial)[0] if start is None else start
    return np.asarray(_spectrum(model, state, count or len(state), time_step, spin_up, steps), float)


def dimension(exponents: ArrayLike) -> float:
    """The Kaplan-Yorke dimension of an attractor: `j + (l_1 + ... + l_j) / |l_{j+1}|` at the last sum that is positive.

    >>> round(dimension([0.906, 0.0, -14.57]), 3)
    2.062
    """
    falling = np.sort(np.asarray(exponents, float))[::-1]
    sums = np.cumsum(falling)
    if not np.any(sums >= 0):
        return 0.0
    last = int(np.flatnonzero(sums >= 0)[-1])
    if last + 1 == len(falling):
        return float(len(falling))
    return float(last + 1 + sums[last] / abs(falling[last + 1]))


@eqx.filter_jit
def _spectrum(model: Model, state: Array, count: int, time_step: float, spin_up: int, steps: int) -> Array:
    initial = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in model.initial().items()}
    unravel = ravel_pytree(initial)[1]

    def move(x: Array) -> Array:
        made = model(unravel(x))
        return ravel_pytree({name: made[name] for name in model.state})[0].astype(x.dtype)

    def one(carry: tuple[Array, Array], _):
        x, tangents = carry
        after, push = jax.linearize(move, x)
        tangents, upper = jnp.linalg.qr(jax.vmap(push, 1, 1)(tangents))
        return (after, tangents), jnp.log(jnp.abs(jnp.diagonal(upper)))

    carry, _ = jax.lax.scan(one, (state, jnp.eye(len(state), count, dtype=state.dtype)), None, length=spin_up)
    growth = jax.lax.scan(one, carry, None, length=steps)[1]
    return jnp.mean(growth, axis=0) / time_step
