"""The particle filter: weights carried from cycle to cycle, members drawn again only where few are left."""

import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.particle import ParticleFilter
from mechlearn.compose import Pass
from mechlearn.mechanisms.flow.lorenz63 import CONVECTION, Lorenz63


def test_weights_are_those_of_all_observations_so_far():
    prior = jnp.linspace(-1.0, 1.0, 5)[:, None]
    never = ParticleFilter(resample_below=0.0).begin(prior)
    once = never.adapt(prior, jnp.array([0.5]))
    twice = once.adapt(prior, jnp.array([-0.2]))
    expected = np.exp(-0.5 * (prior[:, 0] - 0.5) ** 2 - 0.5 * (prior[:, 0] + 0.2) ** 2)
    np.testing.assert_allclose(twice.weights(), expected / expected.sum(), rtol=1e-5)
    assert bool(jnp.all(once.update(prior, prior, jnp.array([-0.2]), key=jax.random.key(0)) == prior))


def test_copies_alone_are_moved_and_an_empty_covariance_does_no_harm():
    prior = jnp.asarray(np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 1e-4, 0.0], jnp.float32)
    far = ParticleFilter().update(prior, prior[:, :1], jnp.array([30.0]), key=jax.random.key(0))
    assert bool(jnp.all(jnp.isfinite(far))) and len(np.unique(far[:, 0])) == 50
    near = ParticleFilter().update(prior, prior[:, :1], jnp.array([0.0]), key=jax.random.key(0))
    assert 10 < np.isin(np.asarray(near[:, 0]), np.asarray(prior[:, 0])).sum() < 50


def test_scores_are_of_the_weighted_mean():
    system = Assimilation(Lorenz63(), Pass(CONVECTION), ObservationError.of_variance(np.full(3, 2.0)), every=25)
    truth, observed = system.nature(80, key=jax.random.key(0), spin_up=50)
    start = truth[0] + 1.4 * jax.random.normal(jax.random.key(1), (200, 3))
    found = system.run(ParticleFilter(1.4, 0.3), start, observed[1:], truth=truth[1:], key=jax.random.key(2))
    assert found.analysis_rmse[20:].mean() < 0.5
    assert found.analysis.weights().shape == (200,)
