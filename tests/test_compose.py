"""The combinators: identities that hold whatever stands inside them."""

import math
from typing import ClassVar

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import minimize

from mechlearn.compose import Add, Chain, Dial, Freeze, Mean, Obey, Pass, Rename, Rollout
from mechlearn.core import Law, Model, System, Term, Variable, named
from mechlearn.couplings.cascade.refinement import residual
from mechlearn.couplings.embedded.replacement import online
from mechlearn.couplings.hybrid import average
from mechlearn.descent import Descent, descend
from mechlearn.laws.bounds import Bounds
from mechlearn.laws.water_balance import WaterBalance
from mechlearn.mechanisms.water.hbv import HBV, SoilLimitedEvaporation
from mechlearn.parameters import Parameter, parameters
from mechlearn.training.losses import objective
from mechlearn.variables import EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF, STORAGE_CHANGE

RAIN, FLOW, STORE = Variable("rain", "mm day-1"), Variable("flow", "mm day-1"), Variable("store", "mm")


class Bucket(Model):
    """A linear store: `flow = k store`."""

    recession: Parameter = Parameter(0.2, "day-1", (0.01, 0.9), "k")
    inputs: ClassVar = (RAIN, STORE)
    outputs: ClassVar = (FLOW, STORE)
    state: ClassVar = ("store",)

    def initial(self):
        return {"store": 10.0}

    def __call__(self, fields, *, key=None):
        flow = self.recession.value * fields["store"]
        return {"flow": flow, "store": fields["store"] - flow + fields["rain"]}


class Times(Model):
    """A multiple of the rain."""

    factor: jax.Array
    inputs: ClassVar = (RAIN,)
    outputs: ClassVar = (FLOW,)

    def __call__(self, fields, *, key=None):
        return {"flow": self.factor * fields["rain"]}


class Zero(Model):
    """A learner that says zero of everything."""

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)

    def __call__(self, fields, *, key=None):
        days = max((len(value) for value in fields.values() if jnp.ndim(value)), default=0)
        return {v.name: jnp.zeros((days,) if v.dims else ()) for v in self.outputs}


class Plane(Law):
    """A linear law: `a x + b y = c`."""

    inputs: ClassVar = (Variable("x", "1"), Variable("y", "1"), Variable("c", "1"))
    slope: tuple[float, float] = eqx.field(static=True)

    def residual(self, fields):
        return self.slope[0] * fields["x"] + self.slope[1] * fields["y"] - fields["c"]


def zero(inputs, outputs):
    return Zero(tuple(inputs), tuple(outputs))


def same(one, other, names=None, exact=True):
    for name in names or set(one) & set(other):
        compare = np.testing.assert_array_equal if exact else np.testing.assert_allclose
        compare(one[name], other[name], **({} if exact else {"rtol": 2e-6, "atol": 1e-6}), err_msg=name)


@pytest.fixture(scope="module")
def rain():
    return {"rain": jnp.asarray(np.random.default_rng(0).gamma(0.5, 6, 24), jnp.float32)}


@pytest.fixture(scope="module")
def year(catchments):
    names = named(Rollout(HBV()).inputs)
    return {name: jnp.asarray(catchments.fields[name][0, :365], jnp.float32) for name in names}


def test_pass_is_the_identity_of_a_chain(rain):
    series = Rollout(Bucket())
    same(Chain(series, Pass(*series.outputs))(rain), series(rain))
    same(Chain(Pass(*series.inputs), series)(rain), series(rain))


def test_a_chain_is_associative_and_later_parts_replace_earlier_ones(rain):
    double, triple = Times(jnp.asarray(2.0)), Rename(Pass(FLOW), {"flow": "said"})
    left, right = Chain(Chain(double, triple), Times(jnp.asarray(5.0))), Chain(double, triple, Times(jnp.asarray(5.0)))
    same(left(rain), right(rain))
    assert left.inputs == right.inputs and named(left.outputs).keys() == named(right.outputs).keys()
    assert jnp.array_equal(left(rain)["flow"], 5 * rain["rain"])
    assert jnp.array_equal(left(rain)["said"], 2 * rain["rain"])


def test_add_sums_like_names_and_keeps_the_others(rain):
    made = Add(Times(jnp.asarray(2.0)), Times(jnp.asarray(3.0)), Pass(RAIN))(rain)
    assert jnp.allclose(made["flow"], 5 * rain["rain"])
    assert jnp.array_equal(made["rain"], rain["rain"])
    with pytest.raises(ValueError, match="Add outputs"):
        Add(Times(jnp.asarray(1.0)), Pass(Variable("flow", "m3 s-1")))


def test_the_mean_of_a_model_and_itself_is_the_model(rain):
    one = Rollout(Bucket())
    same(Mean(one, one)(rain), one(rain))
    assert jnp.allclose(Mean(Times(jnp.asarray(2.0)), Times(jnp.asarray(4.0)))(rain)["flow"], 3 * rain["rain"])
    with pytest.raises(ValueError, match="share no output"):
        Mean(Pass(RAIN), Pass(FLOW))


