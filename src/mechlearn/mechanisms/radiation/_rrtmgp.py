"""RRTMGP's gas optics of one column: major and minor absorbers of 16 bands, and their Planck fractions."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._gas_optics import Air, GasOptics, Optics, place

AVOGADRO, GRAVITY = 6.02214076e23, 9.80665
DRY_MASS, WATER_MASS = 0.028964, 0.018016  # kg mol-1
UNIT = 1e24  # molecules cm-2: columns and coefficients of order one, safe in single precision


class Minor(eqx.Module):
    """The minor absorbers of every band, as rows of one band each; (row, region), regions below and above 100 hPa."""

    table: Array  # (row, region * temperature * eta, point)
    band: tuple[int, ...] = eqx.field(static=True)  # (row,)
    gas: Array
    scaling: Array
    by_density: Array
    by_gas: Array
    by_complement: Array


class RRTMGP(GasOptics):
    """Correlated-k of Pincus, Mlawer & Delamere (2019), doi:10.1029/2019MS001621, as its tables say.

    `tau = k(T, p, eta) n_mix` of each band's two major gases plus `k(T, eta) n s` of its minor ones, eta the major
    gases' relative abundance; sources are the band's black-body flux times the Planck fraction of each point.
    """

    gases: tuple[str, ...] = eqx.field(static=True)
    columns: tuple[int, ...] = eqx.field(static=True)  # which of band x width are points
    key: Array  # (band, region, 2): the major gases, 0 for dry air
    ratio: Array  # (band, region, temperature): of the major gases in the reference air
    major: Array  # (band, temperature * pressure * eta, 2 width): coefficient, then Planck fraction
    minor: Minor
    planck: Array  # (temperature, band), W m-2
    temperature: tuple[float, float, int] = eqx.field(static=True)
    log_pressure: tuple[float, float, int] = eqx.field(static=True)
    planck_temperature: tuple[float, float, int] = eqx.field(static=True)
    mixing: int = eqx.field(static=True)
    tropopause: float = eqx.field(static=True)

    def __call__(self, air: Air) -> Optics:
        region = (air.pressure <= self.tropopause).astype(int)
        amount = self.amounts(air)
        warm, share = place(air.temperature, *self.temperature)
        mixtures = [self.mixture(amount, region, warm + t) for t in (0, 1)]
        shares = (1 - share, share)
        strength, fraction = self.majors(air, region, warm, shares, mixtures)
        depth = strength + self.minors(air, region, warm, shares, mixtures, amount)
        return self.shining(air, jnp.maximum(self.points(depth), 0.0), self.points(fraction))

    def amounts(self, air: Air) -> Array:
        """Molecules of dry air and of each gas in every layer, (gas, level), in `UNIT` per cm2."""
        moles = [jnp.ones_like(air.pressure), *(air.gases.get(name, jnp.zeros(())) for name in self.gases)]
        vapour = air.gases["water_vapour"]
        mass = DRY_MASS + WATER_MASS * vapour
        dry = -1e-4 * AVOGADRO / UNIT / GRAVITY * jnp.diff(air.half_level_pressure) / mass
        return jnp.stack([jnp.broadcast_to(mole, dry.shape) for mole in moles]) * dry

    def mixture(self, amount: Array, region: Array, warm: Array) -> tuple[Array, Array, Array]:
        """The place and share of eta in the table, and the amount of both major gases; each (band, level)."""
        level = jnp.arange(len(region))
        first, second = (amount[self.key[:, region, i], level] for i in (0, 1))
        mixed = first + self.ratio[:, region, warm] * second
        there = mixed > 0
        eta = jnp.where(there, first / jnp.where(there, mixed, 1.0), 0.5)
        return (*place(eta, 0.0, 1 / (self.mixing - 1), self.mixing), mixed)

    def majors(self, air: Air, region: Array, warm: Array, shares, mixtures) -> tuple[Array, Array]:
        """Optical depth by the major gases and the Planck fractions, (band, level, width)."""
        tall, part = place(jnp.log(air.pressure), *self.log_pressure)
        width, count = self.major.shape[-1] // 2, self.log_pressure[2] + 1
        strength = fraction = jnp.zeros(())
        for t, (low, above, mixed) in enumerate(mixtures):
            for p, heavy in enumerate((1 - part, part)):
                for e, near in enumerate((1 - above, above)):
                    row = ((warm + t) * count + tall + region + p) * self.mixing + low + e
                    seen = jnp.take_along_axis(self.major, row[..., None], axis=1)
                    weight = (shares[t] * heavy * near)[..., None]
                    strength += weight * mixed[..., None] * seen[..., :width]
                    fraction += weight * seen[..., width:]
        return strength, fraction

    def minors(self, air: Air, region: Array, warm: Array, shares, mixtures, amount: Array) -> Array:
        """Optical depth by the minor gases, (band, level, width)."""
        minor, level = self.minor, jnp.arange(len(region))
        band = np.asarray(minor.band)
        scale = amount[minor.gas[:, region], level] * self.scaled(air, region, amount)
        strength = jnp.zeros(())
        for t, (low, above, _) in enumerate(mixtures):
            for e, near in enumerate((1 - above, above)):
                row = (region * self.temperature[2] + warm + t) * self.mixing + low[band] + e
                weight = shares[t] * near[band] * scale
                strength += weight[..., None] * jnp.take_along_axis(minor.table, row[..., None], axis=1)
        total = jnp.zeros((len(self.key), *strength.shape[1:]), strength.dtype)
        return total.at[band].add(strength)

    def scaled(self, air: Air, region: Array, amount: Array) -> Array:
        """By what a minor gas' amount is multiplied: density, and the share of another gas or of all but it."""
        minor, level = self.minor, jnp.arange(len(region))
        density = jnp.where(minor.by_density[:, region], 0.01 * air.pressure / air.temperature, 1.0)
        share = amount[minor.scaling[:, region], level] / amount[0] / (1 + air.gases["water_vapour"])
        share = jnp.where(minor.by_complement[:, region], 1 - share, share)
        return density * jnp.where(minor.by_gas[:, region], share, 1.0)

    def points(self, padded: Array) -> Array:
        """From (band, level, width) to (level, point)."""
        return jnp.moveaxis(padded, 1, 0).reshape(padded.shape[1], -1)[:, np.asarray(self.columns)]

    def shining(self, air: Air, depth: Array, fraction: Array) -> Optics:
        """Black-body fluxes of every point."""
        width = self.major.shape[-1] // 2
        band = np.asarray(self.columns) // width
        edge = self.black(air.half_level_temperature)[:, band]
        middle, ground = self.black(air.temperature)[:, band], self.black(air.surface_temperature)[band]
        return Optics(depth, fraction * middle, fraction * edge[:-1], fraction * edge[1:], fraction[0] * ground)

    def black(self, temperature: Array) -> Array:
        """The black-body flux of each band, W m-2: linear between entries, carried on below them down to zero."""
        first, step, count = self.planck_temperature
        at = (temperature - first) / step
        low = jnp.clip(jnp.floor(at).astype(int), 0, count - 2)
        share = (at - low)[..., None]
        return jnp.maximum((1 - share) * self.planck[low] + share * self.planck[low + 1], 0.0)
