"""Posteriors by sampling and by taught learners: those of a Gaussian case are known in closed form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Model, Variable
from mechlearn.couplings.embedded.solution import amortised
from mechlearn.learners.sklearn import Sklearn
from mechlearn.solvers.markov_chain import MarkovChain

X, Y = Variable("x", "1"), Variable("y", "1")


class Doubled(Model):
    """y = 2 x."""

    inputs = (X,)
    outputs = (Y,)

    def __call__(self, fields, *, key=None):
        return {"y": 2 * fields["x"]}


def test_samples_follow_a_gaussian_posterior_and_stay_within_bounds():
    """`x ~ N(1, 2²)` and `(x, x) ~ N(y, 1)` leave `N(mean, 1 / (1/4 + 2))`; b is uniform above 0 with a weak look."""
    pytest.importorskip("blackjax")
    sampler = MarkovChain(bounds={"b": (0.0, 4.0)}, prior={"x": (1.0, 2.0)}, draws=1500, warmup=300)
    told = sampler.sample(
        lambda f: jnp.stack([f["x"] - 2.0, f["x"] - 3.0, 0.0 * f["b"]]), {"x": 0.0, "b": 1.0}, key=jax.random.key(0)
    )
    precision = 0.25 + 2
    np.testing.assert_allclose(told.fields["x"].mean(), (0.25 + 5) / precision, atol=0.06)
    np.testing.assert_allclose(told.fields["x"].std(), precision**-0.5, rtol=0.06)
    np.testing.assert_allclose([told.fields["b"].mean(), told.fields["b"].std()], [2, 4 / 12**0.5], rtol=0.08)
    assert max(float(value) for value in told.shrinkage.values()) < 1.02 and int(told.divergences) == 0
    assert all(300 < float(value) < 2.5 * 3000 for value in told.effective.values())
    assert told.fields["b"].min() > 0 and told.fields["b"].max() < 4


def test_priors_of_what_is_not_sought_are_refused():
    with pytest.raises(ValueError, match="priors are given for"):
        MarkovChain(prior={"z": (0.0, 1.0)}).sample(lambda f: f["x"], {"x": 0.0}, key=jax.random.key(0))
    with pytest.raises(ValueError, match="standard deviation above 0"):
        MarkovChain(prior={"x": (0.0, -1.0)})
    with pytest.raises(ValueError, match="4 draws"):
        MarkovChain(draws=1)


def test_learners_give_the_posterior_mean_and_deviation():
    """Far from the ends of a uniform prior, `y = 2 x + N(0, 0.4²)` says `x ~ N(y / 2, 0.2²)`."""
    trees = partial(Sklearn, estimator="sklearn.neighbors.KNeighborsRegressor", n_neighbors=100)
    system = amortised(Doubled(), trees, ranges={"x": (0.0, 10.0)}, errors={"y": 0.4}, simulations=8000)
    told = jax.vmap(lambda y: system({"y": y}))(jnp.asarray([6.0, 10.0, 14.0]))
    np.testing.assert_allclose(told["x"], [3.0, 5.0, 7.0], atol=0.08)
    np.testing.assert_allclose(told["x_standard_deviation"], 0.2, rtol=0.2)
    beside, afar = (system({"y": y}) for y in (20.9, 6000.0))
    assert 9.5 < float(beside["x"]) <= 10 and np.isnan([afar["x"], afar["x_standard_deviation"]]).all()
