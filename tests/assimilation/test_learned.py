"""A learned analysis against what it must become where the best analysis is known."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.learned import Cycles, LearnedAnalysis, cycled, end_to_end, imitate
from mechlearn.assimilation.letkf import LETKF
from mechlearn.assimilation.localisation import Localisation
from mechlearn.compose import Pass
from mechlearn.core import Model, Variable
from mechlearn.descent import Descent
from mechlearn.learners.convolution import Convolution
from mechlearn.learners.sklearn import Sklearn
from mechlearn.learners.whole import Whole

CLOUD = Variable("cloud", "1", ("place",))
MEMORY, NOISE, ERROR = 0.9, 0.5, 0.7


class Fading(Model):
    """Each of four numbers forgets at one rate."""

    inputs: ClassVar = (CLOUD,)
    outputs: ClassVar = (CLOUD,)
    state: ClassVar[tuple[str, ...]] = ("cloud",)

    def initial(self):
        return {"cloud": jnp.zeros(4)}

    def __call__(self, fields, *, key=None):
        return {"cloud": MEMORY * fields["cloud"]}


def kalman_gain():
    """That of the filter for one number when it has settled."""
    variance = 1.0
    for _ in range(200):
        forecast = MEMORY**2 * variance + NOISE**2
        variance = forecast * ERROR**2 / (forecast + ERROR**2)
    return forecast / (forecast + ERROR**2)


@pytest.fixture(scope="module")
def case():
    """A nature run, its observations, and what the settled Kalman filter makes of them."""
    system = Assimilation(Fading(), Pass(CLOUD), ObservationError.of_variance(np.full(4, ERROR**2)), noise=NOISE)
    truth, observed = system.nature(800, key=jax.random.key(0))
    observed = np.asarray(observed)
    analysed, gain = [np.zeros(4)], kalman_gain()
    for seen in observed[1:]:
        forecast = MEMORY * analysed[-1]
        analysed.append(forecast + gain * (seen - forecast))
    return system, np.asarray(truth), observed, np.asarray(analysed)


def untaught(system, learner):
    return LearnedAnalysis.make(system, learner, np.arange(4))


def test_imitation_finds_the_kalman_gain(case):
    system, _, observed, analysed = case
    line = partial(
        Whole, sizes={"place": 4}, learner=partial(Sklearn, estimator="sklearn.linear_model.Ridge", alpha=1e-6)
    )
    cycles = Cycles.cut(observed, analysed, 20)
    found = imitate(system, untaught(system, line), cycles, cycles, rounds=2, key=jax.random.key(0))
    assert found.distance.shape == (2,) and found.distance.max() < 1e-3
    # Innovations are in standard deviations of the observation error.
    made = found.analysis.increment(jnp.ones(4), jnp.array([1.0, 0.5, -1.0, 2.0]))
    np.testing.assert_allclose(made, kalman_gain() * ERROR * np.array([1.0, 0.5, -1.0, 2.0]), atol=1e-3)


def test_end_to_end_finds_it_from_observations_alone_and_runs_in_the_loop_of_filters(case):
    system, _, observed, analysed = case
    analysis = untaught(system, partial(Convolution, kernels=(1,)))
    cycles = Cycles.cut(observed, analysed, 20)
    how = Descent(epochs=40, batch_size=8, learning_rate=3e-2, patience=0)
    taught = end_to_end(system, analysis, cycles, cycles, judged_by="observations", how=how, key=jax.random.key(0))
    step = taught.increment(jnp.zeros(4), jnp.ones(4)) - taught.increment(jnp.zeros(4), jnp.full(4, 0.5))
    np.testing.assert_allclose(step, 0.5 * kalman_gain() * ERROR, atol=0.05)
    later = system.nature(500, key=jax.random.key(5))
    history = system.run(taught, jnp.zeros((1, 4)), later[1][1:], truth=later[0][1:], key=jax.random.key(1))
    best = np.sqrt(kalman_gain()) * ERROR
    assert best - 0.05 < float(history.analysis_rmse.mean()) < best + 0.08


def test_what_is_not_observed_is_not_covered(case):
    system = case[0]
    analysis = untaught(system, partial(Convolution, kernels=(1,)))
    seen = analysis.seen(jnp.arange(4.0), jnp.array([0.0, 2.0, 0.0, -1.0]))
    assert seen["cloud"].tolist() == [0, 1, 2, 3]
    assert seen["cloud_coverage"].tolist() == [0, 1, 0, 1]
    assert seen["cloud_innovation"].tolist() == [0, 2, 0, -1]


def test_a_run_begins_where_the_teacher_was(case):
    system, _, observed, analysed = case
    cycles = Cycles.cut(observed, analysed, 20)
    run = cycled(system, untaught(system, partial(Convolution, kernels=(1,))), cycles)
    assert run.forecast.shape == (40, 20, 4)
    np.testing.assert_allclose(run.forecast[:, 0], MEMORY * analysed[: 40 * 20 : 20], rtol=1e-5)


def test_bad_requests(case):
    system, _, observed, analysed = case
    with pytest.raises(ValueError, match="more than 900 cycles"):
        Cycles.cut(observed, analysed, 900)
    with pytest.raises(ValueError, match="which of 4 numbers"):
        LearnedAnalysis.make(system, partial(Convolution, kernels=(1,)), np.arange(5))
    cycles = Cycles.cut(observed, analysed, 20)
    with pytest.raises(ValueError, match="'analyses' or 'observations'"):
        end_to_end(system, None, cycles, cycles, judged_by="truth", key=jax.random.key(0))


def test_numbers_at_one_place_share_a_transform():
    places = np.repeat(np.arange(6.0), 2)
    apart = places + 1e-7 * np.arange(12)
    prior = jax.random.normal(jax.random.key(0), (5, 12))
    seen, each = prior[:, ::3], np.arange(12.0)[::3] / 2
    made = [
        LETKF(Localisation(at, each, 1.0, period=6.0)).update(prior, seen, jnp.ones(4), key=jax.random.key(1))
        for at in (places, apart)
    ]
    np.testing.assert_allclose(*made, atol=1e-5)
