"""The Basic Model Interface, both ways: a component as a mechanism, and a system as a component."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import System, Variable
from mechlearn.export.bmi import BmiSystem
from mechlearn.learners.lstm import LSTM
from mechlearn.mechanisms.external.bmi import Bmi, _Reservoir, read
from mechlearn.mechanisms.external.callable import MechanismFailure
from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from mechlearn.mechanisms.water.hbv import HBV

RAIN = Variable("precipitation", "mm day-1", ("time",))
FLOW = Variable("runoff", "mm day-1", ("time",))
NAMES = {"precipitation": "rain", "runoff": "flow"}
WEATHER = {"precipitation": 6.0, "air_temperature": 12.0, "potential_evapotranspiration": 2.0}


def test_a_component_starts_anew_with_every_run():
    model = Bmi(_Reservoir, (RAIN,), (FLOW,), names=NAMES, config="0.5")
    rain = {"precipitation": jnp.array([4.0, 0.0])}
    run = jax.jit(lambda fields: model(fields)["runoff"])
    for _ in range(2):
        assert run(rain).tolist() == [2.0, 1.0]
    with pytest.raises(TypeError, match="no gradient"):
        jax.grad(lambda fields: run(fields).sum())(rain)


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ((Variable("snow", "mm day-1", ("time",)),), (FLOW,), "has no input 'snow'; it has rain"),
        ((RAIN,), (Variable("snow", "mm day-1", ("time",)),), "has no output 'snow'; it has flow"),
        ((Variable("precipitation", "m s-1", ("time",)),), (FLOW,), "declare its own"),
        ((Variable("precipitation", "mm day-1"),), (FLOW,), "need 'time'"),
    ],
)
def test_what_the_component_does_not_have_is_refused(inputs, outputs, said):
    with pytest.raises(ValueError, match=said):
        Bmi(_Reservoir, inputs, outputs, names=NAMES)


def test_a_component_that_breaks_is_a_failure():
    class Broken(_Reservoir):
        def update(self):
            raise OSError("out of water")

    with pytest.raises(MechanismFailure, match="out of water"):
        Bmi(Broken, (RAIN,), (FLOW,), names=NAMES).box.run({"precipitation": np.ones(2)}, {})


def test_there_and_back_is_the_same():
    """A mechanism as a component as a mechanism again, on its own axes and by a clock."""
    step = Lorenz96(size=8)
    time, start = Variable("elapsed", "1", ("time",)), QUANTITY
    later = QUANTITY.over("time")
    box = Bmi(
        lambda: BmiSystem(step, time_step=0.05, time_units="1"),
        (start, time),
        (Variable("later", "1", later.dims),),
        names={"later": "atmospheric_quantity"},
        clock="elapsed",
    )
    state = np.linspace(-2.0, 6.0, 8)
    made = box.box.run({"atmospheric_quantity": state, "elapsed": np.array([0.05, 0.15])}, {})["later"]
    want = {"atmospheric_quantity": jnp.asarray(state, jnp.float32)}
    for place, steps in ((0, 1), (1, 2)):
        for _ in range(steps):
            want = step(want)
        np.testing.assert_allclose(made[place], want["atmospheric_quantity"], rtol=1e-5, atol=1e-6)


def test_a_system_answers_bmi_as_its_rollout_runs(tmp_path):
    (tmp_path / "start.json").write_text(json.dumps({"air_temperature": 12.0, "potential_evapotranspiration": 2.0}))
    model = BmiSystem(System(Rollout(HBV())), name="river")
    model.initialize(str(tmp_path / "start.json"))
    rain, flow = np.array([0.0, 30.0, 12.0]), []
    for now in rain:
        model.set_value("precipitation", np.array([now]))
        model.update()
        flow.append(read(model, "runoff")[0])
    series = {name: jnp.full(3, value) for name, value in WEATHER.items()} | {"precipitation": jnp.asarray(rain)}
    np.testing.assert_allclose(flow, Rollout(HBV())(series)["runoff"], rtol=1e-5)
    assert (model.get_component_name(), model.get_current_time(), model.get_var_units("runoff")) == (
        "river",
        3.0,
        "mm day-1",
    )
    model.get_value_ptr("precipitation")[:] = 5.0
    assert read(model, "precipitation")[0] == 5.0


def test_nothing_of_the_interface_is_lacking():
    bmipy = pytest.importorskip("bmipy")
    model = BmiSystem(Lorenz96(size=8))
    model.initialize("")
    for method in bmipy.Bmi.__abstractmethods__:
        known = hasattr(type(model), method)
        assert known or method.startswith("get_grid_"), method
    assert model.get_grid_type(model.get_var_grid("atmospheric_quantity")) == "vector"
    assert model.get_var_nbytes("atmospheric_quantity") == 64
    with pytest.raises(NotImplementedError, match="where on Earth"):
        model.get_grid_x(1, np.empty(8))


def test_what_cannot_answer_bmi_is_refused():
    with pytest.raises(ValueError, match="reads whole series"):
        BmiSystem(LSTM([RAIN], [FLOW]))
    with pytest.raises(ValueError, match="how long are the axes"):
        BmiSystem(Lorenz96(size=8).closure)
    model = BmiSystem(Lorenz96(size=8))
    with pytest.raises(ValueError, match="initialize"):
        model.update()
    model.initialize("")
    with pytest.raises(ValueError, match="no whole number of steps"):
        model.update_until(0.5)
    with pytest.raises(ValueError, match="has no 'snow'"):
        model.set_value("snow", np.zeros(8))


def test_a_component_of_landlab_is_a_mechanism(tmp_path):
    """Diffusion of a hillslope: what leaves the middle arrives beside it, and at last leaves over the fixed edge."""
    landlab = pytest.importorskip("landlab.bmi")
    from landlab.components import LinearDiffuser

    text = """
linear_diffuser: {linear_diffusivity: 0.1}
grid:
  RasterModelGrid:
    - [5, 7]
    - xy_spacing: [10.0, 10.0]
      fields: {node: {topographic__elevation: {constant: [{value: 0.0}]}}}
clock: {start: 0.0, stop: 1000.0, step: 10.0}
"""
    (tmp_path / "hill.yaml").write_text(text)
    height = Variable("height", "m", ("node",))
    later = Variable("later", "m", ("time", "node"))
    years = Variable("years", "1", ("time",))
    names = {"height": "topographic__elevation", "later": "topographic__elevation"}
    kind = landlab.wrap_as_bmi(LinearDiffuser)
    hill = Bmi(kind, (height, years), (later,), config=str(tmp_path / "hill.yaml"), names=names, clock="years")
    peak = np.zeros(35)
    peak[17] = 10.0
    made = hill.box.run({"height": peak, "years": np.array([10.0, 50.0])}, {})["later"]
    assert 10.0 > made[0, 17] > made[1, 17] > made[1, 16] > 0
    np.testing.assert_allclose(made[0].sum(), 10.0, rtol=1e-6)
    assert 9.9 < made[1].sum() < 10.0
