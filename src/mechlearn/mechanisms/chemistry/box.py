"""A box of well-mixed air over a surface that emits and takes up gases, with chemistry inside (one step)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...compose import Pass
from ...core import Fields, Model, Variable
from ...heat_exchange import ZERO_CELSIUS
from ...parameters import Parameter
from ...variables import AIR_TEMPERATURE, SURFACE_AIR_PRESSURE
from .._joints import ask, read_by
from ._species import gas
from .methane_oxidation import CLEAN_AIR, NETWORK, SYMBOLS, MethaneOxidation

GAS_CONSTANT = 8.314462618  # J mol-1 K-1
EMITTED = ("NO", "CO", "HCHO")
EMISSIONS = tuple(
    Variable(f"emission_of_{gas(symbol)[1].name}", "nmol m-2 s-1", bounds=(0, math.inf)) for symbol in EMITTED
)
MIXING_HEIGHT = Variable("mixing_height", "m", bounds=(10, 2e4), standard_name="atmosphere_boundary_layer_thickness")
EXCHANGE = Variable("air_exchange_rate", "s-1", bounds=(0, 1e-2), long_name="share of the air replaced a second")
VELOCITIES = {
    "O3": 4e-3,
    "NO2": 3e-3,
    "HNO3": 2e-2,
    "N2O5": 2e-2,
    "H2O2": 1e-2,
    "HONO": 1e-2,
    "CH3OOH": 2e-3,
    "HCHO": 5e-3,
}


def _of_each(values: dict[str, float]) -> Array:
    return jnp.asarray([values.get(symbol, 0.0) for symbol in SYMBOLS])


class Box(Model):
    """Gases are emitted into a box of air, react, settle on the ground, and are diluted by the air around it.

    In this order over a `time_step` (s): `c += E dt / (n h)`, n the moles of air in a m3 and h the mixing height; the
    joint `chemistry`; and, exactly, `dc/dt = a (c_around - c) - v c / h` with the exchange rate a and the deposition
    velocities v. Deposition velocities are middle values over vegetated land by day. Seinfeld & Pandis (2016),
    chapters 19 and 25; the order of processes is that of GEOS-Chem, Bey et al. (2001), doi:10.1029/2001JD000807.

    Raises `ValueError` for a chemistry that steps otherwise than the box.
    """

    chemistry: Model = MethaneOxidation()
    deposition: Parameter = Parameter(_of_each(VELOCITIES), "m s-1", (0.0, 0.1), "deposition velocity of each gas")
    around: Parameter = Parameter(_of_each(CLEAN_AIR), "1e-9", (0.0, 1e6), "mole fractions of the air around the box")
    time_step: float = eqx.field(static=True, default=1200.0)
    outputs: ClassVar = NETWORK.variables
    state: ClassVar[tuple[str, ...]] = NETWORK.names

    def __check_init__(self) -> None:
        if getattr(self.chemistry, "time_step", self.time_step) != self.time_step:
            raise ValueError(f"Box steps by {self.time_step:g} s; its chemistry must too: give both the same time_step")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        own = (*NETWORK.variables, AIR_TEMPERATURE, SURFACE_AIR_PRESSURE, MIXING_HEIGHT, EXCHANGE, *EMISSIONS)
        return read_by("Box", own, NETWORK.variables, (self.chemistry,))

    def initial(self) -> dict[str, ArrayLike]:
        """The air around the box."""
        return dict(zip(NETWORK.names, self.around.value, strict=True))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = ask(self.chemistry, {**fields, **self._emitted(fields)}, key=key)
        settled, replaced = self.deposition.value / fields["mixing_height"], fields["air_exchange_rate"]
        amounts = jnp.stack([made[name] for name in NETWORK.names])
        lost = jnp.maximum((settled + replaced) * self.time_step, 1e-12)
        gained = replaced * self.around.value * self.time_step
        return dict(zip(NETWORK.names, amounts * jnp.exp(-lost) - gained * jnp.expm1(-lost) / lost, strict=True))

    def _emitted(self, fields: Fields) -> Fields:
        kelvin = fields["air_temperature"] + ZERO_CELSIUS
        moles = fields["surface_air_pressure"] / (GAS_CONSTANT * kelvin) * fields["mixing_height"]
        gains = {e.name.removeprefix("emission_of_"): fields[e.name] * self.time_step / moles for e in EMISSIONS}
        return {name: fields[name] + gain for name, gain in gains.items()}


def example() -> dict[str, Any]:
    """Worked by hand, nothing reacts: 40.34 moles of air in a m3 take up 12 nmol of NO, a hundredth goes."""
    gases = dict.fromkeys(NETWORK.names, 0.0) | {"carbon_monoxide": 200.0}
    at = {"air_temperature": 25.0, "surface_air_pressure": 1e5, "mixing_height": 1000.0}
    at |= {variable.name: 0.0 for variable in EMISSIONS}
    at |= {"air_exchange_rate": 0.01 / 1200.0, "emission_of_nitrogen_monoxide": 10.0}
    emitted = 10.0 * 1200.0 / (40.34 * 1000.0)
    kept = math.exp(-0.01)
    return {
        "model": Box(chemistry=Pass(*NETWORK.variables)),
        "inputs": {name: jnp.asarray(value) for name, value in (gases | at).items()},
        "published": {
            "nitrogen_monoxide": emitted * kept + 0.01 * (1 - kept),
            "carbon_monoxide": 200.0 * kept + 100.0 * (1 - kept),
        },
        "tolerance": 1e-3,
        "source": "by hand",
    }
