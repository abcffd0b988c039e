"""Partial differential equations in many dimensions, as backward stochastic equations solved by networks."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..descent import Descent, descend


class Semilinear(NamedTuple):
    """`u_t + s²/2 Δu + f(t, x, u, s grad u) = 0` up to `horizon`, where `u = terminal(x)`; wanted is `u(0, start)`.

    `source` is f(t, x, y, z) -> number and `terminal` g(x) -> number, x and z vectors (dimension,), s the
    `diffusion`.
    """

    source: Callable[[Array, Array, Array, Array], Array]
    terminal: Callable[[Array], Array]
    start: Array
    horizon: float
    diffusion: float


class Backward(eqx.Module):
    """What is unknown of the backward equation: u and its gradient at the start, a network for each later time."""

    value: Array
    slope: Array
    networks: eqx.nn.MLP


class Solved(NamedTuple):
    """`u(0, start)`, and the misfit at the horizon through the rounds of teaching (round,)."""

    value: float
    misfit: np.ndarray


class Draws(eqx.Module):
    """Examples that are only counted: each batch draws its own paths."""

    count: int = eqx.field(static=True)

    def __len__(self) -> int:
        return self.count

    def take(self, indices: Array) -> Array:
        return indices


def deep_bsde(
    equation: Semilinear,
    *,
    key: PRNGKeyArray,
    steps: int = 20,
    width: int = 110,
    iterations: int = 2000,
    batch: int = 64,
    learning_rate: float = 1e-2,
    value: float | None = None,
    rounds: int = 20,
) -> Solved:
    """Solve a semilinear parabolic equation at one point by teaching the gradient along random paths.

    `X_{n+1} = X_n + s dW`, `Y_{n+1} = Y_n - f(t, X, Y, Z) dt + Z . dW`, `Z_n` a network of X_n for each of `steps`
    times, Y_0 and Z_0 free; least is `E |Y_N - g(X_N)|²`. Networks read `(X_n - X_0) / (s sqrt(t_n))`, which has the
    variance 1 (in place of Han's batch normalisation). Y_0 starts from `value`, by default `g(start)`. The misfit is
    divided by the variance of g(X_N) and noted `rounds` times; the round with the least is kept.

    Raises `ValueError` for fewer than two steps, or fewer iterations than rounds.

    Source: Han, Jentzen & E (2018), doi:10.1073/pnas.1718942115.
    """
    if steps < 2 or iterations < rounds:
        raise ValueError(
            f"deep_bsde needs 2 steps and an iteration a round; got {steps}, {iterations} in {rounds} rounds"
        )
    dimension, first = len(equation.start), jax.random.fold_in(key, 0)
    networks = eqx.filter_vmap(lambda k: eqx.nn.MLP(dimension, dimension, width, 2, jax.nn.relu, key=k))(
        jax.random.split(first, steps - 1)
    )
    networks = eqx.tree_at(lambda n: n.layers[-1].weight, networks, replace_fn=lambda w: 0.1 * w)
    guess = equation.terminal(equation.start) if value is None else value
    model = Backward(jnp.asarray(guess, jnp.result_type(float)), jnp.zeros(dimension), networks)
    ends = jax.vmap(equation.terminal)(_paths(equation, steps, 1000, first)[0][-1])
    scale = jnp.var(ends)

    def loss(backward: Backward, indices: Array, now: PRNGKeyArray | None) -> Array:
        reached, wanted = carried(backward, equation, steps, len(indices), first if now is None else now)
        return jnp.mean((reached - wanted) ** 2) / scale

    how = Descent(rounds, batch, learning_rate, final=0.01, patience=0)
    told = descend(model, loss, Draws(iterations // rounds * batch), key=key, how=how)
    return Solved(float(told.model.value), told.training_loss[:, 0])


def carried(backward: Backward, equation: Semilinear, steps: int, batch: int, key: PRNGKeyArray) -> tuple[Array, Array]:
    """Y at the horizon along random paths, and what it should be there (batch,)."""
    positions, increments = _paths(equation, steps, batch, key)
    dt = equation.horizon / steps
    source = jax.vmap(equation.source, (None, 0, 0, 0))

    def step(y: Array, now: tuple) -> tuple[Array, None]:
        time, x, z, dw = now
        return y - source(time, x, y, z) * dt + jnp.sum(z * dw, axis=-1), None

    times = dt * jnp.arange(steps)
    spread = equation.diffusion * jnp.sqrt(times[1:, None, None])
    seen = (positions[1:-1] - equation.start) / spread
    later = eqx.filter_vmap(lambda network, x: jax.vmap(network)(x))(backward.networks, seen)
    slopes = jnp.concatenate([jnp.broadcast_to(backward.slope, (1, batch, len(backward.slope))), later])
    y, _ = jax.lax.scan(step, jnp.broadcast_to(backward.value, (batch,)), (times, positions[:-1], slopes, increments))
    return y, jax.vmap(equation.terminal)(positions[-1])


def _paths(equation: Semilinear, steps: int, batch: int, key: PRNGKeyArray) -> tuple[Array, Array]:
    """Positions (step + 1, batch, dimension) and the increments dW between them."""
    increments = jnp.sqrt(equation.horizon / steps) * jax.random.normal(key, (steps, batch, len(equation.start)))
    walked = jnp.concatenate([jnp.zeros_like(increments[:1]), jnp.cumsum(increments, axis=0)])
    return equation.start + equation.diffusion * walked, increments


def allen_cahn(dimension: int = 100, horizon: float = 0.3) -> Semilinear:
    """`u_t + Δu + u - u³ = 0`, `u(T) = 1 / (2 + 0.4 |x|²)`; in 100 dimensions u(0, 0) = 0.052802 at T = 0.3."""
    return Semilinear(
        lambda t, x, y, z: y - y**3,
        lambda x: 1 / (2 + 0.4 * jnp.sum(x**2)),
        jnp.zeros(dimension),
        horizon,
        2**0.5,
    )


def hamilton_jacobi_bellman(dimension: int = 100, horizon: float = 1.0) -> Semilinear:
    """`u_t + Δu - |grad u|² = 0`, `u(T) = ln((1 + |x|²) / 2)`: the cost of steering, known by `steered`."""
    return Semilinear(
        lambda t, x, y, z: -jnp.sum(z**2) / 2,
        lambda x: jnp.log((1 + jnp.sum(x**2)) / 2),
        jnp.zeros(dimension),
        horizon,
        2**0.5,
    )


def steered(equation: Semilinear, count: int, key: PRNGKeyArray) -> float:
    """The value of `hamilton_jacobi_bellman` at its start by Cole and Hopf: `-ln E exp(-g(sqrt(2) W_T))`.

    >>> round(steered(hamilton_jacobi_bellman(), 20000, jax.random.key(0)), 2)
    4.59
    """
    scale = equation.diffusion * equation.horizon**0.5

    def chunk(now: PRNGKeyArray) -> Array:
        ends = equation.start + scale * jax.random.normal(now, (1000, len(equation.start)))
        return jnp.mean(jnp.exp(-jax.vmap(equation.terminal)(ends)))

    return float(-jnp.log(jnp.mean(jax.lax.map(chunk, jax.random.split(key, max(1, count // 1000))))))
