"""Emissivities of natural surfaces in thermal bands: mixtures of a few materials, alike in neighbouring bands."""

from collections.abc import Sequence

import numpy as np

from ..spectral_bands import band

WAVELENGTH = (8.3, 8.6, 9.1, 10.6, 11.0, 12.0)  # um
# Rounded values typical of each material in the spectra of Salisbury & D'Aria (1992), not read off any one sample.
MATERIALS = {
    "vegetation": (0.982, 0.982, 0.982, 0.982, 0.983, 0.984),
    "water": (0.983, 0.984, 0.986, 0.992, 0.992, 0.987),
    "soil": (0.955, 0.960, 0.962, 0.967, 0.970, 0.977),
    "quartz sand": (0.780, 0.760, 0.720, 0.945, 0.955, 0.968),
    "rock": (0.950, 0.945, 0.925, 0.935, 0.955, 0.968),
}
CONCENTRATION = (1.2, 0.4, 0.8, 0.4, 0.3)  # of the Dirichlet distribution of shares: few surfaces hold all materials
ROUGHNESS = 0.003  # standard deviation of what no mixture tells, in each band by itself


def natural_emissivities(bands: Sequence[str], shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Draw emissivities (..., band): a mixture of vegetation, water, soil, quartz sand and rock for each surface.

    Shares are drawn from a Dirichlet distribution; each band adds an error of 0.003 of its own. Near 11 and 12
    micrometres surfaces differ little, and near 8.6 as much as they hold quartz.

    Salisbury & D'Aria (1992), doi:10.1016/0034-4257(92)90092-X, for the size of the numbers.

        >>> drawn = natural_emissivities(["modis29", "modis31"], (500,), np.random.default_rng(0))
        >>> drawn.shape, bool(drawn[:, 0].std() > 3 * drawn[:, 1].std())
        ((500, 2), True)
    """
    spectra = np.array(list(MATERIALS.values()))
    pure = np.stack([[np.interp(_centre(name), WAVELENGTH, one) for one in spectra] for name in bands], axis=-1)
    mixed = draw.dirichlet(CONCENTRATION, shape) @ pure
    return np.clip(mixed + draw.normal(0, ROUGHNESS, mixed.shape), 0.6, 0.998)


def _centre(name: str) -> float:
    """The mean wavelength (um) of a band."""
    chosen = band(name)
    return float(np.average(1e4 / np.array(chosen.wavenumber), weights=chosen.weight))
