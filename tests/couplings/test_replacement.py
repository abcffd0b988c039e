"""Closures: what they are taught, alone and through the solver, and the noise of what they leave open."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import System, Variable
from mechlearn.couplings.embedded.replacement import Answer, offline, online, pseudo_observations
from mechlearn.couplings.embedded.stochastic import OneOf, RedNoise, red
from mechlearn.data.trajectories import Trajectories
from mechlearn.descent import Descent, stack
from mechlearn.forecast import Forecast
from mechlearn.learners.mlp import MLP
from mechlearn.learners.polynomial import Polynomial
from mechlearn.mechanisms.flow.lorenz96 import SUBGRID_FLUX, Lorenz96
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.parameters import replace_at
from mechlearn.training.growing import fit_growing
from mechlearn.training.offline import fit_offline
from mechlearn.variables import RUNOFF

X, U = "atmospheric_quantity", "subgrid_flux"
HOST = Lorenz96(size=8, time_step=0.02)
KEY = jax.random.key(0)
OPTIONS = {"joint": "closure", "taught_by": "observations"}
LINE = Polynomial([Variable(X, "1")], [Variable(U, "1")], degree=1)


def damped(rate):
    """The host with what is taken out of a sector in proportion to it."""
    system = offline(Forecast(HOST, 1), partial(Polynomial, degree=1), **OPTIONS)
    return replace_at(system.model.step, "closure.part.coefficients", jnp.array([[rate]]))


@pytest.fixture(scope="module")
def nature():
    """Runs (4, 200, 8) of a model with more damping than the host's, and what the host should have been told."""
    starts = 3 + 3 * jax.random.normal(KEY, (4, 8))
    runs = jax.jit(jax.vmap(lambda x: Forecast(damped(0.5), 201)({f"initial_{X}": x})[X]))(starts)
    implied = jax.vmap(jax.vmap(lambda a, b: pseudo_observations(HOST, "closure", {X: a}, {X: b})[U]))
    fluxes = jax.jit(implied)(runs[:, :-1], runs[:, 1:])
    return {X: runs[:, :-1], U: fluxes}


def test_a_closure_takes_its_flux_out_of_the_tendency():
    told = replace_at(HOST, "closure", Answer((), (SUBGRID_FLUX,), {U: jnp.full(8, 8.0)}))
    np.testing.assert_allclose(told({X: jnp.zeros(8)})[X], 0.0, atol=1e-6)


def test_pseudo_observations_lead_the_host_where_the_finer_model_went(nature):
    before, after, flux = nature[X][0, 7], nature[X][0, 8], nature[U][0, 7]
    told = replace_at(HOST, "closure", Answer((), (SUBGRID_FLUX,), {U: flux}))
    np.testing.assert_allclose(told({X: before})[X], after, atol=1e-5)
    middle = 0.5 * (nature[X][:, :-1] + nature[X][:, 1:])
    np.testing.assert_allclose(nature[U][:, :-1], 0.5 * middle, atol=0.05)  # the trapezium is of second order


def test_pseudo_observations_that_are_not_determined_are_refused():
    weather = {"precipitation": 3.0, "air_temperature": 12.0, "potential_evapotranspiration": 1.0}
    step = HBV()
    state = {name: jnp.asarray(value, float) for name, value in step.initial().items()}
    fields = {**{name: jnp.asarray(value) for name, value in weather.items()}, **state}
    with pytest.raises(ValueError, match="not determined"):
        pseudo_observations(step, "evaporation", fields, state)


