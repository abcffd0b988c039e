"""Thousands of clear-sky columns drawn around real ones: generated, and called so in every output.

A column is a blend of a real one, its anchor, with a similar one, shaken and set on a random elevation. Anchor and
partner always share climate zone, continent and fold (see `climate_regions`), so that a test set chosen by any of the
three, or by several, holds nothing of a column that the training set was built on.
"""

from dataclasses import dataclass, replace

import numpy as np

from .atmosphere_sets import columns
from .atmospheres import SIGMA, Atmospheres, humidity_of, saturation
from .climate_regions import continent, fold, zone
from .fields import DataError

# Column water in kg m-2, and how many of 5,810 profiles there are in each class: few but of the wettest.
WATER_EDGES = (0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 100.0)
WATER_COUNTS = (989, 864, 1300, 882, 683, 606, 324, 109, 43, 10)
POOL = 3  # candidates drawn for each profile wanted, of which the classes of water are filled
HIGHEST_HUMIDITY, LOWEST_HUMIDITY = 0.97, 1e-4
TEMPERATURE_NOISE, HUMIDITY_NOISE, NOISE_LENGTH = 1.5, 0.35, 0.35  # K, in logit(RH), in ln p
SIMILAR = (10.0, 0.3, 8.0)  # degrees of latitude, ln(water), K at the ground: how much unlike a partner may be
STRATOSPHERE, DRIEST = 1e4, 6e-6  # Pa; the mole fraction of water above which stratospheric air is not
HIGHEST_GROUND = 4800.0  # m
KAPPA = 2.0 / 7.0


@dataclass(frozen=True)
class GeneratedAtmospheres:
    """Generated columns and where each is from.

    `anchor` and `partner` number the real columns `anchors`; `zone`, `continent` and `fold` are the anchor's, and the
    partner's.
    """

    profiles: Atmospheres
    anchors: Atmospheres
    anchor: np.ndarray
    partner: np.ndarray
    zone: np.ndarray
    continent: np.ndarray
    fold: np.ndarray

    def __len__(self) -> int:
        return len(self.anchor)

    def take(self, which) -> "GeneratedAtmospheres":
        """Some of the columns, by number or by a mask."""
        chosen = {name: getattr(self, name)[which] for name in ("anchor", "partner", "zone", "continent", "fold")}
        return replace(self, profiles=self.profiles.take(which), **chosen)


def generate(
    count: int = 5810,
    *,
    anchors: Atmospheres | None = None,
    sets: tuple[str, ...] = (),
    seed: int = 0,
    folds: int = 10,
) -> GeneratedAtmospheres:
    """Draw physically consistent columns around real ones: a pure function of the anchors and the seed.

    The anchors are columns on the levels `SIGMA`: those given, or those of `sets` (by default all that are on this
    machine). An anchor is drawn evenly over classes of column water and blended with one of its cell that is like it
    in latitude, water and temperature: `x = b x_anchor + (1 - b) x_partner`, b from Beta(1.2, 1.2), for temperature,
    logit of relative humidity and ln ozone at equal p / p_ground. The blend is cut at a random elevation (60 % below
    300 m, the others exponentially distributed with a mean of 1 km, up to 4.8 km) and shaken by noise correlated in ln
    p (1.5 K; 0.35 in logit RH). Then no layer is superadiabatic, relative humidity is at most 0.97, and stratospheric
    air holds at most 6 ppm of water. Of three times as many candidates those are kept that fill classes of water from 0
    to 100 kg m-2 in the proportions `WATER_COUNTS`; a class too small is made up from the others.

    Raises `DataError` for a count below 1, anchors on other levels, or no anchors.
    """
    if count < 1:
        raise DataError(f"generate at least one atmosphere, not {count}")
    real = columns(*sets) if anchors is None else anchors
    if real.pressure.shape[1:] != SIGMA.shape or not np.allclose(
        real.pressure, real.pressure[:, :1] * SIGMA, rtol=1e-6
    ):
        raise DataError("anchors must be columns on the common levels; bring them there with .on_levels()")
    draw = np.random.default_rng(seed)
    places = {
        "zone": zone(real.latitude),
        "continent": continent(real.latitude, real.longitude),
        "fold": fold(real.latitude, real.longitude, folds=folds, seed=seed),
    }
    cells = np.unique(np.stack([values.astype("<U24") for values in places.values()]), axis=1, return_inverse=True)[1]
    anchor = _anchors(real, POOL * count, draw)
    partner = _partners(real, cells.ravel(), anchor, draw)
    made = shaken(on_a_ground(blended(real, anchor, partner, draw.beta(1.2, 1.2, len(anchor))), draw), draw)
    kept = _by_water(made.water(), count)
    used = len(
        np.unique(np.stack([real.latitude, real.longitude])[:, np.union1d(anchor[kept], partner[kept])], axis=1).T
    )
    profiles = replace(made.take(kept), source=f"generated, anchored on {used} real columns: {real.source}")
    of_anchor = {name: values[anchor[kept]] for name, values in places.items()}
    return GeneratedAtmospheres(profiles, real, anchor[kept], partner[kept], **of_anchor)


