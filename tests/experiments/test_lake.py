"""A small lake in the format of the first physics-guided network, taught from the command line as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.io import loadmat, savemat

DATES, DEPTHS = 60, (0.5, 6.0)
SHORT = [
    "--set", "split.samples=80", "--set", "training.epochs=2", "--set", "learner.width=4", "--set", "learner.depth=1",
    "--set", "learner.alone={epochs=0}",
    "--seeds", "1",
]  # fmt: skip
STRATIFIED = "infused.structure_constraint.stratified"


def lake() -> dict[str, np.ndarray]:
    """Two years of a lake sampled every twelve days at two depths: warm above in summer, and a simulation of it."""
    date = np.repeat(np.arange(DATES) * 12.0, len(DEPTHS))
    depth, draw = np.tile(DEPTHS, DATES), np.random.default_rng(5)
    season = np.sin(2 * np.pi * (date - 110) / 365)
    truth = 12 + (10 - depth) * season
    made = {name: np.repeat(draw.uniform(1, 5, DATES), 2) for name in ("RelHum", "WindSpeed", "LongWave")}
    made |= {"ShortWave": 200 + 100 * season, "AirTemp": 10 + 12 * season, "freezing": 1.0 * (season < -0.8)}
    made |= {"Rain": 0 * date, "Snow": 0 * date, "growing_deg_days": np.maximum(season, 0), "Depth": depth}
    made |= {"Modeled_temp": truth + 1.5 * season, "Observed_temp": truth + draw.normal(0, 0.2, len(date))}
    return made | {"datenum": 733043.0 + date}


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder one is in, with the file of a lake that the library has never seen."""
    savemat(tmp_path / "my_lake.mat", lake())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_another_lake_takes_its_file_name_only(cwd: Path, mechlearn_) -> None:
    checked = mechlearn_("check", "karpatne_2017", "--set", "data.path=my_lake.mat", *SHORT)
    assert checked.code == 0, checked.err
    assert "my_lake" in checked.out and "nothing was written" in checked.out
    only = f"experiment.couplings=['{STRATIFIED}', '{STRATIFIED} (of simulation + correction)']"
    words = ["--quick", "--out", "out", "--set", "data.path=my_lake.mat", *SHORT, "--set", only]
    answer = mechlearn_("run", "karpatne_2017", *words)
    assert answer.code == 0, answer.err
    rows = json.loads((cwd / "out" / "results.json").read_text())
    test = {(r["coupling"], r["metric"]): r for r in rows if (r["part"], r["site"]) == ("test", "median")}
    assert test["mechanism_only", "rmse"]["n"] == DATES * len(DEPTHS) - 80
    assert {r["site"] for r in rows} == {"my_lake", "median"} and test["mechanism_only", "rmse"]["units"] == "degC"
    stratified = [name for name, metric in test if name.startswith(STRATIFIED) and metric == "inverted_pairs"]
    assert len(stratified) == 2 and all(test[name, "inverted_pairs"]["value"] == 0 for name in stratified)
    with xr.open_dataset(cwd / "out" / "predictions.nc") as found:
        assert found["water_temperature"].dims == ("coupling", "site", "time", "depth")
        assert found["depth"].values.tolist() == list(DEPTHS)
        said = found["water_temperature"].sel(coupling="mechanism_only", site="my_lake").values.ravel()
    assert said == pytest.approx(loadmat(cwd / "my_lake.mat")["Modeled_temp"].ravel(), abs=1e-5)
    assert "my_lake" in (cwd / "out" / "report.html").read_text()


def test_a_file_that_lacks_a_column(cwd: Path, refused) -> None:
    savemat(cwd / "bare.mat", {name: values for name, values in lake().items() if name != "AirTemp"})
    said = refused("run", "karpatne_2017", "--out", "out", "--set", "data.path=bare.mat")
    assert "bare.mat lacks AirTemp" in said and "it has" in said and "WindSpeed" in said


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("experiment.metric=rmsd", "did you mean 'rmse'?"),
        ("data.path=my_lak.mat", "no file"),
        ("split.samples=120", "samples = 120 must be above 0 and below the 120 observations"),
        ("mechanism.model=lake.column", "needs"),
        ("coupling.0.name=hybrid.process_guided", "area (m2), which the data do not have"),
        ("coupling.0.name=infused.objective_constraint.water_balance", "needs evapotranspiration (mm day-1), which"),
        ("learner.also=[]", "learner_only: the learner would read nothing"),
        ("learner.also=['dpeth']", "did you mean 'depth'?"),
        ("coupling.0.weigth=2", "unknown key 'weigth'"),
        ("budget.dates=[0]", "[budget] dates: 0 must be a whole number, 1 or more"),
        ("budget.dates=['ten']", "[budget] dates: 'ten' must be a whole number"),
        ("draws.number=0", "[draws] number: 0 must be a whole number, 1 or more"),
        ("draws.level=0.8", "[draws] has an unknown key 'level'"),
        ("draws.couplings=['stratified']", "[draws] names the coupling 'stratified'"),
        ("mechanism.training={by='guess'}", "by = 'guess' must be one of 'gradient', 'surrogate', 'nothing'"),
    ],
)
def test_what_is_refused(cwd: Path, refused, setting: str, told: str) -> None:
    words = ["--set", "data.path=my_lake.mat", "--set", "split.samples=80", "--set", setting]
    assert told in refused("check", "karpatne_2017", *words)


def test_more_dates_than_there_are_is_said(cwd: Path, mechlearn_) -> None:
    words = ["--set", "data.path=my_lake.mat", *SHORT, "--set", "budget.dates=[5, 100]"]
    answer = mechlearn_("check", "karpatne_2017", *words)
    assert answer.code == 0, answer.err
    assert "fewer than 100 observed dates can teach" in answer.out
    # Seven couplings and baselines on all dates, the two baselines again on five.
    assert "9 systems would be taught" in answer.out


@pytest.mark.parametrize("name", ["infused.objective_constraint.stratification", STRATIFIED, "hybrid.process_guided"])
def test_a_coupling_of_profiles_on_a_river(place: Path, refused, name: str) -> None:
    said = refused("check", "tiny.toml", "--set", f"coupling.0.name={name}")
    assert name in said and ("depth" in said or "water_temperature" in said)