def test_a_closure_taught_alone_then_through_the_solver_forecasts_better(nature):
    learner = partial(MLP, width=8, depth=1, key=KEY, descent=Descent(epochs=6, batch_size=256))
    system = online(Forecast(HOST, 1), learner, neighbours=(-1, 0, 1), **OPTIONS)
    alone = fit_offline(system, Trajectories(nature, states=(X,), length=50), key=KEY)
    series = {X: nature[X]}
    how = Descent(epochs=2, batch_size=32, learning_rate=3e-3, patience=0)

    def misfit(predicted, observed, spread):
        return jnp.mean(((predicted[X] - observed[X]) / spread[X][:, None, None]) ** 2)

    options = {"lengths": (2, 8), "key": KEY, "how": how, "stride": 8, "misfit": misfit}
    (through,), history = fit_growing([alone], series, **options)
    assert [len(losses) for losses in history] == [2, 2] and history[1][-1] < history[1][0]

    def error(model):
        fields, observed, _ = Trajectories(series, states=(X,), length=25).take(jnp.arange(12))
        made = jax.jit(jax.vmap(lambda f: replace(model, length=25)(f)[X]))(fields)
        return float(jnp.sqrt(jnp.mean((made - observed[X]) ** 2)))

    bare, taught, longer = error(Forecast(HOST, 25)), error(alone.model), error(through.model)
    assert longer < taught < 0.3 * bare, (bare, taught, longer)


def test_an_emulator_is_taught_along_the_hosts_own_trajectory():
    host = Forecast(damped(0.7), 20)
    system = offline(host, partial(Polynomial, degree=1), joint="closure", neighbours=(0, 1))
    fields = {f"initial_{X}": jnp.linspace(-3.0, 8.0, 8)}
    inputs, targets = system.lessons[0].examples(system.model, fields, {})
    assert set(inputs) == {X, f"{X}_plus_1"} and inputs[X].shape == (20, 8)
    np.testing.assert_allclose(targets[U], 0.7 * inputs[X], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(inputs[f"{X}_plus_1"][:, 0], inputs[X][:, 1])


def test_what_cannot_be_replaced_or_taught_is_refused(nature):
    with pytest.raises(ValueError, match="no joint of Lorenz96; it has closure"):
        offline(Forecast(HOST, 1), Polynomial, joint="forcing")
    with pytest.raises(ValueError, match="Rollout"):
        offline(HOST, Polynomial, joint="closure")
    with pytest.raises(ValueError, match="distinct offsets"):
        offline(Forecast(HOST, 1), Polynomial, neighbours=(0, 0), **OPTIONS)
    system = offline(Forecast(HOST, 1), Polynomial, **OPTIONS)
    with pytest.raises(ValueError, match="make pseudo-observations"):
        fit_offline(system, Trajectories({X: nature[X]}, states=(X,)), key=KEY)
    with pytest.raises(ValueError, match="are taught to forecasts"):
        fit_growing([System(Rollout(HBV()))], {RUNOFF.name: np.zeros((1, 9))}, lengths=(2,), key=KEY)


def test_red_noise_has_the_memory_and_the_size_it_is_given():
    noisy = RedNoise.of(HOST, "closure", 0.9, 2.0)
    start = {f"initial_{X}": jnp.linspace(-2.0, 6.0, 8)}
    model = Forecast(noisy, 4000, given=(X,))
    made = jax.jit(lambda k: model(start, key=k))(KEY)
    phi, sigma = red(np.asarray(made[f"{U}_error"][100:]).T)
    assert abs(phi - 0.9) < 0.02 and abs(sigma - 2.0) < 0.15
    assert np.isfinite(made[X]).all()
    quiet = Forecast(noisy, 10, given=(X,))(start)
    np.testing.assert_allclose(quiet[X], Forecast(HOST, 10)(start)[X], rtol=1e-5)


def test_one_of_several_speaks_at_a_time_and_all_on_average():
    lines = [replace_at(LINE, "coefficients", jnp.array([[rate]])) for rate in (1.0, 3.0)]
    several = OneOf(stack(lines), 2)
    point = {X: jnp.asarray(1.0)}
    assert float(several(point)[U]) == 2.0
    said = jax.vmap(lambda k: several(point, key=k)[U])(jax.random.split(KEY, 50))
    assert set(np.unique(said)) == {1.0, 3.0}
