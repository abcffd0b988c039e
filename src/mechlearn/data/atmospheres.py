"""Atmospheric profiles from the ground up: what a radiative transfer needs, checked at the door.

Arrays are (profile, level), the first level at the ground: pressure in Pa, temperature in K, specific humidity in kg
kg-1, ozone as a mole fraction. What a source does not tell is NaN for the quantities of a whole column, never guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from .fields import DataError

GRAVITY = 9.80665  # m s-2
GAS_CONSTANT_DRY_AIR = 287.0597  # J kg-1 K-1
MOLAR_MASS_RATIO = 18.01528 / 28.9647  # of water and dry air
LIMITS = {"temperature": (130.0, 345.0), "specific_humidity": (0.0, 0.06), "ozone": (0.0, 3e-5)}
HIGHEST_SATURATION = 1.3
LEVELS = 40
# Pressure over that at the ground: steps of 200 m there, of 2 km at the top, which is at 1 hPa.
SIGMA = np.exp(-6.9 * np.linspace(0, 1, LEVELS) ** 1.6)


@dataclass(frozen=True)
class Atmospheres:
    """A batch of clear-sky columns on levels that are counted from the ground.

    `pressure` (Pa, falling), `temperature` (K), `specific_humidity` (kg kg-1) and `ozone` (mole fraction) are (profile,
    level). One number a profile, NaN where unknown: `latitude`, `longitude` (degrees), `elevation` of the ground (m),
    `surface_temperature` (K, of the skin), `condensate` (cloud water and ice, kg m-2). `source` says whence they are.

    Raises `DataError`, naming the profile and the level, for a gap, a profile upside down, temperatures, humidities or
    ozone out of bounds, or air supersaturated by more than 30 %.

        >>> column = Atmospheres([[1e5, 5e4]], [[288.0, 252.0]], [[8e-3, 1e-3]], [[3e-8, 5e-8]], source="by hand")
        >>> round(float(column.water()[0]), 1)
        19.1
    """

    pressure: np.ndarray
    temperature: np.ndarray
    specific_humidity: np.ndarray
    ozone: np.ndarray
    latitude: np.ndarray = None  # type: ignore[assignment]
    longitude: np.ndarray = None  # type: ignore[assignment]
    elevation: np.ndarray = None  # type: ignore[assignment]
    surface_temperature: np.ndarray = None  # type: ignore[assignment]
    condensate: np.ndarray = None  # type: ignore[assignment]
    source: str = ""

    def __post_init__(self) -> None:
        shape = np.shape(self.pressure)
        for name in PROFILES:
            object.__setattr__(self, name, _of_shape(name, getattr(self, name), shape))
        for name in COLUMNS:
            given = getattr(self, name)
            values = np.full(shape[:1], np.nan) if given is None else _of_shape(name, given, shape[:1])
            object.__setattr__(self, name, values)
        check(self)

    def __len__(self) -> int:
        return len(self.pressure)

    def profiles(self) -> dict[str, np.ndarray]:
        """The profiles by the names that `radiation.thermal` reads them by, (profile, level)."""
        return {MODEL_NAMES[name]: getattr(self, name) for name in PROFILES}

    def take(self, which: ArrayLike) -> "Atmospheres":
        """Some of the profiles, by number or by a mask."""
        return replace(self, **{name: getattr(self, name)[np.asarray(which)] for name in (*PROFILES, *COLUMNS)})

    def levels(self, which: ArrayLike) -> "Atmospheres":
        """The same columns on some of their levels."""
        return replace(self, **{name: getattr(self, name)[:, np.asarray(which)] for name in PROFILES})

    def water(self) -> np.ndarray:
        """The column's water vapour in kg m-2 (10 kg m-2 are 1 g cm-2): the integral of `q dp / g`.

        Between levels `q p` is a power of p, as in `soundings.water_vapour_column`.
        """
        log = np.log(self.pressure)
        vapour = np.log(np.maximum(self.specific_humidity, 1e-9)) + log
        middle, half = 0.5 * (vapour[:, 1:] + vapour[:, :-1]), 0.5 * np.diff(vapour, axis=1)
        mean = np.exp(middle) * np.sinh(half) / np.where(half == 0, 1.0, half)
        return -np.sum(np.where(half == 0, np.exp(middle), mean) * np.diff(log, axis=1), axis=1) / GRAVITY

    def height(self) -> np.ndarray:
        """The height of each level above the ground in m, of air in hydrostatic balance."""
        virtual = self.temperature * (1 + (1 / MOLAR_MASS_RATIO - 1) * self.specific_humidity)
        steps = 0.5 * (virtual[:, 1:] + virtual[:, :-1]) * -np.diff(np.log(self.pressure), axis=1)
        climbed = np.cumsum(GAS_CONSTANT_DRY_AIR / GRAVITY * steps, axis=1)
        return np.concatenate([np.zeros((len(self), 1)), climbed], axis=1)

    def relative_humidity(self) -> np.ndarray:
        """The vapour pressure over that of saturation, over water, over ice, or between (a fraction)."""
        return vapour_pressure(self.pressure, self.specific_humidity) / saturation(self.temperature)

    def on_levels(self, sigma: ArrayLike = SIGMA, ground: ArrayLike | None = None) -> "Atmospheres":
        """The same columns on other levels, given as pressure over the pressure at the ground, from 1 downwards.

        Temperature, ln humidity and ln ozone are linear in ln pressure; above the top they stay as they are there.
        With `ground`, a pressure a profile in Pa, the columns begin there.
        """
        bottom = self.pressure[:, 0] if ground is None else np.asarray(ground, float)
        pressure = bottom[:, None] * np.asarray(sigma, float)
        return replace(
            self,
            pressure=pressure,
            temperature=between(pressure, self.pressure, self.temperature),
            specific_humidity=np.exp(
                between(pressure, self.pressure, np.log(np.maximum(self.specific_humidity, 1e-9)))
            ),
            ozone=np.exp(between(pressure, self.pressure, np.log(np.maximum(self.ozone, 1e-12)))),
        )


PROFILES = ("pressure", *LIMITS)
MODEL_NAMES = {
    "pressure": "air_pressure",
    "temperature": "air_temperature_profile",
    "specific_humidity": "specific_humidity",
    "ozone": "mole_fraction_of_ozone_in_air",
}
COLUMNS = tuple(field.name for field in fields(Atmospheres) if field.name not in (*PROFILES, "source"))


def join(parts: Sequence[Atmospheres]) -> Atmospheres:
    """Several batches as one; they must have the same number of levels.

    Raises `DataError` where they have not, or there are none.
    """
    levels = {part.pressure.shape[1] for part in parts}
    if len(levels) != 1:
        raise DataError(f"profiles of {sorted(levels)} levels do not join; bring them to one grid with .on_levels()")
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in (*PROFILES, *COLUMNS)}
    return Atmospheres(**whole, source="; ".join(dict.fromkeys(part.source for part in parts)))


def check(atmospheres: Atmospheres) -> None:
    """Refuse profiles that are no atmosphere.

    Raises `DataError` with the first profile and level at fault, what is there and what is expected.
    """
    for name in PROFILES:
        values = getattr(atmospheres, name)
        _refuse(~np.isfinite(values), name, values, "a number at every level; fill gaps or leave the profile out")
    rising = np.diff(atmospheres.pressure, axis=1, append=-np.inf) >= 0
    upside_down = "pressure that falls from level to level; order the levels from the ground up (reverse them?)"
    _refuse(rising, "pressure", atmospheres.pressure, upside_down)
    _refuse(atmospheres.pressure <= 0, "pressure", atmospheres.pressure, "a positive pressure in Pa")
    _refuse(
        atmospheres.pressure[:, :1] < 3e4, "pressure", atmospheres.pressure, "at least 30 000 Pa at the ground: Pa?"
    )
    for name, (low, high) in LIMITS.items():
        values = getattr(atmospheres, name)
        units = {"temperature": "K", "specific_humidity": "kg kg-1", "ozone": "mole fraction"}[name]
        _refuse((values < low) | (values > high), name, values, f"a value in [{low:g}, {high:g}] ({units})")
    moist = vapour_pressure(atmospheres.pressure, atmospheres.specific_humidity) / saturation_over_water(
        atmospheres.temperature
    )
    expected = f"at most {HIGHEST_SATURATION:g} of saturation over water; is humidity in kg kg-1 and temperature in K?"
    _refuse(moist > HIGHEST_SATURATION, "relative humidity", moist, expected)


def check_hydrostatic(atmospheres: Atmospheres, height: ArrayLike, tolerance: float = 0.12) -> None:
    """Refuse profiles whose given heights (m, profile by level) do not fit their pressures and temperatures.

    Raises `DataError` where a layer's thickness is off by more than the tolerance and 20 m.
    """
    given, expected = np.diff(np.asarray(height, float), axis=1), np.diff(atmospheres.height(), axis=1)
    off = np.abs(given - expected)
    wrong = (off > tolerance * expected) & (off > 20.0)
    _refuse(wrong, "thickness", given, "a layer as thick as hydrostatic air of its temperature")


def vapour_pressure(pressure: ArrayLike, specific_humidity: ArrayLike) -> np.ndarray:
    """The partial pressure of water vapour, in Pa: `e = p q / (0.622 + 0.378 q)`."""
    q = np.asarray(specific_humidity, float)
    return np.asarray(pressure, float) * q / (MOLAR_MASS_RATIO + (1 - MOLAR_MASS_RATIO) * q)


def humidity_of(pressure: ArrayLike, vapour: ArrayLike) -> np.ndarray:
    """The specific humidity of air with a vapour pressure in Pa: the inverse of `vapour_pressure`."""
    p, e = np.asarray(pressure, float), np.asarray(vapour, float)
    return MOLAR_MASS_RATIO * e / (p - (1 - MOLAR_MASS_RATIO) * e)


def saturation_over_water(temperature: ArrayLike) -> np.ndarray:
    """The pressure of vapour over (supercooled) water of a temperature in K, in Pa.

    Murphy & Koop (2005), doi:10.1256/qj.04.94, equation 10.

    >>> round(float(saturation_over_water(273.15)), 1)
    611.2
    """
    t = np.asarray(temperature, float)
    cold = 53.878 - 1331.22 / t - 9.44523 * np.log(t) + 0.014025 * t
    return np.exp(54.842763 - 6763.22 / t - 4.21 * np.log(t) + 0.000367 * t + np.tanh(0.0415 * (t - 218.8)) * cold)


def saturation_over_ice(temperature: ArrayLike) -> np.ndarray:
    """The pressure of vapour over ice of a temperature in K, in Pa: Murphy & Koop (2005), equation 7."""
    t = np.asarray(temperature, float)
    return np.exp(9.550426 - 5723.265 / t + 3.53068 * np.log(t) - 0.00728332 * t)


def saturation(temperature: ArrayLike) -> np.ndarray:
    """The pressure of saturated vapour in Pa: over water above 0 degC, over ice below -23 degC, between them mixed.

    The weight of water is `((T - 250.16) / 23)^2`, as in ECMWF's model (IFS documentation, part IV, section 7.4.2).
    """
    t = np.asarray(temperature, float)
    water = np.clip((t - 250.16) / 23.0, 0, 1) ** 2
    return water * saturation_over_water(t) + (1 - water) * saturation_over_ice(np.minimum(t, 273.16))


def between(pressure: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of each profile at other pressures, linear in ln pressure, constant beyond its ends."""
    x, xp = -np.log(pressure), -np.log(known)
    return np.stack([np.interp(*row) for row in zip(x, xp, values, strict=True)])


def _of_shape(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    array = np.ma.filled(np.ma.asarray(values, float), np.nan)
    if array.shape != shape or not shape:
        raise DataError(f"{name} has shape {array.shape}, expected {shape}: (profile, level), or one value a profile")
    return array


def _refuse(wrong: np.ndarray, name: str, values: np.ndarray, expected: str) -> None:
    if not wrong.any():
        return
    profile, level = (int(place) for place in np.argwhere(wrong)[0])
    raise DataError(
        f"{name} of profile {profile}, level {level} (0 is at the ground) is {values[profile, level]:.4g}; "
        f"expected {expected} ({int(wrong.any(axis=1).sum())} of {len(wrong)} profiles are at fault)"
    )