def test_rename_changes_names_alone(rain):
    model = Rename(Rollout(Bucket()), {"flow": "runoff"})
    assert jnp.array_equal(model(rain)["runoff"], Rollout(Bucket())(rain)["flow"])
    assert named(model.outputs)["runoff"].units == "mm day-1"
    with pytest.raises(ValueError, match=r"\['tide'\] are no outputs of Rollout"):
        Rename(Rollout(Bucket()), {"tide": "runoff"})


def test_a_rollout_is_the_step_by_hand(rain):
    step, store, flows = Bucket(), jnp.asarray(10.0), []
    for now in rain["rain"]:
        made = step({"rain": now, "store": store})
        store = made["store"]
        flows.append(made["flow"])
    made = Rollout(step)(rain)
    np.testing.assert_allclose(made["flow"], jnp.stack(flows), rtol=1e-6)
    np.testing.assert_allclose(made["store"][-1], store, rtol=1e-6)


def test_a_rollout_of_two_halves_is_the_whole(rain):
    whole = Rollout(Bucket())(rain)
    first = Rollout(Bucket())({"rain": rain["rain"][:9]})
    second = Rollout(Bucket(), start={"store": first["store"][-1]})({"rain": rain["rain"][9:]})
    same({name: jnp.concatenate([first[name], second[name]]) for name in whole}, whole, exact=False)


def test_what_a_rollout_keeps_and_saves_is_part_of_the_whole(rain):
    whole = Rollout(Bucket())(rain)
    same(Rollout(Bucket(), save_every=5)(rain), {name: value[::5] for name, value in whole.items()})
    kept = Rollout(Bucket(), keep=("flow",))
    assert kept(rain).keys() == {"flow"} == named(kept.outputs).keys()
    same(kept(rain), whole)


def test_rematerialisation_changes_no_value_and_no_slope(rain):
    def slope(remat):
        return eqx.filter_value_and_grad(lambda model: jnp.sum(model(rain)["flow"] ** 2))(
            Rollout(eqx.tree_at(lambda b: b.recession.value, Bucket(), jnp.asarray(0.2)), remat=remat)
        )

    (value, gradient), (other_value, other_gradient) = slope(True), slope(False)
    assert value == other_value
    np.testing.assert_allclose(gradient.step.recession.value, other_gradient.step.recession.value, rtol=1e-6)


def test_a_static_input_of_a_rollout_is_the_same_every_day(rain):
    days = len(rain["rain"])
    daily = Rollout(Dial(Bucket(), ["recession"]))
    fixed = Rollout(Dial(Bucket(), ["recession"]), static=("recession",))
    assert named(fixed.inputs)["recession"].dims == () and named(daily.inputs)["recession"].dims == ("time",)
    k = jnp.asarray(0.4)
    same(fixed({**rain, "recession": k}), daily({**rain, "recession": jnp.full(days, k)}), exact=False)


def test_a_rollout_refuses_names_its_step_does_not_have():
    with pytest.raises(ValueError, match=r"\['tide'\] are no inputs or outputs of Bucket"):
        Rollout(Bucket(), static=("tide",))
    with pytest.raises(ValueError, match="tide"):
        Rollout(Bucket(), keep=("tide",))


def test_a_dial_at_the_models_own_value_is_the_model(rain, year):
    own = {"recession": jnp.asarray(Bucket().recession.value)}
    same(Rollout(Dial(Bucket(), ["recession"]), static=("recession",))({**rain, **own}), Rollout(Bucket())(rain))
    paths = list(parameters(HBV()))
    values = {path.rsplit(".", 1)[-1]: jnp.asarray(p.value) for path, p in parameters(HBV()).items()}
    dialled = Rollout(Dial(HBV(), paths), static=tuple(values))
    # The soil starts from half the field capacity of the model as built, with the dial or without.
    same(dialled({**year, **values}), Rollout(HBV())(year), exact=False)


def test_a_dial_refuses_a_setting_in_other_units():
    with pytest.raises(ValueError, match=r"Dial: 'recession' needs a model with one output in 'day-1'"):
        Dial(Bucket(), {"recession": Pass(Variable("recession", "h-1"))})
    with pytest.raises(ValueError, match="it has recession"):
        Dial(Bucket(), ["porosity"])


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_descent_leaves_every_leaf_of_a_frozen_model(rain, weight_decay):
    slow = Bucket(recession=Parameter(0.01, "day-1", (0.01, 0.9)))
    model = Add(*(Rollout(part) for part in (Freeze(slow), Freeze(Times(jnp.asarray(2.0))), Times(jnp.asarray(1.0)))))

    def loss(model, batch, key):
        return jnp.mean((model({"rain": batch})["flow"] - 4.0) ** 2)

    how = Descent(epochs=3, batch_size=4, learning_rate=0.1, weight_decay=weight_decay, patience=0)
    taught = descend(model, loss, Days(rain["rain"]), key=jax.random.key(0), how=how).model
    for before, after in zip(jax.tree.leaves(model.parts[:2]), jax.tree.leaves(taught.parts[:2]), strict=True):
        assert jnp.array_equal(before, after)
    assert taught.parts[2].step.factor != 1.0


