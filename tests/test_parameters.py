"""Physical parameters: the map to unbounded space, and finding and setting by name."""

import math

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings

from mechlearn.compose import Rollout
from mechlearn.mechanisms.water.hbv import HBV, SoilLimitedEvaporation
from mechlearn.parameters import (
    Parameter,
    bounded,
    find,
    follow,
    log_prior,
    parameters,
    replace_at,
    set_parameters,
    to_physical,
    to_unbounded,
    unbounded,
    variable_of,
)

number = st.floats(-1000, 1000, width=32, allow_subnormal=False)
width = st.floats(0.0625, 1000, width=32)


@st.composite
def a_value_in_bounds(draw):
    """Bounds of every kind, and a value in them away from the edge (the edges themselves are clipped)."""
    lower, wide, part = draw(number), draw(width), draw(st.floats(1e-3, 1 - 1e-3))
    upper = lower + wide
    value = lower + part * wide
    bounds = draw(st.sampled_from([(lower, upper), (lower, math.inf), (-math.inf, upper), (-math.inf, math.inf)]))
    return value, bounds


@given(a_value_in_bounds())
def test_a_value_comes_back_from_unbounded_space(case):
    value, bounds = case
    back = float(bounded(unbounded(value, bounds), bounds))
    finite = [abs(bound) for bound in bounds if math.isfinite(bound)]
    assert back == pytest.approx(value, rel=1e-4, abs=2e-6 * max([1.0, abs(value), *finite]))


@example((0.0, (-2.176873207092285, 22.699857711791992)), 200.0)
@settings(max_examples=300)
@given(a_value_in_bounds(), st.floats(-200, 200, width=32))
def test_no_step_leaves_the_bounds(case, step):
    _, bounds = case
    there = np.asarray(bounded(jnp.asarray(step), bounds))
    assert np.float32(bounds[0]) <= there <= np.float32(bounds[1])


@given(a_value_in_bounds())
def test_a_value_on_its_bound_has_a_finite_place_and_slope(case):
    value, bounds = case
    edge = next((bound for bound in bounds if math.isfinite(bound)), value)
    point = unbounded(edge, bounds)
    assert np.isfinite(point)
    assert np.isfinite(jax.grad(lambda x: bounded(x, bounds))(point))


def test_a_parameter_refuses_a_value_outside_and_bounds_out_of_order():
    with pytest.raises(ValueError, match=r"value 5.0 mm lies outside its bounds \(0, 1\) \(water\)"):
        Parameter(5.0, "mm", (0, 1), "water")
    with pytest.raises(ValueError, match="lower < upper"):
        Parameter(5.0, "mm", (9, 1))


def test_a_model_there_and_back_is_itself_and_fixed_parameters_stay_as_they_are():
    fixed = eqx.tree_at(lambda m: m.field_capacity, HBV(), Parameter(300.0, "mm", (50, 1000), fixed=True))
    moved = to_unbounded(fixed)
    assert moved.field_capacity.value == 300.0
    for name, parameter in parameters(to_physical(moved)).items():
        assert float(parameter.value) == pytest.approx(float(parameters(fixed)[name].value), rel=1e-3, abs=2e-3)


def test_parameters_are_found_by_path_or_by_last_word():
    model = Rollout(HBV())
    assert find(model, "field_capacity") == "step.field_capacity"
    assert find(model, "evaporation.evaporation_threshold") == "step.evaporation.evaporation_threshold"
    assert find(model, "step.field_capacity") == "step.field_capacity"
    with pytest.raises(ValueError, match=r"'porosity' names 0 parameters of Rollout; it has .*step.field_capacity"):
        find(model, "porosity")
    with pytest.raises(ValueError, match="names 2 parameters"):
        find((HBV(), HBV()), "field_capacity")


def test_setting_changes_one_value_and_the_rest_stays():
    model = set_parameters(Rollout(HBV()), {"field_capacity": 400.0, "step.soil.recharge_exponent": 3.0})
    values = {name: parameter.value for name, parameter in parameters(model).items()}
    before = {name: parameter.value for name, parameter in parameters(Rollout(HBV())).items()}
    assert values.pop("step.field_capacity") == 400.0
    assert values.pop("step.soil.recharge_exponent") == 3.0
    assert values.items() <= before.items()
    with pytest.raises(ValueError, match="it has"):
        set_parameters(model, {"porosity": 0.4})


def test_a_wrong_path_says_where_it_ended_and_what_is_there():
    model = Rollout(HBV())
    with pytest.raises(ValueError, match=r"path 'step.sun': no 'sun' in HBV; it has .*evaporation"):
        follow(model, "step.sun")
    with pytest.raises(ValueError, match="no '3' in tuple"):
        follow((1, 2), "3")
    with pytest.raises(ValueError, match=r"no 'b' in dict; it has \['a'\]"):
        follow({"a": 1}, "b")
    assert follow({"a": (1, {"c": 2})}, "a.1.c") == 2
    assert follow(model, "") is model


def test_a_part_is_replaced_at_its_path():
    other = set_parameters(SoilLimitedEvaporation(), {"evaporation_exponent": 2.0})
    model = replace_at(Rollout(HBV()), "step.evaporation", other)
    assert model.step.evaporation.evaporation_exponent.value == 2.0
    assert replace_at(model, "", other) is other
    with pytest.raises(ValueError, match="no 'sun' in HBV"):
        replace_at(model, "step.sun", other)


def test_the_prior_counts_free_parameters_that_have_one():
    assert log_prior(HBV()) == 0
    two = (Parameter(3.0, "1", (0, 9), prior=(1.0, 2.0)), Parameter(3.0, "1", (0, 9), prior=(1.0, 2.0), fixed=True))
    assert float(log_prior(two)) == pytest.approx(-0.5)


def test_the_variable_of_a_parameter_carries_its_bounds():
    made = variable_of("soil.field_capacity", HBV().field_capacity)
    assert (made.name, made.units, made.bounds) == ("field_capacity", "mm", (50.0, 1000.0))
