"""The column of air: laws that hold whatever takes a joint, and closed forms of grey air."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import Model
from mechlearn.couplings.closing import SolvedFor
from mechlearn.couplings.embedded.replacement import Answer
from mechlearn.laws.flux_balance import FluxBalance
from mechlearn.longwave import STEFAN_BOLTZMANN
from mechlearn.mechanisms.convection.betts_miller import BettsMiller
from mechlearn.mechanisms.flow.column import BALANCES, AirColumn, RadiativeConvective, standard_grid, sunshine
from mechlearn.mechanisms.radiation.grey_longwave import GreyLongwave
from mechlearn.moist_air import HEAT_CAPACITY, LATENT_HEAT, layer_mass, saturation_humidity
from mechlearn.parameters import set_parameters

GRID = standard_grid()
CALM = {"heat_transport_convergence": 0.0}


def weather(days, latitude=30.0):
    sun = sunshine(latitude, np.arange(0, days, 0.125))
    winds = {"heat_transport_convergence": np.full(days * 8, -30.0)}
    return {name: jnp.asarray(series, jnp.float32) for name, series in (sun | winds).items()}


@pytest.fixture(scope="module")
def month():
    """Thirty days of June, and the physics of its last state."""
    host = Rollout(AirColumn(), static=AirColumn.lasting)
    made = jax.jit(host)({**weather(30), **GRID})
    state = {name: made[name][-1] for name in AirColumn.state}
    now = {name: series[-4] for name, series in weather(30).items()} | GRID | state
    physics = RadiativeConvective()
    return made, now, jax.jit(physics)({v.name: jnp.asarray(now[v.name]) for v in physics.inputs})


def test_enthalpy_changes_by_what_passes_the_top(month):
    made, _, _ = month
    np.testing.assert_allclose(made["enthalpy_change"], made["net_energy_input"], atol=2e-3)
    assert np.all(made["specific_humidity"] >= 0) and np.std(made["enthalpy_change"]) > 100


def test_the_state_stores_the_enthalpy_that_is_told(month):
    made, _, _ = month
    mass = layer_mass(GRID["air_pressure_at_half_levels"])
    air, vapour, sea = (np.diff(np.asarray(made[name], np.float64), axis=0) for name in AirColumn.state)
    stored = (air * HEAT_CAPACITY + vapour * LATENT_HEAT) @ np.asarray(mass) + sea * 1025.0 * 3990.0 * 10.0
    # A temperature of 300 K in single precision is known to 3e-5 K.
    np.testing.assert_allclose(np.mean(stored) / 10800, np.mean(made["enthalpy_change"][1:]), atol=2e-3)
    np.testing.assert_allclose(stored / 10800, made["enthalpy_change"][1:], atol=0.5)


@pytest.mark.parametrize("name", BALANCES)
def test_each_balance_is_kept(month, name):
    _, now, done = month
    law = FluxBalance(*BALANCES[name])
    fields = {**now, **done}
    assert abs(float(law.residual(fields))) < 1e-3
    broken = {**fields, "layer_heating": done["layer_heating"] + 1, "layer_moistening": done["layer_moistening"] + 1}
    broken |= {n: done[n] + 1 for n in ("layer_longwave_heating", "layer_shortwave_heating")}
    assert abs(float(law.residual(broken))) > 20


def test_laws_are_solved_for_what_is_not_said(month):
    _, now, done = month
    names = ("surface_net_downward_longwave_flux", "surface_net_downward_shortwave_flux", "precipitation_heat_flux")
    laws = [FluxBalance(*BALANCES[name]) for name in ("longwave", "shortwave", "water")]
    made = SolvedFor(laws, names)({v: x for v, x in {**now, **done}.items() if v not in names})
    for name in names:
        np.testing.assert_allclose(made[name], done[name], atol=2e-3)
    with pytest.raises(ValueError, match="single number"):
        SolvedFor(laws[:1], ("layer_longwave_heating",))


def test_convection_keeps_heat_and_water(month):
    _, now, _ = month
    scheme = BettsMiller()
    convect = jax.jit(scheme)
    wet = {**now, "specific_humidity": 1.3 * now["specific_humidity"]}
    dry = {**now, "specific_humidity": now["specific_humidity"].at[3:].multiply(0.3)}
    dry |= {"air_temperature_profile": now["air_temperature_profile"].at[0].add(2.0)}
    for air, rains in ((wet, True), (dry, False)):
        made = convect({v.name: air[v.name] for v in scheme.inputs})
        heat, vapour, rain = (made[v.name] for v in scheme.outputs)
        assert abs(float(jnp.sum(heat + vapour))) < 1e-6 * float(jnp.sum(jnp.abs(heat))) + 1e-3
        assert abs(float(jnp.sum(vapour) + rain)) < 1e-6 * float(jnp.sum(jnp.abs(vapour))) + 1e-3
        assert (float(rain) > 1.0) == rains and float(jnp.max(jnp.abs(heat))) > 5


def test_a_cold_ground_convects_nothing():
    scheme = BettsMiller()
    cold = {**GRID, "air_temperature_profile": jnp.full(24, 280.0), "specific_humidity": jnp.full(24, 1e-4)}
    made = jax.jit(scheme)({v.name: cold[v.name] for v in scheme.inputs})
    assert all(float(jnp.max(jnp.abs(value))) == 0 for value in made.values())


def test_a_joint_that_answers_as_the_scheme_did_changes_nothing(month):
    _, now, done = month
    scheme = GreyLongwave()
    said = jax.jit(scheme)({v.name: jnp.asarray(now[v.name]) for v in scheme.inputs})
    physics = RadiativeConvective(longwave=Answer(scheme.inputs, scheme.outputs, said))
    made = jax.jit(lambda fields: physics(fields))({v.name: jnp.asarray(now[v.name]) for v in physics.inputs})
    for name, value in done.items():
        np.testing.assert_allclose(made[name], value, atol=2e-3)


class Transparent(Model):
    """All short wave reaches the ground."""

    inputs = RadiativeConvective().shortwave.inputs
    outputs = RadiativeConvective().shortwave.outputs

    def __call__(self, fields, *, key=None):
        net = jnp.full(fields["air_pressure_at_half_levels"].shape, 0.7 * fields["toa_incoming_shortwave_flux"])
        return {"net_downward_shortwave_flux_in_air": net}


def test_grey_air_comes_to_radiative_equilibrium():
    """`sigma T^4 = F (1 + tau) / 2` in air that nothing but long wave heats, `sigma T_s^4 = F (2 + tau_0) / 2`."""
    grey = set_parameters(GreyLongwave(), {"vapour": 0.0, "dry": 1.5, "forcing": 0.0})
    physics = RadiativeConvective(longwave=grey, shortwave=Transparent(), convection=_still(), mixed_layers=1)
    physics = set_parameters(physics, {"exchange": 0.0})
    column = set_parameters(AirColumn(physics, levels=24), {"ocean_depth": 0.1})
    grid = {**GRID, "surface_emissivity": jnp.asarray(1.0)}
    sun = {"toa_incoming_shortwave_flux": 340.0, "cosine_of_solar_zenith_angle": 0.5, **CALM}
    held = {name: jnp.asarray(value) for name, value in {**grid, **sun}.items()}

    def advance(state, _):
        made = column({**held, **state})
        return {name: made[name] for name in state}, None

    start = {name: jnp.asarray(value) for name, value in column.initial().items()}
    start["specific_humidity"] = jnp.zeros(24)
    end = jax.jit(lambda state: jax.lax.scan(advance, state, None, 8 * 3000)[0])(start)
    flux, depth = 0.7 * 340.0, 1.5 * (GRID["air_pressure"] - 100.0) / 1e5
    expected = (flux * (1 + depth) / 2 / STEFAN_BOLTZMANN) ** 0.25
    np.testing.assert_allclose(end["air_temperature_profile"][2:-1], expected[2:-1], atol=0.7)
    ground = (flux * (2 + 1.5 * 0.999) / 2 / STEFAN_BOLTZMANN) ** 0.25
    np.testing.assert_allclose(end["surface_temperature"], ground, atol=0.3)


def _still():
    scheme = BettsMiller()
    nothing = {"layer_heating": jnp.zeros(24), "layer_moistening": jnp.zeros(24), "precipitation_heat_flux": 0.0}
    return Answer(scheme.inputs, scheme.outputs, nothing)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="set levels=24"):
        column = AirColumn(levels=10)
        column({v.name: jnp.asarray({**GRID, **CALM}.get(v.name, 0.0)) for v in column.inputs})
    with pytest.raises(ValueError, match="lowest layer"):
        RadiativeConvective(mixed_layers=0)


def test_saturated_air_holds_what_tables_say():
    """Smithsonian tables: 14.7 g kg-1 at 20 degC and 1000 hPa; 7.6 at 10."""
    np.testing.assert_allclose(saturation_humidity(jnp.array([293.15, 283.15]), 1e5), [14.7e-3, 7.7e-3], rtol=0.01)
