"""Every verb of the command line on an experiment that takes seconds."""

import json
import os
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mechlearn.experiments import cli, config
from mechlearn.experiments.resolve import names

COLUMNS = {
    "experiment", "coupling", "paradigm", "learner", "mechanism", "data", "split", "target", "metric", "units",
    "value", "low", "high", "n", "seeds", "seconds", "peak_mb", "site", "part", "fraction",
}  # fmt: skip


def rows(folder: Path) -> list[dict]:
    return json.loads((folder / "results.json").read_text())


def test_help(mechlearn_) -> None:
    assert mechlearn_("--help").code == 0
    nothing = mechlearn_()
    assert nothing.code == 2
    assert all(verb in nothing.out for verb in cli.VERBS)


@pytest.mark.parametrize("room", ["mechanisms", "learners", "laws", "solvers", "couplings"])
def test_list(mechlearn_, room: str) -> None:
    answer = mechlearn_("list", room)
    assert answer.code == 0
    listed = {line.split()[0]: line for line in answer.out.splitlines()[1:]}
    assert set(listed) == set(names(room))
    assert all(len(line.split()) > 3 for line in listed.values()), "every line says what it is"
    assert "!!" not in answer.out


def test_list_of_everything(mechlearn_) -> None:
    answer = mechlearn_("list")
    assert answer.code == 0
    for name in (*config.library(), "camels_us", "water.hbv", "cascade.refinement.residual"):
        assert name in answer.out


def test_init_writes_what_check_accepts(tmp_path: Path, mechlearn_) -> None:
    pytest.importorskip("holmes")
    file = tmp_path / "new" / "my.toml"
    assert mechlearn_("init", file).code == 0
    answer = mechlearn_("check", file)
    assert answer.code == 0, answer.err
    assert "Au" not in answer.err and "systems would be taught" in answer.out
    assert mechlearn_("check", file, "--quick").code == 0


def test_the_lines_for_ones_own_file_work(place: Path, mechlearn_) -> None:
    """The commented tables of the template, without their comment signs, read a CSV with names of its own."""
    mechlearn_("init", "my.toml")
    commented = [line[2:] for line in Path("my.toml").read_text().splitlines() if re.match(r"# (\[|\w+ = )", line)]
    own = tomllib.loads("\n".join(commented))
    assert own["data"].pop("area") == "area"
    assert own["split"]["kind"] == "time_blocks"
    pd.read_csv("river.csv").rename(columns=own["data"]["names"]).to_csv(own["data"]["path"], index=False)
    settings = tomllib.loads(Path("my.toml").read_text())
    Path("own.toml").write_text(config.dump({**settings, "data": own["data"]}))
    answer = mechlearn_("check", "own.toml", "--set", "training.window=100", "--set", "training.warmup=30")
    assert answer.code == 0, answer.err


def test_check_writes_nothing(place: Path, mechlearn_) -> None:
    before = sorted(place.rglob("*"))
    answer = mechlearn_("check", "tiny.toml")
    assert answer.code == 0
    assert "2000-01-01 to 2003-12-31" in answer.out
    for word in ("train", "validation", "test", "mechanism_only", "learner_only", "cascade.refinement.residual"):
        assert word in answer.out
    assert [path for path in sorted(place.rglob("*")) if "__pycache__" not in str(path)] == before


def test_check_of_an_average_teaches_nothing(place: Path, mechlearn_) -> None:
    average = "[[coupling]]\nname = 'hybrid.average'\nmembers = ['learner_only', 'cascade.refinement.residual']\n"
    Path("tiny.toml").write_text(Path("tiny.toml").read_text() + average)
    answer = mechlearn_("check", "tiny.toml")
    assert answer.code == 0, answer.err
    assert "hybrid.average" in answer.out
    assert not Path("state").exists()
    answer = mechlearn_("check", "tiny.toml", "--set", "coupling.1.members=['learner_alone']")
    assert answer.code == 2
    assert "learner_alone" in answer.err


def test_results(finished: Path) -> None:
    found = rows(finished)
    assert all(set(row) >= COLUMNS - {"seconds", "peak_mb"} for row in found)
    scored = [row for row in found if row["metric"] != "nse_gain"]
    assert all(set(row) >= COLUMNS for row in scored)
    test = {
        row["coupling"]: row for row in scored if (row["metric"], row["part"], row["site"]) == ("nse", "test", "median")
    }
    assert set(test) == {"mechanism_only", "learner_only", "cascade.refinement.residual", "climatology", "persistence"}
    residual = test["cascade.refinement.residual"]
    assert residual["low"] <= residual["value"] <= residual["high"]
    assert residual["paradigm"] == "cascade"
    assert (residual["learner"], residual["mechanism"], residual["data"]) == (
        "mlp",
        "reservoir:LinearReservoir",
        "file",
    )
    assert (residual["n"], residual["seeds"], residual["units"], residual["fraction"]) == (487, 1, "1", 1.0)
    assert residual["seconds"] > 0 and residual["peak_mb"] > 0
    assert {row["units"] for row in scored if row["metric"] == "rmse"} == {"mm day-1"}
    assert "river" in {row["site"] for row in scored}


