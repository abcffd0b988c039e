"""Cycles: state and parameters together, models from outside, sparse observations, diagnostics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.augmented import WithParameters
from mechlearn.assimilation.black_box import BmiMember, steer
from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.diagnostics import reliability
from mechlearn.assimilation.enkf import ETKF
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.inflation import AdaptiveInflate, Inflate
from mechlearn.compose import Pass
from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from mechlearn.parameters import bounded

UNIT = ObservationError.of_variance(np.ones(40))


def twin(cycles=300, system=None):
    system = system or Assimilation(Lorenz96(), Pass(QUANTITY), UNIT)
    truth, observed = system.nature(cycles, key=jax.random.key(0), spin_up=400)
    return truth, observed


def test_a_forcing_is_found_with_the_state():
    truth, observed = twin(400)
    step = WithParameters(Lorenz96(), ["forcing"])
    system = Assimilation(step, Pass(QUANTITY), UNIT)
    start = truth[0] + 0.3 * jax.random.normal(jax.random.key(1), (40, 40))
    width = step.known["forcing"].bounds
    guess = step.initial()["unbounded_forcing"] - 0.1 + 0.05 * jax.random.normal(jax.random.key(2), (40, 1))
    history = system.run(
        Inflate(ETKF(), 1.02), jnp.concatenate([start, guess], axis=1), observed[1:], key=jax.random.key(3)
    )
    assert abs(float(bounded(guess.mean(), width)) - 8) > 1
    assert abs(float(bounded(history.ensemble[:, 40].mean(), width)) - 8) < 0.2


def test_every_second_place_seen_every_second_time():
    truth, observed = twin()
    gaps = observed[1:].at[::2].set(jnp.nan).at[:, ::2].set(jnp.nan)
    system = Assimilation(Lorenz96(), Pass(QUANTITY), UNIT)
    start = truth[0] + 0.3 * jax.random.normal(jax.random.key(1), (40, 40))
    history = system.run(Inflate(ETKF(), 1.05), start, gaps, truth=truth[1:], key=jax.random.key(2))
    assert history.analysis_rmse[100:].mean() < 1.0


def test_adaptive_inflation_learns_and_is_reliable():
    truth, observed = twin(1500)
    system = Assimilation(Lorenz96(), Pass(QUANTITY), UNIT)
    start = truth[0] + 0.3 * jax.random.normal(jax.random.key(1), (30, 40))
    history = system.run(AdaptiveInflate(ETKF()), start, observed[1:], truth=truth[1:], key=jax.random.key(2))
    scores = reliability(history, 300)
    assert scores.analysis_rmse < 0.25
    assert 0.8 < scores.spread_skill < 1.3
    assert abs(scores.consistency - 1) < 0.1


class Outside:
    """Lorenz-96 in numpy, some of whose runs end badly."""

    def __init__(self, state, fails):
        self.state, self.fails = state, fails

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.state = state

    def advance(self, cycle):
        if self.fails and cycle % 7 == 3:
            raise RuntimeError("no convergence")
        x, h = self.state, 0.05

        def rate(x):
            return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8.0

        a = rate(x)
        b = rate(x + h / 2 * a)
        c = rate(x + h / 2 * b)
        self.state = x + h / 6 * (a + 2 * (b + c) + rate(x + h * c))
        return self.state


def test_crashing_members_do_not_stop_a_black_box():
    truth, observed = twin(60)
    draw = np.random.default_rng(0)
    members = [Outside(np.array(truth[0]) + draw.normal(0, 0.3, 40), fails=place < 2) for place in range(30)]
    found = steer(members, Inflate(ETKF(), 1.04), UNIT, observed[1:], key=jax.random.key(0))
    assert found.lost.sum() == 2 * 9
    assert "no convergence" in found.reasons[0]
    assert found.told().startswith(
        "18 of 1800 runs of members failed and went on from a living one; the first: cycle 3"
    )
    assert np.sqrt(np.mean((found.analysis_mean - np.array(truth[1:])) ** 2, axis=1))[20:].mean() < 0.4


def test_a_black_box_all_of_whose_members_crash():
    members = [Outside(np.zeros(40), fails=True) for _ in range(3)]
    with pytest.raises(ValueError, match="all 3 members were lost in cycle 3; the last said"):
        steer(members, ETKF(), UNIT, np.zeros((6, 40)), key=jax.random.key(0))


class Reservoir:
    """A component with a Basic Model Interface: storage runs out, every 13th update of some fails."""

    def __init__(self, storage, fails):
        self.values = {"storage": np.array([storage]), "outflow": np.zeros(1)}
        self.fails, self.updates = fails, 0

    def update(self):
        self.updates += 1
        if self.fails and self.updates % 13 == 0:
            raise OSError("the program ended with status 134")
        self.values["outflow"] = 0.1 * self.values["storage"]
        self.values["storage"] = self.values["storage"] - self.values["outflow"] + 1.0

    def get_var_type(self, name):
        return "float64"

    def get_var_itemsize(self, name):
        return 8

    def get_var_nbytes(self, name):
        return 8 * len(self.values[name])

    def get_value(self, name, dest):
        dest[:] = self.values[name]
        return dest

    def set_value(self, name, src):
        self.values[name] = np.array(src)


def test_components_with_a_basic_model_interface():
    draw = np.random.default_rng(0)
    parts = [Reservoir(storage, fails=place < 2) for place, storage in enumerate(draw.normal(30, 5, 20))]
    members = [BmiMember(part, ["storage"], ["outflow"], updates=2) for part in parts]
    error = ObservationError.of_variance([0.01])
    found = steer(members, Inflate(ETKF(), 1.02), error, np.full((15, 1), 1.0), key=jax.random.key(0))
    assert found.lost.sum() == 2 * 2 and "status 134" in found.told()
    np.testing.assert_allclose(found.analysis_mean[-1], 10.0, atol=0.6)


def test_members_that_do_not_fit():
    members = [BmiMember(Reservoir(30.0, fails=False), ["storage"], ["outflow"]) for _ in range(3)]
    two = ObservationError.of_variance([0.1, 0.1])
    with pytest.raises(ValueError, match="member 0 predicts 1 observations, but the observation error is that of 2"):
        steer(members, ETKF(), two, np.zeros((4, 2)), key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"observations must be \(cycle, 2\)"):
        steer(members, ETKF(), two, np.zeros(4), key=jax.random.key(0))
    with pytest.raises(TypeError, match="member 0, a Reservoir, has no get_state"):
        steer([Reservoir(1.0, fails=False)], ETKF(), two, np.zeros((4, 2)), key=jax.random.key(0))


def test_an_error_of_the_model_that_is_correlated():
    root = np.array([[1.0], [1.0], [-1.0]] + [[0.0]] * 37)
    system = Assimilation(Lorenz96(time_step=1e-6), Pass(QUANTITY), UNIT, noise=root)
    truth, _ = system.nature(200, key=jax.random.key(0))
    moved = np.diff(np.asarray(truth, float), axis=0)
    np.testing.assert_allclose(moved[:, 0], moved[:, 1], atol=1e-3)
    np.testing.assert_allclose(moved[:, 0], -moved[:, 2], atol=1e-3)
    assert 0.8 < moved[:, 0].std() < 1.2 and np.abs(moved[:, 3:]).max() < 1e-2