class Days(eqx.Module):
    """Single days as examples."""

    values: jax.Array

    def __len__(self):
        return len(self.values)

    def take(self, indices):
        return self.values[indices]


small = st.floats(-20, 20, width=32, allow_subnormal=False)


@given(small, small, small, st.sampled_from([(1.0, 1.0), (3.0, -1.0), (0.5, 2.0)]), st.sampled_from([None, (0.2, 1.0)]))
def test_obey_makes_a_linear_law_hold_and_moves_the_least(x, y, c, slope, mobility):
    fields = {"x": jnp.asarray(x), "y": jnp.asarray(y), "c": jnp.asarray(c)}
    obey = Obey(Plane(slope), ("x", "y"), mobility)
    moved = obey(fields)
    assert abs(Plane(slope).residual({**fields, **moved})) < 1e-5 * (1 + abs(x) + abs(y) + abs(c))
    width = np.array(mobility or (1.0, 1.0)) ** 2
    normal = np.array(slope)
    nearest = np.array([x, y]) - width * normal * (normal @ [x, y] - c) / (normal @ (width * normal))
    np.testing.assert_allclose([moved["x"], moved["y"]], nearest, atol=2e-4)
    again = obey({**fields, **moved})
    np.testing.assert_allclose([again["x"], again["y"]], [moved["x"], moved["y"]], atol=1e-5 * (1 + abs(x) + abs(y)))


def test_obey_finds_what_a_constrained_optimiser_finds(float64):
    fields = {"x": jnp.asarray(3.0), "y": jnp.asarray(-1.0), "c": jnp.asarray(7.0)}
    law = Plane((2.0, 5.0))
    moved = Obey(law, ("x", "y"))(fields)
    holds = {"type": "eq", "fun": lambda p: 2 * p[0] + 5 * p[1] - 7}
    best = minimize(lambda p: (p[0] - 3) ** 2 + (p[1] + 1) ** 2, [0.0, 0.0], constraints=holds, tol=1e-12)
    np.testing.assert_allclose([moved["x"], moved["y"]], best.x, atol=1e-6)
    assert abs(law.residual({**fields, **moved})) < 1e-6


def test_obey_closes_a_balance_on_every_day_of_a_series():
    draw = np.random.default_rng(3)
    names = ("precipitation", "runoff", "evapotranspiration", "storage_change")
    fields = {name: jnp.asarray(draw.normal(2, 1, 40), jnp.float32) for name in names}
    law = WaterBalance(gains=("precipitation",), losses=names[1:], stores=())
    moved = Obey(law, names[1:], (0.1, 0.3, 1.0))(fields)
    assert jnp.max(jnp.abs(law.residual({**fields, **moved}))) < 1e-5
    assert jnp.sum((moved["runoff"] - fields["runoff"]) ** 2) < jnp.sum(
        (moved["storage_change"] - fields["storage_change"]) ** 2
    )


def test_obey_moves_only_what_is_out_of_bounds():
    law = Bounds((RUNOFF.over("time"),))
    moved = Obey(law, ("runoff",))({"runoff": jnp.asarray([-2.0, 0.0, 3.0])})["runoff"]
    np.testing.assert_allclose(moved, [0.0, 0.0, 3.0], atol=1e-6)
    with pytest.raises(ValueError, match="does not read"):
        Obey(law, ("evapotranspiration",))


def test_a_residual_learner_that_says_zero_is_the_mechanism_exactly(year):
    mechanism = Rollout(HBV())
    same(residual(mechanism, zero)(year), mechanism(year), ("runoff",))


def test_a_sub_process_replaced_by_itself_is_the_host_exactly(year):
    host = Rollout(HBV())
    system = online(host, lambda inputs, outputs: SoilLimitedEvaporation())
    same(system(year), host(year), ("runoff", "evapotranspiration", "soil_moisture"))


def test_the_average_of_two_equal_couplings_is_either(year):
    def plain(mechanism, learner):
        return System(mechanism, stages=())

    same(average(Rollout(HBV()), zero, methods=(plain, plain))(year), Rollout(HBV())(year), ("runoff",))


def test_a_term_of_no_weight_changes_nothing(year):
    model = Rollout(HBV())
    names = (PRECIPITATION.name, RUNOFF.name, EVAPOTRANSPIRATION.name, STORAGE_CHANGE.name)
    law = WaterBalance(gains=names[:1], losses=names[1:3], stores=())
    batch = jax.tree.map(
        lambda value: value[None], (year, {"runoff": jnp.full(365, 1.0)}, {"runoff": jnp.asarray(1.0)})
    )
    plain, free, paid = (objective(terms, 10)(model, batch, None) for terms in ((), (Term(law, 0.0),), (Term(law),)))
    assert plain == free
    assert paid > plain and math.isfinite(paid)
