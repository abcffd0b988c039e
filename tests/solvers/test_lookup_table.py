"""The lookup table: the best candidate, the mean of the best, the posterior mean, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.solvers.lookup_table import LookupTable, latin_hypercube

KEY = jax.random.key(1)
GUESS = {"x": jnp.asarray(0.0)}


def test_a_dense_table_of_prior_draws_gives_the_gaussian_posterior_mean():
    table = LookupTable({"x": np.random.default_rng(0).normal(size=20000)}, best=None)
    found = table.solve(lambda f: (f["x"] - 2.0) / 0.5, GUESS, key=KEY)
    np.testing.assert_allclose(found["x"], 2.0 / 1.25, atol=0.02)


def test_the_best_are_averaged_and_failed_simulations_left_out():
    table = LookupTable({"x": jnp.array([-5.0, 0.9, 1.0, 1.2, 7.0])}, best=2)
    found = table.solve(lambda f: jnp.where(f["x"] == 1.0, jnp.nan, f["x"] - 1.0), GUESS, key=KEY)
    np.testing.assert_allclose(found["x"], (0.9 + 1.2) / 2, rtol=1e-6)


def test_failed_simulations_are_no_answer_even_where_too_few_are_left():
    table = LookupTable({"x": jnp.array([-5.0, 0.9, 1.0])}, best=3)
    found = table.solve(lambda f: jnp.where(f["x"] > 0, f["x"] - 1.0, jnp.nan), GUESS, key=KEY)
    np.testing.assert_allclose(found["x"], 0.95, rtol=1e-6)
    with pytest.raises(ValueError, match="none of 3 candidates has a finite residual"):
        table.solve(lambda f: f["x"] * jnp.nan, GUESS, key=KEY)
    assert jnp.isnan(jax.jit(lambda: table.nearest(jnp.full((3, 1), jnp.nan)))()["x"])


def test_the_global_least_is_found_where_descent_would_stop_short():
    table = LookupTable(latin_hypercube({"x": (-3.0, 3.0)}, 400, key=KEY))
    found = table.solve(lambda f: jnp.stack([jnp.sin(5 * f["x"]), 0.3 * (f["x"] - 1.9)]), GUESS, key=KEY)
    assert abs(float(found["x"]) - 3 * np.pi / 5) < 0.02


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="equal length"):
        LookupTable({"x": jnp.zeros(3), "y": jnp.zeros(2)})
    with pytest.raises(ValueError, match="lower < upper"):
        latin_hypercube({"x": (1.0, 0.0)}, 4, key=KEY)
    with pytest.raises(ValueError, match="between 1 and 3"):
        LookupTable({"x": jnp.zeros(3)}, best=4)
    with pytest.raises(ValueError, match="the table holds"):
        LookupTable({"x": jnp.zeros(3)}).solve(lambda f: f["y"], {"y": jnp.zeros(())}, key=KEY)
