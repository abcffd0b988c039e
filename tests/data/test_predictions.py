"""Predictions as CF files, written whole or not at all, and the findings about a record."""

import numpy as np
import pytest
import xarray as xr

from mechlearn.data import DataError, read
from mechlearn.data.check import diagnose
from mechlearn.data.fields import to_dataset, write
from mechlearn.evaluation import splits


def test_predictions_carry_units_and_provenance(tmp_path):
    record = read("holmes")
    shape = (2, *record.observed["runoff"].shape)
    made = to_dataset(
        record,
        {"runoff": np.ones(shape)},
        spread={"runoff": np.ones(shape)},
        in_domain=np.ones(shape, bool),
        provenance="mechlearn 0.1",
        leading={"coupling": ["a", "b"]},
    )
    path = write(made, tmp_path / "deep" / "predictions.nc")
    with xr.open_dataset(path) as back:
        assert set(back.data_vars) == {"runoff", "runoff_standard_deviation", "runoff_observed", "in_domain"}
        assert all({"units", "provenance"} <= set(v.attrs) for name, v in back.data_vars.items())
        assert back.runoff.dims == ("coupling", "site", "time") and back.runoff.attrs["units"] == "mm day-1"
        assert back.runoff_observed.values == pytest.approx(record.observed["runoff"], nan_ok=True)
        assert back.attrs["Conventions"].startswith("CF-")
    assert [p.name for p in path.parent.iterdir()] == ["predictions.nc"]


def test_the_last_years_of_each_catchment():
    whole, short = read("holmes"), read("holmes", years=29)
    there = np.isfinite(short.observed["runoff"])
    assert there.sum(axis=1).tolist() == [10592, 10533, 10592], "Au Saumon has no more"
    rain = whole.fields["precipitation"][:, np.isin(whole.time, short.time)]
    np.testing.assert_array_equal(short.fields["precipitation"][there], rain[there])


def test_a_place_that_cannot_be_written(tmp_path):
    record = read("holmes", sites=["Leaf"])
    made = to_dataset(record, {"runoff": record.observed["runoff"]})
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(DataError, match="choose a folder you may write to"):
        write(made, tmp_path / "taken" / "predictions.nc")


def test_findings_say_why():
    record = read("holmes")
    rain = record.fields["precipitation"].copy()
    rain[1, ::300] = np.nan
    temperature = record.fields["air_temperature"].copy()
    temperature[2, 15000] = 300.0
    spoilt = record.with_fields({"precipitation": rain, "air_temperature": temperature})
    findings = [str(f) for f in diagnose(spoilt, splits.last_third(spoilt))]
    text = "\n".join(findings)
    assert (
        "error: Au Saumon: unusable: the longest unbroken forcing is 299 days" in text
        and "precipitation (299 days)" in text
    )
    assert "error: Baskatong: air_temperature: 1 values outside -80 to 60 degC" in text
    assert "warning: Leaf: air_temperature: the same value, 15, on every day" in text
    assert "cannot be reached at" in text and "note: test:" in text


def test_a_sound_record_has_no_errors():
    record = read("holmes", sites=["Au Saumon", "Baskatong"])
    assert not [f for f in diagnose(record, splits.last_third(record)) if f.level == "error"]
