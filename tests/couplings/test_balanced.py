"""Laws built into what a network says of a column, and charged for: what holds whatever its weights are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import System, Term, Variable
from mechlearn.couplings.closing import FluxesOfHeating
from mechlearn.couplings.embedded.replacement import offline
from mechlearn.couplings.infused import objective_constraint, structure_constraint
from mechlearn.descent import Descent
from mechlearn.laws.flux_balance import FluxBalance
from mechlearn.learners.dense import Dense, Flat
from mechlearn.learners.through import Through, charged_misfit
from mechlearn.longwave import FLUXES, HEAT_CAPACITY, SECONDS, example_column
from mechlearn.mechanisms.flow.column import BALANCES, AirColumn
from mechlearn.mechanisms.radiation.grey_longwave import GreyLongwave
from mechlearn.moist_air import layer_mass
from mechlearn.parameters import follow

HOST = Rollout(AirColumn(levels=4), static=AirColumn.lasting)
network = partial(Dense, sizes={"level": 4, "half_level": 5}, width=6, descent=Descent(epochs=2, batch_size=16))
SUN = {"toa_incoming_shortwave_flux": 500.0, "cosine_of_solar_zenith_angle": 0.5, "heat_transport_convergence": 20.0}
TOP = Variable("top", "W m-2")
COLUMN = example_column() | {name: jnp.asarray(value) for name, value in SUN.items()}
LAWS = {name: FluxBalance(*BALANCES[name]) for name in ("longwave", "shortwave", "water", "enthalpy")}
SOLVED = (
    *("surface_net_downward_longwave_flux", "surface_net_downward_shortwave_flux"),
    *("precipitation_heat_flux", "surface_upward_sensible_heat_flux"),
)


def learner_of(system: System, joint: str):
    return follow(system.model, f"step.{joint}")


def said(model, fields):
    return jax.jit(lambda x: model(x))({v.name: fields[v.name] for v in model.inputs})


def imbalance(made):
    kept = jnp.sum(layer_mass(COLUMN["air_pressure_at_half_levels"]) * made[FLUXES[3].name]) * HEAT_CAPACITY / SECONDS
    return float(jnp.abs(kept - (made[FLUXES[2].name][-1] - made[FLUXES[2].name][0])))


def test_layers_gain_what_the_fluxes_lose():
    made = said(learner_of(structure_constraint.energy_closed(HOST, network), "physics.longwave"), COLUMN)
    assert set(made) == {v.name for v in FLUXES}
    assert imbalance(made) < 1e-4 and float(made[FLUXES[1].name][-1]) == 0
    np.testing.assert_allclose(made[FLUXES[2].name], made[FLUXES[1].name] - made[FLUXES[0].name], atol=1e-4)
    free = said(
        learner_of(offline(HOST, network, joint="physics.longwave", neighbours=None), "physics.longwave"), COLUMN
    )
    assert imbalance(free) > 1.0


def test_fluxes_follow_from_the_heating_of_the_scheme():
    true = jax.jit(GreyLongwave())(example_column())
    made = jax.jit(FluxesOfHeating())({**example_column(), **true})
    for name, value in made.items():
        np.testing.assert_allclose(value, true[name], atol=2e-3)


def test_laws_hold_whatever_the_weights_are():
    system = structure_constraint.balanced(HOST, network, laws=tuple(LAWS.values()), solved_for=SOLVED)
    part = learner_of(system, "physics")
    assert {v.name for v in part.outputs} == {v.name for v in HOST.step.physics.outputs}
    made = said(part, COLUMN)
    for law in LAWS.values():
        assert abs(float(law.residual({**COLUMN, **made}))) < 1e-4
    with pytest.raises(ValueError, match="single number that it reads"):
        structure_constraint.balanced(HOST, network, laws=(LAWS["water"],), solved_for=("layer_heating",))


def test_a_broken_law_is_charged_for():
    laws = tuple(LAWS.values())
    part = learner_of(objective_constraint.balanced(HOST, network, laws=laws, weight=0.5), "physics")
    assert isinstance(part, Through)
    assert [(type(t), t.weight) for t in part.terms] == [(Term, 0.5)] * 4


def test_a_network_is_taught_through_what_is_made_of_its_answer():
    """It says heating and upwelling fluxes, and is judged by net and downwelling ones too, and by a law."""
    scheme = jax.jit(jax.vmap(lambda x: GreyLongwave()(x)))
    inputs = {name: jnp.broadcast_to(v, (50, *jnp.shape(v))) for name, v in example_column().items()}
    inputs |= {"air_temperature_profile": 280.0 + 10 * jax.random.normal(jax.random.key(0), (50, 4))}
    targets = scheme(inputs)
    first = partial(network, descent=Descent(epochs=0))
    part = learner_of(structure_constraint.energy_closed(HOST, first), "physics.longwave")
    ready = part.fit(inputs, targets, key=jax.random.key(1))
    law = FluxBalance((TOP,), ())
    charged = Through(ready.learner, FluxesOfHeating(), (Term(law, 2.0),)).standardise(inputs, targets)
    told, made = jax.jit(
        lambda x: (charged_misfit(charged, (x, targets), None), jax.vmap(lambda one: charged(one))({**x}))
    )(inputs | {"top": jnp.full(50, 3.0)})
    scales = charged.leaving.scales()
    wanted = sum(float(jnp.sum(((made[n] - targets[n]) / scales[n]) ** 2)) for n in targets)
    np.testing.assert_allclose(told, wanted / (50 * 19) + 2.0 * 9.0, rtol=1e-4)
    assert {v.name for v in FLUXES} == set(scales)


def test_numbers_are_scaled_place_by_place():
    variable = FLUXES[3]
    values = jnp.stack([jnp.array([1.0, 10.0, 5.0, 0.0]), jnp.array([3.0, 30.0, 5.0, 0.0])])
    flat = Flat((variable,), {"level": 4}).seen({variable.name: values})
    np.testing.assert_allclose(flat.location, [2.0, 20.0, 5.0, 0.0])
    floor = 0.01 * np.sqrt((1 + 100) / 4)
    np.testing.assert_allclose(flat.scale, [1.0, 10.0, floor, floor], rtol=1e-5)
    np.testing.assert_allclose(flat.unpack(flat.pack({variable.name: values[0]}))[variable.name], values[0], atol=1e-5)
    with pytest.raises(ValueError, match="size of each axis"):
        Dense([variable], [variable], sizes={"half_level": 5})
