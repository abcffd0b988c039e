"""A learned gain for a small ensemble: the sampled gain where that is known, what is refused, what teaching does."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.error import ObservationError
from mechlearn.core import Model, Variable
from mechlearn.couplings.embedded.cycling import taught_while_cycling
from mechlearn.couplings.embedded.hybrid_gain import HybridGain, Inflation, inverted
from mechlearn.descent import Descent

CLOUD = Variable("cloud", "1", ("y", "x"))
SIZE, MEMBERS = 8, 4
PLACES = np.arange(SIZE**2).reshape(SIZE, SIZE)[::2, ::2].ravel()


class Drifting(Model):
    """A cloud that the wind carries on by one cell."""

    inputs: ClassVar = (CLOUD,)
    outputs: ClassVar = (CLOUD,)
    state: ClassVar[tuple[str, ...]] = ("cloud",)

    def initial(self):
        return {"cloud": jnp.zeros((SIZE, SIZE))}

    def __call__(self, fields, *, key=None):
        return {"cloud": jnp.roll(fields["cloud"], 1, axis=1)}


class Stations(Model):
    """Every second cell along both axes."""

    inputs: ClassVar = (CLOUD,)
    outputs: ClassVar = (CLOUD,)

    def __call__(self, fields, *, key=None):
        return {"cloud": fields["cloud"][::2, ::2]}


@pytest.fixture(scope="module")
def system():
    return Assimilation(Drifting(), Stations(), ObservationError.of_variance(np.full(len(PLACES), 0.25)))


@pytest.fixture(scope="module")
def gain(system):
    climate = np.random.default_rng(0).normal(size=(20, SIZE**2))
    return HybridGain.make(system, PLACES, climate, width=4, inflation=1.0, key=jax.random.key(0))


@pytest.fixture(scope="module")
def update(gain):
    """The analysis where every station reaches everything."""
    everywhere = eqx.tree_at(lambda g: g.reach, gain, jnp.asarray(1.0))
    return jax.jit(lambda e, p: everywhere.update(e, p, jnp.zeros(len(PLACES)), key=jax.random.key(0)))


def test_untaught_it_is_the_sampled_gain(update):
    ensemble = np.random.default_rng(1).normal(size=(MEMBERS, SIZE**2))
    predicted = 2 * ensemble[:, PLACES] - 0.7
    mean, middle = ensemble.mean(axis=0), predicted.mean(axis=0)
    anomalies, differences = ensemble - mean, predicted - middle
    weights = np.linalg.solve(differences @ differences.T + (MEMBERS - 1) * np.eye(MEMBERS), differences)
    analysed = np.asarray(update(jnp.asarray(ensemble), jnp.asarray(predicted)))
    np.testing.assert_allclose(analysed.mean(axis=0), mean - middle @ weights.T @ anomalies, atol=1e-4)
    own = differences @ weights.T
    narrowed = anomalies - (0.5 * own + 0.125 * own @ own) @ anomalies
    np.testing.assert_allclose(analysed - analysed.mean(axis=0), narrowed, atol=1e-4)


def test_matrices_are_inverted_everywhere_at_once():
    roots = np.random.default_rng(5).normal(size=(5, 7, 3, 2))
    matrices = np.einsum("ikyx,jkyx->ijyx", roots, roots)
    unit = np.broadcast_to(np.eye(5)[..., None, None], matrices.shape)
    found = inverted(jnp.asarray(matrices))
    np.testing.assert_allclose(np.einsum("ikyx,kjyx->ijyx", found, matrices), unit, atol=1e-3)


def test_without_observations_nothing_moves(update):
    ensemble = jax.random.normal(jax.random.key(2), (MEMBERS, SIZE**2))
    np.testing.assert_allclose(update(ensemble, jnp.zeros((MEMBERS, len(PLACES)))), ensemble, atol=1e-5)


def test_teaching_moves_the_gain_and_its_inflation(system, gain):
    wave = jnp.sin(2 * jnp.pi * jnp.arange(SIZE) / SIZE)
    lanes, cycles = 2, 20
    truth = jnp.stack([jnp.roll(wave[:, None] * jnp.ones(SIZE) + wave, n, axis=1).ravel() for n in range(cycles)])
    noise = 0.5 * jax.random.normal(jax.random.key(3), (lanes, cycles, len(PLACES)))
    targets = jnp.broadcast_to(truth, (lanes, *truth.shape))
    options = {"members": 3, "rounds": 1, "how": Descent(epochs=1, batch_size=4, learning_rate=1e-2, patience=0)}
    found = taught_while_cycling(system, gain, targets[..., PLACES] + noise, targets, **options, key=jax.random.key(4))
    assert found.distance.shape == (1,) and 0 < found.distance[0] < 10
    assert np.abs(found.gain.static[2]).max() > 0 and np.isfinite(found.gain.context[0]).all()
    assert isinstance(found.gain.inflation, Inflation) and 0.9 <= found.gain.inflation.factor <= 1.3


def test_what_does_not_fit_is_refused(system, gain):
    climate = np.ones((2, SIZE**2))
    with pytest.raises(ValueError, match="in every block"):
        HybridGain.make(system, PLACES + 1 - np.arange(len(PLACES)) % 2, climate, key=jax.random.key(0))
    with pytest.raises(ValueError, match="of 3 cycles at least"):
        seen, wanted = jnp.zeros((1, 2, len(PLACES))), jnp.zeros((1, 2, SIZE**2))
        taught_while_cycling(system, gain, seen, wanted, rounds=3, key=jax.random.key(0))
