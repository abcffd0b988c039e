"""A study is run once a seed, goes on after a kill, and writes rows, a page and what it was run with."""

import json
from pathlib import Path

import pytest

from mechlearn.experiments.cli import main
from mechlearn.experiments.report_study import scores

STUDY = '''
from mechlearn.experiments.study import Findings, Score

def study(*, slope: float = 2.0, seed: int) -> Findings:
    """A line and its slope."""
    with open("calls.txt", "a") as file:
        file.write(f"{seed} ")
    return Findings([Score("mechanism_only", "slope", slope + seed)], {"A line": lambda axes: axes.plot([0, slope])})
'''
FILE = '[experiment]\ntitle = "Lines"\nseeds = 3\n[study]\nkind = "{}"\n{}\n[expected]\n"mechanism_only slope" = 3.1\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_lines.py").write_text(STUDY)
    (tmp_path / "lines.toml").write_text(FILE.format("my_lines:study", "slope = 2.0"))
    return tmp_path


def test_seeds_are_averaged_and_set_beside_what_was_expected(folder):
    assert main(["run", "lines.toml", "--out", "found"]) == 0
    (row,) = json.loads((folder / "found/results.json").read_text())
    assert (row["value"], row["low"], row["high"], row["seeds"], row["expected"]) == (3.0, 2.0, 4.0, 3, 3.1)
    page = (folder / "found/report.html").read_text()
    assert "<svg" in page and "Lines" in page and "3.1" in page


def test_methods_stand_below_and_metrics_beside_each_other():
    shared = {"units": "K", "split": "main", "low": None, "expected": None, "n": 1, "seconds": 0.0}
    rows = [{**shared, "coupling": c, "metric": m, "value": 0.001234} for c in "ab" for m in ("rmse", "mean_bias")]
    page = scores(rows)
    assert page.count("<tr") == 3 and page.count("0.00123") == 4 and "mean bias<br><small>K</small>" in page
    assert scores(rows[::3]).count("<tr") == 3 and "samples" in scores(rows[::3])


def test_a_study_goes_on_where_it_was_stopped(folder):
    assert main(["run", "lines.toml", "--out", "found"]) == 0
    (folder / "found/state/seed-1.json").unlink()
    assert main(["run", "lines.toml", "--out", "found", "--resume"]) == 0
    assert (folder / "calls.txt").read_text().split() == ["0", "1", "2", "1"]
    assert main(["run", "lines.toml", "--out", "found"]) == 2


@pytest.mark.parametrize(
    ("kind", "option", "told"),
    [
        ("fussion", "", "there are:"),
        ("my_lines:study", "slop = 1.0", "did you mean 'slope'"),
        ("my_lines:study", 'slope = "steep"', "must be a number"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(folder, capsys, kind, option, told):
    (folder / "lines.toml").write_text(FILE.format(kind, option))
    for verb in (["check", "lines.toml"], ["run", "lines.toml", "--out", "none"]):
        assert main(verb) == 2
        assert told in capsys.readouterr().err
