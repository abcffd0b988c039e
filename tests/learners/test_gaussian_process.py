"""Gaussian processes: the slope of the likelihood, the posterior against scikit-learn, the spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from mechlearn.core import Variable
from mechlearn.learners.gaussian_process import GaussianProcess, _posterior, condition, likelihood

X, Y = Variable("x", "1"), Variable("y", "1")


@pytest.mark.parametrize("kernel", ["squared_exponential", "matern"])
def test_the_slope_of_the_likelihood_equals_finite_differences(kernel):
    draw = np.random.default_rng(0)
    points, values, log = draw.normal(size=(30, 3)), draw.normal(size=30), np.array([0.1, 0.5, -0.2, 0.3, -0.7])
    slope = likelihood(log, points, values, kernel)[1]
    for place in range(5):
        step = 1e-5 * np.eye(5)[place]
        ahead, behind = (likelihood(log + s, points, values, kernel)[0] for s in (step, -step))
        np.testing.assert_allclose(slope[place], (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("kernel", "theirs"), [("squared_exponential", RBF), ("matern", lambda lengths: Matern(lengths, nu=2.5))]
)
def test_the_posterior_equals_scikit_learn_with_the_same_hyper_parameters(kernel, theirs):
    draw = np.random.default_rng(1)
    points, new = draw.normal(size=(40, 2)), draw.normal(size=(5, 2))
    values = np.sin(points[:, 0]) + 0.1 * draw.normal(size=40)
    found = condition(points, values, kernel)
    shape = ConstantKernel(float(found.amplitude) ** 2) * theirs(np.asarray(found.lengths))
    reference = GaussianProcessRegressor(shape + WhiteKernel(float(found.noise) ** 2), optimizer=None, alpha=0)
    mean, deviation = reference.fit(points, values).predict(new, return_std=True)
    made = jax.vmap(lambda x: _posterior(found, x, kernel))(jnp.asarray(new))
    np.testing.assert_allclose(made[0], mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(made[1], deviation, rtol=1e-6, atol=1e-8)


def test_the_spread_grows_away_from_the_examples():
    x = jnp.linspace(0, 1, 30)
    taught = GaussianProcess([X], [Y]).fit({"x": x}, {"y": jnp.sin(6 * x)}, key=jax.random.key(0))
    near, far = (taught({"x": jnp.asarray(v)})["y_standard_deviation"] for v in (0.5, 4.0))
    assert 0 < near < 0.2 * far


def test_at_most_so_many_examples_are_used():
    x = jnp.linspace(0, 1, 300)
    taught = GaussianProcess([X], [Y], most=50).fit({"x": x}, {"y": jnp.sin(6 * x)}, key=jax.random.key(0))
    assert taught.processes[0].points.shape == (50, 1)
    assert abs(float(taught({"x": jnp.asarray(0.5)})["y"]) - np.sin(3.0)) < 0.05


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match="'squared_exponential' or 'matern'"):
        GaussianProcess([X], [Y], kernel="linear")
