"""Bad input: each a message of one screen that names what to do, exit code 2, nothing written over."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mechlearn.data.registry import list_datasets

COUPLING = "coupling.0.name"
UNUSABLE = "/proc/nowhere/out"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu", "x"], "there is no verb 'rnu' (did you mean 'run'?)"),
        (["list", "mechanism"], "did you mean 'mechanisms'?"),
        (["check", "streamflw"], "did you mean 'streamflow'?"),
        (["check", "nowhere.toml"], "`mechlearn init nowhere.toml` writes one"),
        (["init", "experiment.txt"], "ends in .toml"),
        (["init", "tiny.toml"], "--force"),
        (["init", "river.csv/my.toml"], "cannot be written"),
        (["check", "river.csv"], "not valid TOML"),
        (["report", "nowhere"], "holds no results.json"),
        (["audit", "nowhere"], "no experiment.resolved.toml"),
        (["apply", "nowhere", "out.nc"], "no experiment.resolved.toml"),
        (["compare", "nowhere"], "holds no results.json"),
        (["data", "verify", "camels"], next(iter(list_datasets()))),
        (["data", "fetch"], "needs a name"),
        (["data", "look"], "invalid choice: 'look'"),
        (["run", "tiny.toml"], "--out"),
        (["run", "tiny.toml", "--out", "river.csv/out"], "cannot be written"),
        (["run", "tiny.toml", "--out", UNUSABLE], "choose another with --out"),
        (["run", "tiny.toml", "--out", "out", "--resume", "--force"], "choose one"),
    ],
)
def test_requests(place: Path, refused, words: list[str], told: str) -> None:
    before = (place / "tiny.toml").read_text()
    assert told in refused(*words)
    assert (place / "tiny.toml").read_text() == before


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.reader=fil", "no data reader 'fil'"),
        ("data.pth=x", "did you mean 'path'?"),
        ("data.path=nowhere.csv", "no file"),
        ("data.path=tiny.toml", "tiny.toml"),
        ("data.forcing=['precipitation', 'wind']", "wind"),
        ("data.targets=['level']", "level"),
        ("data.sites=['Leaf']", "Leaf"),
        ("data.units.precipitation=kg", "expected 'mm day-1'"),
        ("data.units.air_temperature=mm", "expected 'degC'"),
        ("data.units.rain=mm", "Write mechlearn's name on the left"),
        ("split.kind=last_thrid", "there are time_blocks, last_third"),
        ("split.tset=0.5", "did you mean 'test'?"),
        ("split.test=2.0", "split"),
        ("experiment.target=level", "observed are: runoff"),
        ("mechanism.model=water.hvb", "did you mean 'water.hbv'?"),
        ("mechanism.recesion=0.2", "did you mean 'recession'?"),
        ("mechanism.recession=2.0", "a number from 0.001 to 0.9"),
        ("mechanism.recession=fast", "a number from 0.001 to 0.9"),
        ("mechanism.training.epoch=1", "did you mean 'epochs'?"),
        ("learner.model=mpl", "did you mean 'mlp'?"),
        ("learner.wdth=3", "did you mean 'width'?"),
        ("learner.width=wide", "must be a whole number"),
        ("training.epoch=3", "did you mean 'epochs'?"),
        ("training.schedule=linear", "must be one of 'cosine', 'constant'"),
        ("training.window=5000", "no window of 30 + 5000 days fits"),
        ("coupling.0.joint=snow", "unknown key 'joint'"),
        ("coupling.0.also=['snowfall']", "no field 'snowfall'"),
        (f"{COUPLING}=cascade.refinement.residuals", "did you mean 'cascade.refinement.residual'?"),
        (f"{COUPLING}=cascade.refinement.ensemble", "lacks the key 'mechanisms'"),
        (f"{COUPLING}=embedded.replacement.online", "embedded.replacement.online: path 'evaporation'"),
        (f"{COUPLING}=reservoir:Nothing", "no attribute 'Nothing'"),
        ("controls.kinds=['attributes_shufled']", "did you mean 'attributes_shuffled'?"),
    ],
)
def test_settings(place: Path, refused, setting: str, told: str) -> None:
    said = refused("run", "tiny.toml", "--out", "out", "--set", setting)
    assert told in said
    assert not any((place / "out").glob("*")) if (place / "out").exists() else True


def blocks(train: tuple[str, str], test: tuple[str, str]) -> list[str]:
    given = {"kind": "'time_blocks'", "train": list(train), "test": list(test)}
    return ["--set", "split={" + ", ".join(f"{key} = {value}" for key, value in given.items()) + "}"]


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        (("2000-01-01", "2002-06-30"), ("2002-01-01", "2003-12-31"), "train and test overlap on 181 days"),
        (("1980-01-01", "1985-01-01"), ("2002-01-01", "2003-12-31"), "the record runs from 2000-01-01 to 2003-12-31"),
        (("2000-01-01", "soon"), ("2002-01-01", "2003-12-31"), "a period is two dates"),
    ],
)
def test_splits(place: Path, refused, train: tuple[str, str], test: tuple[str, str], told: str) -> None:
    assert told in refused("check", "tiny.toml", *blocks(train, test))


def spoil(place: Path, **columns: object) -> None:
    pd.read_csv(place / "river.csv").assign(**columns).to_csv(place / "river.csv", index=False)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"precipitation": -1.0}, "1461 values outside 0 to inf mm day-1, first -1 at site 'river' on 2000-01-01"),
        ({"precipitation": np.nan}, "no value at all"),
        ({"runoff": np.nan}, "runoff: no value at all; leave it out"),
        ({"runoff": "plenty"}, "runoff"),
        ({"time": "2000-01-01"}, "come twice"),
        ({"time": "one day"}, "no date"),
    ],
)
def test_series(place: Path, refused, columns: dict, told: str) -> None:
    spoil(place, **columns)
    assert told in refused("check", "tiny.toml")


def test_a_missing_column_is_named(place: Path, refused) -> None:
    pd.read_csv(place / "river.csv").drop(columns="air_temperature").to_csv(place / "river.csv", index=False)
    said = refused("check", "tiny.toml")
    assert "air_temperature" in said and "precipitation" in said


def test_a_model_that_reads_what_is_not_there_is_named(place: Path, refused) -> None:
    less = ["--set", "data.forcing=['precipitation', 'potential_evapotranspiration']"]
    units = ["--set", "data.units={precipitation='mm/d', potential_evapotranspiration='mm/d', runoff='mm/d'}"]
    said = refused("check", "tiny.toml", "--set", "mechanism.model=water.hbv", *less, *units)
    assert "air_temperature (degC), which the data do not have" in said


def test_missing_units_are_asked_for(place: Path, refused) -> None:
    said = refused("check", "tiny.toml", "--set", "data.units={}")
    assert 'units = { precipitation = "mm day-1" }' in said


def test_other_units_are_converted(place: Path, mechlearn_) -> None:
    frame = pd.read_csv(place / "river.csv")
    spoil(place, precipitation=frame["precipitation"] / 24, air_temperature=frame["air_temperature"] + 273.15)
    units = ["--set", "data.units.precipitation=mm/h", "--set", "data.units.air_temperature=K"]
    answer = mechlearn_("check", "tiny.toml", *units)
    assert answer.code == 0, answer.err


def test_one_dry_basin_among_others_is_named(place: Path, refused, mechlearn_) -> None:
    frame = pd.read_csv(place / "river.csv")
    both = pd.concat([frame.assign(site="wet"), frame.assign(site="dry", runoff=np.nan)])
    both.to_csv(place / "river.csv", index=False)
    assert "site 'dry', runoff: no value at all; leave it out with [data] sites" in refused("check", "tiny.toml")
    assert mechlearn_("check", "tiny.toml", "--set", "data.sites=['wet']").code == 0
    assert mechlearn_("check", "tiny.toml", "--set", "experiment.sites=together").code == 0


@pytest.mark.parametrize("keep", [0, 100, 4000])
def test_a_corrupted_netcdf(place: Path, refused, keep: int) -> None:
    frame = pd.read_csv(place / "river.csv", parse_dates=["time"]).set_index("time")
    frame.to_xarray().to_netcdf(place / "river.nc")
    (place / "river.nc").write_bytes((place / "river.nc").read_bytes()[:keep])
    assert "river.nc" in refused("check", "tiny.toml", "--set", "data.path=river.nc")


def test_a_finished_run_is_not_written_over(finished: Path, tmp_path: Path, place: Path, refused) -> None:
    shutil.copytree(finished, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert "already holds results.json" in refused("run", "tiny.toml", "--out", "out")
    assert "did you mean" in refused("run", "tiny.toml", "--out", "out", "--force", "--set", "learner.model=mpl")
    assert "training.epochs was 2, is 1" in refused("run", "tiny.toml", "--out", "out", "--resume", "--quick")
    assert {path: path.read_bytes() for path in before} == before


def test_a_damaged_run(finished: Path, tmp_path: Path, place: Path, refused) -> None:
    shutil.copytree(finished, tmp_path / "out")
    (tmp_path / "out" / "results.json").write_text("[{")
    assert "cannot be read as JSON" in refused("report", "out")
    next((tmp_path / "out" / "state").glob("*learner_only.weights.npz")).write_bytes(b"PK")
    assert "remove it and go on with --resume" in refused("apply", "out", "other.nc")
    assert not (tmp_path / "other.nc").exists()


def test_verbs_on_a_run(finished: Path, place: Path, refused) -> None:
    assert "did you mean 'nse'?" in refused("compare", finished, "--metric", "nsee")
    assert "no site 'lake'; it has river" in refused("audit", finished, "--site", "lake")
    assert "changes the data alone" in refused("apply", finished, "a.nc", "--set", "training.epochs=2")
    assert "no coupling 'learner_alone'" in refused("apply", finished, "a.nc", "--coupling", "learner_alone")
    (place / "a.nc").write_text("mine")
    assert "--force" in refused("apply", finished, "a.nc")
    assert "cannot be written" in refused("apply", finished, "river.csv/a.nc")
    assert (place / "a.nc").read_text() == "mine"


FAILING = """
import numpy as np
from mechlearn.mechanisms.external.callable import Callable
from mechlearn.variables import PRECIPITATION, RUNOFF


def simulate(fields, parameters):
    raise OSError("the licence server does not answer")


def model():
    return Callable(simulate, (PRECIPITATION.over("time"),), (RUNOFF.over("time"),), gradient="none")
"""


def test_a_black_box_that_crashes_fails_without_a_traceback(place: Path, process) -> None:
    (place / "failing.py").write_text(FAILING)
    settings = ["--set", "mechanism={model = 'failing:model'}"]
    out, err = process("run", "tiny.toml", "--out", "out", *settings, folder=place).communicate(timeout=300)
    assert "the licence server does not answer" in err
    assert "Traceback" not in err + out
    assert len(err.splitlines()) <= 5, err
    assert "mechlearn run failed: " in err and "--resume" in err
