"""What the networks promise beyond conformance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import Variable
from mechlearn.descent import Descent, descend, stack
from mechlearn.learners.examples import Samples, misfit
from mechlearn.learners.lstm import LSTM
from mechlearn.learners.lstm import example as series
from mechlearn.learners.mlp import MLP

RAIN, RUNOFF = Variable("rain", "mm day-1", ("time",)), Variable("runoff", "mm day-1", ("time",))
AREA = Variable("area", "km2")


def test_dropout_needs_a_key():
    learner = LSTM([RAIN], [RUNOFF], hidden=8, dropout=0.5)
    fields = {"rain": jnp.arange(10.0)}
    kept, dropped = learner(fields)["runoff"], learner(fields, key=jax.random.key(0))["runoff"]
    np.testing.assert_array_equal(kept, learner(fields)["runoff"])
    assert not np.array_equal(kept, dropped)


def test_attributes_matter_and_stay_the_same_every_day():
    learner = LSTM([RAIN, AREA], [RUNOFF], hidden=8)
    small, large = (learner({"rain": jnp.ones(400), "area": jnp.asarray(a)})["runoff"] for a in (0.0, 1.0))
    assert abs(small[-1] - large[-1]) > 1e-3


def test_a_series_learner_refuses_attributes_alone():
    with pytest.raises(ValueError, match="For attributes alone take MLP"):
        LSTM([AREA], [Variable("field_capacity", "mm")])


def test_dropout_out_of_range_is_refused():
    with pytest.raises(ValueError, match="0 <= dropout < 1"):
        LSTM([RAIN], [RUNOFF], dropout=1.0)


def test_replicas_train_side_by_side():
    case = series()
    learner = case["learner"].standardise(case["inputs"], case["targets"])
    other = LSTM(learner.inputs, learner.outputs, hidden=8, key=jax.random.key(5), descent=learner.descent)
    other = other.standardise(case["inputs"], case["targets"])
    samples, how = Samples(case["inputs"], case["targets"]), Descent(epochs=3, batch_size=16)
    found = descend(stack([learner, other]), misfit, samples, key=jax.random.key(0), how=how, seeds=2)
    assert found.training_loss.shape == (3, 2)
    assert np.all(found.training_loss[-1] < found.training_loss[0])


def test_missing_targets_give_no_missing_gradients():
    case = series()
    holes = {"runoff": case["targets"]["runoff"].at[:, ::2].set(jnp.nan)}
    slope = eqx.filter_grad(lambda m: misfit(m, (case["inputs"], holes), None))(case["learner"])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope))


def test_a_network_of_one_day_is_carried_along_time_and_differentiated():
    day = MLP([Variable("rain", "mm day-1"), AREA], [Variable("runoff", "mm day-1")])
    model = Rollout(day, static=("area",))
    slope = jax.grad(lambda rain: jnp.sum(model({"rain": rain, "area": jnp.asarray(2.0)})["runoff"]))(jnp.ones(30))
    assert slope.shape == (30,) and np.all(np.isfinite(slope))
