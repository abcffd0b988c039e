"""The vocabulary: what a variable refuses, and what joining models refuses."""

import math

import equinox as eqx
import jax.numpy as jnp
import pytest

from mechlearn.compose import Add, Chain, Dial, Mean, Obey, Pass, Rename, Rollout
from mechlearn.core import Lesson, Model, System, Term, Variable, agree, named, require, union
from mechlearn.laws.water_balance import WaterBalance
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.variables import AIR_TEMPERATURE, PRECIPITATION, RUNOFF


class Half(Model):
    """Half of the rain runs off."""

    inputs: tuple[Variable, ...] = eqx.field(static=True, default=(PRECIPITATION,))
    outputs: tuple[Variable, ...] = eqx.field(static=True, default=(RUNOFF,))

    def __call__(self, fields, *, key=None):
        return {"runoff": 0.5 * fields["precipitation"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("air temperature", "degC"), "identifier"),
        (("2m_temperature", "degC"), "identifier"),
        (("rain", "mm/day"), "CF style"),
        (("rain", "mm day^-1"), "CF style"),
        (("rain", "mm", (), (1.0, 1.0)), "lower < upper"),
        (("rain", "mm", (), (2.0, 1.0)), "lower < upper"),
        (("rain", "mm", (), (math.nan, 1.0)), "lower < upper"),
    ],
)
def test_a_wrong_variable_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Variable(*arguments)


def test_a_variable_gains_axes_in_front():
    assert Variable("layer_temperature", "K", ("depth",)).over("time").dims == ("time", "depth")
    assert RUNOFF.over("time").bounds == RUNOFF.bounds


def test_units_are_compared_when_declarations_meet():
    hourly = Variable("precipitation", "mm h-1")
    with pytest.raises(ValueError, match=r"needed in 'mm day-1' but given in 'mm h-1'"):
        agree(hourly, PRECIPITATION, "here")
    with pytest.raises(ValueError, match="Rollout"):
        agree(PRECIPITATION.over("time"), PRECIPITATION, "here")
    with pytest.raises(ValueError, match="here"):
        union([hourly], [PRECIPITATION], where="here")
    assert union([PRECIPITATION], [PRECIPITATION, RUNOFF], where="here") == (PRECIPITATION, RUNOFF)


def test_a_missing_field_is_named_beside_those_that_came():
    with pytest.raises(ValueError, match=r"needs runoff \(mm day-1\); the sample has precipitation"):
        require({"precipitation": jnp.ones(2)}, [RUNOFF], "the law")
    with pytest.raises(ValueError, match="nothing"):
        require({}, [RUNOFF], "the law")


def test_every_combinator_names_a_missing_field():
    rollout = Rollout(Half())
    law = WaterBalance(gains=("precipitation",), losses=("runoff",), stores=())
    for model in (Chain(Half()), Add(Half(), Half()), Mean(Half()), rollout, Obey(law, ("runoff",)), Dial(HBV(), [])):
        with pytest.raises(ValueError, match="precipitation"):
            model({"air_temperature": jnp.ones(3)})


def test_units_are_compared_inside_a_chain():
    metres = Pass(Variable("runoff", "m s-1"))
    with pytest.raises(ValueError, match=r"Chain part 1 \(Pass\).*runoff.*m s-1.*mm day-1"):
        Chain(Half(), metres)
    with pytest.raises(ValueError, match="Chain part 2"):
        Chain(Pass(AIR_TEMPERATURE), Half(), Pass(RUNOFF.over("time")))


def test_inputs_that_two_parts_of_a_chain_need_must_agree():
    kelvin = Pass(Variable("air_temperature", "K"))
    with pytest.raises(ValueError, match="air_temperature"):
        Chain(Pass(AIR_TEMPERATURE), Rename(kelvin, {"air_temperature": "warmth"}))


def test_a_system_is_a_model():
    law = WaterBalance(gains=("precipitation",), losses=("runoff",), stores=())
    system = System(Half(), (Term(law),), (Lesson("", lambda model, fields, observed: (fields, observed)),))
    assert (system.inputs, system.outputs) == ((PRECIPITATION,), (RUNOFF,))
    assert system({"precipitation": jnp.asarray(4.0)})["runoff"] == 2
    assert named(Chain(system, Pass(RUNOFF)).outputs).keys() == {"runoff"}
    assert system.stages == ("offline", "online")
