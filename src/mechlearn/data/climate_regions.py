"""Where on the globe a column stands: climate zone, continent, and a fold that keeps neighbours together.

Zones are belts of latitude, continents are boxes that hold some sea, and a fold is drawn for a whole neighbourhood of
some 2,000 km, so that a model tested on one fold has seen no column next door. All are functions of place alone.
"""

import numpy as np
from numpy.typing import ArrayLike

ZONES = {
    "southern polar": (-90.0, -60.0),
    "southern mid-latitudes": (-60.0, -23.5),
    "tropics": (-23.5, 23.5),
    "northern mid-latitudes": (23.5, 60.0),
    "northern polar": (60.0, 90.1),
}
# West, east, south, north in degrees; a place belongs to the first box that holds it.
BOXES = (
    ("south america", -82.0, -34.0, -56.0, 12.0),
    ("north america", -170.0, -52.0, 12.0, 75.0),
    ("europe", -12.0, 45.0, 36.0, 72.0),
    ("africa", -18.0, 35.0, 12.0, 36.0),
    ("africa", -18.0, 52.0, -35.0, 12.0),
    ("asia", 35.0, 145.0, 12.0, 36.0),
    ("asia", 45.0, 180.0, 36.0, 78.0),
    ("asia", 65.0, 150.0, -10.0, 12.0),
)
CONTINENTS = tuple(dict.fromkeys(name for name, *_ in BOXES))
ELSEWHERE = "elsewhere"
NEIGHBOURHOODS = 160


def zone(latitude: ArrayLike) -> np.ndarray:
    """The climate zone of latitudes in degrees, by name.

    >>> zone([-75.0, 3.0, 45.0]).tolist()
    ['southern polar', 'tropics', 'northern mid-latitudes']
    """
    south = np.array([low for low, _ in ZONES.values()])
    return np.array(list(ZONES))[np.searchsorted(south, np.asarray(latitude, float), side="right") - 1]


def continent(latitude: ArrayLike, longitude: ArrayLike) -> np.ndarray:
    """The continent whose box holds a place, or "elsewhere": the oceans, the poles, Australia.

    >>> continent([48.0, -30.0, 0.0], [11.0, 130.0, -150.0]).tolist()
    ['europe', 'elsewhere', 'elsewhere']
    """
    north, east = np.broadcast_arrays(np.asarray(latitude, float), _eastward(longitude))
    found = np.full(north.shape, ELSEWHERE, dtype="<U16")
    for name, west, to, south, top in reversed(BOXES):
        found[(east >= west) & (east < to) & (north >= south) & (north < top)] = name
    return found


def neighbourhood(latitude: ArrayLike, longitude: ArrayLike) -> np.ndarray:
    """The nearest of 160 points spread evenly over the globe (a Fibonacci lattice); a longitude of NaN counts as 0."""
    order = np.arange(NEIGHBOURHOODS) + 0.5
    centres = _on_sphere(np.degrees(np.arcsin(2 * order / NEIGHBOURHOODS - 1)), 360 * order * (np.sqrt(5) - 1) / 2)
    return np.argmax(_on_sphere(latitude, longitude) @ centres.T, axis=-1)


def fold(latitude: ArrayLike, longitude: ArrayLike, *, folds: int = 10, seed: int = 0) -> np.ndarray:
    """The fold of places, 0 to `folds - 1`: one for each neighbourhood, drawn with a seed, equally often.

    >>> here, there = fold([10.0, 10.5], [20.0, 20.5])
    >>> here == there
    np.True_
    """
    drawn = np.random.default_rng(seed).permutation(NEIGHBOURHOODS) % folds
    return drawn[neighbourhood(latitude, longitude)]


def _eastward(longitude: ArrayLike) -> np.ndarray:
    return (np.asarray(longitude, float) + 180.0) % 360.0 - 180.0


def _on_sphere(latitude: ArrayLike, longitude: ArrayLike) -> np.ndarray:
    north, east = np.radians(np.asarray(latitude, float)), np.radians(np.nan_to_num(np.asarray(longitude, float)))
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)
