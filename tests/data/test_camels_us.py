"""CAMELS-US as read: units, magnitudes, attributes, and no leak of streamflow."""

import os
from pathlib import Path

import numpy as np
import pytest

from mechlearn.data import DataError, camels_us, read, registry

there = os.environ.get("MECHLEARN_DATA") and Path(os.environ["MECHLEARN_DATA"], "camels_us").exists()
needs_data = [pytest.mark.data, pytest.mark.skipif(not there, reason="MECHLEARN_DATA has no camels_us")]


class TestFile:
    pytestmark = needs_data

    def test_basins_read(self):
        record = read("camels_us", sites=["01013500", "02472000"], exphydro=True)
        assert record.sites == ("01013500", "02472000") and record.regions == {"01013500": "01", "02472000": "03"}
        assert (str(record.time[0]), str(record.time[-1])) == ("1980-10-01", "2010-09-30")
        assert record.complete().all() and len(record.statics) == 27
        assert all(v.dtype == np.float32 for v in [*record.fields.values(), *record.observed.values()])
        runoff, modelled = record.observed["runoff"][1], record.fields["runoff_exphydro"][1]
        assert np.corrcoef(runoff, modelled)[0, 1] > 0.7

    @pytest.mark.parametrize("pet", ["hamon", "priestley_taylor"])
    def test_potential_evapotranspiration_is_near_the_published_mean(self, pet):
        record = read("camels_us", sites=60, pet=pet)
        mean = record.fields["potential_evapotranspiration"].mean(axis=1)
        assert np.isfinite(mean).all() and (record.fields["potential_evapotranspiration"] >= 0).all()
        assert np.median(mean / record.fields["pet_mean"]) == pytest.approx(1.0, abs=0.35)

    def test_unknown_basin(self):
        with pytest.raises(DataError, match="no basin '1'"):
            read("camels_us", sites=["1"])

    def test_checksums(self):
        for name in ("camels_us", "camels_us_attributes"):
            assert registry.verify(name).exists()


def test_streamflow_signatures_are_refused():
    with pytest.raises(DataError, match="q_mean, baseflow_index are computed from the streamflow"):
        camels_us.read(attributes=["p_mean", "q_mean", "baseflow_index"])
    with pytest.raises(DataError, match="no numeric attribute colour"):
        camels_us.read(attributes=["colour"])


def test_registry_is_complete_and_honest(monkeypatch, tmp_path):
    for entry in registry.list_datasets().values():
        assert (
            len(entry.sha256) == 64
            and entry.bytes > 0
            and entry.licence
            and entry.citation
            and (entry.url or entry.how)
        )
    for name in ("holmes_leaf", "holmes_au_saumon", "holmes_baskatong"):
        assert registry.verify(name).exists()
    monkeypatch.setenv("MECHLEARN_DATA", str(tmp_path))
    monkeypatch.setattr(registry, "_cache", lambda: tmp_path / "cache")
    with pytest.raises(DataError, match="no public address"):
        registry.fetch("camels_us")
    (tmp_path / "camels_us").mkdir()
    (tmp_path / "camels_us" / "camels_us_300.nc").write_bytes(b"something else")
    with pytest.raises(DataError, match="is not the published file"):
        registry.verify("camels_us")
    with pytest.raises(DataError, match="cannot be read"):
        read("camels_us")
    with pytest.raises(DataError, match="there are camels_us"):
        registry.fetch("mars")
