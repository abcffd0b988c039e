"""A black box runs compiled, batched and differentiated; what goes wrong in it is typed and counted."""

import time
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import Variable
from mechlearn.mechanisms.external.callable import Callable, MechanismFailure
from mechlearn.mechanisms.water.cemaneige import NoSnow
from mechlearn.mechanisms.water.gr4j import GR4J
from mechlearn.parameters import Parameter, set_parameters
from mechlearn.variables import POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF

RAIN, FLOW = PRECIPITATION.over("time"), RUNOFF.over("time")
SHARE = {"share": Parameter(0.5, "1", (0.0, 1.0), "share of rain that runs off")}
OURS = ("production_capacity", "exchange_coefficient", "routing_capacity", "hydrograph_base")


def scaled(fields, parameters):
    return {"runoff": parameters["share"] * fields["precipitation"] ** 2}


def compiled_gr4j(**more) -> Callable:
    """The compiled GR4J of holmes, coupled without knowing its code: ten lines."""
    gr4j = pytest.importorskip("holmes_rs.hydro.gr4j")

    def simulate(fields, parameters):
        four = np.array([parameters[name] for name in ("x1", "x2", "x3", "x4")])
        return {"runoff": gr4j.simulate(four, fields["precipitation"], fields["potential_evapotranspiration"])}

    _, bounds = gr4j.init()
    units, start = ("mm", "mm day-1", "mm", "day"), (350.0, 0.4, 90.0, 1.7)
    meaning = dict(zip(gr4j.param_names, gr4j.param_descriptions, strict=True))
    values = zip(meaning, start, units, map(tuple, bounds.tolist()), strict=True)
    four = {name: Parameter(value, unit, limits, meaning[name]) for name, value, unit, limits in values}
    return Callable(simulate, (RAIN, POTENTIAL_EVAPOTRANSPIRATION.over("time")), (FLOW,), four, **more)


def leaf_river(days: int) -> dict[str, np.ndarray]:
    holmes = pytest.importorskip("holmes")
    data = pd.read_csv(Path(holmes.__file__).parent / "data" / "Leaf_Observations.csv")[:days]
    return {"precipitation": data["P"].to_numpy(float), "potential_evapotranspiration": data["E0"].to_numpy(float)}


def test_compiled_gr4j_has_the_gradient_of_ours(float64):
    fields = {name: jnp.asarray(series) for name, series in leaf_river(1500).items()}
    ours = set_parameters(
        GR4J(snow=NoSnow(), hydrograph_exponent=1.25),
        {"percolation_scale": 5.25} | dict(zip(OURS, (350.0, 0.4, 90.0, 1.7), strict=True)),
    )
    theirs = compiled_gr4j()

    def mean_flow(model, names, values):
        made = set_parameters(model, dict(zip(names, values, strict=True)))
        rolled = made if isinstance(made, Callable) else Rollout(made, keep=("runoff",))
        return jnp.mean(rolled(fields)["runoff"][1000:] ** 2)

    point = jnp.array([350.0, 0.4, 90.0, 1.7])
    blind = jax.jit(jax.grad(partial(mean_flow, theirs, ("x1", "x2", "x3", "x4"))))(point)
    exact = jax.grad(partial(mean_flow, ours, OURS))(point)
    np.testing.assert_allclose(blind, exact, rtol=2e-4)


@pytest.mark.parametrize("gradient", ["differences", "adjoint"])
def test_gradient_survives_jit_vmap_and_scan(gradient):
    def adjoint(fields, parameters, slopes):
        rain, slope = fields["precipitation"], slopes["runoff"]
        return {"precipitation": 2 * parameters["share"] * rain * slope}, {"share": np.sum(rain**2 * slope)}

    model = Callable(scaled, (RAIN,), (FLOW,), SHARE, adjoint=adjoint if gradient == "adjoint" else None)
    rain = jnp.arange(1.0, 7.0).reshape(2, 3)

    def total(share, rain):
        def step(carry, row):
            now = set_parameters(model, {"share": share})
            return carry + jnp.sum(now({"precipitation": row})["runoff"]), None

        return jax.lax.scan(step, 0.0, rain)[0]

    by_share, by_rain = jax.jit(jax.grad(total, argnums=(0, 1)))(0.5, rain)
    np.testing.assert_allclose(by_share, jnp.sum(rain**2), rtol=1e-5)
    np.testing.assert_allclose(by_rain, rain, rtol=1e-5)
    each = jax.vmap(jax.grad(lambda share, row: total(share, row[None])), (None, 0))(0.5, rain)
    np.testing.assert_allclose(each, jnp.sum(rain**2, axis=1), rtol=1e-5)


def test_no_gradient_says_which_couplings_go_without():
    model = Callable(scaled, (RAIN,), (FLOW,), SHARE, gradient="none")
    with pytest.raises(TypeError, match=r"cascade\.refinement"):
        jax.grad(lambda rain: jnp.sum(model({"precipitation": rain})["runoff"]))(jnp.ones(3))


def crash(fields, parameters):
    raise ZeroDivisionError("a dry river")


@pytest.mark.parametrize(
    ("simulate", "reason"),
    [
        (crash, "a dry river"),
        (lambda f, p: {"runoff": np.full_like(f["precipitation"], np.nan)}, "not finite"),
        (lambda f, p: {"runoff": np.ones(1)}, "shape"),
        (lambda f, p: {}, "nothing"),
        (lambda f, p: time.sleep(2), "within"),
    ],
)
def test_failures_are_typed_and_counted(simulate, reason):
    strict = Callable(simulate, (RAIN,), (FLOW,), timeout=0.3)
    with pytest.raises(MechanismFailure, match=reason):
        strict.run({"precipitation": np.ones(3)}, {})
    lenient = Callable(simulate, (RAIN,), (FLOW,), on_failure="nan", timeout=0.3)
    assert np.all(np.isnan(eqx.filter_jit(lenient)({"precipitation": jnp.ones(3)})["runoff"]))
    assert lenient.failures.count == 1
    assert reason in lenient.failures.last


@pytest.mark.parametrize("wrong", [{"gradient": "magic"}, {"gradient": "adjoint"}, {"on_failure": "shrug"}])
def test_unknown_wishes_are_refused(wrong):
    with pytest.raises(ValueError, match="got"):
        Callable(scaled, (RAIN,), (FLOW,), SHARE, **wrong)


def test_an_output_axis_must_come_from_an_input():
    with pytest.raises(ValueError, match="depth"):
        Callable(scaled, (RAIN,), (Variable("temperature", "degC", ("depth",)),), SHARE)
