"""ecCKD's gas optics of one column: few points, made by optimising against line-by-line fluxes."""

from functools import cache
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._gas_optics import Air, GasOptics, Optics, place

GRAVITY, AIR_MASS = 9.80665, 0.02897  # m s-2, kg mol-1
SHORT = {"o3": "ozone", "co2": "carbon_dioxide", "cfc11": "cfc11", "cfc12": "cfc12"}
RELATIVE = {"ch4": "methane", "n2o": "nitrous_oxide"}
TABLE = "ecckd_lw_climate_fsck32.npz"


class ECCKD(GasOptics):
    """A k-distribution of the full spectrum after Hogan & Matricardi (2022), doi:10.1029/2022MS003033.

    `tau = n (k_0 + sum_i k_i x_i)`: n moles of air per m2, x_i mole fractions (methane's and nitrous oxide's less
    those in the background k_0), coefficients in m2 mol-1 by temperature and pressure, water vapour's by amount too.
    """

    mixed: Array  # (temperature * pressure, gas, point): the background first, then `names`
    vapour: Array  # (amount * temperature * pressure, point)
    names: tuple[str, ...] = eqx.field(static=True)
    background: tuple[float, ...] = eqx.field(static=True)  # mole fractions that k_0 holds
    coldest: Array  # (pressure,): the first temperature at each
    planck: Array  # (temperature, point), W m-2
    spacing: float = eqx.field(static=True)
    log_pressure: tuple[float, float, int] = eqx.field(static=True)
    log_vapour: tuple[float, float, int] = eqx.field(static=True)
    planck_temperature: tuple[float, float, int] = eqx.field(static=True)

    def __call__(self, air: Air) -> Optics:
        high, tall = place(jnp.log(jnp.maximum(air.pressure, 1e-6)), *self.log_pressure)
        coldest = (1 - tall) * self.coldest[high] + tall * self.coldest[high + 1]
        count = len(self.mixed) // self.log_pressure[2]
        warm, share = place(air.temperature, coldest, self.spacing, count)
        moist = 1 + air.gases["water_vapour"]
        water = air.gases["water_vapour"] / moist
        wet, damp = place(jnp.log(jnp.maximum(water, 1e-12)), *self.log_vapour)
        held = [air.gases[name] / moist - there for name, there in zip(self.names, self.background, strict=True)]
        gases = jnp.stack([jnp.ones_like(water), *held], axis=-1)
        strength = jnp.zeros(())
        for t, near in enumerate((1 - share, share)):
            for p, heavy in enumerate((1 - tall, tall)):
                row = (warm + t) * self.log_pressure[2] + high + p
                seen = jnp.einsum("lg,lgp->lp", gases, self.mixed[row])
                for w, much in enumerate((1 - damp, damp)):
                    more = self.vapour[(wet + w) * len(self.mixed) + row]
                    seen += (much * water)[:, None] * more
                strength += (near * heavy)[:, None] * seen
        moles = -jnp.diff(air.half_level_pressure) / (GRAVITY * AIR_MASS)
        edge = self.black(air.half_level_temperature)
        ground = self.black(air.surface_temperature)
        depth = moles[:, None] * jnp.maximum(strength, 0.0)
        return Optics(depth, self.black(air.temperature), edge[:-1], edge[1:], ground)

    def black(self, temperature: Array) -> Array:
        """The black-body flux of each point, W m-2: linear between entries, in proportion below the first."""
        first = self.planck_temperature[0]
        low, share = place(temperature, *self.planck_temperature)
        share = share[..., None]
        cold = jnp.minimum(temperature / first, 1.0)[..., None]
        return cold * ((1 - share) * self.planck[low] + share * self.planck[low + 1])


@cache
def ecckd() -> ECCKD:
    """The model of 32 points for climate that comes with this package (ecckd-1.0_lw_climate_fsck-tol0.0161)."""
    with np.load(Path(__file__).with_name(TABLE)) as table:
        return made_of({name: table[name] for name in table.files})


def made_of(table: dict[str, np.ndarray]) -> ECCKD:
    """The gas optics from the variables of one of ecCKD's files, by the gases' names there."""
    chosen = {**SHORT, **RELATIVE}
    mixed = np.stack([table["composite"], *(table[name] for name in chosen)], axis=2)
    logs = {name: np.log(table[name].astype(float)) for name in ("pressure", "h2o_mole_fraction")}
    warm = table["planck_temperature"]
    return ECCKD(
        mixed=jnp.asarray(mixed.reshape(-1, *mixed.shape[2:])),
        vapour=jnp.asarray(table["h2o"].reshape(-1, mixed.shape[-1])),
        names=tuple(chosen.values()),
        background=tuple(float(table[f"{name}_reference"]) if name in RELATIVE else 0.0 for name in chosen),
        coldest=jnp.asarray(table["temperature"][0]),
        planck=jnp.asarray(table["planck_function"]),
        spacing=float(table["temperature"][1, 0] - table["temperature"][0, 0]),
        log_pressure=_even(logs["pressure"]),
        log_vapour=_even(logs["h2o_mole_fraction"]),
        planck_temperature=_even(warm),
    )


def _even(values: np.ndarray) -> tuple[float, float, int]:
    return float(values[0]), float((values[-1] - values[0]) / (len(values) - 1)), len(values)
