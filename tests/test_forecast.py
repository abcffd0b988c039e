"""Forecasts from a given state, and the pieces of trajectories that teach them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Model, Variable
from mechlearn.data.fields import DataError
from mechlearn.data.trajectories import Trajectories
from mechlearn.forecast import Forecast
from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
from mechlearn.mechanisms.water.hbv import HBV

X = "atmospheric_quantity"
START = {f"initial_{X}": jnp.linspace(-2.0, 6.0, 8)}


def test_a_forecast_is_the_step_again_and_again():
    step, made = Lorenz96(size=8), Forecast(Lorenz96(size=8), 6)(START)[X]
    state = {X: START[f"initial_{X}"]}
    for place in range(6):
        state = step(state)
        np.testing.assert_allclose(made[place], state[X], rtol=1e-5)
    np.testing.assert_allclose(Forecast(step, 6, save_every=3)(START)[X], made[2::3], rtol=1e-5)


def test_what_is_no_state_is_held_and_what_is_not_given_begins_at_rest():
    weather = {"precipitation": 3.0, "air_temperature": 12.0, "potential_evapotranspiration": 1.0}
    fields = {name: jnp.asarray(value) for name, value in weather.items()}
    step = HBV()
    made = Forecast(step, 2, given=())(fields)
    state = {name: jnp.asarray(value, float) for name, value in step.initial().items()}
    for place in range(2):
        once = step({**fields, **state})
        state = {name: once[name] for name in step.state}
        np.testing.assert_allclose(made["runoff"][place], once["runoff"], rtol=1e-5)


def test_random_steps_draw_anew_each_time_also_between_those_that_are_kept():
    class Walk(Model):
        inputs = outputs = (Variable("place", "m"),)
        state = ("place",)

        def initial(self):
            return {"place": 0.0}

        def __call__(self, fields, *, key=None):
            return {"place": fields["place"] + jax.random.normal(key, ())}

    places = jax.vmap(lambda k: Forecast(Walk(), 20, save_every=10)({"initial_place": 0.0}, key=k)["place"])(
        jax.random.split(jax.random.key(0), 2000)
    )
    np.testing.assert_allclose(np.var(places, axis=0), [10.0, 20.0], rtol=0.1)


def test_what_cannot_be_forecast_is_refused():
    with pytest.raises(ValueError, match="no multiple of save_every"):
        Forecast(Lorenz96(), 10, save_every=3)
    with pytest.raises(ValueError, match="no states of"):
        Forecast(Lorenz96(), 10, given=("snow",))
    with pytest.raises(ValueError, match="has no state"):
        Forecast(Lorenz96().closure, 10)


def test_pieces_follow_their_starts_and_fluxes_lead_to_them():
    states, fluxes = np.arange(40.0).reshape(2, 10, 2), 100 + np.arange(20.0).reshape(2, 10)
    pieces = Trajectories({"x": states, "flux": fluxes}, states=("x",), length=4)
    fields, observed, spread = pieces.take(jnp.arange(len(pieces)))
    assert len(pieces) == 4 and set(fields) == {"initial_x"}
    np.testing.assert_array_equal(fields["initial_x"][1], states[0, 4])
    np.testing.assert_array_equal(observed["x"][1], states[0, 5:9])
    np.testing.assert_array_equal(observed["flux"][1], fluxes[0, 4:8])
    assert spread["x"].shape == (4,)
    with pytest.raises(DataError, match="shorten the pieces"):
        Trajectories({"x": states}, states=("x",), length=10)
