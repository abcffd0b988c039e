"""Chemistry: published solutions, the order of the solver, what is conserved, and the constants of the evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechlearn.core import Variable
from mechlearn.mechanisms.chemistry._network import Network
from mechlearn.mechanisms.chemistry._pollu import PPM, REFERENCE
from mechlearn.mechanisms.chemistry._rate_constants import air, constants
from mechlearn.mechanisms.chemistry._rosenbrock import graded
from mechlearn.mechanisms.chemistry._species import NITROGEN, SULPHUR
from mechlearn.mechanisms.chemistry.box import Box
from mechlearn.mechanisms.chemistry.kinetics import pollu, robertson
from mechlearn.mechanisms.chemistry.methane_oxidation import NETWORK, TABLE, MethaneOxidation

DUSK = {"air_temperature": 15.0, "relative_humidity": 60.0, "surface_air_pressure": 1e5, "solar_zenith_angle": 84.0}
EVENING = {"nitrogen_monoxide": 2.0, "nitrogen_dioxide": 5.0, "formaldehyde": 2.0, "hydroperoxyl_radical": 1e-3}


@jax.jit
def constants_at(temperature, humidity, pressure, zenith):
    return constants([law for _, law in TABLE], air(temperature, humidity, pressure, zenith))


def arrays(fields):
    return {name: jnp.asarray(value, float) for name, value in fields.items()}


def test_pollu_reaches_the_reference_solution(float64):
    """All twenty gases, over thirteen orders of magnitude, after 60 minutes; nitrogen and sulphur to rounding."""
    model = pollu(tolerance=1e-6)
    start = arrays(model.initial())
    made = jax.jit(lambda fields: model(fields))(start)
    found = np.array([made[name] for name in model.network.names])
    np.testing.assert_allclose(found, PPM * np.array(REFERENCE), rtol=1e-5)
    for atoms in (NITROGEN, SULPHUR):
        weights = model.network.weights(atoms)
        assert abs(weights @ found / (weights @ np.array(model.start)) - 1) < 1e-13


def test_robertsons_reaction_reaches_its_end(float64):
    """After 1e11 s, ten orders of magnitude later, as the Test Set for IVP Solvers has it."""
    model = robertson(1e11, tolerance=1e-7, floor=1e-16)
    made = model(arrays(model.initial()))
    published = {"reactant": 0.2083340149701255e-07, "catalyst": 0.8333360770334713e-13, "product": 0.9999999791665050}
    for name, value in published.items():
        np.testing.assert_allclose(made[name], value, rtol=1e-5)


def test_the_solver_is_of_third_order(float64):
    """`y' = -y³` from 1 is `1 / sqrt(3)` after a time of 1."""

    def error(steps):
        made = graded(lambda y: -(y**3), lambda y: -3 * jnp.diag(y**2), jnp.ones(1), 1.0, steps)
        return abs(float(made[0]) - 3**-0.5)

    assert 7 < error(20) / error(40) < 9


def test_a_step_at_dusk_is_that_of_a_reference_solver(float64):
    """Against scipy's Radau at a tolerance of 1e-9, just after nitrogen oxides were emitted; nitrogen to rounding."""
    model = MethaneOxidation()
    fields = arrays(model.initial() | EVENING | DUSK)
    made, rates = jax.jit(lambda f: (model(f), model.constants(f)))(fields)
    rates, start = np.asarray(rates), np.array([fields[name] for name in NETWORK.names])

    def tendency(_, c):
        met = np.append(c, 1.0)[NETWORK.partners]
        return NETWORK.stoichiometry @ (rates * met[:, 0] * met[:, 1])

    reference = solve_ivp(tendency, (0, 1200), start, method="Radau", rtol=1e-8, atol=1e-12).y[:, -1]
    found = np.array([made[name] for name in NETWORK.names])
    lasting = reference > 0.05
    np.testing.assert_allclose(found[lasting], reference[lasting], rtol=1e-4)
    np.testing.assert_allclose(found, reference, rtol=2e-2)
    weights = NETWORK.weights(NITROGEN)
    assert abs(weights @ found / (weights @ start) - 1) < 1e-13


def test_every_reaction_conserves_nitrogen():
    np.testing.assert_allclose(NETWORK.weights(NITROGEN) @ NETWORK.stoichiometry, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("reaction", "published"),
    [
        ("NO + O3 -> NO2", 1.7e-14),
        ("OH + CO -> HO2", 2.3e-13),
        ("OH + NO2 -> HNO3", 9.8e-12),
        ("HO2 + NO -> OH + NO2", 8.5e-12),
        ("2 HO2 -> H2O2", 2.86e-12),
        ("NO2 + NO3 -> N2O5", 1.2e-12),
        ("N2O5 -> NO2 + NO3", 4.5e-2),
        ("HO2NO2 -> HO2 + NO2", 6.2e-2),
        ("OH + HNO3 -> NO3", 1.5e-13),
        ("HCHO + OH -> HO2 + CO", 8.5e-12),
    ],
)
def test_constants_are_those_of_the_evaluation(reaction, published):
    """At 298 K and 1 bar of dry air, from the data sheets of the IUPAC task group."""
    found = constants_at(24.85, 0.0, 1e5, 60.0)
    place = [text for text, _ in TABLE].index(reaction)
    np.testing.assert_allclose(found[place], published, rtol=0.04)


def test_nothing_is_photolysed_at_night():
    night = constants_at(10.0, 50.0, 1e5, 95.0)
    assert {float(k) for k, (text, _) in zip(night, TABLE, strict=True) if text.startswith("HONO ->")} == {0.0}


@pytest.mark.parametrize("reaction", ["A B", "A + A + A -> B", "C -> A", "A -> 2.x B"])
def test_a_reaction_that_cannot_be_read_is_refused(reaction):
    with pytest.raises(ValueError, match="write"):
        Network((("A", Variable("a", "1")), ("B", Variable("b", "1"))), (reaction,))


def test_chemistry_must_step_with_its_box():
    with pytest.raises(ValueError, match="same time_step"):
        Box(MethaneOxidation(time_step=60.0))
