"""Clear-sky long-wave fluxes of columns: ours against climt's RRTMG (compiled Fortran, 140 points), one thread.

    pip install climt unyt
    OMP_NUM_THREADS=1 XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" \
        python benchmarks/longwave_against_climt.py

Prints microseconds a column and the ratio to climt, and how far each is from RFMIP's reference fluxes.
"""

import time
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.couplings.embedded.emulated_longwave import ready
from mechlearn.data import gas_optics, longwave_columns
from mechlearn.mechanisms.radiation.longwave import PRESENT, Longwave

warnings.simplefilter("ignore")
COPIES, REPEATS = 4, 5
MIXED = {
    "carbon_dioxide": "carbon_dioxide",
    "methane": "methane",
    "nitrous_oxide": "nitrous_oxide",
    "oxygen": "oxygen",
    "cfc11": "cfc11",
    "cfc12": "cfc12",
    "hcfc22": "cfc22",
    "carbon_tetrachloride": "carbon_tetrachloride",
}


def repeated(columns):
    return {name: np.concatenate([value] * COPIES) for name, value in columns.items()}


def best(run):
    run()
    taken = []
    for _ in range(REPEATS):
        begin = time.process_time()
        answer = jax.block_until_ready(run())
        taken.append(time.process_time() - begin)
    return min(taken), answer


def ours(model, columns, batch):
    given = {v.name: jnp.asarray(columns[v.name], jnp.float32) for v in model.inputs}
    run = eqx.filter_jit(lambda model, given: jax.lax.map(model, given, batch_size=batch))
    seconds, made = best(lambda: run(model, given))
    return seconds, made["upwelling_longwave_flux_in_air"][:, -1], made["downwelling_longwave_flux_in_air"][:, 0]


def climts(columns):
    import climt

    count, levels = columns["air_pressure"].shape
    scheme = climt.RRTMGLongwave(cloud_overlap_method="clear_only")
    state = climt.get_default_state([scheme], grid_state=climt.get_grid(nx=count, nz=levels))
    named = {
        "air_pressure": columns["air_pressure"].T,
        "air_pressure_on_interface_levels": columns["air_pressure_at_half_levels"].T,
        "air_temperature": columns["air_temperature_profile"].T,
        "specific_humidity": columns["specific_humidity"].T,
        "mole_fraction_of_ozone_in_air": columns["mole_fraction_of_ozone_in_air"].T,
        "surface_temperature": columns["surface_temperature"],
        "surface_longwave_emissivity": columns["surface_emissivity"],
    }
    named |= {
        f"mole_fraction_of_{its}_in_air": columns[f"mole_fraction_of_{name}_in_air"] for name, its in MIXED.items()
    }
    for name, values in named.items():
        there = state[name].values
        values = np.broadcast_to(values, (there.shape[0], count)) if there.ndim == 3 else values
        there[...] = np.reshape(values, there.shape)
    seconds, (_, made) = best(lambda: scheme(state))
    up, down = (np.asarray(made[f"{way}welling_longwave_flux_in_air"]) for way in ("up", "down"))
    return seconds, up.reshape(levels + 1, -1)[-1], down.reshape(levels + 1, -1)[0]


def main():
    columns, reference = repeated(longwave_columns.rfmip()), repeated(longwave_columns.rfmip_reference())
    given = {"given": tuple(PRESENT), "half_levels": "given"}
    schemes = {"climt RRTMG": climts(columns)}
    if gas_optics.found():
        schemes["RRTMGP, 256 points"] = ours(Longwave(optics=gas_optics.rrtmgp(), **given), columns, 8)
        schemes["RRTMGP, 128 points"] = ours(Longwave(optics=gas_optics.rrtmgp(128), **given), columns, 8)
    schemes["ecCKD, 32 points"] = ours(Longwave(**given), columns, 16)
    schemes["learned correlated k"] = ours(Longwave(optics=ready(), **given), columns, 64)
    theirs = schemes["climt RRTMG"][0]
    count = len(columns["surface_temperature"])
    print(f"{count} columns of 60 levels; RMSE against RTE+RRTMGP's fluxes of RFMIP, W m-2")
    for name, (seconds, top, ground) in schemes.items():
        off = (
            np.sqrt(np.mean((np.asarray(made) - reference[f"{way}welling_longwave_flux_in_air"][:, place]) ** 2))
            for made, way, place in ((top, "up", -1), (ground, "down", 0))
        )
        top_off, ground_off = off
        print(
            f"{name:22s} {1e6 * seconds / count:8.1f} us a column, {count / seconds:9.0f} columns a second, "
            f"{theirs / seconds:6.2f} times climt, top {top_off:.2f}, ground {ground_off:.2f}"
        )


if __name__ == "__main__":
    main()
