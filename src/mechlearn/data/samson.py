"""The Samson hyperspectral image: water, trees and soil at the edge of a lake."""

import netCDF4
import numpy as np

from .registry import fetch


def samson() -> np.ndarray:
    """The reflectance (band, row, column), 156 bands from 401 to 889 nm, 95 by 95 pixels, its largest value 1."""
    with netCDF4.Dataset(fetch("samson")) as file:
        file.set_auto_mask(False)  # the largest count stands for the brightest pixel, not for a gap
        cube = np.asarray(file["cube"][:], float)
    return (cube / cube.max()).transpose(2, 0, 1)
