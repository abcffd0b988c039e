"""The couplings of method 6: a first guess and a surrogate inside the inversion of a canopy's reflectance."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Model, Variable
from mechlearn.couplings.embedded.solution import first_guess, surrogate_inversion
from mechlearn.descent import Descent
from mechlearn.learners.mlp import MLP
from mechlearn.learners.sklearn import Sklearn

AREA = Variable("leaf_area_index", "1", bounds=(0, 8))
SOIL = Variable("soil_brightness", "1", bounds=(0, 1))
RED, INFRARED = (Variable(name, "1", bounds=(0, 1)) for name in ("red", "near_infrared"))
RANGES = {"leaf_area_index": (0.2, 5.0), "soil_brightness": (0.1, 0.4)}
ERRORS = {"red": 0.002, "near_infrared": 0.002}


class Canopy(Model):
    """Leaves hide the soil as light is extinguished: `r = leaf + (soil - leaf) exp(-k LAI)` in two bands."""

    inputs = (AREA, SOIL)
    outputs = (RED, INFRARED)

    def __call__(self, fields, *, key=None):
        soil = fields["soil_brightness"]
        gap = [jnp.exp(-k * fields["leaf_area_index"]) for k in (0.6, 0.3)]
        return {"red": 0.05 + (soil - 0.05) * gap[0], "near_infrared": 0.5 + (1.2 * soil - 0.5) * gap[1]}


TRUTHS = {"leaf_area_index": jnp.array([0.5, 1.5, 3.5]), "soil_brightness": jnp.array([0.15, 0.3, 0.2])}
SEEN = jax.vmap(Canopy())(TRUTHS)


def test_a_first_guess_without_a_gradient_is_refined_to_the_truth():
    trees = partial(Sklearn, estimator="sklearn.neighbors.KNeighborsRegressor")
    system = first_guess(Canopy(), trees, ranges=RANGES, errors=ERRORS, simulations=200)
    assert system.stages == () and {v.name for v in system.inputs} == set(ERRORS)
    found = jax.jit(jax.vmap(lambda seen: system(seen)))(SEEN)
    for name, truth in TRUTHS.items():
        np.testing.assert_allclose(found[name], truth, rtol=1e-3)


def test_missing_observations_do_not_count():
    system = surrogate_inversion(Canopy(), partial(MLP, width=2), ranges=RANGES, errors=ERRORS, simulations=20)
    system = eqx.tree_at(lambda s: s.model.forward, system, Canopy())
    gap = {"red": jnp.array([0.08, jnp.nan, jnp.nan]), "near_infrared": jnp.array([0.3, 0.3, jnp.nan])}
    both, one, none = np.asarray(jax.jit(jax.vmap(lambda seen: system(seen)))(gap)["leaf_area_index"])
    assert np.isfinite([both, one]).all() and both != one and np.isnan(none)


def test_what_is_known_is_not_sought():
    trees = partial(Sklearn, estimator="sklearn.neighbors.KNeighborsRegressor")
    system = first_guess(Canopy(), trees, ranges=RANGES, errors=ERRORS, unknown=("leaf_area_index",), simulations=100)
    assert [v.name for v in system.outputs] == ["leaf_area_index"]
    sample = {name: values[1] for name, values in {**SEEN, "soil_brightness": TRUTHS["soil_brightness"]}.items()}
    np.testing.assert_allclose(system(sample)["leaf_area_index"], 1.5, rtol=1e-3)


def test_a_network_stands_for_the_mechanism_in_the_inversion():
    network = partial(MLP, width=16, descent=Descent(epochs=80, learning_rate=2e-2))
    system = surrogate_inversion(Canopy(), network, ranges=RANGES, errors=ERRORS, simulations=400)
    found = jax.jit(jax.vmap(lambda seen: system(seen)))(SEEN)
    np.testing.assert_allclose(found["leaf_area_index"][:2], TRUTHS["leaf_area_index"][:2], rtol=0.15)
    np.testing.assert_allclose(found["soil_brightness"][:2], TRUTHS["soil_brightness"][:2], atol=0.03)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="needs a range for each input"):
        first_guess(Canopy(), MLP, ranges={"leaf_area_index": (0, 1)}, errors=ERRORS)
    with pytest.raises(ValueError, match="gives no 'blue'"):
        surrogate_inversion(Canopy(), MLP, ranges=RANGES, errors={"blue": 0.1})
    with pytest.raises(ValueError, match="above 0"):
        surrogate_inversion(Canopy(), MLP, ranges=RANGES, errors={"red": 0.0})
