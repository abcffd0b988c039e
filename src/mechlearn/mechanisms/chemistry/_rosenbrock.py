"""The Rosenbrock method RODAS3 for stiff equations: one linear system a stage, no iteration."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, ArrayLike

Rate = Callable[[Array], Array]
SHRINK, GROW, SAFETY, ORDER = 0.2, 6.0, 0.9, 3


def rodas3(rate: Rate, jacobian: Rate, state: Array, step: ArrayLike) -> tuple[Array, Array]:
    """One step of `dy/dt = f(y)`, and an estimate of its error.

    Four stages `(2/h - J) u_i = f(y_i) + sum_j c_ij u_j / h` with one decomposition: third order, L-stable, stiffly
    accurate, an embedded formula of second order. What `f` conserves linearly is conserved to rounding. Sandu et al.
    (1997), doi:10.1016/S1352-2310(97)83212-8.
    """
    slope = rate(state)
    solver = lu_factor(2 * jnp.eye(len(state), dtype=state.dtype) / step - jacobian(state))
    first = lu_solve(solver, slope)
    second = lu_solve(solver, slope + 4 * first / step)
    middle = state + 2 * first
    third = lu_solve(solver, rate(middle) + (first - second) / step)
    nearly = middle + third
    fourth = lu_solve(solver, rate(nearly) + (first - second - 8 / 3 * third) / step)
    return nearly + fourth, fourth


def graded(rate: Rate, jacobian: Rate, state: Array, time: float, steps: int, growth: float = 1.0) -> Array:
    """Carry a state over `time` in a set number of steps, each `growth` times as long as the one before.

    What has just been disturbed relaxes in the short first steps. All of it can be differentiated backwards.
    """
    shares = growth ** jnp.arange(steps, dtype=state.dtype)

    def one(y: Array, step: Array) -> tuple[Array, None]:
        return rodas3(rate, jacobian, y, step)[0], None

    return jax.lax.scan(one, state, time * shares / jnp.sum(shares))[0]


def adaptive(
    rate: Rate, jacobian: Rate, state: Array, time: float, tolerance: float, floor: float, most: int = 10_000
) -> tuple[Array, Array]:
    """Carry a state over `time` in steps whose estimated error stays below `floor + tolerance |y|`; and their number.

    The root of the mean square over the state is held below 1, the next step is 0.9 error^(-1/3) times as long, as in
    the codes of Hairer & Wanner (1996) and KPP. There is no backward derivative.
    """

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        return (carry[1] < time) & (carry[3] < most)

    def one(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        y, now, step, count = carry
        taken = jnp.minimum(step, time - now)
        made, error = rodas3(rate, jacobian, y, taken)
        scale = floor + tolerance * jnp.maximum(jnp.abs(y), jnp.abs(made))
        size = jnp.sqrt(jnp.mean((error / scale) ** 2))
        size = jnp.where(jnp.isfinite(size), jnp.maximum(size, 1e-10), 1e10)
        kept = size <= 1
        # The last step ends on the hour whatever rounding says of the sum.
        later = jnp.where(taken < step, jnp.asarray(time, y.dtype), now + taken)
        factor = jnp.clip(SAFETY * size ** (-1 / ORDER), SHRINK, GROW)
        return jnp.where(kept, made, y), jnp.where(kept, later, now), taken * factor, count + 1

    first = jnp.asarray(1e-6 * time, state.dtype)
    begin = state, jnp.zeros_like(first), first, jnp.zeros((), int)
    made, _, _, count = jax.lax.while_loop(going, one, begin)
    return made, count
