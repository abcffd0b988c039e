"""The gradient loop: it finds what is known, survives a kill, and trains replicas as it trains one."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mechlearn.descent
from mechlearn.compose import Add, Freeze, Rollout
from mechlearn.core import Model, Variable
from mechlearn.descent import Descent, descend, learnable, stack, unstack
from mechlearn.parameters import Parameter, set_parameters

KEY = jax.random.key(5)
RAIN, FLOW, STORE = Variable("rain", "mm day-1"), Variable("flow", "mm day-1"), Variable("store", "mm")


class Store(Model):
    """A linear store that also loses a share of its rain."""

    recession: Parameter = Parameter(0.2, "day-1", (0.01, 0.9), "k")
    runoff_ratio: Parameter = Parameter(0.5, "1", (0.0, 1.0), "c")
    inputs: ClassVar = (RAIN, STORE)
    outputs: ClassVar = (FLOW, STORE)
    state: ClassVar = ("store",)

    def initial(self):
        return {"store": 5.0}

    def __call__(self, fields, *, key=None):
        flow = self.recession.value * fields["store"]
        return {"flow": flow, "store": fields["store"] - flow + self.runoff_ratio.value * fields["rain"]}


class Seasons(eqx.Module):
    """Rain and flow of a store with known parameters."""

    rain: jax.Array
    flow: jax.Array

    def __len__(self):
        return len(self.rain)

    def take(self, indices):
        return self.rain[indices], self.flow[indices]


def truth():
    return set_parameters(Store(), {"recession": 0.35, "runoff_ratio": 0.8})


def seasons(count, seed=0):
    rain = jnp.asarray(np.random.default_rng(seed).gamma(0.5, 6, (count, 30)), jnp.float32)
    return Seasons(rain, jax.vmap(lambda r: Rollout(truth())({"rain": r})["flow"])(rain))


def loss(model, batch, key):
    rain, flow = batch
    return jnp.mean((jax.vmap(lambda r: model({"rain": r})["flow"])(rain) - flow) ** 2)


@pytest.fixture(scope="module")
def examples():
    return seasons(16)


HOW = Descent(epochs=6, batch_size=4, learning_rate=0.1, patience=0)


def equal(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True) if a is not b
    )


def test_finds_the_parameters_of_a_known_store(examples):
    how = Descent(epochs=60, batch_size=8, learning_rate=0.1, patience=0)
    found = descend(Rollout(Store()), loss, examples, key=KEY, how=how)
    assert found.model.step.recession.value == pytest.approx(0.35, abs=2e-3)
    assert found.model.step.runoff_ratio.value == pytest.approx(0.8, abs=2e-3)
    assert found.training_loss.shape == found.validation_loss.shape == (60, 1)
    assert found.training_loss[-1] < 1e-3 * found.training_loss[0]


@pytest.mark.parametrize("seeds", [None, 2])
def test_a_killed_run_goes_on_to_the_same_numbers(examples, tmp_path, monkeypatch, seeds):
    model = stack([Rollout(Store()), Rollout(truth())]) if seeds else Rollout(Store())
    options = {"key": KEY, "how": HOW, "seeds": seeds, "validation": seasons(5, 9)}
    whole = descend(model, loss, examples, **options)
    path, save = tmp_path / "deep" / "state.npz", mechlearn.descent._save

    def killed(path, state, history, epoch):
        if epoch == 4:
            raise KeyboardInterrupt
        save(path, state, history, epoch)

    monkeypatch.setattr(mechlearn.descent, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        descend(model, loss, examples, checkpoint=path, **options)
    monkeypatch.undo()
    assert path.is_file() and not path.with_suffix(".part").exists()
    resumed = descend(model, loss, examples, checkpoint=path, **options)
    assert equal(resumed.model, whole.model)
    np.testing.assert_array_equal(resumed.training_loss, whole.training_loss)
    np.testing.assert_array_equal(resumed.validation_loss, whole.validation_loss)
    again = descend(model, loss, examples, checkpoint=path, **options)
    assert equal(again.model, whole.model)


def test_the_checkpoint_of_another_model_is_refused(examples, tmp_path):
    path = tmp_path / "state.npz"
    descend(Rollout(Store()), loss, examples, key=KEY, how=HOW, checkpoint=path)
    one_free = Rollout(Store(runoff_ratio=Parameter(0.8, "1", (0, 1), fixed=True)))
    of_same_shape = Freeze(Rollout(Store())), Rollout(Store())
    for other, seeds in ((one_free, None), (stack([Rollout(Store())] * 3), 3), (Add(*of_same_shape), None)):
        with pytest.raises(ValueError, match="belongs to another model"):
            descend(other, loss, examples, key=KEY, how=HOW, checkpoint=path, seeds=seeds)


def test_replicas_side_by_side_are_single_runs(examples):
    starts = [Rollout(Store()), Rollout(set_parameters(Store(), {"recession": 0.7}))]
    whole = Descent(epochs=6, batch_size=16, learning_rate=0.1, patience=0)
    together = descend(stack(starts), loss, examples, key=KEY, how=whole, seeds=2)
    for place, start in enumerate(starts):
        alone = descend(start, loss, examples, key=KEY, how=whole).model
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(unstack(together.model, place)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4)
    assert together.training_loss.shape == (6, 2)


def test_one_replica_that_stops_early_keeps_its_best_while_the_other_goes_on(examples):
    starts = [Rollout(truth()), Rollout(Store())]
    how = Descent(epochs=12, batch_size=4, learning_rate=0.3, schedule="constant", patience=2)
    found = descend(stack(starts), loss, examples, key=KEY, how=how, seeds=2, validation=seasons(5, 9))
    for place in range(2):
        kept = float(loss(unstack(found.model, place), seasons(5, 9).take(jnp.arange(5)), None))
        assert kept <= found.validation_loss[0, place] * (1 + 1e-4) + 1e-8
    best_of_second = float(loss(unstack(found.model, 1), seasons(5, 9).take(jnp.arange(5)), None))
    assert best_of_second == pytest.approx(float(found.validation_loss[:, 1].min()), rel=1e-2, abs=1e-5)


def test_early_stopping_keeps_the_weights_of_the_best_epoch(examples):
    how = Descent(epochs=40, batch_size=4, learning_rate=2.0, schedule="constant", patience=3)
    validation = seasons(6, 3)
    found = descend(Rollout(Store()), loss, examples, key=KEY, how=how, validation=validation)
    best = int(found.validation_loss[:, 0].argmin())
    assert len(found.validation_loss) <= best + 1 + how.patience < how.epochs
    kept = loss(found.model, validation.take(jnp.arange(6)), None)
    assert float(kept) == pytest.approx(float(found.validation_loss.min()), rel=1e-4)


def test_validation_counts_every_example_once(examples):
    how = Descent(epochs=1, batch_size=4, learning_rate=0.0, patience=0)
    validation = seasons(7, 3)
    found = descend(Rollout(Store()), loss, examples, key=KEY, how=how, validation=validation)
    whole = loss(Rollout(Store()), validation.take(jnp.arange(7)), None)
    assert float(found.validation_loss[0, 0]) == pytest.approx(float(whole), rel=1e-4)


class Line(eqx.Module):
    """A single weight."""

    weight: jax.Array


def steep(model, batch, key):
    return jnp.mean(batch[0]) * 0 + 1e6 * model.weight[0] + 1e3 * model.weight[1]


def test_the_gradient_is_clipped_to_a_norm_and_nan_is_no_direction(examples):
    how = Descent(epochs=1, batch_size=16, learning_rate=0.1, schedule="constant", patience=0, clip=1.0)
    step = mechlearn.descent._optimiser(how, 1)
    weights = jnp.zeros(2)
    huge, _ = step.update(jnp.asarray([3e8, 4e8]), step.init(weights), weights)
    unit, _ = step.update(jnp.asarray([0.6, 0.8]), step.init(weights), weights)
    np.testing.assert_allclose(huge, unit, rtol=1e-5)
    lost, _ = step.update(jnp.asarray([jnp.nan, 0.5]), step.init(weights), weights)
    assert lost[0] == 0 and np.isfinite(lost).all()
    found = descend(Line(jnp.ones(2)), steep, examples, key=KEY, how=how).model
    assert np.isfinite(found.weight).all()


def test_refuses_when_there_is_nothing_to_learn_or_nothing_to_learn_from(examples):
    with pytest.raises(ValueError, match="Rollout has nothing left to learn"):
        descend(Rollout(Freeze(Store())), loss, examples, key=KEY, how=HOW)
    fixed = Parameter(0.5, "1", (0, 1), fixed=True)
    with pytest.raises(ValueError, match="every parameter fixed"):
        descend(Rollout(Store(fixed, fixed)), loss, examples, key=KEY, how=HOW)
    with pytest.raises(ValueError, match="no examples"):
        descend(Rollout(Store()), loss, seasons(0), key=KEY, how=HOW)


def test_fixed_parameters_stay_while_the_others_move(examples):
    held = Parameter(0.4, "1", (0.0, 1.0), fixed=True)
    found = descend(Rollout(Store(runoff_ratio=held)), loss, examples, key=KEY, how=HOW).model
    assert found.step.runoff_ratio.value == pytest.approx(0.4, abs=1e-7)
    assert found.step.recession.value != pytest.approx(0.2, abs=1e-3)
    assert learnable(Store(runoff_ratio=held)).runoff_ratio.value is False


def test_a_stack_taken_apart_is_what_was_stacked():
    models = [Rollout(Store()), Rollout(truth())]
    for place, model in enumerate(models):
        for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(unstack(stack(models), place)), strict=True):
            assert b == pytest.approx(a)


def test_an_epoch_is_compiled_once():
    """Also where descent begins with weak types, as parameters written as plain numbers are."""
    traced = []

    def counted(model, batch, key):
        traced.append(key)
        return loss(model, batch, key)

    descend(Rollout(Store()), counted, seasons(4), key=KEY, how=Descent(epochs=3, batch_size=2))
    assert len(traced) == 1
