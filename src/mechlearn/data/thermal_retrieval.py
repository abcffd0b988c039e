"""Samples of thermal retrievals: what a sensor sees over surfaces of known temperature, through generated columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..core import Fields, Variable, named
from ..mechanisms.radiation.thermal import Thermal
from ..parameters import map_parameters, set_parameters
from ..variables import (
    AIR_TEMPERATURE,
    BRIGHTNESS_TEMPERATURE,
    DOWNWELLING_RADIANCE,
    SURFACE_AIR_PRESSURE,
    SURFACE_EMISSIVITY,
    SURFACE_TEMPERATURE,
    TRANSMITTANCE,
    UPWELLING_RADIANCE,
    VIEW_ZENITH_ANGLE,
    WATER_VAPOUR_COLUMN,
)
from .atmosphere_sets import columns
from .atmospheres import Atmospheres, humidity_of, saturation
from .climate_regions import ELSEWHERE
from .generated_atmospheres import generate
from .natural_surfaces import natural_emissivities
from .record import Record
from .units import DataError

ICE_POINT = 273.15  # K
BLOCK = 256
WARMEST = 308.0  # K, of generated air at the ground
HIGHEST_HUMIDITY = 0.97
STEP = 0.1  # of the factors on the continuum
CONTINUA = ("self_continuum", "foreign_continuum")
AIR = (TRANSMITTANCE, UPWELLING_RADIANCE, DOWNWELLING_RADIANCE)
TRUE_WATER = replace(WATER_VAPOUR_COLUMN, name=f"true_{WATER_VAPOUR_COLUMN.name}")
EMISSIVITY_ERROR = Variable("emissivity_error", "1")
FROM = Variable("generated_from", "1")


@dataclass(frozen=True)
class Seen:
    """What is seen through columns: brightness temperature (profile, surface, band), and what each air does (profile,).

    `sensitivity` (profile, surface, parameter) is how the first band's brightness changes with each factor of the
    continuum, in K a unit.
    """

    brightness: np.ndarray
    air: dict[str, np.ndarray]
    sensitivity: np.ndarray


def read(
    sets: Sequence[str] = (),
    number: int = 5810,
    surfaces: int = 5,
    generated: int = 2,
    band: str = "landsat8_tirs10",
    others: Sequence[str] = (),
    self_continuum: float = 1.05,
    foreign_continuum: float = 0.85,
    noise: float = 0.1,
    emissivity_noise: float = 0.01,
    water_noise: float = 0.1,
    least_water_noise: float = 0.5,
    air_temperature_noise: float = 1.5,
    greatest_angle: float = 10.0,
    wettest: float = 80.0,
    emissivities: Literal["grey", "natural"] = "grey",
    seed: int = 0,
) -> Record:
    """Draw samples of what a thermal band sees: a group for each real column, its generated profiles the samples.

    The truth is seen through air whose continuum is `self_continuum` and `foreign_continuum` times the mechanism's, so
    that no retrieval holds the very physics that made the data. Every retrieval is given the same: brightness
    temperature (noise in K), emissivity, water column (`water_noise` of it and `least_water_noise` kg m-2), air
    temperature near the ground, all with noise, surface pressure and view angle. Surfaces are -8 to 20 K warmer than
    the air, emissivities one less a gamma deviate of mean 0.026, the same in all bands; "natural" `emissivities` differ
    between bands as mixtures of natural materials do, and those of `others` are given as `surface_emissivity_<band>`.

    `simulated_*` is what the mechanism's own physics says of a sample, `sensitivity_to_*` how its brightness
    temperature would change with the continuum. `generated` further samples a profile are made by the mechanism alone,
    through the profile `moistened` to hold up to `wettest` kg m-2 of water;
    `generated_from` numbers the sample they are of (NaN in all others). `others` are further bands, whose
    brightness temperatures are given as `brightness_temperature_<band>`.

    Raises `DataError` where no set of real columns is on this machine, or for emissivities of another kind.
    """
    if emissivities not in ("grey", "natural"):
        raise DataError(f'emissivities must be "grey" or "natural", got {emissivities!r}')
    bands, natural = (band, *others), emissivities == "natural"
    made = generate(number, anchors=columns(*sets) if sets else None, seed=seed)
    draw = np.random.default_rng(seed + 1)
    angle = draw.uniform(0.0, greatest_angle, number) if greatest_angle else np.zeros(number)
    mechanism = Thermal(band=bands)
    truth = set_parameters(mechanism, {"self_continuum": self_continuum, "foreign_continuum": foreign_continuum})
    drawn = _surfaces(made.profiles, surfaces, draw, bands if natural else ())
    seen = seen_through(truth, made.profiles, angle, *drawn).brightness
    parts = [_samples(made.profiles, drawn, seen, with_sensitivity(mechanism, made.profiles, angle, *drawn), angle)]
    for _ in range(generated):
        warmer = moistened(made.profiles, *_changes(made.profiles, wettest, draw))
        further = _surfaces(warmer, 1, draw, bands if natural else ())
        by_mechanism = with_sensitivity(mechanism, warmer, angle, *further)
        parts.append(_samples(warmer, further, by_mechanism.brightness, by_mechanism, angle))
        parts[-1][FROM.name] = np.arange(number)[:, None] * float(surfaces)
    samples = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
    noisy = _with_noise(samples, draw, noise, emissivity_noise, (water_noise, least_water_noise), air_temperature_noise)
    return _record(noisy, made, bands)


def _changes(columns: Atmospheres, wettest: float, draw: np.random.Generator) -> tuple[np.ndarray, ...]:
    """The water that columns are to hold, the share of it that warming brings, and the heating of the lowest air."""
    factor = np.exp(draw.uniform(np.log(0.7), np.log(3.0), len(columns)))
    wanted = np.minimum(factor * columns.water(), wettest)
    return wanted, draw.uniform(0.0, 1.0, len(columns)), draw.uniform(-2.0, 4.0, len(columns))


def moistened(columns: Atmospheres, water: np.ndarray, share: np.ndarray, heating: np.ndarray) -> Atmospheres:
    """Columns made to hold other amounts of water (kg m-2), as warmer or as moister air.

    Saturated air holds 7 % more a degree: a column is warmed below the tropopause by `share ln(w / w_0) / 0.07`, by -15
    to 15 K, at constant relative humidity; the rest changes the logit of relative humidity, by 3 at most, up to 0.97 of
    saturation. The lowest air is then heated by `heating` K at the ground, a tenth of that at 0.8 of its pressure.
    Columns need not reach the water asked for.
    """
    sigma = columns.pressure / columns.pressure[:, :1]
    low = np.clip((sigma - 0.1) / 0.2, 0, 1)
    humidity = np.clip(columns.relative_humidity(), 1e-4, HIGHEST_HUMIDITY)
    warming = np.clip(share * np.log(water / columns.water()) / 0.07, -15.0, 15.0)
    warming = np.minimum(warming, np.maximum(WARMEST - columns.temperature[:, 0], 0.0))
    temperature = columns.temperature + warming[:, None] * low
    hot = temperature + heating[:, None] * np.exp((sigma - 1) * 11.5)

    def with_logit(shift: np.ndarray) -> Atmospheres:
        shifted = 1 / (1 + (1 / humidity - 1) * np.exp(-shift[:, None] * low))
        vapour = np.minimum(shifted, HIGHEST_HUMIDITY) * saturation(np.minimum(temperature, hot))
        moist = np.where(low > 0, humidity_of(columns.pressure, vapour), columns.specific_humidity)
        return replace(columns, temperature=hot, specific_humidity=np.clip(moist, 0.0, 0.05))

    least, most = np.full(len(columns), -3.0), np.full(len(columns), 3.0)
    for _ in range(12):
        middle = 0.5 * (least + most)
        below = with_logit(middle).water() < water
        least, most = np.where(below, middle, least), np.where(below, most, middle)
    return with_logit(0.5 * (least + most))


def seen_through(
    thermal: Thermal, columns: Atmospheres, angle: np.ndarray, temperature: np.ndarray, emissivity: np.ndarray
) -> Seen:
    """What a radiometer sees of several surfaces (profile, surface) through each column, at one view angle each."""

    # Factors as arrays, so that one compiled function serves whatever the continuum is.
    thermal = map_parameters(lambda parameter: jax.tree.map(jnp.asarray, parameter), thermal)
    said: list[dict[str, np.ndarray]] = []
    size = min(BLOCK, len(columns))
    for start in range(0, len(columns), size):
        rows = np.arange(start, start + size) % len(columns)
        profile = {name: jnp.asarray(values[rows], jnp.float32) for name, values in columns.profiles().items()}
        surface = (jnp.asarray(one[rows], jnp.float32) for one in (angle, temperature, emissivity))
        said.append({name: np.asarray(value) for name, value in _block(thermal, profile, *surface).items()})
    whole = {name: np.concatenate([one[name] for one in said])[: len(columns)] for name in said[0]}
    brightness = whole[BRIGHTNESS_TEMPERATURE.name]
    return Seen(brightness, {v.name: whole[v.name][:, 0, 0] for v in AIR}, np.zeros((*brightness.shape[:2], 0)))


@eqx.filter_jit
def _block(thermal: Thermal, profile: Fields, angle: Array, temperature: Array, emissivity: Array) -> Fields:
    """What is seen through some columns of the surfaces under each."""

    def one(profile, angle, temperature, emissivity):
        surface = {"surface_temperature": temperature, "view_zenith_angle": angle}
        bands = jnp.broadcast_to(emissivity, (len(thermal.bands),))
        return thermal({**profile, **surface, "surface_emissivity": bands})

    return jax.vmap(jax.vmap(one, (None, None, 0, 0)))(profile, angle, temperature, emissivity)


def with_sensitivity(
    thermal: Thermal, columns: Atmospheres, angle: np.ndarray, temperature: np.ndarray, emissivity: np.ndarray
) -> Seen:
    """The same, with how it would change were the continuum of water vapour stronger."""
    seen = seen_through(thermal, columns, angle, temperature, emissivity)
    stronger = (set_parameters(thermal, {name: 1.0 + STEP}) for name in CONTINUA)
    changed = (seen_through(one, columns, angle, temperature, emissivity).brightness for one in stronger)
    return replace(seen, sensitivity=np.stack([(one - seen.brightness)[..., 0] / STEP for one in changed], axis=-1))


def _surfaces(
    columns: Atmospheres, count: int, draw: np.random.Generator, bands: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Temperatures (K) and emissivities of surfaces under each column; with bands those of natural surfaces in each."""
    shape = (len(columns), count)
    temperature = columns.temperature[:, :1] + draw.uniform(-8.0, 20.0, shape)
    if bands:
        return temperature, natural_emissivities(bands, shape, draw)
    return temperature, np.maximum(1.0 - draw.gamma(2.2, 0.012, shape), 0.8)


