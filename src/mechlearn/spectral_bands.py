"""Bands of thermal-infrared radiometers: the share of each wavenumber in what a band measures."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

SPACING = 5.0  # cm-1
COVERED = (700.0, 1300.0)  # cm-1


@dataclass(frozen=True)
class SpectralBand:
    """A band of a radiometer: wavenumbers (cm-1, every 5) and their shares in the band's radiance, which sum to 1.

    Raises `ValueError` for wavenumbers off the grid of 5 cm-1 from 700 to 1300, or shares that do not sum to 1.
    """

    name: str
    wavenumber: tuple[float, ...]
    weight: tuple[float, ...]

    def __post_init__(self) -> None:
        on_grid = all(nu % SPACING == 0 and COVERED[0] <= nu <= COVERED[1] for nu in self.wavenumber)
        if not on_grid or len(self.wavenumber) != len(self.weight):
            raise ValueError(
                f"band {self.name}: wavenumbers must be multiples of 5 from 700 to 1300 cm-1, one weight each; "
                "build a band of your own with spectral_bands.from_response"
            )
        if min(self.weight) < 0 or abs(sum(self.weight) - 1) > 1e-3:
            raise ValueError(f"band {self.name}: weights must be positive and sum to 1, they sum to {sum(self.weight)}")


@cache
def _table() -> dict[str, SpectralBand]:
    text = Path(__file__).with_suffix(".csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in text if not line.startswith("#")))
    names = dict.fromkeys(row["band"] for row in rows)
    chosen = {name: [row for row in rows if row["band"] == name] for name in names}
    return {
        name: SpectralBand(
            name, tuple(float(row["wavenumber"]) for row in found), tuple(float(row["weight"]) for row in found)
        )
        for name, found in chosen.items()
    }


def band_names() -> tuple[str, ...]:
    """The bands that are known by name.

    >>> "landsat8_tirs10" in band_names()
    True
    """
    return tuple(sorted(_table()))


def band(name: str | SpectralBand) -> SpectralBand:
    """The band of a name, or of a file of your sensor's response; a `SpectralBand` is handed back as it is.

    A file ends in .csv and has columns `wavelength` (micrometres) and `response`.

    Raises `ValueError` for a name that is not known, with those that are, or a file that cannot be read.

        >>> len(band("landsat8_tirs10").wavenumber) > 20
        True
    """
    if isinstance(name, SpectralBand):
        return name
    if name.endswith(".csv"):
        return from_file(name)
    if name not in _table():
        raise ValueError(
            f"unknown band {name!r}; known are {', '.join(band_names())}. "
            "Give your own sensor's response as a file .csv with the columns wavelength (um) and response"
        )
    return _table()[name]


@cache
def from_file(path: str) -> SpectralBand:
    """The band of a sensor whose response stands in a file of two columns, `wavelength` (micrometres) and `response`.

    Raises `ValueError` for a file that is not there or has other columns.
    """
    try:
        lines = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        rows = sorted((float(row["wavelength"]), float(row["response"])) for row in csv.DictReader(lines))
    except (OSError, KeyError, TypeError, ValueError) as trouble:
        raise ValueError(
            f"the band {path!r} cannot be read ({type(trouble).__name__}: {trouble}); a response is a file with the "
            "header wavelength,response and a number of micrometres and a response in each line"
        ) from trouble
    return from_response(Path(path).stem, *zip(*rows, strict=True))


def from_response(name: str, wavelength, response) -> SpectralBand:
    """The band of a sensor with a measured relative response, given over wavelength in micrometres.

    Between the wavenumbers of the grid a radiance is taken as a straight line, so that each wavelength is shared by
    its two neighbours; less than a thousandth of the greatest share is left out.

    Raises `ValueError` for wavelengths that do not rise, are not in micrometres, or leave the covered 7.7 to 14.2.

        >>> round(float(np.dot(*(lambda b: (b.wavenumber, b.weight))(from_response("narrow", [10, 11], [1, 1])))))
        953
    """
    wavelength, response = np.asarray(wavelength, float), np.asarray(response, float)
    rising = wavelength.ndim == 1 and wavelength.shape == response.shape and bool(np.all(np.diff(wavelength) > 0))
    if not rising or not np.all(np.isfinite(response)):
        raise ValueError(f"band {name}: wavelength must rise, with one finite response for each")
    inside = response > 1e-3 * response.max()
    low, high = 1e4 / COVERED[1], 1e4 / COVERED[0]
    if wavelength[inside].min() < low or wavelength[inside].max() > high:
        raise ValueError(
            f"band {name}: its response reaches from {wavelength[inside].min():g} to {wavelength[inside].max():g}; "
            f"absorption is tabulated from {low:.2f} to {high:.2f} micrometres (are these nanometres?)"
        )
    fine = np.arange(max(wavelength[0], low), min(wavelength[-1], high), 0.001)
    share = _shares(fine, np.clip(np.interp(fine, wavelength, response), 0, None))
    grid = np.arange(COVERED[0], COVERED[1] + 1, SPACING)
    kept = share > 1e-3 * share.max()
    weight = share[kept] / share[kept].sum()
    return SpectralBand(name, tuple(grid[kept].tolist()), tuple(weight.tolist()))


def _shares(wavelength: np.ndarray, response: np.ndarray) -> np.ndarray:
    count = int((COVERED[1] - COVERED[0]) / SPACING) + 1
    place = np.clip((1e4 / wavelength - COVERED[0]) / SPACING, 0, count - 1)
    low = np.minimum(place.astype(int), count - 2)
    share = np.zeros(count)
    np.add.at(share, low, response * (1 - (place - low)))
    np.add.at(share, low + 1, response * (place - low))
    return share
