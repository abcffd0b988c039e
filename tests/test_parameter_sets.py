"""More than one set of parameters: one for each site, or several side by side."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Dial, Rollout
from mechlearn.core import named
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.parameter_sets import Members, OneForEachSite, site_by_site
from mechlearn.parameters import parameters, set_parameters
from mechlearn.training.predict import predict


@pytest.fixture(scope="module")
def forcing(catchments):
    return {n: jnp.asarray(catchments.fields[n][:, :200], jnp.float32) for n in named(Rollout(HBV()).inputs)}


def test_with_equal_values_every_site_is_the_plain_mechanism(forcing):
    shared, each = Rollout(HBV()), site_by_site(HBV(), 2)
    assert each.inputs[-1].name == "site_number" and each.inputs[-1].dims == ()
    for site in range(2):
        sample = {name: value[site] for name, value in forcing.items()}
        made = each({**sample, "site_number": jnp.asarray(float(site))})
        np.testing.assert_allclose(made["runoff"], shared(sample)["runoff"], rtol=1e-5, atol=1e-6)


def test_a_site_reads_its_own_value_alone(catchments):
    each = site_by_site(HBV(), 2)
    places = {setting.outputs[0].name: n for n, setting in enumerate(each.step.settings)}
    place = places["recharge_exponent"]
    each = eqx.tree_at(lambda m: m.step.settings[place].table.value, each, jnp.asarray([2.0, 5.0]))
    made = predict(each, catchments, ("runoff",))["runoff"]
    own = [Rollout(set_parameters(HBV(), {"recharge_exponent": value})) for value in (2.0, 5.0)]
    for site, model in enumerate(own):
        np.testing.assert_allclose(
            made[site], predict(model, catchments, ("runoff",))["runoff"][site], rtol=1e-4, atol=1e-5
        )


def test_the_slope_of_one_site_leaves_the_others(forcing):
    each = site_by_site(HBV(), 2)
    sample = {name: value[1] for name, value in forcing.items()}

    def flow(model):
        return jnp.sum(model({**sample, "site_number": jnp.asarray(1.0)})["runoff"])

    slopes = eqx.filter_grad(flow)(each)
    for setting in slopes.step.settings:
        assert setting.table.value[0] == 0
    assert any(setting.table.value[1] != 0 for setting in slopes.step.settings)


def test_a_site_by_site_model_has_the_parameters_and_bounds_of_the_mechanism():
    each, plain = site_by_site(HBV(), 3), parameters(HBV())
    tables = [setting for setting in each.step.settings if isinstance(setting, OneForEachSite)]
    assert [s.outputs[0].bounds for s in tables] == [p.bounds for p in plain.values()]
    assert all(jax.numpy.shape(s.table.value) == (3,) for s in tables)


def test_equal_members_are_the_model_and_their_mean_keeps_the_balance(forcing):
    one = Rollout(Dial(HBV(), ["recharge_exponent"]), static=("recharge_exponent",))
    several = Members(one, ("recharge_exponent",), 3)
    sample = {name: value[0] for name, value in forcing.items()}
    names = [f"recharge_exponent_of_{k}" for k in range(3)]
    assert set(names) < set(named(several.inputs)) and "recharge_exponent" not in named(several.inputs)
    equal = several({**sample, **dict.fromkeys(names, jnp.asarray(2.5))})
    alone = one({**sample, "recharge_exponent": jnp.asarray(2.5)})
    np.testing.assert_allclose(equal["runoff"], alone["runoff"], rtol=1e-5, atol=1e-6)
    spread = several({**sample, **dict(zip(names, jnp.asarray([1.0, 2.5, 6.0]), strict=True))})
    ends = [one({**sample, "recharge_exponent": jnp.asarray(v)})["runoff"] for v in (1.0, 2.5, 6.0)]
    np.testing.assert_allclose(spread["runoff"], sum(ends) / 3, rtol=1e-4, atol=1e-5)
