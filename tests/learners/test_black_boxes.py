"""Trees and scikit-learn estimators: one call a batch, an honest refusal of gradients, gaps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mechlearn.compose import Rollout
from mechlearn.core import Variable
from mechlearn.learners import black_box
from mechlearn.learners.boosted_trees import BoostedTrees
from mechlearn.learners.sklearn import Sklearn

X, Y, Z = Variable("x", "1"), Variable("y", "1", bounds=(0, 1)), Variable("z", "1")


def test_a_batch_is_one_call():
    calls = []

    def predict(rows):
        calls.append(len(rows))
        return rows

    made = jax.jit(jax.vmap(lambda x: black_box.ask(predict, {"x": x}, [X], [Z], "test")["z"]))(jnp.arange(50.0))
    assert calls == [50]
    np.testing.assert_array_equal(made, jnp.arange(50.0))


def test_a_gradient_is_refused_with_the_couplings_that_work():
    with pytest.raises(TypeError, match=r"cascade\.refinement.*take MLP or LSTM"):
        jax.grad(lambda x: BoostedTrees([X], [Y])({"x": x})["y"])(1.0)


def test_gradients_of_other_parts_pass_by():
    trees = BoostedTrees([X], [Y])
    assert jax.grad(lambda w: w * (1 + trees({"x": jnp.asarray(2.0)})["y"]))(3.0) == 1


def test_trees_take_gaps_and_stay_within_bounds():
    x = np.linspace(-1, 1, 200, dtype=np.float32)
    seen = {"x": np.where(np.arange(200) % 5 == 0, np.nan, x)}
    taught = BoostedTrees([X], [Y], rounds=50).fit(seen, {"y": 3 * x}, key=jax.random.key(0))
    made = jax.vmap(lambda v: taught({"x": v})["y"])(jnp.asarray([jnp.nan, -1.0, 1.0]))
    assert np.all(np.isfinite(made)) and made[1] == 0 and made[2] == 1


def test_two_outputs_with_different_gaps():
    x = np.linspace(0, 1, 100, dtype=np.float32)
    y, z = np.where(x < 0.2, np.nan, x), np.where(x > 0.8, np.nan, 2 * x)
    for learner in (BoostedTrees([X], [Y, Z]), Sklearn([X], [Y, Z], estimator=Ridge(alpha=1e-3))):
        made = learner.fit({"x": x}, {"y": y, "z": z}, key=jax.random.key(0))({"x": jnp.asarray(0.5)})
        np.testing.assert_allclose([made["y"], made["z"]], [0.5, 1.0], atol=0.1)


def test_trees_are_carried_along_time():
    days = Rollout(BoostedTrees([X], [Y]))
    assert jax.jit(lambda x: days({"x": x})["y"])(jnp.ones(12)).shape == (12,)


def test_what_is_no_estimator_is_refused():
    with pytest.raises(ValueError, match="leads to no estimator"):
        Sklearn([X], [Y], estimator="sklearn.linear_model.Rigde")
    with pytest.raises(ValueError, match="leads to no estimator"):
        Sklearn([X], [Y], estimator="Ridge")
    with pytest.raises(TypeError, match="fit and predict"):
        Sklearn([X], [Y], estimator="sklearn.preprocessing.StandardScaler")


def test_an_open_random_state_comes_from_the_key():
    x = np.linspace(0, 1, 60, dtype=np.float32)
    forest = Sklearn([X], [Z], n_estimators=3)

    def estimate(seed):
        taught = forest.fit({"x": x}, {"z": np.sin(20 * x)}, key=jax.random.key(seed))
        return float(taught({"x": jnp.asarray(0.33)})["z"])

    assert estimate(0) == estimate(0)
    assert len({estimate(seed) for seed in range(4)}) > 1
