"""Soundings of the atmosphere: what a profile must be, what it holds, and the standard atmosphere."""

from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

GRAVITY = 9.80665  # m s-2
DRY_AIR = 287.05  # J kg-1 K-1
EARTH_RADIUS = 6.371e6  # m
WATER_TO_AIR = 18.015 / 28.964  # ratio of molar masses


def check_profile(
    air_pressure: Any, temperature: Any, specific_humidity: Any, ozone: Any = None, *, where: str = "profile"
) -> None:
    """Refuse a profile that is upside down, in other units, or impossible; (..., level) arrays, surface first.

    Raises `ValueError` with what was expected, what came and what to do; nothing is raised inside compiled code, so
    that readers call this where data enter.

        >>> check_profile([1e5, 5e4], [290.0, 250.0], [0.01, 0.001])
        >>> check_profile([5e4, 1e5], [250.0, 290.0], [0.001, 0.01])
        Traceback (most recent call last):
        ValueError: profile: air_pressure must fall from the surface (first level) upwards; this one is upside down: ...
    """
    given = {"air_pressure": air_pressure, "air_temperature": temperature, "specific_humidity": specific_humidity}
    given |= {} if ozone is None else {"ozone": ozone}
    values = {name: np.asarray(value, float) for name, value in given.items()}
    levels = {name: value.shape[-1:] for name, value in values.items()}
    if len(set(levels.values())) > 1 or levels["air_pressure"] in ((), (1,)):
        raise ValueError(f"{where}: all need the same two or more levels on the last axis, they have {levels}")
    for name, value in values.items():
        if not np.all(np.isfinite(value)):
            raise ValueError(f"{where}: {name} has gaps; fill them or leave the profile out")
    for complaint in _complaints(values):
        raise ValueError(f"{where}: {complaint}")


def _complaints(values: dict[str, np.ndarray]):
    pressure, temperature = values["air_pressure"], values["air_temperature"]
    humidity, ozone = values["specific_humidity"], values.get("ozone", np.zeros(1))
    if np.any(np.diff(pressure) > 0):
        upside_down = bool(np.all(pressure[..., 0] < pressure[..., -1]))
        remedy = "this one is upside down: reverse all its levels" if upside_down else "sort its levels"
        yield f"air_pressure must fall from the surface (first level) upwards; {remedy}"
    if np.any(pressure[..., 0] < 3e4) or np.any(pressure <= 0) or np.any(pressure > 1.2e5):
        found = f"it spans {pressure.min():g} to {pressure.max():g}"
        yield f"air_pressure is needed in Pa, with the surface between 30000 and 120000, {found} (is it in hPa?)"
    if np.any(temperature < 130) or np.any(temperature > 360):
        found = f"{temperature.min():g} to {temperature.max():g}"
        yield f"air_temperature is needed in K, between 130 and 360, it spans {found} (is it in degC?)"
    if np.any(humidity < 0):
        yield f"specific_humidity is negative, {humidity.min():g}; set what noise made negative to 0"
    if np.any(humidity > 0.06):
        yield f"specific_humidity is needed in kg kg-1, at most 0.06, it reaches {humidity.max():g} (is it in g kg-1?)"
    if np.any(ozone < 0) or np.any(ozone > 3e-5):
        found = f"{ozone.min():g} to {ozone.max():g}"
        yield f"ozone is needed as a mole fraction, 0 to 3e-5, it spans {found} (is it in 1e-6, or a mass?)"


def water_vapour_column(air_pressure: ArrayLike, specific_humidity: ArrayLike) -> Array:
    """The water vapour above a square metre, in kg m-2 (10 kg m-2 are 1 g cm-2): the sum of `q dp / g`.

    Between levels `q p` is taken as a power of p. Profiles (..., level), surface first.

        >>> round(float(water_vapour_column(jnp.array([1e5, 5e4]), jnp.array([0.01, 0.0025]))), 1)
        29.7
    """
    pressure = jnp.maximum(jnp.asarray(air_pressure), 1e-3)
    log = jnp.log(pressure)
    vapour = log_mean(log + jnp.log(jnp.maximum(specific_humidity, 1e-9)))
    return jnp.sum(vapour * (log[..., :-1] - log[..., 1:]), axis=-1) / GRAVITY


def log_mean(log: Array) -> Array:
    """The mean over each layer of what is exponential between its levels (..., level), from its logarithm there."""
    middle, half = 0.5 * (log[..., 1:] + log[..., :-1]), 0.5 * (log[..., 1:] - log[..., :-1])
    small = jnp.abs(half) < 0.05
    safe = jnp.where(small, 1.0, half)
    return jnp.exp(middle) * jnp.where(small, 1 + half**2 / 6 + half**4 / 120, jnp.sinh(safe) / safe)


def thickness(air_pressure: Array, temperature: Array, specific_humidity: Array) -> Array:
    """The thickness of each layer between levels, in m: hydrostatic, gravity falling with height.

    `dz = R_d T_v / g ln(p_1 / p_2)`, T_v the mean virtual temperature. Levels of equal pressure have nothing between.
    """
    virtual = temperature * (1 + (1 / WATER_TO_AIR - 1) * specific_humidity)
    log = jnp.log(jnp.maximum(air_pressure, 1e-3))
    geopotential = DRY_AIR / GRAVITY * 0.5 * (virtual[1:] + virtual[:-1]) * (log[:-1] - log[1:])
    middle = jnp.cumsum(geopotential) - 0.5 * geopotential
    return geopotential * (1 + 2 * middle / EARTH_RADIUS)


@cache
def standard_atmosphere() -> dict[str, np.ndarray]:
    """The US standard atmosphere to 95 km: altitude (km), air_pressure (Pa), air_temperature (K), gases (1e-6).

    Anderson and others (1986), AFGL-TR-86-0110.

        >>> sorted(standard_atmosphere())[:3]
        ['air_pressure', 'air_temperature', 'altitude']
    """
    lines = Path(__file__).with_name("standard_atmosphere.csv").read_text(encoding="utf-8").splitlines()
    names, *rows = [line.split(",") for line in lines if not line.startswith("#")]
    return dict(zip(names, np.asarray(rows, float).T, strict=True))


GASES = ("ozone", "nitrous_oxide", "methane", "ammonia", "nitric_acid", "sulphur_dioxide", "nitrogen_dioxide")


def climatological(air_pressure: ArrayLike) -> dict[str, Array]:
    """The gases of the standard atmosphere at these pressures, in 1e-6 of moles, linear in ln p.

    >>> round(float(climatological(1013e2)["nitrous_oxide"]), 2)
    0.32
    """
    standard = standard_atmosphere()
    log = jnp.log(jnp.maximum(air_pressure, 1e-3))
    count = len(standard["air_pressure"])
    place = jnp.interp(-log, -np.log(standard["air_pressure"]), np.arange(count))
    low = jnp.clip(jnp.floor(place).astype(int), 0, count - 2)
    table = jnp.asarray(np.stack([standard[gas] for gas in GASES]), place.dtype)
    mole = table[:, low] * (1 - (place - low)) + table[:, low + 1] * (place - low)
    return dict(zip(GASES, mole, strict=True))


def climatological_ozone(air_pressure: ArrayLike) -> Array:
    """The mole fraction (1) of ozone of the standard atmosphere at these pressures.

    >>> round(1e6 * float(climatological_ozone(1e3)), 1)
    6.9
    """
    return 1e-6 * climatological(air_pressure)["ozone"]
