"""Networks that solve differential equations, on small cases with closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.descent import Descent
from mechlearn.solvers.deep_pde import Semilinear, deep_bsde, hamilton_jacobi_bellman, steered
from mechlearn.solvers.physics_informed import Condition, physics_informed


def test_the_heat_equation_is_the_mean_of_its_end():
    """`u_t + Δu/2 = 0`, `u(1) = |x|²`: `u(0, x) = |x|² + dimension`."""
    heat = Semilinear(lambda t, x, y, z: 0.0 * y, lambda x: jnp.sum(x**2), jnp.ones(3), 1.0, 1.0)
    told = deep_bsde(heat, key=jax.random.key(0), steps=4, width=8, iterations=600, learning_rate=5e-2, rounds=6)
    np.testing.assert_allclose(told.value, 6.0, rtol=0.02)


def test_the_value_of_steering_in_one_dimension_is_that_of_quadrature():
    equation = hamilton_jacobi_bellman(dimension=1)
    node = np.linspace(-9, 9, 4001)
    weight = np.exp(-(node**2) / 2)
    expected = -np.log(np.sum(weight * 2 / (1 + 2 * node**2)) / np.sum(weight))
    assert steered(equation, 200_000, jax.random.key(1)) == pytest.approx(expected, abs=0.005)


def test_growth_is_exponential():
    growth = Condition(jnp.linspace(0, 1, 320)[:, None], lambda u, x: jax.grad(u)(x)[0] - u(x))
    start = Condition(jnp.zeros((1, 1)), lambda u, x: u(x) - 1.0, weight=10.0)
    u = physics_informed(
        [growth, start], key=jax.random.key(0), width=8, depth=1, how=Descent(30, 32, 2e-2, patience=0)
    )
    np.testing.assert_allclose(u(jnp.ones(1)), np.e, rtol=0.02)
    with pytest.raises(ValueError, match="at least one condition"):
        physics_informed([], key=jax.random.key(0))
    with pytest.raises(ValueError, match="points are"):
        physics_informed([Condition(jnp.ones(3), growth.residual)], key=jax.random.key(0))
    with pytest.raises(ValueError, match="an iteration a round"):
        deep_bsde(hamilton_jacobi_bellman(2), key=jax.random.key(0), iterations=5)
