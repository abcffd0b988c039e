"""HBV, 730 days and 500 basins: value and gradient against a torch loop, forward against numba, memory of ten years.

Claims: value and gradient at least 20 times faster than the same equations as a torch loop with autograd; ten years
of 500 basins with gradient in less than 2 GB. Run: python benchmarks/hydrology_gradient.py (needs the extra
`benchmark`). One core each, float32, denormals flushed; processor time, the best of rounds that take turns.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = "1"

import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.compose import Rollout
from mechlearn.mechanisms.water.hbv import HBV, LAGS
from mechlearn.parameters import parameters, set_parameters

DAYS, BASINS, YEARS = 730, 500, 10
if "--memory" not in sys.argv:
    import torch

MODEL = Rollout(HBV(), keep=("runoff",))
PATHS = {path.rsplit(".", 1)[-1]: path for path in parameters(MODEL)}
FORCING = ("precipitation", "air_temperature", "potential_evapotranspiration")


def weather(days: int) -> dict[str, np.ndarray]:
    """Random weather with seasons (basin, day)."""
    draw, season = np.random.default_rng(0), np.sin(2 * np.pi * np.arange(days) / 365)
    rain = draw.gamma(0.4, 20.0, (BASINS, days))
    warm = 4 + 12 * season + 3 * draw.normal(size=(BASINS, days))
    demand = np.maximum(0, 2 + 2 * season + 0.3 * draw.normal(size=(BASINS, days)))
    return {name: v.astype(np.float32) for name, v in zip(FORCING, (rain, warm, demand), strict=True)}


def settings() -> dict[str, np.ndarray]:
    """One value of every parameter for each basin, in the middle half of its bounds."""
    draw = np.random.default_rng(1)
    bounds = {name: parameters(MODEL)[path].bounds for name, path in PATHS.items()}
    return {n: (a + (b - a) * draw.uniform(0.25, 0.75, BASINS)).astype(np.float32) for n, (a, b) in bounds.items()}


@jax.jit
def run(values, fields):
    def one(value, sample):
        return set_parameters(MODEL, {PATHS[name]: v for name, v in value.items()})(sample)["runoff"]

    return jax.vmap(one)(values, fields)


graded = jax.jit(jax.value_and_grad(lambda values, fields: jnp.mean(run(values, fields) ** 2)))


def positive(x):
    return torch.maximum(x, torch.zeros_like(x))


def share(x):
    return torch.maximum(torch.minimum(x, torch.ones_like(x)), torch.full_like(x, 1e-6))


def torch_day(p, shares, state, rain, warm, demand):
    """The equations of one day, on torch tensors of one value a basin."""
    ice, liquid, soil, upper, lower, buffer = state
    excess = warm - p["threshold_temperature"]
    snowfall = rain * torch.clip(0.5 - excess / p["transition_interval"], 0, 1)
    ice = ice + snowfall
    melt = torch.minimum(p["degree_day_factor"] * positive(excess), ice)
    cold = p["refreezing_coefficient"] * p["degree_day_factor"] * positive(-excess)
    refreezing = torch.minimum(cold, liquid + melt)
    ice, liquid = ice - melt + refreezing, liquid + melt - refreezing
    outflow = positive(liquid - p["water_holding_capacity"] * ice)
    liquid, water = liquid - outflow, rain - snowfall + outflow
    capacity = p["field_capacity"]
    wet = share(soil / capacity)
    passed = torch.minimum(water * wet ** p["recharge_exponent"], water)
    soil = soil + water - passed
    spill = positive(soil - capacity)
    soil = soil - spill
    stress = share(soil / capacity / p["evaporation_threshold"]) ** p["evaporation_exponent"]
    soil = soil - torch.minimum(demand * stress, soil)
    rise = p["capillary_coefficient"] * lower * (1 - soil / capacity)
    soil, upper = soil + rise, upper + passed + spill
    down = torch.minimum(upper, p["maximum_percolation"])
    upper, lower = upper - down, lower - rise + down
    surface = p["surface_recession"] * positive(upper - p["surface_threshold"])
    interflow, baseflow = p["interflow_recession"] * (upper - surface), p["baseflow_recession"] * lower
    due = buffer + (surface + interflow + baseflow)[:, None] * shares
    buffer = torch.cat([due[:, 1:], torch.zeros_like(due[:, :1])], dim=1)
    return (ice, liquid, soil, upper - surface - interflow, lower - baseflow, buffer), due[:, 0]


def torch_run(p, rain, warm, demand):
    position = torch.clip(torch.arange(LAGS + 1) / p["routing_time_base"][:, None], 0, 1)
    passed = torch.where(position < 0.5, 2 * position**2, 1 - 2 * (1 - position) ** 2)
    zero, one = torch.zeros_like(rain[:, 0]), torch.ones_like(rain[:, 0])
    state = (zero, zero, 0.5 * p["field_capacity"], 5 * one, 10 * one, torch.zeros(BASINS, LAGS, dtype=rain.dtype))
    flow, shares = [], torch.diff(passed, dim=1)
    for day in range(rain.shape[1]):
        state, runoff = torch_day(p, shares, state, rain[:, day], warm[:, day], demand[:, day])
        flow.append(runoff)
    return torch.stack(flow, dim=1)


def numba_basin(p, shares, rain, warm, demand, flow):
    """The same equations for one basin, in scalars; `p` in the order of PATHS."""
    tt, tti, cfmax, cfr, cwh, lp, bet, beta, perc, k0, k1, k2, uzl, _, fc, c = p
    ice, liquid, soil, upper, lower, buffer = 0.0, 0.0, 0.5 * fc, 5.0, 10.0, np.zeros(len(shares) + 1, np.float32)
    for day in range(len(rain)):
        excess = warm[day] - tt
        snowfall = rain[day] * min(max(0.5 - excess / tti, 0.0), 1.0)
        ice += snowfall
        melt = min(cfmax * max(excess, 0.0), ice)
        refreezing = min(cfr * cfmax * max(-excess, 0.0), liquid + melt)
        ice, liquid = ice - melt + refreezing, liquid + melt - refreezing
        outflow = max(liquid - cwh * ice, 0.0)
        liquid, water = liquid - outflow, rain[day] - snowfall + outflow
        passed = min(water * min(max(soil / fc, 1e-6), 1.0) ** beta, water)
        soil += water - passed
        spill = max(soil - fc, 0.0)
        soil -= spill
        soil -= min(demand[day] * min(max(soil / fc / lp, 1e-6), 1.0) ** bet, soil)
        rise = c * lower * (1 - soil / fc)
        soil, upper = soil + rise, upper + passed + spill
        down = min(upper, perc)
        upper, lower = upper - down, lower - rise + down
        surface = k0 * max(upper - uzl, 0.0)
        interflow, baseflow = k1 * (upper - surface), k2 * lower
        upper, lower = upper - surface - interflow, lower - baseflow
        for lag in range(len(shares)):
            buffer[lag] += (surface + interflow + baseflow) * shares[lag]
        flow[day] = buffer[0]
        buffer[:-1] = buffer[1:]


def numba_run(values, fields):
    import numba

    from mechlearn.mechanisms.water._hydrograph import triangle

    basin = numba.njit(numba_basin, fastmath=True)
    order = tuple(np.stack([values[name] for name in PATHS], axis=1))
    shares = np.asarray(jax.vmap(lambda base: triangle(base, LAGS))(values["routing_time_base"]))

    @numba.njit
    def every(table, shares, rain, warm, demand, flow):
        for place in range(len(rain)):
            basin(table[place], shares[place], rain[place], warm[place], demand[place], flow[place])

    table, flow = np.stack(order), np.zeros((BASINS, DAYS), np.float32)

    def forward():
        every(table, shares, *(fields[name] for name in FORCING), flow)
        return flow

    return forward


def fastest(calls: dict, rounds: int) -> dict[str, float]:
    """Milliseconds of processor time of each call, the best of rounds that take turns."""
    best = dict.fromkeys(calls, np.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


def close(mine, theirs, what: str) -> float:
    """The largest difference relative to the largest value; refused when it is not rounding."""
    gap = float(np.max(np.abs(np.asarray(mine) - np.asarray(theirs))) / np.max(np.abs(np.asarray(theirs))))
    if not gap < 1e-4:
        raise SystemExit(f"the two do not compute the same {what}: they differ by {gap:.1e}")
    return gap


def same_gradient() -> float:
    """The largest relative difference of one year's gradients, in double precision.

    In single precision a few basins of 500 pass a kink (a store just full) on another side by rounding.
    """
    values, fields = ({n: v.astype(float) for n, v in part.items()} for part in (settings(), weather(365)))
    leaves = {name: torch.tensor(v, requires_grad=True) for name, v in values.items()}
    (torch_run(leaves, *(torch.tensor(fields[name]) for name in FORCING)) ** 2).mean().backward()
    with jax.enable_x64(True):
        slope = graded(values, fields)[1]
        return max(close(slope[name], leaf.grad, f"gradient of {name}") for name, leaf in leaves.items())


def compare() -> dict:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    values, fields = settings(), weather(DAYS)
    tensors = [torch.tensor(fields[name]) for name in FORCING]
    leaves = {name: torch.tensor(v, requires_grad=True) for name, v in values.items()}

    def theirs():
        (torch_run(leaves, *tensors) ** 2).mean().backward()

    def theirs_forward():
        with torch.no_grad():
            return torch_run(leaves, *tensors)

    inside = jax.tree.map(jnp.asarray, (values, fields))
    forward, block = numba_run(values, fields), jax.block_until_ready
    gaps = {"gradient": same_gradient(), "runoff_torch": close(run(*inside), theirs_forward(), "runoff in torch")}
    gaps["runoff_numba"] = close(run(*inside), forward(), "runoff in numba")
    block(graded(*inside))
    mine = {"ours": lambda: block(graded(*inside)), "ours_forward": lambda: block(run(*inside))}
    others = {"numba_forward": forward, "torch": theirs, "torch_forward": theirs_forward}
    ms = fastest(mine | others, 6)
    return {"milliseconds": ms, "torch_over_ours": ms["torch"] / ms["ours"], "largest_relative_difference": gaps}


def memory() -> None:
    """Print the peak resident memory, in MB, of one gradient over ten years."""
    inside = jax.tree.map(jnp.asarray, (settings(), weather(365 * YEARS)))
    jax.block_until_ready(graded(*inside))
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) // 1024)


def main() -> None:
    found = compare()
    told = subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True).stdout
    found["peak_mb_of_ten_years"] = int(told)
    ms = found["milliseconds"]
    print(f"HBV, {DAYS} days x {BASINS} basins, one core, float32, milliseconds\n{'':20s} forward  with gradient")
    print(f"{'mechlearn':20s} {ms['ours_forward']:7.0f} {ms['ours']:14.0f}")
    print(
        f"{'torch loop':20s} {ms['torch_forward']:7.0f} {ms['torch']:14.0f}\n{'numba':20s} {ms['numba_forward']:7.0f}"
    )
    print(f"torch loop / mechlearn with gradient: {found['torch_over_ours']:.1f} (claim: at least 20)")
    print(f"peak memory of {YEARS} years with gradient: {found['peak_mb_of_ten_years']} MB (claim: below 2000)")
    path = Path(__file__).parent / "results" / "hydrology_gradient.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"jax": jax.__version__, **found}, indent=1) + "\n")


if __name__ == "__main__":
    memory() if sys.argv[1:] == ["--memory"] else main()