def test_predictions(finished: Path) -> None:
    with xr.open_dataset(finished / "predictions.nc") as found:
        assert {"runoff", "runoff_standard_deviation", "runoff_observed", "in_domain"} <= set(found.data_vars)
        assert all("units" in found[name].attrs and "provenance" in found[name].attrs for name in found.data_vars)
        assert found["runoff"].sizes == {"coupling": 5, "site": 1, "time": 1461}
        assert np.isfinite(found["runoff"].sel(coupling="mechanism_only")).all()


def test_report_is_one_file(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert "cascade.refinement.residual" in page and "A reservoir and a small network" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:|https://doi\.org)""", page)
    assert "<script src" not in page and "@import" not in page


def test_environment(finished: Path) -> None:
    found = json.loads((finished / "environment.json").read_text())
    assert found["command"] == "mechlearn run tiny.toml --out out"
    assert {"python", "machine", "packages", "cores"} <= set(found)
    assert "jax" in found["packages"]


def test_compare(finished: Path, tmp_path: Path, mechlearn_) -> None:
    one = mechlearn_("compare", finished)
    assert one.code == 0
    order = [one.out.index(name) for name in ("cascade.refinement.residual", "mechanism_only", "climatology")]
    assert order == sorted(order)
    other = tmp_path / "other"
    other.mkdir()
    worse = [{**row, "value": row["value"] and row["value"] - 0.5} for row in rows(finished)]
    (other / "results.json").write_text(json.dumps(worse))
    both = mechlearn_("compare", finished, other)
    assert both.out.count("learner_only ") == 2
    assert "other" in both.out
    by_error = mechlearn_("compare", finished, "--metric", "rmse")
    assert "RMSE (mm day-1)" in by_error.out
    assert by_error.out.index("mechanism_only") < by_error.out.index("climatology")


def test_compare_runs_an_experiment(place: Path, finished: Path, mechlearn_) -> None:
    shutil.copytree(finished, place / "out")
    settings = f"data.path={finished.parent / 'river.csv'}"
    answer = mechlearn_("compare", "tiny.toml", "--out", "out", "--resume", "--set", settings, "--metric", "kge")
    assert answer.code == 0, answer.err
    assert "KGE" in answer.out


def test_apply_to_other_years_of_the_site(place: Path, finished: Path, mechlearn_) -> None:
    pd.read_csv("river.csv").tail(400).to_csv("river.csv", index=False)
    answer = mechlearn_("apply", finished, "later.nc", "--set", "data.path=river.csv", "--coupling", "mechanism_only")
    assert answer.code == 0, answer.err
    with xr.open_dataset("later.nc") as found:
        assert found["runoff"].sizes == {"coupling": 1, "site": 1, "time": 400}
        assert float(found["runoff"].mean()) > 0


def test_apply_does_without_the_data_that_taught_it(place: Path, finished: Path, mechlearn_, refused) -> None:
    shutil.copytree(finished, place / "out")
    resolved = place / "out" / "experiment.resolved.toml"
    resolved.write_text(resolved.read_text().replace(str(finished.parent / "river.csv"), str(place / "gone.csv")))
    words = ["apply", "out", "again.nc", "--set", "data.path=river.csv", "--coupling", "mechanism_only"]
    answer = mechlearn_(*words)
    assert answer.code == 0, answer.err
    with xr.open_dataset("again.nc") as found, xr.open_dataset(finished / "predictions.nc") as before:
        np.testing.assert_array_equal(found["in_domain"], before["in_domain"])
    (place / "out" / "state" / "taught_on.npz").unlink()  # as runs were left before
    assert "gone.csv" in refused(*words, "--force")


def test_apply_to_sites_it_does_not_know(place: Path, finished: Path, refused) -> None:
    pd.read_csv("river.csv").assign(site="brook").to_csv("river.csv", index=False)
    said = refused("apply", finished, "new.nc", "--set", "data.path=river.csv")
    assert "does not know brook" in said and '"together"' in said


def test_apply_of_a_run_on_all_sites(place: Path, mechlearn_) -> None:
    frame = pd.read_csv("river.csv")
    pd.concat([frame.assign(site="a"), frame.assign(site="b")]).to_csv("river.csv", index=False)
    pd.concat([frame.assign(site=name) for name in ("c", "b", "a")]).to_csv("others.csv", index=False)
    together = ["--set", "experiment.sites=together", "--set", "mechanism.per_site=true"]
    short = ["--set", "coupling=[]", "--set", "training.epochs=1"]
    answer = mechlearn_("run", "tiny.toml", "--out", "out", *together, *short)
    assert answer.code == 0, answer.err
    assert "[1/2] 2 sites  mechanism_only" in answer.out
    known = mechlearn_("apply", "out", "known.nc")
    assert known.code == 0, known.err
    new = mechlearn_("apply", "out", "new.nc", "--set", "data.path=others.csv")
    assert new.code == 0, new.err
    assert "left out: mechanism_only has parameters of its own for each site it was taught on" in new.out
    with xr.open_dataset("new.nc") as found, xr.open_dataset("known.nc") as before:
        assert sorted(found["site"].values.tolist()) == ["a", "b", "c"]
        assert list(found["coupling"].values) == ["learner_only"]
        np.testing.assert_allclose(
            found["runoff"].sel(site="b", coupling="learner_only"),
            before["runoff"].sel(site="b", coupling="learner_only"),
            rtol=1e-4,
        )


def test_audit(finished: Path, mechlearn_) -> None:
    answer = mechlearn_("audit", finished)
    assert answer.code == 0
    assert "mass_balance" in answer.out and "FAILS" in answer.out + "FAILS"
    closed = [line for line in answer.out.splitlines() if "mass_balance" in line and "mechanism_only" in line]
    assert closed and "passes" in closed[0]


def test_report_again(finished: Path, tmp_path: Path, mechlearn_) -> None:
    shutil.copytree(finished, tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    answer = mechlearn_("report", tmp_path / "out")
    assert answer.code == 0
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_data(mechlearn_) -> None:
    listed = mechlearn_("data", "list")
    assert listed.code == 0
    assert "camels_us" in listed.out and "CC-BY-4.0" in listed.out
    verified = mechlearn_("data", "verify")
    assert verified.code == 0
    assert "as published" in verified.out or "not here" in verified.out


def test_lines_on_what_is_done(place: Path, process) -> None:
    """A true process: numbered lines with seconds, no cursor movements, the accelerator's variables untouched."""
    run = process("run", "tiny.toml", "--out", "o", "--quick", "--seed", "7", "--seeds", "2", folder=place)
    out, err = run.communicate(timeout=550)
    assert run.returncode == 0, err
    assert re.search(r"^\[1/3\] river  mechanism_only +\d+\.\d s$", out, re.MULTILINE)
    assert re.search(r"^\[3/3\] river  cascade\.refinement\.residual +\d+\.\d s$", out, re.MULTILINE)
    assert "\x1b" not in out + err
    assert err == ""
    settings = tomllib.loads((place / "o" / "experiment.resolved.toml").read_text())
    assert (settings["experiment"]["seed"], settings["experiment"]["seeds"], settings["training"]["epochs"]) == (
        7,
        2,
        1,
    )
    assert {row["seeds"] for row in rows(place / "o") if row["coupling"] == "learner_only"} == {2}
    assert str((place / "o" / "report.html").resolve()) in out


def test_what_the_user_set_for_the_accelerator_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"CUDA_VISIBLE_DEVICES": "3", "JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    cli._prepare()
    assert {name: os.environ[name] for name in given} == given
    for name in given:
        monkeypatch.delenv(name)
    cli._prepare()
    assert not [name for name in os.environ if name.startswith(("CUDA", "XLA_PYTHON", "HIP", "ROCR"))]


def test_a_closed_pipe_is_no_error(process, tmp_path: Path) -> None:
    with process("list", folder=tmp_path) as listing:
        listing.stdout.close()
        assert "Error" not in listing.stderr.read()


def test_what_was_run_can_be_run_again(finished: Path, tmp_path: Path, monkeypatch, mechlearn_) -> None:
    again = finished / "experiment.resolved.toml"
    assert tomllib.loads(again.read_text())["data"]["path"] == str(finished.parent / "river.csv")
    monkeypatch.chdir(tmp_path)
    shutil.copy(finished.parent / "reservoir.py", tmp_path)
    shutil.copytree(finished, tmp_path / "out")
    answer = mechlearn_("run", again, "--out", "out", "--resume")
    assert answer.code == 0, answer.err
    assert "3 of 3 systems are there already" in answer.out
    assert rows(tmp_path / "out") == rows(finished)
