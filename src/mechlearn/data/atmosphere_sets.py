"""Real atmospheric profiles that anyone can have: RFMIP, ERA5, AFGL and a meridian of ECMWF's forecast model.

Each function returns the set's own columns, from the ground up; `columns` joins several on one grid of levels.
"""

import csv
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np

from ..soundings import climatological_ozone
from . import registry
from .atmospheres import (
    GRAVITY,
    MOLAR_MASS_RATIO,
    SIGMA,
    Atmospheres,
    check_hydrostatic,
    join,
)
from .fields import DataError

AFGL = {
    "tropical": ("a", 15.0),
    "mid-latitude summer": ("b", 45.0),
    "mid-latitude winter": ("c", 45.0),
    "sub-arctic summer": ("d", 60.0),
    "sub-arctic winter": ("e", 60.0),
    "US standard 1976": ("f", 45.0),
}
MOLAR_MASS_RATIO_OZONE = 47.9982 / 28.9647
ERA5_FILE = "neuralgcm/data/era5_tl31_19590102T00.nc"


def columns(*sets: str) -> Atmospheres:
    """The columns of several sets, joined on the common levels `SIGMA`; by default all those on this machine.

    Raises `DataError` for a set that does not exist, or where none is on this machine, saying how to get them.
    """
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise DataError(f"no set of atmospheres {unknown[0]!r}; there are {', '.join(SETS)}")
    chosen = sets or available()
    if not chosen:
        raise DataError("no set of atmospheres is on this machine; get one: mechlearn data fetch rfmip_atmospheres")
    return join([SETS[name]().on_levels(SIGMA) for name in chosen])


def available() -> tuple[str, ...]:
    """The sets for `columns` whose files are on this machine, but for the six standards of AFGL, which are no place."""
    return tuple(name for name in SETS if name != "afgl" and registry.locate(FILES[name]))


def rfmip(experiment: str = "Present day (PD)") -> Atmospheres:
    """The 100 columns of RFMIP, chosen from ERA-Interim to stand for the globe; 60 layers and the ground.

    `experiment` is one of the file's 18 states: "+4K, const. RH" has the warmest and moistest air. Pincus et al.
    (2016), doi:10.5194/gmd-9-3447-2016. Humidity, given for layers, is taken at their centres, and
    at the ground as in the lowest.

    Raises `DataError` for an experiment that is not in the file, or when the file is not on this machine.
    """
    with netCDF4.Dataset(registry.fetch("rfmip_atmospheres")) as file:
        labels = [str(label).strip() for label in file["expt_label"][:]]
        if experiment not in labels:
            raise DataError(f"RFMIP has no experiment {experiment!r}; it has {', '.join(map(repr, labels))}")
        place = labels.index(experiment)
        centre, edge = file["pres_layer"][:], file["pres_level"][:]
        layers = {name: file[name][place] for name in ("temp_layer", "water_vapor", "ozone")}
        ground, skin = file["temp_level"][place][:, -1:], file["surface_temperature"][place]
        latitude, longitude = file["lat"][:], file["lon"][:]
    upward = {name: values[:, ::-1] for name, values in layers.items()}
    vapour = _with_ground(upward["water_vapor"])
    return Atmospheres(
        np.concatenate([edge[:, -1:], centre[:, ::-1]], axis=1),
        np.concatenate([ground, upward["temp_layer"]], axis=1),
        MOLAR_MASS_RATIO * vapour / (1 - (1 - MOLAR_MASS_RATIO) * vapour),
        _with_ground(upward["ozone"]),
        latitude,
        _eastward(longitude),
        surface_temperature=skin,
        source=f"RFMIP {experiment} (Pincus et al. 2016, 100 columns of ERA-Interim)",
    )


def rfmip_warmer() -> Atmospheres:
    """The 100 columns of RFMIP 4 K warmer at the same relative humidity: what holds more water than most real air."""
    return rfmip("+4K, const. RH")


def era5(lowest: float = 5e4) -> Atmospheres:
    """2,048 columns of ERA5 on 1959-01-02 00 UTC (a global grid of 5.6 degrees), on the levels `SIGMA`.

    They come inside the wheel of neuralgcm 1.2.2, which is read, not installed. ERA5 extends the air below the ground
    with constant humidity, which gives the ground away: levels of equal humidity at the bottom are left out. Columns
    whose ground would lie above `lowest` (Pa) are left out too. Ozone is not in the file and is
    that of the standard atmosphere; skin temperature is unknown. Hersbach et al. (2020), doi:10.1002/qj.3803.

    Raises `DataError` when the file is not on this machine and cannot be fetched.
    """
    with netCDF4.Dataset("era5.nc", memory=_inside(registry.fetch("neuralgcm_wheel"), ERA5_FILE)) as file:
        pressure = 100.0 * np.asarray(file["level"][::-1], float)
        names = ("temperature", "specific_humidity", "geopotential")
        air, humidity, geopotential = (_flat(file[name][::-1]) for name in names)
        cloud = sum(_flat(file[f"specific_cloud_{kind}_water_content"][::-1]) for kind in ("ice", "liquid"))
        longitude, latitude = (v.ravel() for v in np.meshgrid(file["longitude"][:], file["latitude"][:], indexing="ij"))
    shape = air.shape
    whole = Atmospheres(
        np.broadcast_to(pressure, shape),
        air,
        humidity,
        np.broadcast_to(np.asarray(climatological_ozone(pressure), float), shape),
        latitude,
        _eastward(longitude),
        condensate=-np.trapezoid(np.maximum(cloud, 0), pressure, axis=1) / GRAVITY,
        source="ERA5 1959-01-02 (Hersbach et al. 2020, by way of neuralgcm 1.2.2; contains modified Copernicus "
        "Climate Change Service information), ozone of the standard atmosphere",
    )
    height = geopotential / GRAVITY
    check_hydrostatic(whole, height)
    ground = _ground(humidity)
    elevation = np.maximum(height[np.arange(len(whole)), ground], 0.0)
    above = whole.on_levels(ground=pressure[ground])
    return replace(above, elevation=elevation).take(pressure[ground] >= lowest)


