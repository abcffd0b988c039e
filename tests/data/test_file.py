"""Your own files: names, units, calendars, gaps, and messages that say what to do."""

import numpy as np
import pytest
import xarray as xr

from mechlearn.data import DataError, read
from mechlearn.data.units import UnitError

names = {"precipitation": "P", "air_temperature": "T", "potential_evapotranspiration": "E", "runoff": "Q"}


def dataset(days=800, sites=("a", "b"), time=None, **units):
    time = np.datetime64("2001-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D") if time is None else time
    draw = np.random.default_rng(0)
    shape = (len(sites), len(time))
    units = {"P": "mm/day", "T": "K", "E": "mm d-1", "Q": "mm day-1"} | units
    values = {
        "P": draw.gamma(1, size=shape),
        "T": 280 + draw.normal(size=shape),
        "E": np.ones(shape),
        "Q": draw.gamma(1, size=shape),
    }
    data = {name: (("site", "time"), values[name], {"units": units[name]} if units[name] else {}) for name in values}
    area = ("site", np.full(len(sites), 86.4), {"units": "km2"})
    return xr.Dataset(
        data | {"area": area, "region": ("site", ["x", "y"][: len(sites)])}, {"site": list(sites), "time": time}
    )


@pytest.fixture
def stored(tmp_path):
    def store(given):
        given.to_netcdf(tmp_path / "own.nc")
        return tmp_path / "own.nc"

    return store


def test_names_units_and_statics(stored):
    given = dataset(P="mm/h", Q="m3/s")
    record = read("file", path=stored(given), names=names, area="area", statics=["area"], regions="region")
    assert record.fields["precipitation"] == pytest.approx(24 * given.P.values, rel=1e-5)
    assert record.fields["air_temperature"] == pytest.approx(given["T"].values - 273.15, abs=1e-3)
    assert record.observed["runoff"] == pytest.approx(given.Q.values, rel=1e-5)
    assert record.variables["area"].units == "km2" and record.fields["area"].tolist() == [pytest.approx(86.4)] * 2
    assert record.regions == {"a": "x", "b": "y"}
    assert read("file", path=stored(given), names=names, area="area", sites=["b"]).sites == ("b",)


def test_transposed_and_zarr(tmp_path):
    given = dataset().transpose("time", "site")
    given.drop_vars("region").to_zarr(tmp_path / "own.zarr", zarr_format=2)
    record = read("file", path=tmp_path / "own.zarr", names=names)
    assert record.fields["precipitation"] == pytest.approx(given.P.values.T, rel=1e-5)


def test_pickled_zarr_is_refused(tmp_path):
    folder = tmp_path / "own.zarr"
    dataset().drop_vars("region").to_zarr(folder, zarr_format=2)
    described = folder / "P" / ".zarray"
    described.write_text(described.read_text().replace('"filters": null', '"filters": [{"id": "pickle"}]'))
    with pytest.raises(DataError, match="pickled objects"):
        read("file", path=folder, names=names)


def test_hours_become_days(stored):
    time = np.datetime64("2001-01-01", "ns") + np.arange(24 * 20) * np.timedelta64(1, "h")
    given = dataset(time=time, P="mm")
    given.P[0, 30] = np.nan
    record = read("file", path=stored(given), names=names)
    daily = given.P.values.reshape(2, 20, 24).sum(-1)
    assert record.fields["precipitation"].shape == (2, 20)
    assert np.isnan(record.fields["precipitation"][0, 1])
    assert record.fields["precipitation"][1] == pytest.approx(daily[1], rel=1e-5)
    assert any("averaged to days" in note for note in record.notes)


@pytest.mark.parametrize(("calendar", "absent"), [("noleap", 1), ("360_day", 25)])
def test_other_calendars(stored, calendar, absent):
    time = xr.date_range("2001-01-01", periods=360 * 5, calendar=calendar, use_cftime=True)
    path = stored(dataset(time=time))
    record = read("file", path=path, names=names)
    missing = np.isnan(record.fields["precipitation"][0])
    assert record.time.dtype == "datetime64[D]" and np.diff(record.time.astype(int)).max() == 1
    assert missing.sum() == pytest.approx(absent, abs=2)
    bridged = read("file", path=path, names=names, bridge=True)
    assert np.isfinite(bridged.fields["precipitation"]).all()
    assert (np.isnan(bridged.observed["runoff"][0]) == missing).all()


