"""How a field's variance is shared among its scales, and how far two such shares are apart."""

import numpy as np
from numpy.typing import ArrayLike


def isotropic_spectrum(field: ArrayLike) -> np.ndarray:
    """The variance of a periodic field (..., n, n) by wavenumber, summed over all directions: (..., n / 2).

    `E(k) = sum of |f_hat|²` over waves whose number, of waves along the square, rounds to k = 1 .. n/2; those in the
    corners of the plane of wavenumbers, beyond n/2, are left out, and so is the mean.

        >>> y, x = np.mgrid[:16, :16] * 2 * np.pi / 16
        >>> isotropic_spectrum(np.cos(3 * x) + 2 * np.sin(y)).round(6).tolist()
        [2.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    values = np.asarray(field)
    size = values.shape[-1]
    power = np.abs(np.fft.fft2(values) / size**2) ** 2
    number = np.fft.fftfreq(size, 1 / size)
    ring = np.rint(np.hypot(number[:, None], number[None, :])).astype(int)
    rings = [(ring == k).ravel() for k in range(1, size // 2 + 1)]
    flat = power.reshape(*power.shape[:-2], -1)
    return np.stack([flat[..., one].sum(axis=-1) for one in rings], axis=-1)


def spectral_error(simulated: ArrayLike, observed: ArrayLike) -> float:
    """By how much of all variance two spectra (..., k) differ: `sum |E - E_obs| / sum E_obs`, the mean over the rest.

    Infinite where the simulation has no numbers.

        >>> spectral_error([1.0, 3.0], [2.0, 2.0])
        0.5
    """
    simulated, observed = np.asarray(simulated, float), np.asarray(observed, float)
    if not np.all(np.isfinite(simulated)):
        return float("inf")
    return float(np.mean(np.abs(simulated - observed).sum(axis=-1) / observed.sum(axis=-1)))
