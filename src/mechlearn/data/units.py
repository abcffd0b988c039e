"""Units are converted here, where data enter, and nowhere else: the only door to pint."""

import functools
import re

import numpy as np
import pint

WATER_DENSITY = 1000.0  # kg m-3, so that 1 kg m-2 is 1 mm

_registry = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
_spellings = {
    "°c": "degC", "c": "degC", "celsius": "degC", "deg_c": "degC", "degc": "degC", "degrees_c": "degC",
    "degree_celsius": "degC", "degrees_celsius": "degC", "deg c": "degC", "degrees celsius": "degC",
    "k": "K", "kelvin": "K", "degk": "K",
    "cfs": "ft**3/s", "cms": "m**3/s", "%": "percent", "-": "", "none": "", "fraction": "",
}  # fmt: skip
_short = {"d": "day", "a": "year", "Δ°C": "degC", "°C": "degC", "l": "L"}


class DataError(ValueError):
    """Data that cannot be used: what was found, what was expected, what to do."""


class UnitError(ValueError):
    """Units that are missing, unknown, or of another kind than the variable needs."""


def convert(values, given: str, wanted: str, name: str, *, area=None, step: float = 1.0) -> np.ndarray:
    """Convert values to the units a variable is wanted in.

    Water fluxes (wanted as length per time) are also taken as a depth per time step (`step` in
    days), as mass per area (1 kg m-2 = 1 mm), and as a discharge when the catchment's `area` in
    m2 is given: `q = Q / A`.

    Raises `UnitError` naming the variable, what was found, what was expected and what to do.

        >>> float(convert(0.5, "mm/h", "mm day-1", "precipitation"))
        12.0
        >>> round(float(convert(300.0, "K", "degC", "air_temperature")), 2)
        26.85
    """
    if not given or not given.strip():
        raise UnitError(
            f"{name}: the data state no units; expected {wanted!r} or what converts to it. "
            f'State them in the experiment file: units = {{ {name} = "{wanted}" }}'
        )
    values = np.asarray(values)
    if given == wanted:
        return values
    have, want = _parse(given, name, wanted), _parse(wanted, name, wanted)
    factor = _water(have, want, name, given, wanted, area, step)
    try:
        return _registry.Quantity(values * factor.magnitude, have * factor.units).to(want).magnitude
    except pint.DimensionalityError as trouble:
        raise UnitError(_refusal(name, given, wanted)) from trouble


def cf(units: str) -> str:
    """Write units the CF way.

    >>> cf("mm/d"), cf("W/m**2"), cf("m^3 s^-1")
    ('mm day-1', 'W m-2', 'm3 s-1')
    """
    parsed = _parse(units, "units", "CF units")
    parts = []
    for name, power in _in_order(parsed):
        symbol = f"{_registry.Unit(name):~}"
        shown = f"{power:g}" if power != 1 else ""
        parts.append(f"{_short.get(symbol, symbol)}{shown}")
    return " ".join(parts) or "1"


def _in_order(parsed: pint.Unit) -> list[tuple[str, float]]:
    powers = [(name, float(power)) for name, power in parsed._units.items()]  # pyright: ignore[reportArgumentType]
    return sorted(powers, key=lambda item: (item[1] < 0, item[0] == "second", item[0]))


@functools.cache
def _parse(units: str, name: str, wanted: str) -> pint.Unit:
    text = _spellings.get(units.strip().lower(), units.strip())
    text = re.sub(r"(?<=[A-Za-z])\s*\^?\*?\*?\s*\(?(-?\d+)\)?", r"**\1", text)
    text = re.sub(r"\s*([*/])\s*", r"\1", text).replace("·", "*")
    text = re.sub(r"(?<=\w)\.(?=[A-Za-z])|\s+", "*", text)
    try:
        return _registry.Unit(text)
    except Exception as trouble:  # pint raises a dozen kinds on text that is no unit
        raise UnitError(
            f"{name}: {units!r} is not a unit known here; expected {wanted!r} or what converts to it"
        ) from trouble


def _water(have: pint.Unit, want: pint.Unit, name: str, given: str, wanted: str, area, step: float) -> pint.Quantity:
    one = _registry.Quantity(1.0)
    if want.dimensionality != {"[length]": 1, "[time]": -1} or have.dimensionality == want.dimensionality:
        return one
    per_step = _registry.Quantity(1 / step, "1/day")
    volume = _registry.Quantity(1 / WATER_DENSITY, "m**3/kg")
    rules = {
        "[length]": per_step,
        "[mass] / [length] ** 2 / [time]": volume,
        "[mass] / [length] ** 2": volume * per_step,
    }
    for kind, factor in rules.items():
        if have.dimensionality == _registry.get_dimensionality(kind):
            return factor
    if have.dimensionality == _registry.get_dimensionality("[length] ** 3 / [time]"):
        if area is None:
            raise UnitError(
                f"{name}: found a discharge in {given!r}, expected {wanted!r}; give the catchment area "
                f'(area = "name of a static field"), or divide by it first'
            )
        return _registry.Quantity(1.0 / np.asarray(area, dtype=float), "1/m**2")
    return one


def _refusal(name: str, given: str, wanted: str) -> str:
    return (
        f"{name}: found units {given!r}, expected {wanted!r} or what converts to it; "
        f'correct the data, or, if the file is mislabelled, state the true units: units = {{ {name} = "{wanted}" }}'
    )
