"""Method 4, replacement: a dense network in the place of a whole long-wave scheme, on levels of its own."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model, System, Variable
from ...longwave import FLUXES, STEFAN_BOLTZMANN, answer
from ..series import terms_of

DEEP = 11.0  # ln of the ground's pressure over that of the uppermost half level
WARM, SPREAD = 245.0, 30.0  # K
GASES = "mole_fraction_of_{}_in_air"


class DenseLongwave(Model):
    """A network reads a column on L levels of its own and tells fluxes, or heating too, which are carried to yours.

    It sees T, ln q, ln O3 at its levels, the ground's temperature, emissivity and pressure, and the well mixed gases
    that the scheme reads; fluxes are in shares of the ground's black body. Telling "fluxes" the heating is their
    divergence, so that energy closes; telling "heating" it is a further output, and energy closes as learned.
    A network of fixed levels knows nothing finer than them: its answer on finer levels is drawn in ln p.

    Chevallier et al. (1998), doi:10.1175/1520-0450(1998)037<1385:ANNAFA>2.0.CO;2; Krasnopolsky et al. (2005),
    doi:10.1175/MWR2923.1.
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    network: eqx.nn.MLP
    tells: Literal["heating", "fluxes"] = eqx.field(static=True)
    levels: int = eqx.field(static=True)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return FLUXES

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        half = fields["air_pressure_at_half_levels"]
        edge = half[0] * jnp.asarray(_shares(self.levels), half.dtype)
        told = self.network(self.features(fields, edge))
        count = self.levels + 1
        black = STEFAN_BOLTZMANN * fields["surface_temperature"] ** 4
        up, down = (black * _carried(half, edge, told[i * count : (i + 1) * count]) for i in (0, 1))
        made = answer(half, up, down)
        if self.tells == "heating":
            middle = 0.5 * (edge[1:] + edge[:-1])
            made[FLUXES[-1].name] = 5.0 * _carried(fields["air_pressure"], middle, told[2 * count :])
        return made

    def features(self, fields: Fields, edge: Array) -> Array:
        """What the network reads, of order one."""
        middle, pressure = 0.5 * (edge[1:] + edge[:-1]), fields["air_pressure"]
        ozone = jnp.log(jnp.maximum(fields["mole_fraction_of_ozone_in_air"], 1e-11))
        vapour = jnp.log(jnp.maximum(fields["specific_humidity"], 1e-8))
        profiles = ((fields["air_temperature_profile"] - WARM) / SPREAD, (vapour + 9) / 4, (ozone + 15) / 2)
        known = {v.name for v in self.inputs}
        gases = [
            jnp.log(fields[GASES.format(gas)] / usual)
            for gas, usual in {"carbon_dioxide": 5e-4, "methane": 1.5e-6, "nitrous_oxide": 3e-7}.items()
            if GASES.format(gas) in known
        ]
        ground = [(fields["surface_temperature"] - WARM) / SPREAD, 10 * fields["surface_emissivity"] - 9.5]
        ground.append((edge[0] - 9.7e4) / 1e4)
        return jnp.concatenate([*(_carried(middle, pressure, one) for one in profiles), jnp.stack([*ground, *gases])])


def dense(
    scheme: Model,
    *,
    tells: Literal["heating", "fluxes"] = "fluxes",
    levels: int = 40,
    width: int = 128,
    depth: int = 2,
    key: PRNGKeyArray | None = None,
) -> System:
    """Put a dense network in the place of a long-wave scheme; `emulated_longwave.teach` teaches it.

    Raises `ValueError` for something else to tell.

    Source: Krasnopolsky et al. (2005), doi:10.1175/MWR2923.1.
    """
    if tells not in ("heating", "fluxes"):
        raise ValueError(f"tells must be 'heating' or 'fluxes', got {tells!r}")
    read = tuple(v for v in scheme.inputs if v.name != "air_temperature_at_half_levels")
    gases = sum(v.name.startswith("mole_fraction") and not v.dims for v in read)
    sizes = 3 * levels + 3 + gases, 2 * (levels + 1) + (levels if tells == "heating" else 0)
    network = eqx.nn.MLP(*sizes, width, depth, jax.nn.gelu, key=jax.random.key(0) if key is None else key)
    return System(DenseLongwave(read, network, tells, levels), terms_of(scheme), (), ("online",))


def _shares(levels: int) -> np.ndarray:
    """Half levels as shares of the ground's pressure, finer near it."""
    return np.exp(-DEEP * np.linspace(0.0, 1.0, levels + 1) ** 1.4)


def _carried(at: Array, known: Array, values: Array) -> Array:
    """Linear in ln p, held at both ends."""
    return jnp.interp(-jnp.log(jnp.maximum(at, 1e-3)), -jnp.log(known), values)
