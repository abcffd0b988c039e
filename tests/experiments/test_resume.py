"""A run killed in the middle, also of a descent, goes on to the numbers of one that was not."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

# Imported by the run through its mechanism: a kill -9 right after the n-th checkpoint of the process.
KILLER = """

import os
import signal

from mechlearn import descent

saved, save = [], descent._save


def save_and_die(*arguments):
    save(*arguments)
    saved.extend(path for path in arguments[:1] if path is not None)
    if str(len(saved)) == os.environ.get("DIE_AFTER_CHECKPOINTS"):
        os.kill(os.getpid(), signal.SIGKILL)


descent._save = save_and_die
"""


def scores(folder: Path) -> list[dict]:
    found = json.loads((folder / "results.json").read_text())
    return [{key: value for key, value in row.items() if key not in ("seconds", "peak_mb")} for row in found]


def epoch_of(checkpoint: Path) -> int:
    with np.load(checkpoint) as file:
        return int(file["epoch"])


def test_a_killed_run_goes_on_to_the_same_numbers(place: Path, finished: Path, process, mechlearn_) -> None:
    with (place / "reservoir.py").open("a") as file:
        file.write(KILLER)
    state, words = place / "out" / "state", ["run", "tiny.toml", "--out", "out"]

    first = process(*words, folder=place, DIE_AFTER_CHECKPOINTS="1")
    first.communicate(timeout=500)
    assert first.returncode == -signal.SIGKILL
    assert not (place / "out" / "results.json").exists()
    assert [epoch_of(path) for path in state.glob("calibrated*.checkpoint.npz")] == [1]

    second = process(*words, "--resume", folder=place, DIE_AFTER_CHECKPOINTS="2")
    second.communicate(timeout=500)
    assert second.returncode == -signal.SIGKILL
    assert not list(state.glob("calibrated*.checkpoint.npz"))
    assert [epoch_of(path) for path in state.glob("*learner_only.checkpoint.npz")] == [1]

    answer = mechlearn_(*words, "--resume")
    assert answer.code == 0, answer.err
    assert "1 of 3 systems are there already" in answer.out
    assert "[1/3]" not in answer.out and "[2/3]" in answer.out
    assert scores(place / "out") == scores(finished)
    assert not list(state.glob("*.checkpoint*")) and not list((place / "out").rglob("*.part"))


@pytest.fixture
def half_done(place: Path, finished: Path) -> Path:
    """A run that lacks its last system, in a folder whose data lie where the finished run's do."""
    shutil.copytree(finished, place / "out")
    settings = (finished / "experiment.resolved.toml").read_text().replace(str(finished.parent), str(place))
    (place / "out" / "experiment.resolved.toml").write_text(settings)
    for path in (place / "out" / "state").glob("*residual*"):
        path.unlink()
    (place / "out" / "results.json").unlink()
    return place / "out"


def test_a_half_written_file_is_no_result(half_done: Path, finished: Path, mechlearn_) -> None:
    (half_done / "state" / "river--main--1--cascade.refinement.residual.npz.part").write_bytes(b"PK half")
    (half_done / "results.json.part").write_text("[{")
    answer = mechlearn_("run", "tiny.toml", "--out", "out", "--resume")
    assert answer.code == 0, answer.err
    assert "2 of 3 systems are there already" in answer.out
    assert scores(half_done) == scores(finished)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "training.epochs=5"], "training.epochs was 2, is 5"),
        (["--seed", "3"], "experiment.seed was 0, is 3"),
        (["--quick"], "training.epochs was 2, is 1"),
        (["--set", "coupling=[]"], "coupling was ["),
    ],
)
def test_other_settings_are_not_resumed(half_done: Path, refused, words: list[str], told: str) -> None:
    before = sorted(half_done.rglob("*"))
    said = refused("run", "tiny.toml", "--out", "out", "--resume", *words)
    assert told in said and "--force" in said
    assert sorted(half_done.rglob("*")) == before


def test_a_stopped_run_is_not_started_anew_by_accident(half_done: Path, refused) -> None:
    said = refused("run", "tiny.toml", "--out", "out")
    assert "--resume" in said and "--force" in said and "experiment.resolved.toml" in said


def test_a_damaged_state_is_named(half_done: Path, refused) -> None:
    (half_done / "state" / "river--main--1--learner_only.npz").write_bytes(b"PK damaged")
    assert "remove it and go on with --resume" in refused("run", "tiny.toml", "--out", "out", "--resume")


def test_force_starts_anew_and_leaves_other_files(half_done: Path, mechlearn_) -> None:
    (half_done / "notes.txt").write_text("mine")
    answer = mechlearn_("run", "tiny.toml", "--out", "out", "--force", "--quick", "--set", "coupling=[]")
    assert answer.code == 0, answer.err
    assert (half_done / "notes.txt").read_text() == "mine"
    assert not list((half_done / "state").glob("*residual*"))
