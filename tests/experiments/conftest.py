"""A river of four years, an experiment on it that takes seconds, and a command line called inside the process."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import mechlearn
from mechlearn.experiments.cli import main

ROOT = Path(__file__).parents[2]
DAYS = 1461
EXPERIMENT = """
[experiment]
title = "A reservoir and a small network"
seeds = 1

[data]
reader = "file"
path = "river.csv"
[data.units]
precipitation = "mm/day"
air_temperature = "degC"
potential_evapotranspiration = "mm/day"
runoff = "mm/day"

[split]
kind = "last_third"

[mechanism]
model = "reservoir:LinearReservoir"
training = { epochs = 2, learning_rate = 0.05, starts = 1 }

[learner]
model = "mlp"
width = 4

[training]
window = 120
warmup = 30
batch_size = 4
epochs = 2

[[coupling]]
name = "cascade.refinement.residual"

[quick.training]
epochs = 1
"""


class Answer(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def river(seed: int = 0, days: int = DAYS) -> pd.DataFrame:
    """Showers, seasons, and the flow of a linear reservoir under them."""
    draw, day = np.random.default_rng(seed), np.arange(days)
    rain = draw.gamma(0.4, 8, days) * (draw.random(days) < 0.5)
    demand = 2 + 1.5 * np.sin(2 * np.pi * day / 365)
    storage, runoff = 20.0, []
    for water, wanted in zip(rain, demand, strict=True):
        storage = storage + water - min(wanted, storage + water)
        runoff.append(0.08 * storage)
        storage -= runoff[-1]
    return pd.DataFrame(
        {
            "time": pd.date_range("2000-01-01", periods=days).strftime("%Y-%m-%d"),
            "precipitation": rain,
            "air_temperature": 8 + 10 * np.sin(2 * np.pi * day / 365),
            "potential_evapotranspiration": demand,
            "runoff": runoff,
        }
    )


def furnish(folder: Path) -> Path:
    """Put the river, a mechanism from outside the package and the experiment into a folder."""
    river().to_csv(folder / "river.csv", index=False)
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    reservoir = next(b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "LinearReservoir" in b)
    (folder / "reservoir.py").write_text(reservoir, encoding="utf-8")
    (folder / "tiny.toml").write_text(EXPERIMENT, encoding="utf-8")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A furnished folder one is in."""
    monkeypatch.chdir(furnish(tmp_path))
    return tmp_path


@pytest.fixture
def mechlearn_(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """The command line, inside this process."""

    def call(*words: str | Path) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def refused(mechlearn_: Callable[..., Answer]) -> Callable[..., str]:
    """A command that must be refused on one screen, with exit code 2; what it says."""

    def call(*words: str | Path) -> str:
        answer = mechlearn_(*words)
        assert answer.code == 2, answer
        assert "Traceback" not in answer.err + answer.out
        assert answer.err.strip()
        assert len(answer.err.splitlines()) <= 25
        return answer.err

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the finished tiny experiment; treat it as read-only."""
    folder = furnish(tmp_path_factory.mktemp("finished"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "tiny.toml", "--out", "out"]) == 0
    yield folder / "out"


@pytest.fixture
def process() -> Callable[..., subprocess.Popen]:
    """The command line as a process of its own."""

    def start(*words: str | Path, folder: Path, **variables: str) -> subprocess.Popen:
        source = str(Path(mechlearn.__file__).parents[1])
        return subprocess.Popen(
            [sys.executable, "-m", "mechlearn.experiments.cli", *map(str, words)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": source, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
