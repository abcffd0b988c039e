"""On a linear-Gaussian case every ensemble method becomes the Kalman filter as members grow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.enkf import ETKF, DEnKF, EnKFN, PerturbedEnKF, SerialEnKF
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.inflation import Rotate
from mechlearn.assimilation.letkf import LETKF, LocalEAKF
from mechlearn.assimilation.localisation import Localisation

OPERATOR = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 1.0]])
MEAN = np.array([1.0, -1.0, 0.5])
COVARIANCE = np.array([[1.0, 0.4, 0.1], [0.4, 2.0, 0.3], [0.1, 0.3, 0.5]])
VARIANCE = np.array([0.5, 2.0])
OBSERVED = np.array([2.0, 0.3])
EVERYWHERE = Localisation(jnp.arange(3.0), jnp.arange(2.0), radius=1e3, taper="boxcar")
EXACT = {"etkf": ETKF(), "rotated": Rotate(ETKF()), "serial": SerialEnKF()}
EXACT |= {"letkf": LETKF(EVERYWHERE), "eakf": LocalEAKF(EVERYWHERE)}
LIMIT = {"perturbed": (PerturbedEnKF(), 50, 50000), "finite_size": (EnKFN(), 20, 400)}


def kalman(mean, covariance, operator, variance, observed):
    gain = covariance @ operator.T @ jnp.linalg.inv(operator @ covariance @ operator.T + jnp.diag(variance))
    return mean + gain @ (observed - operator @ mean), (jnp.eye(len(mean)) - gain @ operator) @ covariance


def drawn(members, key):
    """An ensemble whose mean and covariance are exactly those wanted."""
    normal = jax.random.normal(key, (members, 3))
    normal = normal - normal.mean(axis=0)
    white = normal @ jnp.linalg.inv(jnp.linalg.cholesky(jnp.cov(normal.T))).T
    return MEAN + white @ jnp.linalg.cholesky(COVARIANCE).T


def analysed(analysis, members, observed=OBSERVED):
    ensemble = drawn(members, jax.random.key(0))
    misfit, target = ObservationError.of_variance(VARIANCE).compare(ensemble @ OPERATOR.T, observed)
    made = analysis.update(ensemble, misfit, target, key=jax.random.key(1))
    return made.mean(axis=0), jnp.cov(made.T)


@pytest.mark.parametrize("name", EXACT)
def test_square_roots_are_the_kalman_filter(name, float64):
    mean, covariance = kalman(MEAN, COVARIANCE, OPERATOR, VARIANCE, OBSERVED)
    found = analysed(EXACT[name], 12)
    tolerance = 2e-6 if name in ("letkf", "eakf") else 1e-10
    np.testing.assert_allclose(found[0], mean, atol=tolerance)
    np.testing.assert_allclose(found[1], covariance, atol=tolerance)


@pytest.mark.parametrize("name", LIMIT)
def test_others_become_the_kalman_filter(name, float64):
    mean, covariance = kalman(MEAN, COVARIANCE, OPERATOR, VARIANCE, OBSERVED)
    analysis, *sizes = LIMIT[name]
    off = []
    for members in sizes:
        found = analysed(analysis, members)
        off.append(float(jnp.abs(found[0] - mean).max() + jnp.abs(found[1] - covariance).max()))
    assert off[1] < 0.3 * off[0]
    assert off[1] < 0.05


def test_half_the_gain_is_right_for_weak_observations(float64):
    mean, _ = kalman(MEAN, COVARIANCE, OPERATOR, VARIANCE, OBSERVED)
    found = analysed(DEnKF(), 12)
    np.testing.assert_allclose(found[0], mean, atol=1e-10)
    weak = ObservationError.of_variance(1e4 * VARIANCE)
    ensemble = drawn(12, jax.random.key(0))
    misfit, target = weak.compare(ensemble @ OPERATOR.T, OBSERVED)
    covariance = jnp.cov(DEnKF().update(ensemble, misfit, target, key=jax.random.key(0)).T)
    expected = kalman(MEAN, COVARIANCE, OPERATOR, 1e4 * VARIANCE, OBSERVED)[1]
    assert jnp.abs(covariance - expected).max() < 1e-3 * jnp.abs(COVARIANCE - expected).max()


@pytest.mark.parametrize("name", ["etkf", "serial", "letkf", "eakf"])
def test_a_missing_observation_is_one_less(name, float64):
    missing = jnp.array([jnp.nan, OBSERVED[1]])
    mean, covariance = kalman(MEAN, COVARIANCE, OPERATOR[1:], VARIANCE[1:], OBSERVED[1:])
    found = analysed(EXACT[name], 12, missing)
    np.testing.assert_allclose(found[0], mean, atol=2e-6)
    np.testing.assert_allclose(found[1], covariance, atol=2e-6)


@pytest.mark.parametrize(("local", "near"), [(LETKF, 2e-6), (LocalEAKF, 0.05)])
def test_a_number_without_a_place_is_corrected_by_all(local, near, float64):
    anywhere = Localisation([0.0, 50.0, jnp.nan], [0.0, 50.0], radius=1.0)
    ensemble = drawn(12, jax.random.key(0))
    misfit, target = ObservationError.of_variance(VARIANCE).compare(ensemble @ OPERATOR.T, OBSERVED)
    found = local(anywhere).update(ensemble, misfit, target, key=jax.random.key(1)).mean(axis=0)
    whole = SerialEnKF().update(ensemble, misfit, target, key=jax.random.key(1)).mean(axis=0)
    np.testing.assert_allclose(found[2], whole[2], atol=near)
    assert abs(found[0] - whole[0]) > 1e-3


@pytest.mark.parametrize("missing", [(), (1,), (0, 2)])
def test_correlated_errors(missing, float64):
    error = np.array([[1.0, 0.5, 0.2], [0.5, 2.0, 0.6], [0.2, 0.6, 1.5]])
    there = np.array([i for i in range(3) if i not in missing])
    observed = jnp.array([2.0, 0.3, -1.0])
    gain = COVARIANCE[:, there] @ jnp.linalg.inv((COVARIANCE + error)[np.ix_(there, there)])
    mean = MEAN + gain @ (observed - MEAN)[there]
    ensemble = drawn(12, jax.random.key(0))
    for made in (ObservationError.of_covariance(error), ObservationError.of_inverse(jnp.linalg.inv(error))):
        misfit, target = made.compare(ensemble, observed.at[jnp.array(missing, int)].set(jnp.nan))
        found = ETKF().update(ensemble, misfit, target, key=jax.random.key(0)).mean(axis=0)
        np.testing.assert_allclose(found, mean, atol=1e-8)
