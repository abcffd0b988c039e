"""A learner in the place of a whole model: its steps, what it is taught, the time of the year."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Variable
from mechlearn.couplings.embedded.model_error import Unmoved
from mechlearn.couplings.embedded.whole_model import Seasonal, emulated
from mechlearn.learners.polynomial import Polynomial

X = Variable("x", "1", ("place",))
LINE, KEY, SPEED = partial(Polynomial, degree=1), jax.random.key(0), 0.7


def carried(times, size=8):
    """`dx_i/dt = v (x_{i-1} - x_i)` around a circle from a random state, exactly, by its harmonics."""
    start = np.fft.fft(np.random.default_rng(0).normal(size=size))
    growth = SPEED * (np.exp(-2j * np.pi * np.fft.fftfreq(size)) - 1)
    return np.fft.ifft(start * np.exp(growth * np.asarray(times)[:, None])).real[None].astype(np.float32)


@pytest.mark.parametrize("neighbours", [(-1, 0, 1), None], ids=["local", "global"])
def test_tendencies_are_learned_from_what_a_model_did(neighbours):
    states = carried(0.1 * np.arange(40))
    step = emulated(X, states, 0.1, LINE, key=KEY, neighbours=neighbours)
    rate = step.rate(jnp.asarray(states[0, 5]))
    np.testing.assert_allclose(rate, SPEED * (np.roll(states[0, 5], 1) - states[0, 5]), atol=2e-3)


def test_the_year_comes_round():
    step = Seasonal(Unmoved((X,), {"x": jnp.zeros(3)}), 4)
    fields = step.initial()
    quarter = step(fields)
    np.testing.assert_allclose(quarter["sine_of_day_of_year"], 1.0, atol=1e-6)
    for _ in range(4):
        fields = step(fields)
    np.testing.assert_allclose(fields["cosine_of_day_of_year"], 1.0, atol=1e-6)


def test_too_short_a_run_teaches_nothing():
    with pytest.raises(ValueError, match="five times"):
        emulated(X, np.zeros((1, 4, 8)), 0.1, LINE, key=KEY)
