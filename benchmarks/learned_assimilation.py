"""Seconds of one assimilation cycle in shallow water: learned analyses, this library's LETKF and DAPPER's, one thread.

Claim: a cycle of a network (one forecast, one pass) is at least 10 times faster than one of this library's own compiled
LETKF with 20 members, and 100 times faster than one with DAPPER's LETKF; so is one of a learned gain with 14 members,
which run by a cheaper scheme in time ("LETKF, quick": the filter with that scheme).
All see the same model, observations and localisation; both filters analyse the three variables of a cell together;
DAPPER's analysis gets its forecasts from this library's compiled model. The network is that of the experiment
cintra_2016, the gain that of cintra_2016_six_hours, both untaught: what they cost does not depend on their weights.
Observed every six hours (--hours 12: every twelve). Processor time, best of rounds.
Run: python benchmarks/learned_assimilation.py (needs the extra `benchmark`).
"""

import argparse
import json
import os
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = "1"

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.inflation import Inflate
from mechlearn.assimilation.learned import LearnedAnalysis
from mechlearn.core import Analysis
from mechlearn.couplings.embedded.hybrid_gain import HybridGain
from mechlearn.experiments.studies._worlds import shallow_water

ROUNDS, CYCLES, DAPPERS, FEW = 3, 20, 2, 14


class Nothing(Analysis):
    """Leaves the ensemble as it is: what is left of a cycle is forecast and comparison."""

    def update(self, ensemble, predicted, observed, *, key):
        return ensemble


def network(world) -> LearnedAnalysis:
    made = LearnedAnalysis.make(world.system, world.learners["convolution"], world.places)
    return eqx.tree_at(lambda a: a.learner.weights[-1], made, replace_fn=jnp.zeros_like)


def gain(world, climate) -> HybridGain:
    return HybridGain.make(world.system, world.places, climate, key=jax.random.key(0))


def ours(system: Assimilation, analysis: Analysis, ensemble, observed) -> float:
    """Seconds of a cycle in the compiled loop of all filters."""

    def run():
        return np.asarray(system.run(analysis, ensemble, observed, key=jax.random.key(0)).ensemble)

    run()
    return best(run) / len(observed)


def dappers(world, ensemble, observed) -> float:
    """Seconds of one analysis of DAPPER's, cell by cell with our neighbours and taper."""
    import dapper.mods as modelling
    from dapper.da_methods.ensemble import local_analyses

    letkf = world.teacher.analysis
    cells, index, taper = (np.asarray(x) for x in (letkf.numbers, letkf.index, letkf.weight**2))
    near = {cell[0]: (index[k][taper[k] > 0], taper[k][taper[k] > 0]) for k, cell in enumerate(cells)}
    noise = modelling.GaussRV(C=np.asarray(world.system.error.variance(), float), M=observed.shape[1])
    members = np.asarray(ensemble, float)
    predicted = members[:, world.places]

    def analyse():
        for seen in observed[:DAPPERS]:
            local_analyses(members.copy(), predicted, noise.C, np.asarray(seen, float), cells, lambda ii: near[ii[0]])

    return best(analyse, rounds=2) / DAPPERS


def best(run, rounds: int = ROUNDS) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def main() -> None:
    import dapper

    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=int, default=6)
    hours = parser.parse_args().hours
    world = shallow_water(1, hours)
    truth, _, climate = world.record(CYCLES, 0)
    observed = jnp.asarray(truth)[:, world.places]
    members = climate[: world.members]
    plain = Inflate(world.teacher.analysis, 1.05)
    cycle = {
        "network": ours(world.system, network(world), climate[:1], observed),
        "gain": ours(world.quick, gain(world, climate), climate[:FEW], observed),
        "LETKF": ours(world.system, plain, members, observed),
        "LETKF, quick": ours(world.quick, plain, members, observed),
    }
    forecast = {
        name: ours(system, Nothing(), climate[:count], observed)
        for name, system, count in (
            ("network", world.system, 1),
            ("gain", world.quick, FEW),
            ("LETKF", world.system, world.members),
            ("LETKF, quick", world.quick, world.members),
        )
    }
    analysis = {name: cycle[name] - forecast[name] for name in cycle}
    analysis["DAPPER's LETKF"] = dappers(world, members, observed)
    cycle["DAPPER's LETKF"] = analysis["DAPPER's LETKF"] + forecast["LETKF"]
    for name in cycle:
        times = [cycle[name] / cycle[peer] for peer in ("network", "gain")]
        print(
            f"{name:15s} cycle {1e3 * cycle[name]:9.2f} ms ({times[0]:7.1f} times the network's, {times[1]:7.1f} times "
            f"the gain's)   analysis {1e3 * analysis[name]:9.2f} ms"
        )
    result = {
        "claim": "a network's cycle at least 10 times faster than our LETKF's, 100 times than DAPPER's; so is a gain's",
        "jax": jax.__version__,
        "dapper": getattr(dapper, "__version__", "1.8"),
        "cycle_seconds": cycle,
        "analysis_seconds": analysis,
        "forecast_seconds": forecast,
        "hours": hours,
        "times_the_network": {name: seconds / cycle["network"] for name, seconds in cycle.items()},
        "times_the_gain": {name: seconds / cycle["gain"] for name, seconds in cycle.items()},
    }
    path = Path(__file__).parent / "results" / "learned_assimilation.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
