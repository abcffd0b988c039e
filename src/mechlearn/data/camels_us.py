"""CAMELS-US: Daymet forcing, USGS runoff and catchment attributes of 300 basins, 1980-10 to 2010-09.

Newman et al. (2015), doi:10.5194/hess-19-209-2015; Addor et al. (2017), doi:10.5194/hess-21-5293-2017;
files as compiled for EXP-Hydro (torchHydroNodes).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..core import Variable, named
from ..variables import AIR_TEMPERATURE, POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF
from .fields import DataError, Record, column, few, open_file
from .registry import fetch

MINIMUM_TEMPERATURE = Variable("minimum_air_temperature", "degC", bounds=(-80, 60), standard_name="air_temperature")
MAXIMUM_TEMPERATURE = Variable("maximum_air_temperature", "degC", bounds=(-80, 60), standard_name="air_temperature")
SHORTWAVE = Variable(
    "shortwave_radiation",
    "W m-2",
    bounds=(0, 1400),
    standard_name="surface_downwelling_shortwave_flux_in_air",
    long_name="mean over the daylight hours",
)
VAPOUR_PRESSURE = Variable(
    "vapour_pressure", "Pa", bounds=(0, 1e4), standard_name="water_vapor_partial_pressure_in_air"
)
DAY_LENGTH = Variable("day_length", "h", bounds=(0, 24))
RUNOFF_EXPHYDRO = Variable("runoff_exphydro", "mm day-1", bounds=(0, np.inf), long_name="runoff simulated by EXP-Hydro")
METEOROLOGY = {
    "prcp": PRECIPITATION,
    "tmin": MINIMUM_TEMPERATURE,
    "tmax": MAXIMUM_TEMPERATURE,
    "srad": SHORTWAVE,
    "vp": VAPOUR_PRESSURE,
}

# The 27 static inputs of Kratzert et al. (2019), doi:10.5194/hess-23-5089-2019, with their units.
ATTRIBUTES = {
    "p_mean": "mm day-1", "pet_mean": "mm day-1", "aridity": "1", "p_seasonality": "1", "frac_snow": "1",
    "high_prec_freq": "day year-1", "high_prec_dur": "day", "low_prec_freq": "day year-1", "low_prec_dur": "day",
    "elev_mean": "m", "slope_mean": "m km-1", "area_gages2": "km2", "frac_forest": "1", "lai_max": "1",
    "lai_diff": "1", "gvf_max": "1", "gvf_diff": "1", "soil_depth_pelletier": "m", "soil_depth_statsgo": "m",
    "soil_porosity": "1", "soil_conductivity": "cm h-1", "max_water_content": "m", "sand_frac": "percent",
    "silt_frac": "percent", "clay_frac": "percent", "carbonate_rocks_frac": "1", "geol_permeability": "1",
}  # fmt: skip
MORE_ATTRIBUTES = {
    "gauge_lat": "degrees_north", "gauge_lon": "degrees_east", "area_geospa_fabric": "km2", "water_frac": "percent",
    "organic_frac": "percent", "other_frac": "percent", "dom_land_cover_frac": "1", "root_depth_50": "m",
    "root_depth_99": "m", "glim_1st_class_frac": "1", "glim_2nd_class_frac": "1", "geol_porostiy": "1",
}  # fmt: skip
FROM_STREAMFLOW = (
    "q_mean", "runoff_ratio", "slope_fdc", "baseflow_index", "stream_elas", "q5", "q95", "high_q_freq", "high_q_dur",
    "low_q_freq", "low_q_dur", "zero_q_freq", "hfd_mean",
)  # fmt: skip


def read(
    sites: Sequence[str] | int | None = None,
    attributes: Sequence[str] = tuple(ATTRIBUTES),
    pet: str = "hamon",
    exphydro: bool = False,
    path: str | None = None,
) -> Record:
    """Read forcing, runoff and attributes of some or all basins; only what is asked for is held in memory.

    `sites` are gauge numbers, or how many basins to take from the first on. `pet` is the potential
    evapotranspiration, "hamon" (as in EXP-Hydro) or "priestley_taylor". `exphydro` adds the shipped
    simulation as the field `runoff_exphydro`. Hydrological regions (HUC 02) come as `regions`. `path` names
    another NetCDF file of the same layout, with its `camels_attributes_v2.parquet` beside it.

    Raises `DataError` for an unknown basin or attribute, and for attributes derived from the
    streamflow that is to be predicted.
    """
    known = ATTRIBUTES | MORE_ATTRIBUTES
    _refuse(attributes, known)
    if pet not in ("hamon", "priestley_taylor"):
        raise DataError(f"camels_us: pet is 'hamon' or 'priestley_taylor', got {pet!r}")
    with open_file(path or fetch("camels_us"), chunks={}) as dataset:
        chosen = _chosen(sites, dataset["basin"].values.astype(str))
        dataset = dataset.sel(basin=list(chosen))
        time = dataset["time"].values.astype("datetime64[D]")
        fields = {v.name: column(dataset, name, None, v) for name, v in METEOROLOGY.items()}
        day = _calendar_day(time)
        lengths = dataset["dayl"].values[:, day - 1]
        runoff = column(dataset, "qobs", None, RUNOFF)
        if exphydro:
            fields[RUNOFF_EXPHYDRO.name] = column(dataset, "q_exphydro", None, RUNOFF_EXPHYDRO)
    fields[AIR_TEMPERATURE.name] = (fields[MINIMUM_TEMPERATURE.name] + fields[MAXIMUM_TEMPERATURE.name]) / 2
    fields[DAY_LENGTH.name] = lengths.astype(np.float32)
    table = _table(path).loc[list(chosen)]
    fields[POTENTIAL_EVAPOTRANSPIRATION.name] = _potential(pet, fields, day, table)
    series = (*METEOROLOGY.values(), AIR_TEMPERATURE, DAY_LENGTH, POTENTIAL_EVAPOTRANSPIRATION, RUNOFF, RUNOFF_EXPHYDRO)
    statics = {name: table[name].to_numpy(np.float32) for name in attributes}
    return Record(
        fields=fields | statics,
        observed={RUNOFF.name: np.where(runoff >= 0, runoff, np.nan)},
        time=time,
        sites=chosen,
        variables=named([*(v.over("time") for v in series), *(Variable(name, known[name]) for name in attributes)]),
        source="CAMELS-US (Newman et al. 2015, Addor et al. 2017; CC-BY-4.0), via torchHydroNodes",
        regions=dict(zip(chosen, table["huc_02"].astype(str), strict=True)),
        notes=(f"potential evapotranspiration: {pet}",),
    )


def sites() -> tuple[str, ...]:
    """The gauge numbers of all basins in the file."""
    with open_file(fetch("camels_us")) as dataset:
        return tuple(dataset["basin"].values.astype(str).tolist())


def hamon(temperature, day_length):
    """Potential evapotranspiration by Hamon's formula, mm day-1, as EXP-Hydro uses it.

    `29.8 L e(T) / (T + 273.2)` with `e(T) = 0.611 exp(17.3 T / (T + 237.3))` in kPa and the day's
    length L in hours (Patil and Stieglitz 2014, doi:10.1088/1748-9326/9/1/014002).

        >>> round(float(hamon(20.0, 12.0)), 2)
        2.86
    """
    return 29.8 * day_length * 0.611 * np.exp(17.3 * temperature / (temperature + 237.3)) / (temperature + 273.2)


def priestley_taylor(temperature, minimum, maximum, shortwave, vapour_pressure, day_length, clear_sky, elevation):
    """Potential evapotranspiration by Priestley and Taylor, mm day-1.

    `1.26 s / (s + gamma) Rn / lambda` with net radiation by Allen et al. (1998, FAO 56): albedo 0.23
    and net long-wave from the daily temperatures, vapour pressure and the share of the clear-sky
    radiation that arrives. Shortwave in W m-2 over the daylight hours, vapour pressure in Pa,
    clear-sky radiation in MJ m-2 day-1, elevation in m.

        >>> round(float(priestley_taylor(20.0, 14.0, 26.0, 460.0, 1600.0, 14.0, 31.0, 100.0)), 1)
        4.9
    """
    pressure = 101.3 * ((293.0 - 0.0065 * elevation) / 293.0) ** 5.26
    psychrometric = 0.000665 * pressure
    saturation = 0.6108 * np.exp(17.27 * temperature / (temperature + 237.3))
    slope = 4098.0 * saturation / (temperature + 237.3) ** 2
    solar = shortwave * day_length * 3600.0 * 1e-6
    emitted = 4.903e-9 * ((maximum + 273.16) ** 4 + (minimum + 273.16) ** 4) / 2
    clouds = 1.35 * np.clip(solar / clear_sky, 0.3, 1.0) - 0.35
    longwave = emitted * (0.34 - 0.14 * np.sqrt(vapour_pressure / 1000.0)) * clouds
    return np.maximum(1.26 * slope / (slope + psychrometric) * (0.77 * solar - longwave) / 2.45, 0.0)


def clear_sky_radiation(day, latitude, elevation):
    """Short-wave radiation under a clear sky, MJ m-2 day-1 (Allen et al. 1998, equations 21 to 25 and 37).

    >>> round(float(clear_sky_radiation(246, -20.0, 0.0)), 1)
    24.1
    """
    angle = 2 * np.pi * day / 365
    declination, phi = 0.409 * np.sin(angle - 1.39), np.radians(latitude)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    height = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return (0.75 + 2e-5 * elevation) * 24 * 60 / np.pi * 0.0820 * (1 + 0.033 * np.cos(angle)) * height


def _potential(method: str, fields: dict[str, np.ndarray], day: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    temperature, length = fields[AIR_TEMPERATURE.name], fields[DAY_LENGTH.name]
    if method == "hamon":
        return hamon(temperature, length).astype(np.float32)
    elevation, latitude = table["elev_mean"].to_numpy()[:, None], table["gauge_lat"].to_numpy()[:, None]
    return priestley_taylor(
        temperature,
        fields[MINIMUM_TEMPERATURE.name],
        fields[MAXIMUM_TEMPERATURE.name],
        fields[SHORTWAVE.name],
        fields[VAPOUR_PRESSURE.name],
        length,
        clear_sky_radiation(day, latitude, elevation),
        elevation,
    ).astype(np.float32)


def _table(path: str | None) -> pd.DataFrame:
    """The attributes of the basins: those beside the file where there are, else the registered ones."""
    beside = Path(path).with_name("camels_attributes_v2.parquet") if path else None
    return pd.read_parquet(beside if beside and beside.exists() else fetch("camels_us_attributes"))


def _refuse(attributes: Sequence[str], known: dict[str, str]) -> None:
    leaking = [name for name in attributes if name in FROM_STREAMFLOW]
    if leaking:
        raise DataError(
            f"camels_us: {', '.join(leaking)} are computed from the streamflow to be predicted; leave them out"
        )
    unknown = [name for name in attributes if name not in known]
    if unknown:
        raise DataError(f"camels_us: no numeric attribute {', '.join(unknown)}; there are {', '.join(known)}")


def _chosen(wanted: Sequence[str] | int | None, there: np.ndarray) -> tuple[str, ...]:
    if wanted is None or isinstance(wanted, int):
        return tuple(there[:wanted].tolist())
    unknown = sorted(set(map(str, wanted)) - set(there.tolist()))
    if unknown or not len(wanted):
        raise DataError(f"camels_us: no basin {few(map(repr, unknown)) or 'asked for'}; the file has {few(there)}")
    return tuple(map(str, wanted))


def _calendar_day(time: np.ndarray) -> np.ndarray:
    return (time - time.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
