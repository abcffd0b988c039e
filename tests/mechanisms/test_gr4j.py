"""GR4J and CemaNeige give the numbers of the compiled models of the package holmes-hydro."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from mechlearn.compose import Rollout
from mechlearn.mechanisms.water.cemaneige import CemaNeige, NoSnow
from mechlearn.mechanisms.water.gr4j import GR4J, quick_shares, slow_shares
from mechlearn.parameters import set_parameters

holmes = pytest.importorskip("holmes")
gr4j = pytest.importorskip("holmes_rs.hydro.gr4j")
cemaneige = pytest.importorskip("holmes_rs.snow.cemaneige")

# The compiled GR4J runs by the day with the two constants of the hourly model.
NAMES = ("production_capacity", "exchange_coefficient", "routing_capacity", "hydrograph_base")


def record(catchment: str, days: int) -> pd.DataFrame:
    folder = Path(holmes.__file__).parent / "data"
    return pd.read_csv(folder / f"{catchment}_Observations.csv", parse_dates=["Date"])[:days]


@pytest.mark.parametrize("values", [(350.0, 0.4, 90.0, 1.7), (900.0, -0.5, 60.0, 4.3), (60.0, 1.0, 200.0, 0.8)])
def test_gr4j_gives_the_runoff_of_holmes(values):
    data = record("Leaf", 4000)
    rain, demand = (data[name].to_numpy(float).copy() for name in ("P", "E0"))
    with jax.enable_x64(True):
        model = set_parameters(
            GR4J(snow=NoSnow(), hydrograph_exponent=1.25),
            {"percolation_scale": 5.25} | dict(zip(NAMES, values, strict=True)),
        )
        made = Rollout(model)({"precipitation": jnp.asarray(rain), "potential_evapotranspiration": jnp.asarray(demand)})
        ours = np.asarray(made["runoff"])
    theirs = gr4j.simulate(np.array(values), rain, demand)
    np.testing.assert_allclose(ours[2000:], theirs[2000:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("bands", "tolerance"), [((0.0,), 1e-9), ((-95.0, -41.0, 0.0, 58.0, 198.0), 0.02)])
def test_cemaneige_gives_the_water_of_holmes(bands, tolerance):
    """One band is the same; several are the mean of single ones, up to holmes' lapse rate for each day of the year."""
    data = record("Au Saumon", 3000)
    rain, temperature = (data[name].to_numpy(float).copy() for name in ("P", "T"))
    day, constants = data["Date"].dt.day_of_year.to_numpy(np.uintp).copy(), np.array([0.25, 3.74, 354.9])
    layers = [cemaneige.simulate(constants, rain, temperature, day, np.array([band]), 0.0) for band in bands]
    theirs = np.mean(layers, axis=0)
    with jax.enable_x64(True):
        model = set_parameters(CemaNeige(bands=bands), {"annual_snowfall": 354.9})
        made = Rollout(model)({"precipitation": jnp.asarray(rain), "air_temperature": jnp.asarray(temperature)})
        ours = np.asarray(made["water_to_soil"])
    assert np.sqrt(np.mean((ours - theirs) ** 2)) <= tolerance * theirs.std()


@pytest.mark.parametrize("time_base", [0.5, 1.0, 2.3, 10.0])
def test_hydrographs_keep_all_water(time_base):
    assert abs(float(jnp.sum(slow_shares(time_base))) - 1) < 1e-6
    assert abs(float(jnp.sum(quick_shares(time_base))) - 1) < 1e-6