def blended(real: Atmospheres, anchor: np.ndarray, partner: np.ndarray, share: np.ndarray) -> Atmospheres:
    """Columns between pairs of real ones: temperature, logit relative humidity and ln ozone weighted by the share."""
    b = share[:, None]

    def mixed(values: np.ndarray) -> np.ndarray:
        return b * values[anchor] + (1 - b) * values[partner]

    ground = np.exp(mixed(np.log(real.pressure[:, :1])))
    pressure, temperature = ground * SIGMA, mixed(real.temperature)
    humidity = _unlogit(mixed(_logit(real.relative_humidity())))
    return Atmospheres(
        pressure,
        temperature,
        humidity_of(pressure, np.minimum(humidity * saturation(temperature), 0.5 * pressure)),
        np.exp(mixed(np.log(real.ozone))),
        real.latitude[anchor],
        real.longitude[anchor],
        mixed(np.nan_to_num(real.elevation)[:, None])[:, 0],
        source=real.source,
    )


def on_a_ground(columns: Atmospheres, draw: np.random.Generator) -> Atmospheres:
    """The columns cut at a random elevation where that is above their own: most near sea level, some on mountains."""
    lowland = draw.random(len(columns)) < 0.6
    high = np.minimum(draw.exponential(1000.0, len(columns)), HIGHEST_GROUND)
    elevation = np.where(lowland, draw.uniform(0.0, 300.0, len(columns)), high)
    climb = np.maximum(elevation - columns.elevation, 0.0)
    rows = zip(climb, columns.height(), np.log(columns.pressure), strict=True)
    ground = np.exp([np.interp(*row) for row in rows])
    return replace(columns.on_levels(SIGMA, ground), elevation=columns.elevation + climb)


def shaken(columns: Atmospheres, draw: np.random.Generator) -> Atmospheres:
    """The columns with noise correlated along ln pressure, within what clear air may be: see `generate`."""
    distance = np.log(SIGMA)[:, None] - np.log(SIGMA)
    root = np.linalg.cholesky(np.exp(-0.5 * (distance / NOISE_LENGTH) ** 2) + 1e-6 * np.eye(len(SIGMA)))
    warm, moist = draw.standard_normal((2, *columns.pressure.shape)) @ root.T
    lapse = SIGMA**KAPPA
    potential = np.maximum.accumulate((columns.temperature + TEMPERATURE_NOISE * warm) / lapse, axis=1)
    temperature = lapse * potential
    humidity = _unlogit(_logit(columns.relative_humidity()) + HUMIDITY_NOISE * moist)
    vapour = np.minimum(humidity * saturation(temperature), 0.5 * columns.pressure)
    vapour = np.where(columns.pressure < STRATOSPHERE, np.minimum(vapour, DRIEST * columns.pressure), vapour)
    return replace(columns, temperature=temperature, specific_humidity=humidity_of(columns.pressure, vapour))


def water_classes(water: np.ndarray) -> np.ndarray:
    """The class of `WATER_EDGES` that a column's water (kg m-2) falls in, the last one for what is beyond."""
    return np.clip(np.digitize(water, WATER_EDGES) - 1, 0, len(WATER_COUNTS) - 1)


def _anchors(real: Atmospheres, count: int, draw: np.random.Generator) -> np.ndarray:
    """Numbers of columns, drawn evenly enough over the classes of water that each will have its share of candidates."""
    classes = water_classes(real.water())
    sizes = np.bincount(classes, minlength=len(WATER_COUNTS))
    weight = (np.sqrt(WATER_COUNTS) / np.maximum(sizes, 1))[classes]
    return draw.choice(len(real), count, p=weight / weight.sum())


def _partners(real: Atmospheres, cells: np.ndarray, anchor: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """For each anchor another column of its cell, the likelier the more alike; itself where it is alone."""
    features = np.stack([np.abs(real.latitude), np.log(real.water()), real.temperature[:, 0]], axis=1) / SIMILAR
    members = {cell: np.flatnonzero(cells == cell) for cell in np.unique(cells)}
    chances = draw.random(len(anchor))
    partner = np.array(anchor)
    for place, (own, chance) in enumerate(zip(anchor, chances, strict=True)):
        others = members[cells[own]]
        likeness = np.exp(-0.5 * np.sum((features[others] - features[own]) ** 2, axis=1)) * (others != own)
        steps = np.cumsum(likeness)
        if steps[-1] > 1e-12:
            partner[place] = others[min(np.searchsorted(steps, chance * steps[-1], side="right"), len(others) - 1)]
    return partner


def _by_water(water: np.ndarray, count: int) -> np.ndarray:
    """Which candidates to keep, in the order drawn, so that each class has its share, and the rest to make up."""
    share = np.floor(np.cumsum(WATER_COUNTS) / sum(WATER_COUNTS) * count + 0.5).astype(int)
    wanted = np.diff(share, prepend=0)
    classes = np.where(water < WATER_EDGES[-1], water_classes(water), -1)
    kept = np.concatenate([np.flatnonzero(classes == number)[:size] for number, size in enumerate(wanted)])
    spare = np.setdiff1d(np.flatnonzero(classes >= 0), kept)
    return np.sort(np.concatenate([kept, spare[: count - len(kept)]]))


def _logit(humidity: np.ndarray) -> np.ndarray:
    part = np.clip(humidity, LOWEST_HUMIDITY, HIGHEST_HUMIDITY)
    return np.log(part / (1 - part))


def _unlogit(value: np.ndarray) -> np.ndarray:
    return np.clip(1 / (1 + np.exp(-value)), LOWEST_HUMIDITY, HIGHEST_HUMIDITY)
