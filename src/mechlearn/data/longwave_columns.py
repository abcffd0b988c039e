"""Columns for long-wave radiation: RFMIP's with their reference fluxes, and columns to teach with."""

from collections.abc import Sequence

import netCDF4
import numpy as np

from ..longwave import SECONDS_OF_HEATING
from ..mechanisms.radiation.longwave import PRESENT, gas_variable
from . import registry
from .atmosphere_sets import SETS
from .atmospheres import MOLAR_MASS_RATIO, Atmospheres, humidity_of, saturation
from .fields import DataError, few

HALF, LEVEL = "air_pressure_at_half_levels", "air_pressure"
# What the well mixed gases of a teaching column are drawn from, evenly in their logarithm, in dry air.
DRAWN = {"carbon_dioxide": (120e-6, 2600e-6), "methane": (300e-9, 3600e-9), "nitrous_oxide": (150e-9, 550e-9)}
SHAKEN = {"temperature": (5.0, 5.0), "humidity": (0.6, 0.8), "ozone": (0.3, 0.3)}  # at most: whole, each of 4 bumps
TOP = (0.5, 40.0)  # Pa, of the uppermost half level

Columns = dict[str, np.ndarray]


def rfmip(experiment: str = "Present day (PD)") -> Columns:
    """The 100 columns of RFMIP as `radiation.longwave` reads them, with half-level temperatures and every gas.

    60 layers from the ground up to 1 Pa. Pincus, Forster & Stevens (2016), doi:10.5194/gmd-9-3447-2016.

    Raises `DataError` for an experiment that is not in the file, or when the file is not on this machine.
    """
    with netCDF4.Dataset(registry.fetch("rfmip_atmospheres")) as file:
        at = _experiment(file, experiment)
        mole = MOLAR_MASS_RATIO * np.asarray(file["water_vapor"][at], float)[:, ::-1]
        profiles = {
            LEVEL: file["pres_layer"][:],
            HALF: file["pres_level"][:],
            "air_temperature_profile": file["temp_layer"][at],
            "air_temperature_at_half_levels": file["temp_level"][at],
            "mole_fraction_of_ozone_in_air": file["ozone"][at],
        }
        columns = {name: np.asarray(values, float)[:, ::-1] for name, values in profiles.items()}
        columns["specific_humidity"] = mole / (1 + mole)
        columns["surface_temperature"] = np.asarray(file["surface_temperature"][at], float)
        columns["surface_emissivity"] = np.asarray(file["surface_emissivity"][:], float)
        for gas in PRESENT:
            given = file[f"{gas}_GM"]
            columns[gas_variable(gas).name] = np.full(len(mole), float(given[at]) * float(given.units))
    return columns


def rfmip_experiments() -> list[str]:
    """The names of RFMIP's 18 states of the atmosphere."""
    with netCDF4.Dataset(registry.fetch("rfmip_atmospheres")) as file:
        return [str(label).strip() for label in file["expt_label"][:]]


def rfmip_reference(experiment: str = "Present day (PD)") -> Columns:
    """The fluxes and the heating that RTE+RRTMGP of its makers gives for RFMIP's columns; from the ground up.

    They are RRTMGP's (256 points, one path), not line-by-line: what they check is that its equations are solved.
    Pincus, Mlawer & Delamere (2019), doi:10.1029/2019MS001621.

    Raises `DataError` for an experiment that is not in the file, or when the files are not on this machine.
    """
    made = {}
    with netCDF4.Dataset(registry.fetch("rfmip_atmospheres")) as file:
        at = _experiment(file, experiment)
        half = np.asarray(file["pres_level"][:], float)[:, ::-1]
    for way, name in {"up": "rlu", "down": "rld"}.items():
        with netCDF4.Dataset(registry.fetch(f"rfmip_{way}welling_longwave")) as file:
            made[f"{way}welling_longwave_flux_in_air"] = np.asarray(file[name][at], float)[:, ::-1]
    net = made["downwelling_longwave_flux_in_air"] - made["upwelling_longwave_flux_in_air"]
    warming = -SECONDS_OF_HEATING * np.diff(net) / np.diff(half)
    return {
        **made,
        "net_downward_longwave_flux_in_air": net,
        "tendency_of_air_temperature_due_to_longwave_heating": warming,
    }


