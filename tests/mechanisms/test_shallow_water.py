"""Shallow water against what is known of it in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.mechanisms.flow.shallow_water import GRAVITY, ShallowWater, energy, jets, tendency
from mechlearn.parameters import set_parameters

ALONE = {"viscosity": 0.0, "relaxation_time": np.inf}


def alone(**options):
    return set_parameters(ShallowWater(**options), ALONE)


def advance(model, state):
    return jnp.stack(list(model(dict(zip(model.state, state, strict=True))).values()))


def eddies(size):
    """A flow full of structure, in double precision."""
    draw, along = np.random.default_rng(0), 2 * np.pi * np.arange(size) / size
    waves = sum(
        amplitude * np.sin(k * along + shift)[:, None] * np.cos(m * along)
        for k, m, amplitude, shift in zip(*draw.integers(1, 4, (2, 6)), *draw.uniform(0.2, 3, (2, 6)), strict=True)
    )
    turned = np.roll(waves, 3, 1)
    return jnp.asarray(np.stack([20 * waves, 5 * turned, 5 * waves.T]), jnp.float64)


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_mass_stays_and_energy_as_far_as_the_time_step_is_short():
    state, lost = eddies(16), []
    for short in (1, 2):
        model = alone(size=16, time_step=600.0 / short, steps=40 * short)
        later = eqx.filter_jit(advance)(model, state)
        assert abs(float((later[0] - state[0]).mean())) < 1e-11
        before, after = (float(energy(s, model.spacing, 1000.0)) for s in (state, later))
        lost.append(abs(after / before - 1))
    assert lost[0] < 1e-3
    assert lost[1] < lost[0] / 16


def test_the_scheme_itself_neither_makes_nor_loses_energy():
    state, spacing = eddies(16), 250e3
    rate = tendency(state, spacing, 1000.0, 1e-4)
    change = jax.jvp(lambda s: energy(s, spacing, 1000.0), (state,), (rate,))[1]
    parts = jax.jvp(lambda s: energy(s, spacing, 1000.0), (state,), (abs(rate),))[1]
    assert abs(float(change)) < 1e-12 * abs(float(parts))


def test_jets_in_balance_stay():
    model = alone(size=16, steps=100)
    for speed, tolerance in ((1e-4, 1e-6), (40.0, 0.02)):
        state = jets(16, model.spacing, speed, 1e-4, 2).astype(jnp.float64)
        later = eqx.filter_jit(advance)(model, state)
        np.testing.assert_allclose(later[1], state[1], atol=tolerance * speed)
        np.testing.assert_allclose(later[2], 0, atol=tolerance * speed)


def test_a_gravity_wave_travels_at_the_root_of_g_h():
    model = set_parameters(alone(size=32, spacing=100e3, time_step=500.0), {"coriolis": 0.0})
    phase = 2 * np.pi * np.arange(32) / 32
    period = 3200e3 / np.sqrt(GRAVITY * 1000.0)
    steps = round(period / 4 / model.time_step)
    wave = 1e-3 * np.cos(phase)[None] * np.ones((32, 1))
    state = jnp.stack([jnp.asarray(wave), *jnp.zeros((2, 32, 32))]).astype(jnp.float64)
    later = jax.lax.fori_loop(0, steps, lambda _, s: advance(model, s), state)
    expected = np.cos(2 * np.pi * steps * model.time_step / period)
    # The grid slows a wave of 32 cells by (pi / 32)^2 / 6.
    assert float(later[0, 0, 0] / wave[0, 0]) == pytest.approx(expected, abs=0.01)


def test_second_order_in_space():
    """The divergence and the pressure force against the derivatives of smooth fields."""
    wrong = []
    for size in (32, 64):
        spacing = 2 * np.pi / size
        centre, face = (np.arange(size) + 0.5) * spacing, np.arange(size) * spacing
        height = 0.1 * np.cos(centre)[None] * np.ones((size, 1))
        u = 0.3 * np.sin(face)[None] * np.ones((size, 1))
        state = jnp.stack([jnp.asarray(x) for x in (height, u, 0 * u)])
        rate = np.asarray(tendency(state, spacing, 1.0, 0.0))
        flux = -0.3 * np.cos(centre) * (1 + 0.1 * np.cos(centre)) + 0.3 * np.sin(centre) * 0.1 * np.sin(centre)
        force = GRAVITY * 0.1 * np.sin(face) - 0.3**2 * np.sin(face) * np.cos(face)
        wrong.append([np.abs(rate[0] - flux).max(), np.abs(rate[1] - force).max()])
    assert np.all(np.array(wrong[1]) < np.array(wrong[0]) / 3.9)


def test_the_jets_break_into_eddies_that_go_on():
    model = ShallowWater(size=16, jet_count=2, steps=1500)
    state = jnp.stack([jnp.asarray(x, jnp.float64) for x in model.initial().values()])
    later = eqx.filter_jit(advance)(model, state)
    assert 1 < float(later[2].std()) < 30


def test_a_time_step_too_long_is_refused():
    with pytest.raises(ValueError, match="a time_step below 2525 s"):
        ShallowWater(time_step=3000.0)
    with pytest.raises(ValueError, match="forward_backward: take a time_step below 1262 s"):
        ShallowWater(scheme="forward_backward")


def test_forward_backward_comes_to_the_same_as_steps_shorten():
    state, away = eddies(16), []
    reference = eqx.filter_jit(advance)(alone(size=16, time_step=100.0, steps=216), state)
    for short in (8, 16):
        model = alone(size=16, time_step=1200.0 / short, steps=18 * short, scheme="forward_backward")
        later = eqx.filter_jit(advance)(model, state)
        assert abs(float((later[0] - state[0]).mean())) < 1e-11
        away.append(float(jnp.sqrt(jnp.mean((later - reference) ** 2))))
    assert away[0] < 0.05 * float(jnp.sqrt(jnp.mean((reference - state) ** 2)))
    assert away[1] < 0.6 * away[0]
