"""Every mechanism in `mechlearn.mechanisms`, discovered: what it declares, conserves and promises."""

import importlib
import importlib.util
import pkgutil
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mechlearn.mechanisms
from mechlearn.compose import Rollout
from mechlearn.core import Model, named
from mechlearn.parameters import parameters, set_parameters

FOUND = [
    module.name
    for module in pkgutil.walk_packages(mechlearn.mechanisms.__path__, "mechlearn.mechanisms.")
    if not module.ispkg and not module.name.rsplit(".", 1)[-1].startswith("_")
]


def example(name):
    return importlib.import_module(name).example()


def where_installed(name):
    """A mechanism whose example needs somebody else's package is tested where that is installed."""
    needs = example(name).get("needs")
    absent = needs is not None and importlib.util.find_spec(needs) is None
    return pytest.param(name, marks=pytest.mark.skipif(absent, reason=f"needs the package {needs}"))


every_mechanism = pytest.mark.parametrize("name", [where_installed(name) for name in FOUND])


STORING = [name for name in FOUND if getattr(example(name)["model"], "stores", ())]
every_store = pytest.mark.parametrize("name", STORING)


class OnlyDeclared(dict):
    """Fields that refuse to be read, or searched, beyond what a model declares."""

    def __missing__(self, key):
        raise AssertionError(f"{key!r} is read but not declared")


def total(made):
    return sum(jnp.sum(value) for value in made.values())


def forcing(days, seed=0, kind=None):
    """Showers, seasons and frost: something of everything a water mechanism may meet."""
    draw, day = np.random.default_rng(seed), np.arange(days)
    rain = draw.gamma(0.3, 10, days) * (draw.uniform(size=days) < 0.6)
    warmth = 6 + 12 * np.sin(2 * np.pi * day / 365) + draw.normal(0, 4, days)
    weather = {
        "precipitation": rain,
        "air_temperature": warmth,
        "potential_evapotranspiration": draw.uniform(0, 6, days),
    }
    return {name: jnp.asarray(series, kind) for name, series in weather.items()}


def imbalance(model, fields):
    """Gains less losses less the change of stores, over the gains; and the smallest store."""
    rolled = Rollout(model)
    made = jax.jit(lambda f: rolled(f))({v.name: fields[v.name] for v in rolled.inputs})
    made = {name: np.asarray(series, float) for name, series in made.items()}
    start = model.initial()
    stored = sum(made[name][-1].sum() - np.sum(np.asarray(start[name], float)) for name in model.stores)
    lost = sum(made[name].sum() for name in getattr(model, "losses", ("runoff", "evapotranspiration")))
    rain = float(np.asarray(fields["precipitation"], float).sum())
    gained = rain + sum(made[name].sum() for name in model.exchange)
    return abs(gained - lost - stored) / rain, min(made[name].min() for name in model.stores)


def test_mechanisms_are_found():
    short = {name.removeprefix("mechlearn.mechanisms.") for name in FOUND}
    assert {"water.hbv", "water.gr4j", "water.cemaneige", "water.exphydro", "external.callable"} <= short


@every_mechanism
def test_published_values(name):
    case = example(name)
    assert isinstance(case["model"], Model)
    assert case["source"]
    assert case["published"], "an example states at least one value to be checked"
    made = case["model"](case["inputs"])
    for output, value in case["published"].items():
        np.testing.assert_allclose(made[output], value, rtol=case["tolerance"], atol=1e-6, err_msg=output)


@every_mechanism
def test_reads_and_gives_what_it_declares(name):
    case = example(name)
    model = case["model"]
    assert set(case["inputs"]) == set(named(model.inputs)), "an example gives the declared inputs"
    made = model(OnlyDeclared(case["inputs"]))
    assert set(made) == set(named(model.outputs))
    for variable in model.outputs:
        assert jnp.ndim(made[variable.name]) == len(variable.dims), variable.name
    start = model.initial()
    assert set(start) == set(model.state) <= set(named(model.inputs)) & set(named(model.outputs))
    for name_, value in start.items():
        assert jnp.shape(value) == jnp.shape(made[name_])


@every_mechanism
def test_parameters_are_described(name):
    for path, parameter in parameters(example(name)["model"]).items():
        lower, upper = parameter.bounds
        assert parameter.meaning, path
        assert isinstance(parameter.units, str) and parameter.units, path
        assert np.isfinite(lower) or np.isfinite(upper), path
        assert np.all((lower <= np.asarray(parameter.value)) & (np.asarray(parameter.value) <= upper)), path


