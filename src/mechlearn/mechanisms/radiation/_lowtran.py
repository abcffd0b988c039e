"""The band model of LOWTRAN7 for 7.7 to 14.2 micrometres, written so that amounts and wavenumbers separate.

The optical depth is `sum_i k_i(nu) W_i^a_i`: W_i is the amount of an absorber along the path, scaled at every level by
`(p / p0)^m (T0 / T)^n`, a_i its exponent (1 for a continuum). One small matrix product then serves all wavenumbers.
Kneizys and others (1988), AFGL-TR-88-0177; Pierluissi and Maragoudakis (1986), AFGL-TR-86-0272, for the gases.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from ...soundings import log_mean

STANDARD_PRESSURE = 1013.25e2  # Pa
ICE_POINT = 273.15  # K
WATER = 3.3429e21 * 2.989e-23 * 1e-5  # water vapour of 1e-6 in units of Loschmidt's number
WATER_MASS = 0.1 * 2.989e-23 * 2.6868e19  # g cm-2 km-1 of water vapour of 1e-6
SELF = 2.6868e4 / (ICE_POINT / 296.0)  # 1e20 molecules cm-2 km-1 of air at 296 K
GAS = 3.7194e-21 * 2.6868e19  # atm cm km-1 of a gas of 1e-6 at standard pressure and temperature
LEAST = 1e-12  # below which an amount no longer matters


class Absorber(NamedTuple):
    """A gas in one of its bands: which gas, its powers of pressure and of inverse temperature, its exponent."""

    gas: str
    pressure: float
    temperature: float
    exponent: float


GASES = {
    "water_350": Absorber("water_vapour", 1.1406, -2.6343, 0.5299),
    "water_1005": Absorber("water_vapour", 0.9834, -2.5294, 0.5416),
    "ozone": Absorber("ozone", 0.4221, 0.7678, 0.7593),
    "carbon_dioxide_425": Absorber("carbon_dioxide", 0.6705, -2.2560, 0.6176),
    "carbon_dioxide_840": Absorber("carbon_dioxide", 0.7038, -5.0768, 0.6810),
    "nitrous_oxide_490": Absorber("nitrous_oxide", 0.7203, -0.1836, 0.7201),
    "nitrous_oxide_865": Absorber("nitrous_oxide", 0.7203, -0.1836, 0.7201),
    "nitrous_oxide_1065": Absorber("nitrous_oxide", 0.7203, -0.1836, 0.7201),
    "methane": Absorber("methane", 0.7139, -0.4185, 0.5844),
    "ammonia": Absorber("ammonia", 0.6968, 0.3377, 0.6035),
    "sulphur_dioxide": Absorber("sulphur_dioxide", 0.2135, 0.0733, 0.8466),
    "nitrogen_dioxide": Absorber("nitrogen_dioxide", 0.3956, -0.0545, 0.7249),
}
# The self continuum grows with cold as (k260 / k296)^x, x = (296 - T) / 36. What is left of it beyond exp(STEEP x),
# the same at all wavenumbers, a parabola through three x carries, which keeps amounts and wavenumbers apart.
STEEP = 0.75
NODES = (-1.0, 0.0, 1.0)
CONTINUA = len(NODES) + 2  # absorbers that count in proportion: the self continuum's nodes, foreign, nitric acid


@cache
def _table() -> tuple[tuple[str, ...], np.ndarray]:
    lines = Path(__file__).with_name("lowtran7.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    return tuple(rows[0]), np.asarray(rows[1:], float)


class Absorption(NamedTuple):
    """What a set of wavenumbers needs: its gases, how they scale, and k (absorber, wavenumber), continua first."""

    gases: tuple[str, ...]
    pressure: np.ndarray
    temperature: np.ndarray
    unit: np.ndarray
    exponents: np.ndarray
    coefficients: np.ndarray


@cache
def absorption(wavenumber: tuple[float, ...]) -> Absorption:
    """The coefficients at these wavenumbers of every absorber that has any there.

    Absorbers in order: three nodes of the self continuum, the foreign continuum, nitric acid, then the gases.
    """
    names, values = _table()
    rows = np.searchsorted(values[:, 0], np.asarray(wavenumber))
    found = dict(zip(names, values[rows].T, strict=True))
    there = [name for name in GASES if np.any(found[name] > 0)]
    warm, cold = found["self_296"], found["self_260"]
    continua = [warm * (cold / warm) ** x for x in NODES] + [found["foreign"], found["nitric_acid"]]
    gases, pressure, temperature, exponents = zip(*(GASES[name] for name in there), strict=True)
    # Water is counted in g cm-2, the others in atm cm.
    unit = np.log([WATER_MASS if gas == "water_vapour" else GAS for gas in gases])
    powers = (1 + np.asarray(pressure), 1 + np.asarray(temperature), unit, np.asarray(exponents))
    return Absorption(gases, *powers, np.stack(continua + [found[name] for name in there]))


class Layers(NamedTuple):
    """Air in layers, surface first: mean temperature (layer,) in K and amounts (layer, absorber)."""

    temperature: Array
    amounts: Array


def layers(
    pressure: ArrayLike, temperature: ArrayLike, thickness: ArrayLike, gases: dict[str, ArrayLike],
    table: Absorption, *, continuum: str = "extended",
) -> Layers:  # fmt: skip
    """The absorbers in each layer between levels, densities taken as exponential in height.

    `pressure` in Pa and `temperature` in K at the levels, `thickness` in km of the layers, `gases` in 1e-6 of moles
    at the levels.
    """
    ps = jnp.log(jnp.maximum(pressure, 1e-3) / STANDARD_PRESSURE)
    ts = jnp.log(ICE_POINT / jnp.maximum(temperature, 1.0))
    names = dict.fromkeys(("water_vapour", "nitric_acid", *table.gases))
    log = jnp.log(jnp.maximum(jnp.stack([jnp.asarray(gases[name], ps.dtype) for name in names], axis=-1), LEAST))
    air = ps + ts
    water = log[:, 0] + air + np.log(WATER)
    # What of the air is not water: its density less the water's.
    dry = air + jnp.log1p(-jnp.minimum(jnp.exp(log[:, 0] + np.log(WATER)), 0.5))
    continua = [2 * water + np.log(SELF), water + dry + np.log(SELF), log[:, 1] + air + np.log(0.1)]
    powers, turns, unit = (jnp.asarray(one, ps.dtype) for one in (table.pressure, table.temperature, table.unit))
    scaled = ps[:, None] * powers + ts[:, None] * turns + unit
    order = np.array([list(names).index(gas) for gas in table.gases])
    densities = jnp.concatenate([jnp.stack(continua, axis=-1), log[:, order] + scaled], axis=-1)
    amounts = log_mean(densities.T).T * jnp.asarray(thickness)[:, None]
    mean = log_mean(ps) / log_mean(air) * ICE_POINT
    shares = _shares((296.0 - mean) / 36.0, continuum)
    return Layers(mean, jnp.concatenate([amounts[:, :1] * shares, amounts[:, 1:]], axis=-1))


def _shares(x: Array, continuum: str) -> Array:
    """The part each node of the self continuum has at x = (296 - T) / 36."""
    inside = jnp.clip(x, 0.0, 1.0)
    line = jnp.stack([jnp.zeros_like(inside), 1 - inside, inside], axis=-1)
    if continuum == "clipped":
        return line
    x = jnp.clip(x, -1.5, 2.5)
    parabola = jnp.stack([0.5 * x * (x - 1), 1 - x**2, 0.5 * x * (x + 1)], axis=-1)
    power = parabola * jnp.exp(STEEP * (x[:, None] - jnp.asarray(NODES, x.dtype)))
    return power if continuum == "logarithmic" else jnp.where((x == inside)[:, None], line, power)


def optical_depth(amounts: Array, slant: ArrayLike, table: Absorption) -> Array:
    """The optical depth (..., wavenumber) of a path whose vertical amounts (..., absorber) are known."""
    path = amounts * slant
    # The root of nothing has no slope; a node of the continuum may have a negative part and is taken as it is.
    root = jnp.power(jnp.maximum(path[..., CONTINUA:], LEAST), table.exponents.astype(path.dtype))
    return jnp.concatenate([path[..., :CONTINUA], root], axis=-1) @ table.coefficients.astype(path.dtype)
