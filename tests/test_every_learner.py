"""Every learner in `mechlearn.learners`, discovered: what it declares, learns and promises."""

import importlib
import inspect
import pkgutil
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mechlearn.learners
from mechlearn.core import named


def checks(name):
    """Whether a learner's file takes its checks from `mechlearn.learners.examples`."""
    module = importlib.import_module(f"mechlearn.learners.{name}")
    return any(getattr(thing, "__module__", "") == "mechlearn.learners.examples" for thing in vars(module).values())


FOUND = [
    module.name
    for module in pkgutil.iter_modules(mechlearn.learners.__path__)
    if hasattr(importlib.import_module(f"mechlearn.learners.{module.name}"), "example")
]
every_learner = pytest.mark.parametrize("name", FOUND)
# Learners that check what they get with `learners.examples` are held to its words, others to what `core` asks of all.
every_checking_learner = pytest.mark.parametrize("name", [name for name in FOUND if checks(name)])
KEY = jax.random.key(7)


def example(name):
    return importlib.import_module(f"mechlearn.learners.{name}").example()


@cache
def taught(name):
    case = example(name)
    return case["learner"].fit(case["inputs"], case["targets"], key=KEY)


def first(fields, count):
    return {name: values[:count] for name, values in fields.items()}


def batch(learner, inputs):
    return jax.vmap(lambda sample: learner(sample))(inputs)


def differentiable(name):
    case = example(name)
    sample = {name: values[0] for name, values in case["inputs"].items()}
    try:
        jax.grad(lambda x: sum(jnp.sum(y) for y in case["learner"](x).values()))(sample)
    except TypeError as refusal:
        assert "has no gradient" in str(refusal), refusal
        return False
    return True


def test_learners_are_found():
    assert {"mlp", "lstm", "mc_lstm", "gaussian_process", "boosted_trees", "sklearn"} <= set(FOUND)


@every_learner
def test_an_example_names_its_source_and_declares_what_it_uses(name):
    case = example(name)
    assert set(case["inputs"]) == set(named(case["learner"].inputs))
    assert set(case["targets"]) <= set(named(case["learner"].outputs))
    assert case["source"]


@every_learner
def test_gives_the_declared_outputs_from_the_declared_inputs_alone(name):
    case = example(name)
    sample = {key: values[0] for key, values in case["inputs"].items()}
    made = case["learner"](sample)
    assert set(made) == set(named(case["learner"].outputs))
    length = max((values.shape[0] for values in sample.values() if values.ndim), default=0)
    for variable in case["learner"].outputs:
        alike = (sample[v.name].shape for v in case["learner"].inputs if v.dims == variable.dims)
        assert made[variable.name].shape == next(alike, (length,) if variable.dims else ())
        assert made[variable.name].dtype == jnp.float32
    together = case["learner"]({**sample, "something_else": jnp.asarray(jnp.nan)})
    assert all(np.array_equal(together[key], made[key]) for key in made)


@every_learner
def test_a_missing_input_is_named(name):
    case = example(name)
    with pytest.raises((ValueError, KeyError), match=case["learner"].inputs[0].name):
        case["learner"]({})


@every_learner
def test_fit_explains_most_of_the_variance(name):
    case = example(name)
    made = batch(taught(name), case["inputs"])
    for key, target in case["targets"].items():
        assert np.mean((made[key] - target) ** 2) < 0.5 * np.var(target)


@every_learner
def test_a_compiled_call_equals_an_eager_one(name):
    sample = {key: values[3] for key, values in example(name)["inputs"].items()}
    eager, compiled = taught(name)(sample), jax.jit(lambda x: taught(name)(x))(sample)
    for key in eager:
        np.testing.assert_allclose(compiled[key], eager[key], rtol=2e-4, atol=1e-5)


@every_learner
def test_a_batch_equals_a_loop(name):
    inputs = first(example(name)["inputs"], 4)
    together = batch(taught(name), inputs)
    for place in range(4):
        alone = taught(name)({key: values[place] for key, values in inputs.items()})
        for key in alone:
            np.testing.assert_allclose(together[key][place], alone[key], rtol=2e-4, atol=1e-5)


@every_learner
def test_a_batch_of_batches_equals_a_batch(name):
    inputs = first(example(name)["inputs"], 4)
    nested = {key: values.reshape(2, 2, *values.shape[1:]) for key, values in inputs.items()}
    twice = jax.vmap(lambda x: batch(taught(name), x))(nested)
    for key, values in batch(taught(name), inputs).items():
        np.testing.assert_allclose(twice[key].reshape(values.shape), values, rtol=2e-4, atol=1e-5)


