"""Twin experiments from file to rows and report."""

import json

import pytest

from mechlearn.experiments import config, twin
from mechlearn.experiments.config import RequestError

SHORT = ["twin.cycles=40", "twin.burn_in=20", "experiment.seeds=2"]


def settings(*more):
    read = config.load("sakov_2008", [*SHORT, *more])
    wanted = ("EnKF Sqrt N=24", "LETKF N=7", "iEnKS N=25, lag 10")
    return {**read, "filter": [table for table in read["filter"] if table["label"] in wanted]}


def test_rows_and_report_are_written(tmp_path):
    said = []
    rows = twin.carry_out(settings(), tmp_path, said.append)
    assert len(said) == 3 and len(rows) == 9
    assert {row["metric"] for row in rows} == {"analysis_rmse", "forecast_rmse", "spread"}
    assert all(row["low"] <= row["value"] <= row["high"] and row["seeds"] == 2 for row in rows)
    assert json.loads((tmp_path / "results.json").read_text()) == rows
    assert "EnKF Sqrt N=24" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["expected"]["LETKF N=7"] == 0.22


def test_each_filter_may_have_a_network_of_its_own(tmp_path):
    few = settings("mechanism.size=8", "twin.cycles=5", "twin.burn_in=2", "experiment.seeds=1")
    etkf = few["filter"][0]
    smoother = {"label": "4D-Var", "method": "smoothers.Variational", "members": 1, "background": 0.1, "lag": 1}
    smoother["background_covariance"] = "identity"
    correlated = {"observed": "::2", "error_variance": [1.0, 2.0, 1.0, 2.0], "error_correlation": 2.0}
    few["filter"] = [etkf | {"twin": correlated | {"missing": 0.3, "noise": 0.1, "reject": 5.0}}, smoother]
    rows = twin.carry_out(few, tmp_path, print)
    assert all(0 < row["value"] < 5 for row in rows if row["metric"] == "analysis_rmse")
    with pytest.raises(RequestError, match="climatology or identity"):
        twin.carry_out(few | {"filter": [smoother | {"background_covariance": "mine"}]}, tmp_path, print)
    for wrong, told in ({"observed": [9]}, "the numbers 0 to 7"), ({"error_variance": -1.0}, "must be positive"):
        few["filter"] = [etkf | {"twin": wrong}]
        with pytest.raises(RequestError, match=told):
            twin.carry_out(few, tmp_path, print)


def test_a_filter_that_loses_all_its_members_says_so(tmp_path):
    few = settings("mechanism.size=8", "mechanism.time_step=0.6", "twin.cycles=5", "twin.burn_in=2")
    few["filter"] = few["filter"][:1]
    said = []
    twin.carry_out(few, tmp_path, said.append)
    assert "all 24 members were lost in 2 of 2 runs" in said[0]


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(RequestError, match="unknown key 'cylces'"):
        twin.carry_out(settings("twin.cylces=3"), tmp_path, print)
    wrong = settings()
    wrong["filter"][0] |= {"method": "enkf.EnKFX"}
    with pytest.raises(RequestError, match=r"no method 'enkf\.EnKFX'"):
        twin.carry_out(wrong, tmp_path, print)
    wrong["filter"][0] |= {"method": "enkf.ETKF", "infaltion": 1.1}
    with pytest.raises(RequestError, match="unknown keys"):
        twin.carry_out(wrong, tmp_path, print)
