"""Long-wave fluxes of layers: closed forms, the energy they keep, and a grey scheme."""

import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.longwave import HEAT_CAPACITY, SECONDS, STEFAN_BOLTZMANN, answer, fluxes
from mechlearn.mechanisms.radiation.grey_longwave import GreyLongwave
from mechlearn.soundings import GRAVITY


def test_air_as_warm_as_the_ground_sends_up_what_the_ground_does(float64):
    depth, same = jnp.array([0.001, 0.3, 2.0, 60.0, 1e-9]), 7.0
    up, down = fluxes(depth, *[jnp.full(5, same)] * 3, jnp.asarray(same), 0.9)
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
        _, down = fluxes(jnp.asarray(-np.diff(tau)), *map(jnp.asarray, (middle, half[:-1], half[1:])), jnp.asarray(0.0), 1.0)
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