@every_learner
def test_missing_targets_are_skipped(name):
    case = example(name)
    holes = {key: jnp.asarray(values).at[1::7].set(jnp.nan) for key, values in case["targets"].items()}
    made = batch(case["learner"].fit(case["inputs"], holes, key=KEY), case["inputs"])
    for key, target in case["targets"].items():
        assert np.mean((made[key] - target) ** 2) < 0.6 * np.var(target)


@every_learner
def test_the_same_key_teaches_the_same(name):
    case = example(name)
    again = case["learner"].fit(case["inputs"], case["targets"], key=KEY)
    inputs = first(case["inputs"], 4)
    for key, values in batch(again, inputs).items():
        np.testing.assert_array_equal(values, batch(taught(name), inputs)[key])


@every_learner
def test_outputs_stay_within_their_bounds_far_from_what_was_seen(name):
    case = example(name)
    inputs = {key: 5 * values[:8] + 3 * jnp.std(values) for key, values in case["inputs"].items()}
    for variable in case["learner"].outputs:
        lower, upper = variable.bounds
        made = batch(taught(name), inputs)[variable.name]
        assert np.all(np.isfinite(made)) and np.all(made >= lower) and np.all(made <= upper)


@every_checking_learner
def test_no_example_and_no_known_value_are_refused(name):
    case = example(name)
    unknown = {key: jnp.full_like(values, jnp.nan) for key, values in case["targets"].items()}
    with pytest.raises(ValueError, match="nothing to learn from"):
        case["learner"].fit(case["inputs"], unknown, key=KEY)
    with pytest.raises(ValueError, match="nothing to learn from"):
        case["learner"].fit(first(case["inputs"], 0), first(case["targets"], 0), key=KEY)
    with pytest.raises(ValueError, match="needs targets for one of"):
        case["learner"].fit(case["inputs"], {}, key=KEY)
    with pytest.raises(ValueError, match="equal length"):
        case["learner"].fit(first(case["inputs"], 5), case["targets"], key=KEY)


@every_learner
def test_replicas_made_with_different_keys_can_be_stacked(name):
    case = example(name)
    kind = type(case["learner"])
    runoff = tuple(v for v in case["learner"].outputs if v.name in case["targets"])
    if "key" not in inspect.signature(kind).parameters:
        return
    trees = [jax.tree.structure(kind(case["learner"].inputs, runoff, key=jax.random.key(n))) for n in (0, 1)]
    assert trees[0] == trees[1]


@every_learner
def test_gradients_equal_finite_differences(name, float64):
    if not differentiable(name):
        return
    case = example(name)
    sample = {key: jnp.asarray(values[2], jnp.float64) for key, values in case["inputs"].items()}
    learner = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), taught_in_single(name))

    def total(x):
        return sum(jnp.sum(y) for y in learner(x).values())

    slope = jax.grad(total)(sample)
    for key, values in sample.items():
        step = 1e-5 * (1 + jnp.abs(values))
        ahead, behind = total({**sample, key: values + step}), total({**sample, key: values - step})
        np.testing.assert_allclose(jnp.sum(slope[key] * step), (ahead - behind) / 2, rtol=1e-4, atol=1e-8)


def taught_in_single(name):
    jax.config.update("jax_enable_x64", False)
    learner = taught(name)
    jax.config.update("jax_enable_x64", True)
    return learner


@every_learner
def test_a_learner_of_series_never_looks_ahead(name):
    case = example(name)
    if not case["learner"].sequential:
        return
    sample = {key: values[0] for key, values in case["inputs"].items()}
    changed = {key: values.at[30:].add(5.0) if values.ndim else values for key, values in sample.items()}
    before, after = taught(name)(sample), taught(name)(changed)
    for key in before:
        np.testing.assert_array_equal(before[key][:30], after[key][:30])
        assert not np.array_equal(before[key][30:], after[key][30:])


@every_checking_learner
def test_a_variable_with_an_axis_it_cannot_read_is_refused(name):
    learner = example(name)["learner"]
    layered = [v.over("layer") for v in learner.inputs]
    with pytest.raises(ValueError, match="layer"):
        type(learner)(layered, learner.outputs)
    with pytest.raises(ValueError, match="only once"):
        type(learner)([learner.inputs[0]] * 2, learner.outputs)
