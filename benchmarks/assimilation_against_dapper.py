"""Cycles per second of assimilation on Lorenz-96 against the package DAPPER and a lean numpy loop, one thread.

Claim: EnKF Sqrt N=24 at least 12 times, LETKF N=20 at least 10 times as many cycles as DAPPER. All sides do the same:
forecast, analysis, inflation, rotation, and the RMSE and spread of forecast and analysis in every cycle; DAPPER's own
model, analysis and post-processing functions run in a bare loop, without its progress bars and further statistics.
Run: python benchmarks/assimilation_against_dapper.py (needs the extra `benchmark`). Processor time, best of rounds.
"""

import json
import os
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = "1"

import jax
import numpy as np

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.enkf import ETKF, SerialEnKF
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.inflation import Inflate, Rotate
from mechlearn.assimilation.letkf import LETKF
from mechlearn.assimilation.localisation import Localisation
from mechlearn.compose import Pass
from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96

ROUNDS, SIZE = 12, 40
RING = Localisation(np.arange(40.0), np.arange(40.0), 6.0, period=40.0)
SYSTEM = Assimilation(Lorenz96(), Pass(QUANTITY), ObservationError.of_variance(np.ones(SIZE)))
OURS = {
    "EnKF Sqrt N=24": (Inflate(Rotate(ETKF()), 1.013), 24, 3000),
    "EnKF Sqrt N=24, serial": (Inflate(Rotate(SerialEnKF()), 1.013), 24, 3000),
    "LETKF N=20": (Inflate(Rotate(LETKF(RING)), 1.04), 20, 600),
}


def scores(ensemble, truth):
    """What every side keeps of an ensemble: the error of its mean and its spread."""
    mean = ensemble.mean(0)
    return np.sqrt(np.mean((mean - truth) ** 2)), np.sqrt(np.sum((ensemble - mean) ** 2) / (len(ensemble) - 1) / SIZE)


def ours(analysis, members, cycles):
    nature, guess, key = jax.random.split(jax.random.key(0), 3)
    truth, observed = SYSTEM.nature(cycles, key=nature, start=8 + jax.random.normal(guess, (SIZE,)), spin_up=500)
    start = truth[0] + 0.03 * jax.random.normal(guess, (members, SIZE))

    def run():
        found = SYSTEM.run(analysis, start, observed[1:], key=key, truth=truth[1:])
        return float(found.analysis_rmse[cycles // 2 :].mean())

    return run, np.asarray(truth, float), np.asarray(observed, float), np.asarray(start, float)


def dappers(name, truth, observed, start, *, together=1):
    """DAPPER's functions in a loop; `together` is how many neighbours share one local analysis (2 in its preset)."""
    import dapper.mods as modelling
    from dapper.da_methods.ensemble import EnKF_analysis, local_analyses, post_process
    from dapper.mods.Lorenz96 import step
    from dapper.tools.localization import nd_Id_localization

    noise, inflation = modelling.GaussRV(C=1.0, M=SIZE), OURS[name][0].factor
    localizer = nd_Id_localization((SIZE,), (together,))

    def analyse(members, seen):
        if name.startswith("EnKF"):
            return EnKF_analysis(members, members, noise, seen, "Sqrt")
        batches, taper = localizer(6.0, "x2y", "GC")
        return local_analyses(members, members.copy(), noise.C, seen, batches, taper)[0]

    return looped(
        lambda members: step(members, 0.0, 0.05),
        lambda members, seen: post_process(analyse(members, seen), inflation, True),
        truth,
        observed,
        start,
    )


def lean(truth, observed, start, inflation):
    """The least numpy can do: no classes, one symmetric eigendecomposition, a QR for the rotation."""
    members, draw = len(start), np.random.default_rng(0)
    basis = np.linalg.qr(np.c_[np.ones(members), draw.normal(size=(members, members - 1))])[0][:, 1:]

    def rate(x):
        return (np.roll(x, -1, 1) - np.roll(x, 2, 1)) * np.roll(x, 1, 1) - x + 8.0

    def forecast(x, h=0.05):
        a = rate(x)
        b = rate(x + h / 2 * a)
        c = rate(x + h / 2 * b)
        return x + h / 6 * (a + 2 * (b + c) + rate(x + h * c))

    def analyse(ensemble, seen):
        mean = ensemble.mean(0)
        part = ensemble - mean
        values, vectors = np.linalg.eigh(part @ part.T / (members - 1) + np.eye(members))
        weights = (vectors / values) @ (vectors.T @ (part @ (seen - mean))) / (members - 1)
        turn = 1 / members + basis @ np.linalg.qr(draw.normal(size=(members - 1, members - 1)))[0] @ basis.T
        return mean + weights @ part + inflation * turn @ ((vectors / np.sqrt(values)) @ (vectors.T @ part))

    return looped(forecast, analyse, truth, observed, start)


def looped(forecast, analyse, truth, observed, start):
    def run():
        members, kept = start.copy(), []
        for k in range(1, len(truth)):
            members = forecast(members)
            before = scores(members, truth[k])
            members = analyse(members, observed[k])
            kept.append((*before, *scores(members, truth[k])))
        return float(np.mean([row[2] for row in kept[len(kept) // 2 :]]))

    return run


def compare(name):
    analysis, members, cycles = OURS[name]
    mine, truth, observed, start = ours(analysis, members, cycles)
    short = cycles // 5
    part = truth[: short + 1], observed[: short + 1], start
    sides = {"ours": (mine, cycles), "DAPPER": (dappers(name, *part), short)}
    if name.startswith("LETKF"):
        sides["DAPPER, pairs"] = dappers(name, *part, together=2), short
    else:
        sides["numpy"] = lean(*part, analysis.factor), short
    rate, error = dict.fromkeys(sides, 0.0), {side: run() for side, (run, _) in sides.items()}
    for _ in range(ROUNDS):
        for side, (run, count) in sides.items():
            begin = time.process_time()
            run()
            rate[side] = max(rate[side], count / (time.process_time() - begin))
    ratios = {f"ours over {side}": rate["ours"] / rate[side] for side in sides if side != "ours"}
    return {"filter": name, "cycles_per_second": rate, "analysis_rmse": error, **ratios}


def main() -> None:
    import dapper

    rows = [compare(name) for name in OURS]
    for row in rows:
        print(row["filter"])
        for side, rate in row["cycles_per_second"].items():
            times = f"{row[f'ours over {side}']:6.1f} times" if side != "ours" else ""
            print(f"  {side:15s} {rate:8.0f} cycles/s   RMSE {row['analysis_rmse'][side]:.3f}   {times}")
    claim = "EnKF Sqrt N=24 >= 12, LETKF N=20 >= 10 times DAPPER"
    result = {"claim": claim, "jax": jax.__version__, "dapper": getattr(dapper, "__version__", "1.8"), "rows": rows}
    path = Path(__file__).parent / "results" / "assimilation_against_dapper.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