def teaching(
    count: int, *, levels: int = 60, sets: Sequence[str] = ("era5", "ifs_meridian", "afgl"), seed: int = 0
) -> Columns:
    """Columns drawn around those of several sets, each set equally often, on grids of levels drawn anew for each.

    An anchor is shaken, more or less wildly, as a whole and by four bumps in ln p (temperature, ln humidity up to
    saturation, ln ozone), its ground made warmer or colder than the air; above its top it follows one of AFGL's
    standard atmospheres. Half levels run from its ground to between 0.5 and 40 Pa, unevenly. The well mixed gases are
    drawn evenly in their logarithm.

    Raises `DataError` for a set that does not exist or is not on this machine.
    """
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise DataError(f"no set of atmospheres {unknown[0]!r}; there are {few(SETS)}")
    draw = np.random.default_rng(seed)
    anchors, above = [SETS[name]() for name in sets], SETS["afgl"]()
    made = [_drawn(draw, anchors[draw.integers(len(anchors))], above, levels) for _ in range(count)]
    columns = {name: np.stack([one[name] for one in made]) for name in made[0]}
    for gas, (low, high) in DRAWN.items():
        columns[gas_variable(gas).name] = np.exp(draw.uniform(np.log(low), np.log(high), count))
    return columns


def _drawn(draw: np.random.Generator, anchors: Atmospheres, standards: Atmospheres, levels: int) -> Columns:
    one, other = draw.integers(len(anchors)), draw.integers(len(standards))
    half = _grid(draw, anchors.pressure[one, 0], levels)
    pressure = 0.5 * (half[1:] + half[:-1])
    both = np.concatenate([pressure, half])
    wild = draw.uniform()
    bumps = {name: _bumps(draw, both, wild * whole, wild * each) for name, (whole, each) in SHAKEN.items()}
    warm = _carried(anchors, standards, one, other, "temperature", both) + bumps["temperature"]
    warm = np.clip(warm, 150.0, 330.0)
    humidity = np.exp(_carried(anchors, standards, one, other, "specific_humidity", both) + bumps["humidity"])
    most = humidity_of(both, np.minimum(saturation(warm), 0.3 * both))
    humidity = np.clip(np.where(both > 1e4, np.minimum(humidity, most), humidity), 1e-7, 0.05)
    ozone = np.exp(_carried(anchors, standards, one, other, "ozone", both) + bumps["ozone"])
    return {
        LEVEL: pressure,
        HALF: half,
        "air_temperature_profile": warm[:levels],
        "air_temperature_at_half_levels": warm[levels:],
        "specific_humidity": humidity[:levels],
        "mole_fraction_of_ozone_in_air": np.clip(ozone[:levels], 1e-10, 2e-5),
        "surface_temperature": np.asarray(warm[levels] + draw.normal(0, 4.0)),
        "surface_emissivity": np.asarray(1 - 0.12 * draw.uniform() ** 2),
    }


def _grid(draw: np.random.Generator, ground: float, levels: int) -> np.ndarray:
    """Half levels: finer near the ground by a power of 1 to 2, every layer by chance thicker or thinner."""
    steps = np.exp(draw.normal(0, 0.3, levels))
    share = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    ground = min(ground * draw.uniform(0.97, 1.03), 1.08e5)
    top = np.exp(draw.uniform(*np.log(TOP)))
    return ground * (top / ground) ** share ** draw.uniform(1.0, 2.0)


def _bumps(draw: np.random.Generator, pressure: np.ndarray, whole: float, each: float) -> np.ndarray:
    log = np.log(pressure)
    made = np.full_like(pressure, draw.normal(0, whole))
    for centre, width in zip(draw.uniform(0.0, 11.6, 4), draw.uniform(0.3, 1.5, 4), strict=True):
        made += draw.normal(0, each) * np.exp(-0.5 * ((log - centre) / width) ** 2)
    return made


def _carried(anchors: Atmospheres, standards: Atmospheres, one: int, other: int, name: str, at: np.ndarray):
    """A profile in ln p (of humidity and ozone the logarithm); above its top it runs as the standard one does."""

    def profile(source: Atmospheres, row: int, pressure: np.ndarray) -> np.ndarray:
        values = getattr(source, name)[row]
        values = values if name == "temperature" else np.log(np.maximum(values, 1e-10))
        return np.interp(-np.log(pressure), -np.log(source.pressure[row]), values)

    top = anchors.pressure[one, -1:]
    beyond = profile(standards, other, np.minimum(at, top)) - profile(standards, other, top)
    return profile(anchors, one, at) + beyond


def _experiment(file: netCDF4.Dataset, experiment: str) -> int:
    labels = [str(label).strip() for label in file["expt_label"][:]]
    if experiment not in labels:
        raise DataError(f"RFMIP has no experiment {experiment!r}; it has {', '.join(map(repr, labels))}")
    return labels.index(experiment)
