"""The experiment on surface temperature, short: taught, judged by class of samples, sure of what it may be sure of."""

import json

import numpy as np
import pytest
import xarray as xr

from mechlearn.experiments.cli import main

RUN = ["run", "xie_2025", "--quick", "--set", "data.number=100", "--set", 'data.sets=["rfmip"]']
ONLY = ["--set", "experiment.couplings=[]", "--set", "experiment.seeds=1"]
ONLY += ["--set", 'uncertainty.couplings=["learner_only"]']


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lst") / "run"
    assert main([*RUN, *ONLY, "--out", str(folder)]) == 0
    return folder


def test_it_is_judged_by_class_of_samples(run):
    rows = json.loads((run / "results.json").read_text())
    found = {(row["coupling"], row["metric"]) for row in rows if row["part"] == "test"}
    assert {("learner_only", m) for m in ("rmse", "mean_absolute_error", "coverage")} <= found
    regimes = json.loads((run / "report.json").read_text())["regimes"]
    assert {"atmosphere mass content of water vapor 0 to 10 kg m-2"} < {row["regime"] for row in regimes}
    page = (run / "report.html").read_text()
    assert "Error by class" in page and "groups drawn in pairs" in page and "Hydrographs" not in page


def test_what_is_predicted_tells_how_sure_it_is(run):
    with xr.open_dataset(run / "predictions.nc") as said:
        of_one = said.sel(coupling="learner_only")
        there = np.isfinite(of_one["surface_temperature"].values)
        deviation = of_one["surface_temperature_standard_deviation"].values[there]
        assert there.any() and (deviation > 0.05).all() and set(np.unique(said["in_domain"])) <= {0, 1}
        assert "generated, anchored on" in said["surface_temperature"].attrs["provenance"]