def test_gaps_stay_and_missing_days_become_gaps(stored):
    given = dataset()
    given.Q[0, 10:20] = np.nan
    record = read("file", path=stored(given.isel(time=np.r_[0:100, 105:800])), names=names)
    assert len(record.time) == 800
    assert np.flatnonzero(np.isnan(record.fields["precipitation"][0])).tolist() == [100, 101, 102, 103, 104]
    assert np.isnan(record.observed["runoff"][0]).sum() == 15


def test_times_out_of_order_are_sorted_with_a_note(stored):
    given = dataset()
    record = read("file", path=stored(given.isel(time=slice(None, None, -1))), names=names)
    assert record.fields["precipitation"] == pytest.approx(given.P.values, rel=1e-5)
    assert "sorted" in record.notes[0]


def test_csv_folder_and_table(tmp_path):
    given = dataset()
    folder = tmp_path / "stations"
    folder.mkdir()
    units = {
        "precipitation": "mm/day",
        "air_temperature": "K",
        "potential_evapotranspiration": "mm/day",
        "runoff": "mm/day",
    }
    for site in ("a", "b"):
        given.sel(site=site, drop=True)[["P", "T", "E", "Q"]].to_dataframe().to_csv(folder / f"{site}.csv")
    (tmp_path / "attributes.csv").write_text("site,height,zone\nb,2,south\na,1,north\n")
    options = {"names": names, "units": units, "attributes": tmp_path / "attributes.csv", "statics": ["height"]}
    options["units"] = units | {"height": "m"}
    record = read("file", path=folder, regions="zone", **options)
    assert (
        record.sites == ("a", "b") and record.fields["height"].tolist() == [1.0, 2.0] and record.regions["b"] == "south"
    )
    assert record.fields["precipitation"] == pytest.approx(given.P.values, rel=1e-5)
    given[["P", "T", "E", "Q"]].to_dataframe().reset_index().to_csv(tmp_path / "all.csv")
    whole = read("file", path=tmp_path / "all.csv", **options)
    assert whole.fields["precipitation"] == pytest.approx(record.fields["precipitation"])
    with pytest.raises(UnitError, match="height: the data state no units"):
        read("file", path=folder, **options | {"units": units})


def negative(given):
    given.P[1, 3] = -1.0


def empty(given):
    given.P[1] = np.nan


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (negative, r"precipitation: 1 values outside 0 to inf mm day-1, first -1 at site 'b' on 2001-01-04"),
        (empty, r"precipitation: no value at all at 1 of 2 sites \(b\)"),
        (lambda given: given.P.attrs.update(units="kg"), r"precipitation: found units 'kg', expected 'mm day-1'"),
        (lambda given: given.P.attrs.clear(), r'units = \{ precipitation = "mm day-1" \}'),
        (lambda given: given.Q.attrs.update(units="m3/s"), "give the catchment area"),
    ],
)
def test_bad_values_and_units(stored, spoil, message):
    given = dataset()
    spoil(given)
    with pytest.raises(ValueError, match=message):
        read("file", path=stored(given), names=names)


def test_bad_structure(stored):
    given = dataset()
    with pytest.raises(DataError, match=r"no variable 'rain'; it has .*P.*names = \{ precipitation"):
        read("file", path=stored(given), names=names | {"precipitation": "rain"})
    with pytest.raises(DataError, match="names and units are given for rain"):
        read("file", path=stored(given), names={"rain": "P"})
    with pytest.raises(DataError, match="no time axis 'date'"):
        read("file", path=stored(given), names=names, time="date")
    with pytest.raises(DataError, match="800 times come twice"):
        read("file", path=stored(xr.concat([given, given], "time", data_vars="minimal")), names=names)
    with pytest.raises(DataError, match="time step is about 30"):
        read("file", path=stored(given.isel(time=slice(0, None, 30))), names=names)
    with pytest.raises(DataError, match="no site 'z'"):
        read("file", path=stored(given), names=names, sites=["z"])
    with pytest.raises(DataError, match="no label 'zones' for each site"):
        read("file", path=stored(given), names=names, regions="zones")


def test_damaged_files(tmp_path, stored):
    with pytest.raises(DataError, match="no file"):
        read("file", path=tmp_path / "nothing.nc")
    path = stored(dataset())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot be read"):
        read("file", path=path, names=names)
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00time,P\n\x00\x01")
    with pytest.raises(DataError, match=r"bad\.csv"):
        read("file", path=tmp_path / "bad.csv", names=names)
    (tmp_path / "dates.csv").write_text("time,P\nyesterday,1\n")
    with pytest.raises(DataError, match="holds what is no date"):
        read("file", path=tmp_path / "dates.csv", names=names)
