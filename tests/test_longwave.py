"""Long-wave fluxes of layers: closed forms, the energy they keep, and a grey scheme."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expn

from mechlearn.data import DataError, gas_optics, longwave_columns
from mechlearn.longwave import HEAT_CAPACITY, SECONDS, STEFAN_BOLTZMANN, answer, fluxes
from mechlearn.mechanisms.radiation.grey_longwave import GreyLongwave
from mechlearn.mechanisms.radiation.longwave import PATHS, PRESENT, Longwave
from mechlearn.parameters import set_parameters
from mechlearn.soundings import GRAVITY


def test_air_as_warm_as_the_ground_sends_up_what_the_ground_does(float64):
    depth, same = jnp.array([0.001, 0.3, 2.0, 60.0, 1e-9]), 7.0
    up, down = fluxes(depth[:, None], *[jnp.full((5, 1), same)] * 3, jnp.full(1, same), 0.9)
    above = np.concatenate([np.cumsum(np.asarray(depth)[::-1])[::-1], [0.0]])
    np.testing.assert_allclose(down, same * -np.expm1(-above), rtol=1e-12)
    below = np.concatenate([[0.0], np.cumsum(depth)])
    lacking = 0.1 * (same - down[0]) * np.exp(-below)
    np.testing.assert_allclose(up, same - lacking, rtol=1e-12)


def test_a_source_linear_in_optical_depth_is_solved_exactly_by_any_layers(float64):
    """`D(tau) = B0 + b tau - b - (B0 - b) exp(-tau)` for `B = B0 + b tau`, tau from the top."""
    for edges in ([0.0, 4.0], [0.0, 0.001, 0.004, 0.5, 3.0, 4.0]):
        tau = np.asarray(edges)[::-1]
        half = 100.0 + 30.0 * tau
        middle, b = 0.5 * (half[1:] + half[:-1]), 30.0
        parts = (jnp.asarray(part)[:, None] for part in (-np.diff(tau), middle, half[:-1], half[1:]))
        _, down = fluxes(*parts, jnp.zeros(1), 1.0)
        np.testing.assert_allclose(down, half - b - (100.0 - b) * np.exp(-tau), rtol=2e-5, atol=1e-4)


def test_heating_keeps_the_energy_of_the_column():
    half = jnp.linspace(1e5, 10.0, 31)
    up, down = 400 - 5.0 * jnp.arange(31), 350 - 11.0 * jnp.arange(31)
    made = answer(half, up, down)
    warmed = made["tendency_of_air_temperature_due_to_longwave_heating"] * -jnp.diff(half)
    net = made["net_downward_longwave_flux_in_air"]
    assert abs(float(jnp.sum(warmed) * HEAT_CAPACITY / GRAVITY / SECONDS - (net[-1] - net[0]))) < 1e-3


def test_grey_air_in_equilibrium_neither_warms_nor_cools():
    """`sigma T^4 = F (1 + tau) / 2` at every depth: Schwarzschild's grey atmosphere, by layers fine enough."""
    half = np.linspace(1e5, 0.0, 401)
    scheme, outgoing = GreyLongwave(), 240.0
    mole = float(scheme.dry.value + 0.17 * np.log(410 / 360))
    ground = (outgoing * (2 + mole) / 2 / STEFAN_BOLTZMANN) ** 0.25
    centre = 0.5 * (half[1:] + half[:-1])
    warm = (outgoing * (1 + mole * centre / 1e5) / 2 / STEFAN_BOLTZMANN) ** 0.25
    fields = {
        "air_pressure": centre,
        "air_pressure_at_half_levels": half,
        "air_temperature_profile": warm,
        "specific_humidity": np.zeros(400),
        "mole_fraction_of_ozone_in_air": np.zeros(400),
        "surface_temperature": ground,
        "surface_emissivity": 1.0,
    }
    made = jax.jit(lambda f: scheme(f))({name: jnp.asarray(value, jnp.float32) for name, value in fields.items()})
    np.testing.assert_allclose(made["net_downward_longwave_flux_in_air"], -outgoing, atol=0.01)


