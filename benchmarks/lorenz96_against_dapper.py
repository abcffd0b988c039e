"""Steps per second of Lorenz-96 against the package DAPPER: same equations and scheme, double precision, one thread.

Claim: not slower than DAPPER's own `step` in a bare loop, for one member and for 100. mechlearn runs as a compiled
scan, in double precision as DAPPER does and in single precision beside it; how far the two are apart after 20 steps is
printed too. Run: python benchmarks/lorenz96_against_dapper.py (needs the extra `benchmark`). Processor time, best of
rounds taken in turn.
"""

import json
import os
import time
from importlib.metadata import version
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.forecast import Forecast
from mechlearn.mechanisms.flow.lorenz96 import Lorenz96

ROUNDS, SIZE, QUANTITY = 5, 40, "atmospheric_quantity"
STEPS = {1: (20_000, 2_000), 100: (2_000, 500)}


def ours(start: np.ndarray, steps: int, dtype) -> tuple:
    """A compiled forecast of all members, the last state kept."""
    model = Forecast(Lorenz96(size=SIZE), steps, save_every=steps, remat=False)
    run = jax.jit(jax.vmap(lambda x: model({f"initial_{QUANTITY}": x})[QUANTITY][-1]))
    begin = jnp.asarray(start, dtype)
    return lambda: np.asarray(run(begin)), steps


def dappers(start: np.ndarray, steps: int) -> tuple:
    """DAPPER's step in a loop, all members at once."""
    from dapper.mods.Lorenz96 import step

    def run() -> np.ndarray:
        members = start
        for _ in range(steps):
            members = step(members, 0.0, 0.05)
        return members

    return run, steps


def compare(members: int) -> dict:
    """Steps of the whole ensemble in a second, on each side, and how far the sides are apart."""
    long, short = STEPS[members]
    start = 8 + np.random.default_rng(0).normal(size=(members, SIZE))
    apart = float(np.abs(ours(start, 20, float)[0]() - dappers(start, 20)[0]()).max())
    sides = {"mechlearn": ours(start, long, float), "mechlearn, single": ours(start, long, jnp.float32)}
    sides["DAPPER"] = dappers(start, short)
    rate = dict.fromkeys(sides, 0.0)
    for run, _ in sides.values():
        run()
    for _ in range(ROUNDS):
        for side, (run, steps) in sides.items():
            begin = time.process_time()
            run()
            rate[side] = max(rate[side], steps / (time.process_time() - begin))
    ratio = rate["mechlearn"] / rate["DAPPER"]
    return {"members": members, "steps_per_second": rate, "ours over DAPPER": ratio, "largest_difference": apart}


def main() -> None:
    rows = [compare(members) for members in STEPS]
    for row in rows:
        print(f"{row['members']} members, {row['largest_difference']:.1e} apart after 20 steps")
        for side, rate in row["steps_per_second"].items():
            print(f"  {side:20s} {rate:10.0f} steps/s")
        print(f"  ours over DAPPER, both double: {row['ours over DAPPER']:.1f}")
    claim = "steps of Lorenz-96 per second not fewer than DAPPER's, for one member and for 100"
    told = {"claim": claim, "jax": jax.__version__, "dapper": version("dapper"), "threads": 1, "rows": rows}
    path = Path(__file__).parent / "results" / "lorenz96_against_dapper.json"
    path.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
