"""A table of units met in the wild, and what is refused."""

import numpy as np
import pytest

from mechlearn.data.units import UnitError, cf, convert


@pytest.mark.parametrize(
    ("value", "given", "wanted", "expected"),
    [
        (2.0, "mm day-1", "mm day-1", 2.0),
        (2.0, "mm/d", "mm day-1", 2.0),
        (2.0, "mm/day", "mm day-1", 2.0),
        (2.0, "mm d-1", "mm day-1", 2.0),
        (2.0, "mm d^-1", "mm day-1", 2.0),
        (2.0, "mm day**-1", "mm day-1", 2.0),
        (2.0, "mm.d-1", "mm day-1", 2.0),
        (0.5, "mm/h", "mm day-1", 12.0),
        (0.5, "mm hr-1", "mm day-1", 12.0),
        (2.0, "mm", "mm day-1", 2.0),
        (2.0, "kg m-2", "mm day-1", 2.0),
        (1 / 86400, "kg m-2 s-1", "mm day-1", 1.0),
        (1 / 86400, "kg/m2/s", "mm day-1", 1.0),
        (1e-8, "m s-1", "mm day-1", 0.864),
        (1.0, "m", "mm day-1", 1000.0),
        (1.0, "inch/day", "mm day-1", 25.4),
        (300.0, "K", "degC", 26.85),
        (300.0, "kelvin", "degC", 26.85),
        (20.0, "celsius", "degC", 20.0),
        (20.0, "°C", "degC", 20.0),
        (68.0, "degF", "degC", 20.0),
        (10.0, "hPa", "Pa", 1000.0),
        (1.0, "W/m2", "W m-2", 1.0),
        (1.0, "km", "m", 1000.0),
        (50.0, "%", "1", 0.5),
        (0.5, "-", "1", 0.5),
    ],
)
def test_conversions(value, given, wanted, expected):
    assert convert(value, given, wanted, "x") == pytest.approx(expected, rel=1e-9)


def test_discharge_needs_the_area():
    assert convert(1.0, "m3/s", "mm day-1", "runoff", area=86.4e6) == pytest.approx(1.0)
    both = convert(np.ones((2, 3)), "m3 s-1", "mm day-1", "runoff", area=np.array([[86.4e6], [43.2e6]]))
    assert both == pytest.approx(np.array([[1.0] * 3, [2.0] * 3]))
    with pytest.raises(UnitError, match="catchment area"):
        convert(1.0, "m3/s", "mm day-1", "runoff")


def test_depth_per_time_step():
    assert convert(1.0, "mm", "mm day-1", "precipitation", step=1 / 24) == pytest.approx(24.0)


@pytest.mark.parametrize("given", ["kg", "degC", "W m-2", "1"])
def test_other_kinds_are_refused(given):
    with pytest.raises(
        UnitError, match=rf"precipitation: found units '{given}', expected 'mm day-1'.*state the true units"
    ):
        convert(1.0, given, "mm day-1", "precipitation")


@pytest.mark.parametrize("given", ["", "  "])
def test_missing_units_are_refused(given):
    with pytest.raises(UnitError, match=r'units = \{ precipitation = "mm day-1" \}'):
        convert(1.0, given, "mm day-1", "precipitation")


def test_nonsense_is_refused():
    with pytest.raises(UnitError, match="'furlongs per moon' is not a unit"):
        convert(1.0, "furlongs per moon", "mm day-1", "precipitation")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mm/day", "mm day-1"),
        ("m3/s", "m3 s-1"),
        ("degC", "degC"),
        ("-", "1"),
        ("W m-2", "W m-2"),
        ("kg m-2 s-1", "kg m-2 s-1"),
    ],
)
def test_cf_spelling(given, expected):
    assert cf(given) == expected
