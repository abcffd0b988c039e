"""Ten million pixels retrieved by `mechlearn apply` on two workers: pixels a second and memory, beside numpy.

The coupling is an ensemble of five networks of two layers of 64; three pixels in ten are under cloud. The command is
timed as a user runs it, from reading to writing, and its own pixels a second, after it has started; numpy evaluates
the same networks on pixels in memory, without reading or writing.

Claim: 10 million pixels on two cores at 200,000 pixels a second or more, in less than 3 GB.
Run: python benchmarks/apply_scenes.py [pixels in millions]
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mechlearn.experiments import config, storage
from mechlearn.experiments.run import Run

RANGES = {"brightness_temperature": (260, 320), "air_temperature": (-10, 40), "emissivity": (0.93, 0.99)}
RANGES |= {"water_vapour": (0.1, 6)}
UNITS = {"brightness_temperature": "K", "air_temperature": "degC", "emissivity": "1", "water_vapour": "g cm-2"}
EXPERIMENT = f"""
[experiment]
target = "surface_temperature"
metric = "rmse"
seeds = 5
[data]
reader = "file"
path = "samples.csv"
forcing = {json.dumps(list(UNITS))}
targets = ["surface_temperature"]
[data.units]
{"".join(f'{name} = "{units}"{chr(10)}' for name, units in UNITS.items())}surface_temperature = "K"
[split]
kind = "last_third"
[mechanism]
model = "external.recorded"
target = "surface_temperature"
field = "brightness_temperature"
dims = ["time"]
units = "K"
[learner]
model = "mlp"
width = 64
depth = 2
days = [1]
also = {json.dumps(list(UNITS))}
[training]
window = 50
warmup = 0
"""


def samples(count: int, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {name: draw.uniform(*limits, count).astype(np.float32) for name, limits in RANGES.items()}


def run_in(folder: Path) -> list:
    """A run whose networks are as they were drawn: how fast they are does not depend on what they say."""
    columns = samples(900, 0)
    columns["surface_temperature"] = columns["brightness_temperature"] + 3
    dates = pd.date_range("2001-01-01", periods=900).strftime("%Y-%m-%d")
    pd.DataFrame({"time": dates, **columns}).to_csv(folder / "samples.csv", index=False)
    (folder / "bench.toml").write_text(EXPERIMENT + '[[coupling]]\nname = "learner_only"\n', encoding="utf-8")
    settings = config.load(str(folder / "bench.toml"), [])
    run = Run(settings, folder / "run", print)
    job = next(job for job in run.jobs() if job.label == "learner_only")
    models = [system.model for system in run.build(job)]
    storage.write_models(run.folder / "state" / f"{job.name}.weights.npz", models)
    storage.write_text(run.folder / "experiment.resolved.toml", config.dump(settings))
    return models


def scene_in(folder: Path, times: int) -> None:
    """Scenes of a million pixels in chunks of 500 x 500, with banks of cloud."""
    for time_ in range(times):
        made = {name: values.reshape(1, 1000, 1000) for name, values in samples(10**6, 1 + time_).items()}
        made["brightness_temperature"][:, 100 * (time_ % 7) : 100 * (time_ % 7) + 300] = np.nan
        dims = ("time", "y", "x")
        data = {name: (dims, values, {"units": UNITS[name]}) for name, values in made.items()}
        one = xr.Dataset(data, {"time": [np.datetime64("2020-06-01", "ns") + np.timedelta64(16 * time_, "D")]})
        chunks = {name: {"chunks": (1, 500, 500)} for name in data}
        place = folder / "scene.zarr"
        if time_:
            one.to_zarr(place, append_dim="time", consolidated=False)
        else:
            one.to_zarr(place, encoding=chunks, consolidated=False)


def applied(folder: Path, workers: int) -> dict:
    """The command, timed from outside, with what it says of itself and the most memory it held."""
    words = ["apply", "run", "scene.zarr", f"out{workers}.zarr", "--coupling", "learner_only", "--workers", workers]
    command = [sys.executable, "-m", "mechlearn.experiments.cli", *map(str, words)]
    threads = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, "XLA_FLAGS": threads, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE
    )
    said = process.stdout.read().decode() if process.stdout else ""
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(said)
    rate = float(re.search(r"\(([\d,]+)/s\)", said)[1].replace(",", ""))  # pyright: ignore[reportOptionalSubscript]
    seconds, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
    return {"workers": workers, "pixels_s": rate, "seconds": seconds, "cpu_s": cpu, "peak_gb": used.ru_maxrss / 1e6}


def numpy_rate(models: list, pixels: int = 500_000) -> float:
    """Pixels a second of the same networks in numpy, 16,384 at a time, on one thread."""
    fields = samples(pixels, 99)
    nets = [model.step for model in models]
    began = time.perf_counter()
    for first in range(0, pixels, 16384):
        some = {name: values[first : first + 16384] for name, values in fields.items()}
        for net in nets:
            forward(net, np.stack([some[v.name] for v in net.inputs], axis=1))
    return pixels / (time.perf_counter() - began)


def forward(net, values: np.ndarray) -> np.ndarray:
    active = (values - np.asarray(net.entering.location)) / np.asarray(net.entering.scale)
    for layer in net.layers[:-1]:
        z = active @ np.asarray(layer.weight).T + np.asarray(layer.bias)
        active = 0.5 * z * (1 + np.tanh(np.float32(0.7978845608) * (z + np.float32(0.044715) * z * z * z)))
    return active @ np.asarray(net.layers[-1].weight).T + np.asarray(net.layers[-1].bias)


if __name__ == "__main__":
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as place:
        models = run_in(Path(place))
        scene_in(Path(place), millions)
        plain = numpy_rate(models)
        rows = [applied(Path(place), workers) for workers in (1, 2)]
    for row in rows:
        print(
            f"{millions} million pixels, {row['workers']} workers: {row['pixels_s']:,.0f} pixels/s "
            f"({row['seconds']:.1f} s with the start, {row['cpu_s']:.1f} s CPU), peak {row['peak_gb']:.2f} GB; "
            f"{row['pixels_s'] / plain:.2f} times numpy on one thread ({plain:,.0f} pixels/s)"
        )
    found = {
        "claim": "10 million pixels, two cores: >= 200,000 pixels/s, < 3 GB",
        "numpy_pixels_s": plain,
        "rows": rows,
    }
    found["load_of_the_machine"] = os.getloadavg()[0]
    path = Path(__file__).parent / "results" / "apply_scenes.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