def afgl() -> Atmospheres:
    """The six standard atmospheres of AFGL up to 100 km, in the order of `AFGL`.

    They have a latitude in name only, and no longitude.

    Anderson et al. (1986), AFGL-TR-86-0110.

    Raises `DataError` when the files are not on this machine.
    """
    tables = [_table(f"afgl_1986_{letter}") for letter, _ in AFGL.values()]
    below = tables[0]["z"] <= 100.0
    stacked = {name: np.stack([table[name][below] for table in tables]) for name in ("z", "p", "t", "H2O", "O3")}
    vapour = 1e-6 * stacked["H2O"]
    latitude = np.array([latitude for _, latitude in AFGL.values()])
    made = Atmospheres(
        100.0 * stacked["p"],
        stacked["t"],
        MOLAR_MASS_RATIO * vapour / (1 - (1 - MOLAR_MASS_RATIO) * vapour),
        1e-6 * stacked["O3"],
        latitude,
        elevation=np.zeros(len(tables)),
        source="AFGL standard atmospheres (Anderson et al. 1986)",
    )
    low = stacked["z"][0] <= 50.0
    check_hydrostatic(made.levels(low), 1e3 * stacked["z"][:, low])
    return made


def ifs_meridian() -> Atmospheres:
    """32 columns along 135 degrees east of ECMWF's forecast for 2013-01-05, 137 layers and the ground.

    Hogan & Bozzo (2018), doi:10.1029/2018MS001364: the example of ecRad.

    Raises `DataError` when the file is not on this machine and cannot be fetched.
    """
    with netCDF4.Dataset(registry.fetch("ecrad_meridian")) as file:
        half, warm = file["pressure_hl"][:][:, ::-1], file["temperature_hl"][:][:, ::-1]
        humidity, ozone = file["q"][:][:, ::-1], file["o3_mmr"][:][:, ::-1]
        cloud = (file["q_liquid"][:] + file["q_ice"][:])[:, ::-1]
        latitude, longitude, skin = file["lat"][:], file["lon"][:], file["skin_temperature"][:]
    centre, thick = 0.5 * (half[:, 1:] + half[:, :-1]), -np.diff(half, axis=1)
    return Atmospheres(
        np.concatenate([half[:, :1], centre], axis=1),
        np.concatenate([warm[:, :1], 0.5 * (warm[:, 1:] + warm[:, :-1])], axis=1),
        _with_ground(humidity),
        _with_ground(ozone / MOLAR_MASS_RATIO_OZONE),
        latitude,
        _eastward(longitude),
        surface_temperature=skin,
        condensate=(cloud * thick).sum(axis=1) / GRAVITY,
        source="ECMWF IFS along 135 E, 2013-01-05 (the example of ecRad, Hogan & Bozzo 2018)",
    )


SETS: dict[str, Callable[[], Atmospheres]] = {
    "rfmip": rfmip,
    "rfmip_warmer": rfmip_warmer,
    "era5": era5,
    "ifs_meridian": ifs_meridian,
    "afgl": afgl,
}
FILES = {
    "rfmip": "rfmip_atmospheres",
    "rfmip_warmer": "rfmip_atmospheres",
    "era5": "neuralgcm_wheel",
    "ifs_meridian": "ecrad_meridian",
    "afgl": "afgl_1986_a",
}


def _inside(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        if name not in archive.namelist():
            raise DataError(
                f"{wheel} holds no {name}; it is not the wheel of neuralgcm 1.2.2: remove and fetch it again"
            )
        return archive.read(name)


def _with_ground(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[:, :1], values], axis=1)


def _eastward(longitude: np.ndarray) -> np.ndarray:
    return (np.asarray(longitude, float) + 180.0) % 360.0 - 180.0


def _flat(values: np.ndarray) -> np.ndarray:
    """From (level, longitude, latitude) to (column, level)."""
    return np.asarray(values, float).reshape(len(values), -1).T


def _ground(humidity: np.ndarray) -> np.ndarray:
    """The lowest level of each column above the ground: the last of those whose humidity is that of the bottom."""
    same = np.abs(np.diff(humidity, axis=1)) < 1e-3 * humidity[:, :-1]
    return np.where(same.all(axis=1), 0, np.argmin(same, axis=1))


def _table(name: str) -> dict[str, np.ndarray]:
    with registry.fetch(name).open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
