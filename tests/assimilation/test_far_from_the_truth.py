"""In single precision filters stay exact where the spread is ten thousand standard deviations of the observations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.enkf import ETKF, DEnKF, EnKFN, PerturbedEnKF, SerialEnKF
from mechlearn.assimilation.letkf import LETKF
from mechlearn.assimilation.localisation import Localisation
from mechlearn.assimilation.smoothers import IEnKS

MEMBERS, SIZE = 6, 8
EVERYWHERE = Localisation(jnp.arange(8.0), jnp.arange(8.0), radius=1e3, taper="boxcar")
FILTERS = {"etkf": ETKF(), "serial": SerialEnKF(), "letkf": LETKF(EVERYWHERE), "finite": EnKFN(), "half": DEnKF()}
FILTERS |= {"perturbed": PerturbedEnKF()}
PRIOR = np.random.default_rng(0).normal(size=(MEMBERS, SIZE))
OBSERVED = np.random.default_rng(1).normal(size=SIZE)


def kalman_mean(prior):
    """The mean in double precision, by singular values."""
    mean, free = prior.mean(axis=0), MEMBERS - 1
    axes, values, seen = np.linalg.svd((prior - mean) / np.sqrt(free), full_matrices=False)
    values[-1] = 0
    weights = (OBSERVED - mean) @ seen.T * (values / (1 + values**2)) @ axes.T
    return mean + weights @ (prior - mean) / np.sqrt(free)


@pytest.mark.parametrize("name", FILTERS)
def test_the_mean_is_that_of_double_precision(name):
    def update(prior):
        return FILTERS[name].update(prior, prior, jnp.asarray(OBSERVED, prior.dtype), key=jax.random.key(0))

    # A near and a far ensemble in one batch: the remedy for the one must not touch the other.
    found = np.asarray(jax.jit(jax.vmap(update))(jnp.asarray([PRIOR, 1e4 * PRIOR], jnp.float32)))
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(found[1].mean(axis=0), kalman_mean(1e4 * PRIOR), atol=0.02)
    if name != "finite":
        np.testing.assert_allclose(found[0].mean(axis=0), kalman_mean(PRIOR), atol=1e-5)


def test_the_iterative_filter_comes_within_the_error_of_the_observations():
    prior = jnp.asarray(1e4 * PRIOR, jnp.float32)
    found = IEnKS(lag=0).smooth(prior, lambda e: e - OBSERVED, jnp.zeros(SIZE), key=jax.random.key(0))
    np.testing.assert_allclose(found.mean(axis=0), kalman_mean(1e4 * PRIOR), atol=3.0)


def test_the_iterative_filter_of_finite_size_is_the_finite_size_filter(float64):
    prior, observed = jnp.asarray(PRIOR), jnp.asarray(OBSERVED) + 2
    iterative = IEnKS(lag=0, certainty=1.5, iterations=40, tolerance=1e-9)
    found = iterative.smooth(prior, lambda e: e - observed, jnp.zeros(SIZE), key=jax.random.key(0))
    expected = EnKFN(1.5).update(prior, prior, observed, key=jax.random.key(0))
    # The one finds the weight of the prior by iteration, the other on a grid.
    np.testing.assert_allclose(found, expected, atol=2e-3)
