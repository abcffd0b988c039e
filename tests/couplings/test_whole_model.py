"""A learner in the place of a whole model: its steps, what it is taught, the time of the year."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Variable
from mechlearn.couplings.embedded.model_error import Unmoved
from mechlearn.couplings.embedded.whole_model import Seasonal, emulated, started
from mechlearn.learners.polynomial import Polynomial
from mechlearn.learners.scaling import Scaling
from mechlearn.parameters import replace_at

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


def test_steps_are_of_third_order(float64):
    """One step from a known past: the error falls with the fourth power of the step."""
    errors = []
    for time_step in (0.2, 0.1):
        states = carried(time_step * np.arange(-2, 2)).astype(float)
        step = emulated(X, carried(0.01 * np.arange(40)), time_step, LINE, key=KEY, neighbours=(-1, 0, 1))
        slope = jnp.zeros_like(step.tendency.parts[1].part.coefficients).at[0, :2].set(jnp.array([SPEED, -SPEED]))
        step = exact(step, slope)
        errors.append(np.abs(step(started(step, jnp.asarray(states[0, :3])))["x"] - states[0, 3]).max())
    assert 12 < errors[0] / errors[1] < 20


def exact(step, slope):
    """The step with the very coefficients of the model, and no scaling."""
    part = step.tendency.parts[1].part
    for path, value in {"coefficients": slope, "constant": jnp.zeros(1), "entering": Scaling(part.inputs)}.items():
        step = replace_at(step, f"tendency.parts.1.part.{path}", value)
    return step


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
