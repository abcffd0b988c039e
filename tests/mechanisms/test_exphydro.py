"""EXP-Hydro reproduces the simulation that is shipped with the CAMELS file, its six parameters unknown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import Akima1DInterpolator
from scipy.optimize import least_squares

from mechlearn.compose import Rollout
from mechlearn.mechanisms.water.exphydro import EXPHydro
from mechlearn.parameters import bounded, parameters, set_parameters

# A parameter set of Smax 1700 mm takes years to forget its start, so the start is fitted with it.
YEARS, PARTS, SPIN_UP = 4, 8, 60
BOUNDS = {name: parameter.bounds for name, parameter in parameters(EXPHydro()).items()}


def within_the_day(file: xr.Dataset, basin: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Forcing interpolated to an eighth of a day as the shipped run did (Akima; Hamon), and that run."""
    site = file.sel(basin=basin).isel(time=slice(0, 365 * YEARS + 1))
    days = np.arange(site.time.size)
    length = site.dayl.sel(dayofyear=site.time.dt.dayofyear).values
    now = days[:-1, None] + (np.arange(PARTS) + 0.5) / PARTS
    rain, warmth, light = (
        Akima1DInterpolator(days, series)(now.ravel())
        for series in (site.prcp.values, (site.tmin.values + site.tmax.values) / 2, length)
    )
    demand = 29.8 * light * 0.611 * np.exp(17.3 * warmth / (warmth + 237.3)) / (warmth + 273.2)
    forcing = {"precipitation": np.maximum(rain, 0), "air_temperature": warmth, "potential_evapotranspiration": demand}
    return forcing, site.q_exphydro.values.astype(float)[1:]


def simulated(unknowns, forcing):
    """Discharge at the end of each day for six parameters and two initial stores in unbounded space."""
    values = {name: bounded(unknowns[place], BOUNDS[name]) for place, name in enumerate(BOUNDS)}
    model = set_parameters(EXPHydro(days=1 / PARTS, substeps=1), values)
    size = values["storage_capacity"]
    start = {"snowpack": 0.0, "water_storage": size * jax.nn.sigmoid(unknowns[-1])}
    keep = ("water_storage",)
    water = Rollout(model, start=start, keep=keep, save_every=1, remat=False)(forcing)["water_storage"][
        PARTS - 1 :: PARTS
    ]
    return jax.vmap(lambda now: model.discharge({"water_storage": now, "storage_size": size})["runoff"])(water)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("basin", ["01013500", "06278300", "12447390", "13240000"])
def test_six_fitted_parameters_give_the_shipped_simulation(basin, data_folder, float64):
    """Where the shipped solver was accurate: it ran with a tolerance of 1e-3, so that in other basins (01333000) even
    the parameters it was run with give an efficiency of only 0.89 when integrated accurately.
    """
    with xr.open_dataset(data_folder / "camels_us" / "camels_us_300.nc") as file:
        forcing, shipped = within_the_day(file, basin)
    forcing = {name: jnp.asarray(series) for name, series in forcing.items()}
    run, slope = jax.jit(simulated), jax.jit(jax.jacfwd(simulated))
    spread = shipped[SPIN_UP:].std()
    guess = np.array([-0.5, -1.0, -1.0, -1.5, -1.5, 0.0, 1.0])
    fit = least_squares(
        lambda x: (np.asarray(run(x, forcing)) - shipped)[SPIN_UP:] / spread,
        guess,
        jac=lambda x: np.asarray(slope(x, forcing))[SPIN_UP:] / spread,
        max_nfev=40,
    )
    efficiency = 1 - np.mean(fit.fun**2)
    assert efficiency >= 0.99