def isothermal(layers=3, warmth=260.0):
    half = np.geomspace(1e5, 10.0, layers + 1)
    return {
        "air_pressure": 0.5 * (half[1:] + half[:-1]),
        "air_pressure_at_half_levels": half,
        "air_temperature_profile": np.full(layers, warmth),
        "specific_humidity": np.full(layers, 2e-3),
        "mole_fraction_of_ozone_in_air": np.full(layers, 1e-6),
        "surface_temperature": np.asarray(warmth),
        "surface_emissivity": np.asarray(1.0),
    }


def test_a_column_the_other_way_up_gives_the_same_the_other_way_up():
    column = {name: jnp.asarray(value, jnp.float32) for name, value in isothermal().items()}
    column["air_temperature_profile"] = jnp.array([280.0, 250.0, 220.0])
    turned = {name: value[::-1] if value.ndim else value for name, value in column.items()}
    up, down = (Longwave()(fields) for fields in (column, turned))
    for name, value in up.items():
        np.testing.assert_allclose(value, down[name][::-1], rtol=1e-6)
    more = set_parameters(Longwave(), {"gases.carbon_dioxide": 4 * 397.5})(column)
    assert more["upwelling_longwave_flux_in_air"][-1] < up["upwelling_longwave_flux_in_air"][-1] - 2


def test_paths_through_grey_air_come_near_the_exponential_integral():
    """The diffuse transmittance of a layer is 2 E3(tau)."""
    depth = np.array([0.01, 0.1, 0.5, 1.0, 3.0])
    for count, error in ((1, 0.03), (2, 5e-3), (3, 2e-3)):
        secants, weights = PATHS[count]
        assert abs(sum(weights) - 1) < 1e-9
        made = sum(w * np.exp(-s * depth) for s, w in zip(secants, weights, strict=True))
        assert np.max(np.abs(made - 2 * expn(3, depth))) < error


def test_what_is_not_known_is_refused():
    for wrong, word in (({"paths": 4}, "paths"), ({"half_levels": "x"}, "half_levels"), ({"given": ("gold",)}, "gold")):
        with pytest.raises(ValueError, match=word):
            Longwave(**wrong)


@pytest.mark.data
def test_columns_to_teach_with_are_ones_that_can_be():
    columns = longwave_columns.teaching(20, levels=12, sets=("afgl",))
    half = columns["air_pressure_at_half_levels"]
    assert half.shape == (20, 13) and np.all(np.diff(half) < 0)
    assert np.all((columns["air_temperature_profile"] >= 150) & (columns["specific_humidity"] < 0.05))
    with pytest.raises(DataError, match="no set of atmospheres 'mars'"):
        longwave_columns.teaching(1, sets=("mars",))


@pytest.mark.data
def test_two_k_distributions_agree_on_the_columns_of_rfmip():
    """ecCKD against RTE+RRTMGP's own fluxes, 5 of 100 columns: within what two schemes differ by."""
    columns, reference = longwave_columns.rfmip(), longwave_columns.rfmip_reference()
    scheme = Longwave(half_levels="given")
    fields = {v.name: jnp.asarray(columns[v.name][:5], jnp.float32) for v in scheme.inputs}
    made = jax.jit(lambda fields: jax.lax.map(scheme, fields))(fields)
    for name in ("upwelling_longwave_flux_in_air", "downwelling_longwave_flux_in_air"):
        assert np.sqrt(np.mean((made[name] - reference[name][:5]) ** 2)) < 1.5
    with pytest.raises(DataError, match="no experiment 'none'"):
        longwave_columns.rfmip("none")


@pytest.mark.data
@pytest.mark.skipif(not gas_optics.found(), reason="the tables of RRTMGP are not on this machine")
def test_rrtmgp_is_solved_as_its_makers_solve_it():
    columns, reference = longwave_columns.rfmip(), longwave_columns.rfmip_reference()
    scheme = Longwave(optics=gas_optics.rrtmgp(), half_levels="given", given=tuple(PRESENT))
    fields = {v.name: jnp.asarray(columns[v.name][:2], jnp.float32) for v in scheme.inputs}
    made = jax.jit(lambda scheme, fields: jax.lax.map(scheme, fields))(scheme, fields)
    for name in ("upwelling_longwave_flux_in_air", "downwelling_longwave_flux_in_air"):
        np.testing.assert_allclose(made[name], reference[name][:2], atol=0.05)