def _samples(columns: Atmospheres, drawn, brightness, by_mechanism: Seen, angle) -> dict[str, np.ndarray]:
    """Everything of each sample without noise, (profile, surface); brightness has a last axis of bands."""
    temperature, emissivity = drawn
    shape = temperature.shape  # of emissivities there may be one for each band

    def each(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values[:, None], shape)

    return {
        "brightness": brightness,
        SURFACE_TEMPERATURE.name: temperature,
        "true_emissivity": emissivity,
        TRUE_WATER.name: each(columns.water()),
        AIR_TEMPERATURE.name: each(columns.temperature[:, 0] - ICE_POINT),
        SURFACE_AIR_PRESSURE.name: each(columns.pressure[:, 0]),
        VIEW_ZENITH_ANGLE.name: each(angle),
        FROM.name: np.full(shape, np.nan),
        **{f"simulated_{name}": each(values) for name, values in by_mechanism.air.items()},
        f"simulated_{BRIGHTNESS_TEMPERATURE.name}": by_mechanism.brightness[..., 0],
        **{f"sensitivity_to_{name}": by_mechanism.sensitivity[..., i] for i, name in enumerate(CONTINUA)},
    }


def _with_noise(samples, draw, noise, of_emissivity, of_water, of_air) -> dict[str, np.ndarray]:
    """The samples as a user has them, (profile, surface)."""
    shape, true = samples[SURFACE_TEMPERATURE.name].shape, samples["true_emissivity"]
    said = np.clip(true + draw.normal(0, of_emissivity, true.shape), 0.5 if true.ndim > 2 else 0.7, 1.0)
    missed = np.abs(said - true)
    water = samples[TRUE_WATER.name]
    uncertain = np.hypot(of_water[0] * water, of_water[1])
    return {
        **samples,
        "brightness": samples["brightness"] + draw.normal(0, noise, samples["brightness"].shape),
        SURFACE_EMISSIVITY.name: said,
        EMISSIVITY_ERROR.name: missed[..., 0] if true.ndim > 2 else missed,
        WATER_VAPOUR_COLUMN.name: np.maximum(water + uncertain * draw.normal(0, 1, shape), 0.05),
        AIR_TEMPERATURE.name: samples[AIR_TEMPERATURE.name] + draw.normal(0, of_air, shape),
    }


