"""Thermal radiance and temperature: Planck's law at a wavenumber and over the band of a radiometer.

Radiances are in W m-2 sr-1 um-1, temperatures in K, wavenumbers in cm-1. All is written so that single precision,
and gradients of anything, zeros and negative radiances included, stay finite.
"""

from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from .spectral_bands import SpectralBand, band

FIRST = 1.191042972e8  # 2 h c^2, W m-2 sr-1 um4
SECOND = 14387.76877  # h c / k, um K


def spectral_radiance(wavenumber: ArrayLike, temperature: ArrayLike) -> Array:
    """The radiance of a black body: `B = c1 / (lambda^5 (exp(c2 / (lambda T)) - 1))`.

    >>> round(float(spectral_radiance(1000.0, 300.0)), 3)
    9.924
    """
    per_micrometre = jnp.asarray(wavenumber) * 1e-4
    exponent = SECOND * per_micrometre / jnp.maximum(temperature, 1.0)
    return FIRST * per_micrometre**5 * jnp.exp(-exponent) / -jnp.expm1(-exponent)


def spectral_temperature(wavenumber: ArrayLike, radiance: ArrayLike) -> Array:
    """The temperature of a black body that radiates so much: the inverse of `spectral_radiance`.

    A radiance of 0 or less is bent to one that is hardly more than 0 (`bent`).

        >>> round(float(spectral_temperature(1000.0, 9.924)), 2)
        300.0
    """
    per_micrometre = jnp.asarray(wavenumber) * 1e-4
    shining = bent(radiance, 0.0, 0.01)
    return SECOND * per_micrometre / jnp.log1p(FIRST * per_micrometre**5 / shining)


def bent(value: ArrayLike, least: float, width: float) -> Array:
    """The value, bent smoothly to stay above the least: `least + (d + sqrt(d^2 + w^2)) / 2`, d = value - least.

    Where it makes sense it is changed by w^2 / 4d; far below, its slope fades slowly and never dies.

        >>> round(float(bent(0.7, 0.02, 0.003)), 5), bool(bent(-100.0, 0.02, 0.003) >= 0.02)
        (0.7, True)
    """
    above = jnp.asarray(value) - least
    root = jnp.sqrt(above**2 + width**2)
    below = above < 0
    # The same number in two forms, as the sum cancels below.
    faint = 0.5 * width**2 / jnp.where(below, root - above, 1.0)
    return least + jnp.where(below, faint, 0.5 * (above + root))


def band_radiance(name: str | SpectralBand, temperature: ArrayLike) -> Array:
    """The radiance of a black body in a band, by an equivalent wavenumber: `B(nu_c, a + b T)`.

    The three numbers are fitted to the integral over the band's response between 180 and 360 K, as satellite
    agencies do; `equivalent(band)` holds the error of the fit.

        >>> round(float(band_radiance("landsat8_tirs10", 300.0)), 3)
        9.614
    """
    nu, offset, slope, _ = equivalent(name)
    return spectral_radiance(nu, offset + slope * jnp.asarray(temperature))


def brightness_temperature(name: str | SpectralBand, radiance: ArrayLike) -> Array:
    """The temperature of the black body that gives this radiance in a band: the exact inverse of `band_radiance`.

    >>> round(float(brightness_temperature("landsat8_tirs10", band_radiance("landsat8_tirs10", 290.0))), 3)
    290.0
    """
    nu, offset, slope, _ = equivalent(name)
    return (spectral_temperature(nu, radiance) - offset) / slope


@cache
def equivalent(name: str | SpectralBand) -> tuple[float, float, float, float]:
    """A band as one wavenumber: wavenumber (cm-1), offset a (K), slope b, greatest error of the fit (K)."""
    chosen = band(name)
    nu, weight = np.asarray(chosen.wavenumber) * 1e-4, np.asarray(chosen.weight)
    temperature = np.linspace(180.0, 360.0, 91)
    radiance = (FIRST * nu**5 / np.expm1(SECOND * nu / temperature[:, None])) @ weight
    centres = np.dot(weight, nu) * np.linspace(0.99, 1.01, 161)
    return min((_fit(centre, temperature, radiance) for centre in centres), key=lambda found: found[-1])


def _fit(nu: float, temperature: np.ndarray, radiance: np.ndarray) -> tuple[float, float, float, float]:
    single = SECOND * nu / np.log1p(FIRST * nu**5 / radiance)
    slope, offset = (float(value) for value in np.polyfit(temperature, single, 1))
    error: Any = np.max(np.abs((single - offset) / slope - temperature))
    return float(nu * 1e4), offset, slope, float(error)
