"""Errors of forcing and stores, and forecasts from every analysis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.enkf import SerialEnKF
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.errors_of_input import Logarithm, WithErrors
from mechlearn.assimilation.hindcast import hindcast
from mechlearn.compose import Rollout
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.parameters import set_parameters
from mechlearn.variables import RUNOFF

DAYS, LEADS, MEMBERS = 240, 3, 20
DEVIATIONS = {"precipitation": 0.3, "air_temperature": 1.0, "soil_moisture": 0.03, "upper_zone_storage": 0.1}


@pytest.fixture(scope="module")
def weather():
    draw = np.random.default_rng(5)
    rain = np.where(draw.random(DAYS) < 0.4, draw.gamma(0.8, 10.0, DAYS), 0.0)
    made = {"precipitation": rain, "air_temperature": np.full(DAYS, 9.0)}
    made["potential_evapotranspiration"] = np.full(DAYS, 1.5)
    return {name: jnp.asarray(series, jnp.float32) for name, series in made.items()}


@pytest.fixture(scope="module")
def run(weather):
    """Forecasts of HBV that is told too little rain: observed or not, with failures or without, compiled once."""
    truth = np.asarray(Rollout(HBV())(weather)["runoff"])
    wrong = {**weather, "precipitation": 0.7 * weather["precipitation"]}
    step = WithErrors(HBV(), DEVIATIONS, 0.5)
    seen = Logarithm(RUNOFF, 0.02)
    system = Assimilation(step, seen, ObservationError.of_variance([0.01]), noise=step.noise())
    start = jnp.broadcast_to(system._start(), (MEMBERS, system.size))
    observed = seen.of(truth[: DAYS - LEADS, None])

    def made(observed=observed, failing=None):
        options = {"forcing": wrong, "key": jax.random.key(0), "leads": LEADS}
        failing = np.zeros((DAYS - LEADS, MEMBERS), bool) if failing is None else failing
        return hindcast(system, SerialEnKF(), start, observed, "runoff", failing=failing, **options)

    def error(found):
        ahead = np.stack([truth[1 + lead : 1 + lead + DAYS - LEADS] for lead in range(LEADS)], axis=1)
        return np.sqrt(np.mean((np.asarray(found.forecast).mean(axis=2) - ahead)[60:] ** 2, axis=0))

    return made, error, np.full((DAYS - LEADS, 1), np.nan)


def test_every_lead_is_better_than_the_open_loop(run):
    made, error, nothing = run
    assert np.all(error(made()) < 0.85 * error(made(nothing)))


def test_members_that_fail_do_not_stop_it_and_are_counted(run):
    made, error, nothing = run
    failing = np.zeros((DAYS - LEADS, MEMBERS), bool)
    failing[:, :2] = True
    found = made(failing=failing)
    assert int(found.lost.sum()) == 2 * (DAYS - LEADS)
    assert np.isfinite(found.forecast).all()
    assert np.all(error(found) < error(made(nothing)))


def test_an_error_is_a_factor_of_water_and_an_addend_of_warmth():
    step = WithErrors(HBV(), DEVIATIONS, 0.5)
    fields = {name: jnp.asarray(value) for name, value in step.initial().items()}
    fields |= {"precipitation": jnp.asarray(10.0), "air_temperature": jnp.asarray(9.0)}
    fields |= {"potential_evapotranspiration": jnp.asarray(1.0), "error_of_precipitation": jnp.asarray(0.5)}
    wet = HBV()({v.name: fields[v.name] for v in HBV().inputs} | {"precipitation": jnp.asarray(15.0)})
    np.testing.assert_allclose(step(fields)["soil_moisture"], wet["soil_moisture"])
    assert step(fields)["error_of_precipitation"] == 0.25
    cold = step(fields | {"error_of_air_temperature": jnp.asarray(-20.0)})
    assert cold["snowfall"] > 14.9
    emptied = step(fields | {"upper_zone_storage": jnp.asarray(-50.0)})
    assert emptied["upper_zone_storage"] >= 0
    assert int((step.noise() > 0).sum()) == len(DEVIATIONS)


def test_what_cannot_be_done_says_why(weather):
    with pytest.raises(ValueError, match="no inputs of HBV"):
        WithErrors(HBV(), {"snow": 0.1})
    with pytest.raises(ValueError, match="memory"):
        WithErrors(HBV(), DEVIATIONS, 1.0)
    system = Assimilation(set_parameters(HBV(), {}), Logarithm(RUNOFF), ObservationError.of_variance([0.01]))
    with pytest.raises(ValueError, match="forcing must last"):
        start = jnp.zeros((3, system.size))
        hindcast(system, SerialEnKF(), start, np.ones((DAYS, 1)), "runoff", forcing=weather, key=jax.random.key(0))