def _record(samples: dict[str, np.ndarray], made, bands: tuple[str, ...]) -> Record:
    """Samples sorted into groups of one anchor each, filled up with NaN."""
    anchors, group = np.unique(made.anchor, return_inverse=True)
    width = samples[SURFACE_TEMPERATURE.name].shape[1]
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], np.arange(len(anchors)))
    slot = np.empty(len(group), int)
    slot[order] = np.arange(len(group)) - first[group[order]]
    span = (int(slot.max()) + 1) * width

    def placed(values: np.ndarray) -> np.ndarray:
        whole = np.full((len(anchors), span // width, width), np.nan, np.float32)
        whole[group, slot] = values
        return whole.reshape(len(anchors), span)

    own = np.where(np.isnan(samples[FROM.name]), np.nan, slot[:, None] * float(width))
    samples = {**samples, FROM.name: own}
    seen = {_of_band(BRIGHTNESS_TEMPERATURE, bands, i): samples["brightness"][..., i] for i in range(len(bands))}
    said = samples[SURFACE_EMISSIVITY.name]
    told = [said] if said.ndim == 2 else np.moveaxis(said, -1, 0)
    seen |= {_of_band(SURFACE_EMISSIVITY, bands, place): value for place, value in enumerate(told)}
    declared = [AIR_TEMPERATURE, WATER_VAPOUR_COLUMN, SURFACE_AIR_PRESSURE, VIEW_ZENITH_ANGLE]
    hidden = [TRUE_WATER, EMISSIVITY_ERROR, FROM]
    hidden += [replace(v, name=f"simulated_{v.name}") for v in (*AIR, BRIGHTNESS_TEMPERATURE)]
    hidden += [Variable(f"sensitivity_to_{name}", "K") for name in CONTINUA]
    declared += hidden
    fields = {name: placed(values) for name, values in seen.items()}
    fields |= {v.name: placed(samples[v.name]) for v in declared}
    names = tuple(f"column {number}" for number in anchors)
    one = np.array([np.flatnonzero(made.anchor == number)[0] for number in anchors])
    region = np.where(made.continent[one] == ELSEWHERE, made.zone[one], made.continent[one])
    kinds = {name: BRIGHTNESS_TEMPERATURE if name.startswith("brightness") else SURFACE_EMISSIVITY for name in seen}
    series = [*(replace(kind, name=name) for name, kind in kinds.items()), *declared, SURFACE_TEMPERATURE]
    return Record(
        fields={**fields, "fold": made.fold[one].astype(float)},
        observed={SURFACE_TEMPERATURE.name: placed(samples[SURFACE_TEMPERATURE.name])},
        time=np.arange(span),
        sites=names,
        variables=named([*(v.over("time") for v in series), Variable("fold", "1")]),
        source=f"simulated by radiation.thermal through profiles {made.profiles.source}",
        regions=dict(zip(names, map(str, region), strict=True)),
        independent=True,
        hidden=tuple(v.name for v in hidden),
    )


def _of_band(variable: Variable, bands: tuple[str, ...], place: int) -> str:
    """What a quantity is called in a band: the first has its plain name."""
    return variable.name if place == 0 else f"{variable.name}_{bands[place]}"
