"""What does not change from step to step is computed once in a roll-out, and nothing else changes by it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Dial, Freeze, Pass, Rollout
from mechlearn.core import Model, Variable
from mechlearn.mechanisms.water.hbv import HBV, GammaRouting
from mechlearn.parameters import set_parameters

DAYS = 40
BASE = Variable("routing_time_base", "day", bounds=(1, 10))
WETNESS = Variable("wetness", "1")


class Learned(Model):
    """A time base that grows with the wetness of a catchment."""

    inputs = (WETNESS,)
    outputs = (BASE,)

    def __call__(self, fields, *, key=None):
        return {"routing_time_base": 5 + 3 * jnp.tanh(fields["wetness"])}


def forcing():
    draw = np.random.default_rng(3)
    days = {"precipitation": draw.gamma(0.5, 15, DAYS), "air_temperature": draw.normal(4, 6, DAYS)}
    days["potential_evapotranspiration"] = draw.uniform(0, 4, DAYS)
    return {name: jnp.asarray(value) for name, value in days.items()}


def day_by_day(step, fields, fixed=None):
    """The runoff of a step that nothing prepares."""
    state, runoff = {name: jnp.asarray(value) for name, value in step.initial().items()}, []
    for day in range(DAYS):
        made = step({**{name: value[day] for name, value in fields.items()}, **(fixed or {}), **state})
        state = {name: made[name] for name in state}
        runoff.append(made["runoff"])
    return jnp.stack(runoff)


@pytest.mark.parametrize("step", [HBV(), HBV(routing=GammaRouting()), Freeze(HBV())])
def test_prepared_and_unprepared_steps_agree(step):
    np.testing.assert_allclose(Rollout(step)(forcing())["runoff"], day_by_day(step, forcing()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("base", [1.7, 3.0, 6.2])
def test_gradient_of_a_prepared_parameter_is_its_finite_difference(base):
    with jax.enable_x64(True):
        fields = forcing()

        def score(value):
            return jnp.mean(Rollout(set_parameters(HBV(), {"routing_time_base": value}))(fields)["runoff"] ** 2)

        slope = (score(base + 1e-6) - score(base - 1e-6)) / 2e-6
        np.testing.assert_allclose(jax.jit(jax.grad(score))(base), slope, rtol=1e-5)


def test_catchments_side_by_side_keep_their_own_hydrograph():
    def one(base):
        return Rollout(set_parameters(HBV(), {"routing_time_base": base}))(forcing())["runoff"]

    bases = jnp.asarray([1.5, 4.0, 9.0])
    together = jax.vmap(one)(bases)
    np.testing.assert_allclose(together, jnp.stack([one(base) for base in bases]), rtol=1e-5, atol=1e-6)


def test_a_parameter_dialled_daily_is_read_every_day():
    step, daily = Dial(HBV(), ["routing_time_base"]), {"routing_time_base": jnp.linspace(1.5, 9.5, DAYS)}
    runoff = Rollout(step)({**forcing(), **daily})["runoff"]
    np.testing.assert_allclose(runoff, day_by_day(step, {**forcing(), **daily}), rtol=1e-5, atol=1e-6)
    constant = Rollout(HBV())(forcing())["runoff"]
    assert not np.allclose(runoff, constant)


def test_daily_and_static_settings_of_one_dial_keep_apart():
    step = Dial(HBV(), ["recharge_exponent", "routing_time_base"])
    daily, fixed = {"recharge_exponent": jnp.linspace(1.0, 5.0, DAYS)}, {"routing_time_base": jnp.asarray(6.0)}
    runoff = Rollout(step, static=("routing_time_base",))({**forcing(), **daily, **fixed})["runoff"]
    np.testing.assert_allclose(runoff, day_by_day(step, {**forcing(), **daily}, fixed), rtol=1e-5, atol=1e-6)
    prepared = step.prepare(fixed)
    assert prepared.paths == ("soil.recharge_exponent",)
    assert prepared.model.routing.shares is not None


def test_a_setting_that_reads_fixed_fields_is_made_once():
    step, sample = Dial(HBV(), {"routing_time_base": Learned()}), {**forcing(), "wetness": jnp.asarray(0.3)}
    carried = Rollout(step, static=("wetness",))
    program = jax.make_jaxpr(carried)(sample)
    scan = next(equation for equation in program.eqns if equation.primitive.name == "scan")
    assert "tanh" in str(program) and "tanh" not in str(scan.params["jaxpr"])
    np.testing.assert_allclose(
        carried(sample)["runoff"], day_by_day(step, forcing(), {"wetness": jnp.asarray(0.3)}), rtol=1e-5, atol=1e-6
    )


def test_a_setting_reaches_its_gradient_through_the_preparation():
    def score(wetness):
        step = Dial(HBV(), {"routing_time_base": Learned()})
        return jnp.mean(Rollout(step, static=("wetness",))({**forcing(), "wetness": wetness})["runoff"] ** 2)

    with jax.enable_x64(True):
        slope = (score(0.3 + 1e-6) - score(0.3 - 1e-6)) / 2e-6
        np.testing.assert_allclose(jax.grad(score)(0.3), slope, rtol=1e-5)


def test_a_model_without_parameters_to_prepare_stays_itself():
    reader = Pass(WETNESS)
    assert eqx.tree_equal(reader.prepare({"wetness": jnp.asarray(1.0)}), reader)
