"""Emulators of long-wave radiation: what holds by structure, and how good the one is that comes with the package."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.couplings.embedded.dense_longwave import dense
from mechlearn.couplings.embedded.emulated_longwave import (
    WELL_MIXED,
    answered,
    learned_k,
    ready,
    scores,
    teach,
    weights,
)
from mechlearn.data import longwave_columns
from mechlearn.descent import Descent
from mechlearn.learners.mlp import MLP
from mechlearn.longwave import HEAT_CAPACITY, SECONDS, STEFAN_BOLTZMANN, example_column
from mechlearn.mechanisms.radiation.grey_longwave import GreyLongwave
from mechlearn.mechanisms.radiation.longwave import Longwave
from mechlearn.soundings import GRAVITY


def kept(made, half):
    """Heat of the column, less the flux that stays in it."""
    warming = np.asarray(made["tendency_of_air_temperature_due_to_longwave_heating"], float)
    net = np.asarray(made["net_downward_longwave_flux_in_air"], float)
    return np.sum(-np.diff(half) * warming) * HEAT_CAPACITY / GRAVITY / SECONDS - (net[-1] - net[0])


def test_an_untaught_emulator_already_keeps_energy_and_the_black_body():
    emulator, column = learned_k(Longwave(), partial(MLP, width=4), points=3), example_column()
    made = emulator(column)
    assert abs(kept(made, np.asarray(column["air_pressure_at_half_levels"], float))) < 1e-3
    even = column | {"air_temperature_profile": jnp.full(4, 270.0), "surface_temperature": jnp.asarray(270.0)}
    even["surface_emissivity"] = jnp.asarray(1.0)
    black = STEFAN_BOLTZMANN * 270.0**4
    np.testing.assert_allclose(emulator(even)["upwelling_longwave_flux_in_air"], black, rtol=1e-4)


def test_only_the_scheme_of_points_can_be_given_learned_points():
    with pytest.raises(ValueError, match=r"needs the scheme radiation.longwave, got GreyLongwave"):
        learned_k(GreyLongwave())
    with pytest.raises(ValueError, match="'heating' or 'fluxes'"):
        dense(GreyLongwave(), tells="weather")


@pytest.mark.data
def test_emulators_learn_and_are_kept_in_a_file(tmp_path):
    scheme = Longwave(given=WELL_MIXED, half_levels="given")
    columns = answered(scheme, longwave_columns.teaching(16, levels=4, sets=("afgl",)))
    how = Descent(epochs=20, batch_size=16, learning_rate=3e-2, clip=10.0, patience=0)
    taught, found = teach(
        learned_k(scheme, partial(MLP, width=4, depth=2), points=3), columns, how=how, key=jax.random.key(0)
    )
    assert found.training_loss[-1, 0] < 0.8 * found.training_loss[0, 0]
    np.savez(tmp_path / "taught.npz", **weights(taught.model.optics))
    again = ready(4, 3, tmp_path / "taught.npz")
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(taught.model.optics), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_dense_network_that_tells_fluxes_keeps_energy_and_one_that_tells_heating_does_not():
    column = example_column()
    half = np.asarray(column["air_pressure_at_half_levels"], float)
    made = {tells: dense(GreyLongwave(), tells=tells, levels=3, width=2)(column) for tells in ("fluxes", "heating")}
    assert abs(kept(made["fluxes"], half)) < 1e-3 < abs(kept(made["heating"], half))


@pytest.mark.data
def test_the_emulator_that_comes_along_is_as_good_as_it_says():
    """On columns it was never taught, against RTE+RRTMGP's own fluxes; on their 60 levels."""
    emulator = Longwave(optics=ready(), given=WELL_MIXED, half_levels="given")
    columns, reference = longwave_columns.rfmip(), longwave_columns.rfmip_reference()
    given = {v.name: jnp.asarray(columns[v.name], jnp.float32) for v in emulator.inputs}
    made = jax.jit(lambda given: jax.lax.map(emulator, given, batch_size=50))(given)
    errors = scores(made, reference, columns["air_pressure"])
    assert errors["flux_rmse"] < 1.0
    assert errors["heating_rmse"] < 0.1
    half = columns["air_pressure_at_half_levels"]
    for place in (0, 50, 99):
        assert abs(kept({name: value[place] for name, value in made.items()}, half[place])) < 1e-3