@every_mechanism
def test_compiled_and_batched_are_the_same(name):
    case = example(name)
    model, inputs = case["model"], case["inputs"]
    eager = model(inputs)
    compiled = jax.jit(lambda fields: model(fields))(inputs)
    samples = [jax.tree.map(lambda leaf, f=factor: leaf * f, inputs) for factor in (1.0, 0.9, 0.5)]
    together = jax.vmap(lambda fields: model(fields))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *samples))
    for output, value in eager.items():
        np.testing.assert_allclose(compiled[output], value, rtol=1e-5, atol=1e-5)
        for place, sample in enumerate(samples):
            np.testing.assert_allclose(together[output][place], model(sample)[output], rtol=1e-5, atol=1e-5)


def gradient_agrees(function, point, size):
    """Every slope of a function of a dictionary of arrays against central differences; `size` is what it sums up."""
    slopes = jax.grad(function)(point)
    for key, value in point.items():
        assert bool(jnp.all(jnp.isfinite(slopes[key]))), key
        for place in np.ndindex(jnp.shape(value)):
            step = 1e-6 * max(1.0, abs(float(value[place])))
            high = function({**point, key: value.at[place].add(step)})
            low = function({**point, key: value.at[place].add(-step)})
            # A difference of two sums is no better known than the few roundings of what they sum up.
            known = 1e-6 + 4 * np.finfo(float).eps * size / step
            np.testing.assert_allclose(
                slopes[key][place], (high - low) / (2 * step), rtol=2e-4, atol=known, err_msg=f"{key}{list(place)}"
            )


@every_mechanism
def test_gradients_are_those_of_finite_differences(name, float64):
    """Of a step away from its corners: nudged, as an example may sit on one (an empty store, a bound)."""
    case = example(name)
    if not case.get("differentiable", True):
        pytest.skip("a black box that passes no gradient")
    inputs = {key: 1.013 * jnp.asarray(value, float) + 0.017 for key, value in case["inputs"].items()}
    middle = {
        path: 0.99 * p.value + 0.01 * np.clip(0.0, *p.bounds) + 0.003 for path, p in parameters(case["model"]).items()
    }
    values = {path: jnp.asarray(value, float) for path, value in middle.items()}
    size = float(sum(jnp.sum(jnp.abs(value)) for value in case["model"](inputs).values()))
    gradient_agrees(jax.jit(lambda fields: total(case["model"](fields))), inputs, size)
    gradient_agrees(jax.jit(lambda found: total(set_parameters(case["model"], found)(inputs))), values, size)


@every_store
def test_gradients_are_finite_everywhere(name):
    """Also on empty stores, without rain, in a flood and at every bound of every parameter."""
    model = example(name)["model"]
    empty = jax.tree.map(jnp.zeros_like, {key: jnp.asarray(value, float) for key, value in model.initial().items()})
    weather = ({"precipitation": 0.0, "air_temperature": 0.0}, {"precipitation": 300.0, "air_temperature": 25.0})
    slope = jax.jit(jax.grad(lambda values, fields: total(set_parameters(model, values)(fields)), argnums=(0, 1)))
    for place in (0, 1, 0.5):
        values = {path: p.bounds[0] + place * (p.bounds[1] - p.bounds[0]) for path, p in parameters(model).items()}
        for day in weather:
            fields = {**day, "potential_evapotranspiration": 0.0, **empty}
            fields = {v.name: jnp.asarray(fields[v.name], float) for v in model.inputs}
            found = slope({path: jnp.asarray(value, float) for path, value in values.items()}, fields)
            assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(found)), (place, day)


@every_store
def test_water_balance_closes_in_single_precision(name):
    error, least = imbalance(example(name)["model"], forcing(1500, kind=jnp.float32))
    assert error < 1e-5
    assert least >= 0


@every_store
def test_water_balance_closes_in_double_precision(name, float64):
    error, least = imbalance(example(name)["model"], forcing(1500, kind=jnp.float64))
    assert error < 1e-10
    assert least >= 0


@cache
def balanced(name):
    model = example(name)["model"]
    rolled = Rollout(model)

    @jax.jit
    def run(values, fields):
        made = Rollout(set_parameters(model, values))({v.name: fields[v.name] for v in rolled.inputs})
        return {store: jnp.min(made[store]) for store in model.stores}

    return model, run


@every_store
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), places=st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_stores_are_never_negative(name, seed, places):
    """For any weather and any parameters within their bounds."""
    model, run = balanced(name)
    known = parameters(model)
    values = {
        path: jnp.asarray(p.bounds[0] + place * (p.bounds[1] - p.bounds[0]), jnp.float32)
        for (path, p), place in zip(known.items(), places, strict=False)
    }
    for store, least in run(values, forcing(200, seed, jnp.float32)).items():
        assert float(least) >= 0, (store, values)
