"""Partial differential equations in a hundred dimensions, by networks along random paths."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from ...descent import Descent
from ...solvers.deep_pde import allen_cahn, deep_bsde, hamilton_jacobi_bellman, steered
from ...solvers.physics_informed import Condition, physics_informed
from ..study import Findings, Score

# By the branching diffusion method, as Han et al. give it: u(0, 0) of Allen-Cahn in 100 dimensions at T = 0.3.
ALLEN_CAHN = 0.052802
BELLMAN = "Hamilton-Jacobi-Bellman"


def study(
    *,
    dimension: int = 100,
    iterations: int = 2000,
    width: int = 110,
    steps: int = 20,
    paths: int = 1_000_000,
    epochs: int = 300,
    seed: int,
) -> Findings:
    """Solve the Hamilton-Jacobi-Bellman and the Allen-Cahn equation at one point, and the heat of a soil by a network.

    The Hamilton-Jacobi-Bellman reference is drawn here (Cole-Hopf, `paths` samples); the Allen-Cahn reference is the
    published one. The soil: a damped wave of temperature below a surface that warms and cools, its closed form known.
    Han, Jentzen & E (2018), doi:10.1073/pnas.1718942115; Raissi et al. (2019), doi:10.1016/j.jcp.2018.10.045.
    """
    key, drawn, scores = jax.random.key(seed), {}, []
    bellman = hamilton_jacobi_bellman(dimension)
    wanted = {BELLMAN: steered(bellman, paths, jax.random.key(99)), "Allen-Cahn": ALLEN_CAHN}
    cases = {BELLMAN: (bellman, 1e-2), "Allen-Cahn": (allen_cahn(dimension), 3e-3)}
    for name, (equation, rate) in cases.items():
        begin = time.perf_counter()
        solved = deep_bsde(equation, key=key, steps=steps, width=width, iterations=iterations, learning_rate=rate)
        seconds = time.perf_counter() - begin
        missed = 100 * abs(solved.value - wanted[name]) / wanted[name]
        scores.append(Score(name, "value", solved.value, seconds=seconds))
        scores.append(Score(name, "relative_error", missed, "percent", seconds=seconds))
        drawn[name] = solved.misfit
    begin = time.perf_counter()
    error = soil_heat(epochs, key)
    scores.append(Score("heat of a soil", "rmse", error, "K", seconds=time.perf_counter() - begin))
    told = f"Hamilton-Jacobi-Bellman by {paths} samples of Cole and Hopf's formula: {wanted[BELLMAN]:.4f}."
    return Findings(
        scores, {"Misfit at the horizon through the iterations": lambda axes: falling(axes, drawn, iterations)}, [told]
    )


def soil_heat(epochs: int, key: jax.Array, depth: float = 2.0, cycles: float = 1.0) -> float:
    """The root mean square error (K) of a network for `T_t = k T_zz` under a surface of `10 sin(2π t)` K.

    Depth in damping depths d = sqrt(k / π) of the year's wave; `T = 10 exp(-z) sin(2π t - z)`, which also holds at
    the start and at the lower end.
    """

    def wave(x: jax.Array) -> jax.Array:
        return 10 * jnp.exp(-x[0]) * jnp.sin(2 * jnp.pi * x[1] - x[0])

    def diffuses(u, x):
        return jax.grad(u)(x)[1] / (2 * jnp.pi) - jax.grad(lambda y: jax.grad(u)(y)[0])(x)[0] / 2

    inside, edge, test = (jax.random.uniform(k, (1024, 2)) for k in jax.random.split(key, 3))
    reach = jnp.array([depth, cycles])
    borders = jnp.concatenate([edge[:341] * reach * jnp.array([0, 1]), edge[341:682] * reach * jnp.array([1, 0])])
    borders = jnp.concatenate([borders, edge[682:] * reach * jnp.array([0, 1]) + jnp.array([depth, 0])])
    conditions = [
        Condition(inside * reach, diffuses),
        Condition(borders, lambda u, x: u(x) - wave(x) / 10, weight=10.0),
    ]
    how = Descent(epochs=epochs, batch_size=256, learning_rate=5e-3, patience=0)
    u = physics_informed(conditions, key=key, how=how)
    error = 10 * jax.vmap(u)(test * reach) - jax.vmap(wave)(test * reach)
    return float(jnp.sqrt(jnp.mean(error**2)))


def falling(axes, drawn: dict[str, np.ndarray], iterations: int) -> None:
    """Draw how far each equation is from its end."""
    for name, misfit in drawn.items():
        axes.semilogy(np.linspace(0, iterations, len(misfit) + 1)[1:], misfit, label=name)
    axes.set(xlabel="iteration", ylabel="squared misfit over variance")
    axes.legend()
