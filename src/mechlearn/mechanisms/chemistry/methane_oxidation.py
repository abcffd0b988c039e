"""The chemistry of ozone, nitrogen oxides, carbon monoxide and methane in the lower atmosphere (one step)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ...variables import AIR_TEMPERATURE, RELATIVE_HUMIDITY, SURFACE_AIR_PRESSURE
from ._network import Network
from ._rate_constants import Air, Arrhenius, Falloff, Law, Photolysis, air, constants
from ._species import gas

SOLAR_ZENITH_ANGLE = Variable("solar_zenith_angle", "degree", bounds=(0, 180), standard_name="solar_zenith_angle")
AIR = (AIR_TEMPERATURE, RELATIVE_HUMIDITY, SURFACE_AIR_PRESSURE, SOLAR_ZENITH_ANGLE)
OXYGEN, NITROGEN = 0.2095, 0.7808  # shares of air
SYMBOLS = (
    "O3", "NO", "NO2", "NO3", "N2O5", "HONO", "HNO3", "HO2NO2",
    "OH", "HO2", "H2O2", "CO", "HCHO", "CH3O2", "CH3OOH",
)  # fmt: skip


def excited_oxygen(at: Air) -> Array:
    """Photolysis of ozone to O(1D), times the share of it that meets water before the air stills it."""
    met = 2.14e-10 * at.water
    stilled = at.density * (
        Arrhenius(2.0e-11, 130).constant(at) * NITROGEN + Arrhenius(3.2e-11, 67).constant(at) * OXYGEN
    )
    return Photolysis(6.073e-5, 1.743, 0.474).constant(at) * met / (met + stilled)


def hydroperoxyl_pair(at: Air) -> Array:
    """Two HO2, faster under pressure and in moist air."""
    moist = 1 + 1.4e-21 * jnp.exp(2200 / at.temperature) * at.water
    return moist * (Arrhenius(2.2e-13, 600).constant(at) + Arrhenius(1.9e-33, 980).constant(at) * at.density)


def nitric_acid_loss(at: Air) -> Array:
    """OH with HNO3: the direct way, and that through a complex."""
    bound, broken = Arrhenius(6.5e-34, 1335).constant(at) * at.density, Arrhenius(2.7e-17, 2199).constant(at)
    return Arrhenius(2.4e-14, 460).constant(at) + bound / (1 + bound / broken)


def peroxide_share(at: Air) -> Array:
    """The share of CH3O2 + HO2 that becomes CH3OOH."""
    return 1 - 1 / (1 + 498 * jnp.exp(-1160 / at.temperature))


TABLE: tuple[tuple[str, Law], ...] = (
    ("NO + O3 -> NO2", Arrhenius(1.4e-12, -1310)),
    ("NO2 + O3 -> NO3", Arrhenius(1.4e-13, -2470)),
    ("2 NO -> 2 NO2", lambda at: Arrhenius(3.3e-20, 530).constant(at) * OXYGEN * (1e-19 * at.density)),
    ("NO + NO3 -> 2 NO2", Arrhenius(1.8e-11, 110)),
    ("NO2 + NO3 -> NO + NO2", Arrhenius(4.5e-14, -1260)),
    ("NO2 + NO3 -> N2O5", Falloff(3.6e-30, -4.1, 1.9e-12, 0.2, 0.35)),
    ("N2O5 -> NO2 + NO3", Falloff(1.3e-3, -3.5, 9.7e14, 0.1, 0.35, low_barrier=-11000, high_barrier=-11080)),
    ("O3 -> 2 OH", excited_oxygen),
    ("OH + O3 -> HO2", Arrhenius(1.7e-12, -940)),
    ("HO2 + O3 -> OH", lambda at: 2.03e-16 * (at.temperature / 300) ** 4.57 * jnp.exp(693 / at.temperature)),
    ("OH + CO -> HO2", lambda at: 1.44e-13 * (1 + at.density / 4.2e19)),
    ("OH + HO2 -> H2O", Arrhenius(4.8e-11, 250)),
    ("2 HO2 -> H2O2", hydroperoxyl_pair),
    ("OH + H2O2 -> HO2", Arrhenius(2.9e-12, -160)),
    ("OH + NO -> HONO", Falloff(7.4e-31, -2.4, 3.3e-11, -0.3, 0.81)),
    ("OH + NO2 -> HNO3", Falloff(3.2e-30, -4.5, 3.0e-11, 0.0, 0.41)),
    ("OH + NO3 -> HO2 + NO2", Arrhenius(2.0e-11)),
    ("HO2 + NO -> OH + NO2", Arrhenius(3.45e-12, 270)),
    ("HO2 + NO2 -> HO2NO2", Falloff(1.4e-31, -3.1, 4.0e-12, 0.0, 0.4)),
    ("HO2NO2 -> HO2 + NO2", Falloff(4.1e-5, 0.0, 6.0e15, 0.0, 0.4, low_barrier=-10650, high_barrier=-11170)),
    ("OH + HO2NO2 -> NO2", Arrhenius(3.2e-13, 690)),
    ("HO2 + NO3 -> OH + NO2", Arrhenius(4.0e-12)),
    ("OH + HONO -> NO2", Arrhenius(2.5e-12, -260)),
    ("OH + HNO3 -> NO3", nitric_acid_loss),
    ("NO2 -> NO + O3", Photolysis(1.165e-2, 0.244, 0.267)),
    ("NO3 -> NO", Photolysis(2.485e-2, 0.168, 0.108)),
    ("NO3 -> NO2 + O3", Photolysis(1.747e-1, 0.155, 0.125)),
    ("HONO -> OH + NO", Photolysis(2.644e-3, 0.261, 0.288)),
    ("HNO3 -> OH + NO2", Photolysis(9.312e-7, 1.230, 0.307)),
    ("H2O2 -> 2 OH", Photolysis(1.041e-5, 0.723, 0.279)),
    ("CH3O2 + NO -> HCHO + HO2 + NO2", Arrhenius(2.3e-12, 360)),
    ("CH3O2 + NO3 -> HCHO + HO2 + NO2", Arrhenius(1.2e-12)),
    ("CH3O2 + HO2 -> CH3OOH", lambda at: Arrhenius(3.8e-13, 780).constant(at) * peroxide_share(at)),
    ("CH3O2 + HO2 -> HCHO", lambda at: Arrhenius(3.8e-13, 780).constant(at) * (1 - peroxide_share(at))),
    ("2 CH3O2 -> 2 HCHO + 2 HO2", Arrhenius(7.4e-13, -520)),
    (
        "2 CH3O2 -> HCHO + CH3OH",
        lambda at: Arrhenius(1.03e-13, 365).constant(at) - Arrhenius(7.4e-13, -520).constant(at),
    ),
    ("CH3OOH + OH -> CH3O2", Arrhenius(5.3e-12 * 0.6, 190)),
    ("CH3OOH + OH -> HCHO + OH", Arrhenius(5.3e-12 * 0.4, 190)),
    ("CH3OOH -> HCHO + HO2 + OH", Photolysis(7.649e-6, 0.682, 0.279)),
    ("HCHO + OH -> HO2 + CO", Arrhenius(5.4e-12, 135)),
    ("HCHO + NO3 -> HNO3 + CO + HO2", Arrhenius(5.5e-16)),
    ("HCHO -> CO + 2 HO2", Photolysis(4.642e-5, 0.762, 0.353)),
    ("HCHO -> CO + H2", Photolysis(6.853e-5, 0.477, 0.323)),
)
# Methane and hydrogen last for years: their mole fractions stand in the constants.
LASTING: tuple[tuple[str, Law], ...] = (
    ("OH -> CH3O2", Arrhenius(1.85e-12, -1690)),
    ("OH -> HO2", Arrhenius(7.7e-12, -2100)),
)
ON_PARTICLES = "N2O5 -> 2 HNO3"
NETWORK = Network(
    tuple(gas(symbol) for symbol in SYMBOLS), (*(r for r, _ in TABLE), *(r for r, _ in LASTING), ON_PARTICLES)
)
CLEAN_AIR = {"O3": 35.0, "NO": 0.01, "NO2": 0.05, "HNO3": 0.2, "H2O2": 1.0, "CO": 100.0, "HCHO": 0.3, "CH3OOH": 0.5}


class MethaneOxidation(Model):
    """Sunlight makes ozone out of nitrogen oxides, carbon monoxide and methane, and takes it away again.

    46 reactions of 15 gases (mole fractions in 1e-9): the inorganic and the methane part of the Master Chemical
    Mechanism 3.3.1, with its clear-sky photolysis. Methane, hydrogen and water are held. O(1D), O(3P) and CH3O are at
    once what they become; methyl nitrate (0.1 % of CH3O2 + NO) and SO2 are left out, methanol is not followed. `uptake`
    is the loss of N2O5 to particles, given back as nitric acid. The rates are those of the air at the call, held over
    `time_step` (s); the solver's options are those of `chemistry.kinetics`. Nitrogen is conserved.

    Source: Jenkin et al. (1997), doi:10.1016/S1352-2310(96)00105-7; Saunders et al. (2003),
    doi:10.5194/acp-3-161-2003; constants of the IUPAC evaluation, Atkinson et al. (2004), doi:10.5194/acp-4-1461-2004.

        >>> noon = {"air_temperature": 25.0, "relative_humidity": 50.0, "surface_air_pressure": 1e5}
        >>> model = MethaneOxidation()
        >>> fields = {**noon, "solar_zenith_angle": 30.0, **model.initial()}
        >>> 1e-4 < float(model({name: jnp.asarray(value) for name, value in fields.items()})["hydroxyl_radical"]) < 1e-3
        True
    """

    methane: Parameter = Parameter(1850.0, "1e-9", (300.0, 1e4), "mole fraction of methane")
    hydrogen: Parameter = Parameter(530.0, "1e-9", (0.0, 1e4), "mole fraction of molecular hydrogen")
    uptake: Parameter = Parameter(4e-4, "s-1", (0.0, 1e-2), "loss of N2O5 to wet particles, as in the MCM")
    time_step: float = eqx.field(static=True, default=1200.0)
    steps: int = eqx.field(static=True, default=10)
    growth: float = eqx.field(static=True, default=1.6)
    tolerance: float | None = eqx.field(static=True, default=None)
    inputs: ClassVar = (*NETWORK.variables, *AIR)
    outputs: ClassVar = NETWORK.variables
    state: ClassVar[tuple[str, ...]] = NETWORK.names

    def initial(self) -> dict[str, ArrayLike]:
        return {variable.name: CLEAN_AIR.get(symbol, 0.0) for symbol, variable in NETWORK.species}

    def constants(self, fields: Fields) -> Array:
        """The constants of all reactions, in s-1 and, of two gases that meet, in (1e-9)-1 s-1."""
        at = air(*(fields[variable.name] for variable in AIR))
        nano = 1e-9 * at.density
        known = constants([law for _, law in TABLE], at)
        meeting = NETWORK.partners[: len(TABLE), 1] < len(SYMBOLS)
        held = constants([law for _, law in LASTING], at) * nano * jnp.stack([self.methane.value, self.hydrogen.value])
        return jnp.concatenate(
            [known * jnp.where(meeting, nano, 1.0), jnp.stack([*held, self.uptake.value + 0 * nano])]
        )

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        how = {"steps": self.steps, "growth": self.growth, "tolerance": self.tolerance}
        return NETWORK.advance(fields, self.constants(fields), self.time_step, **how)


def example() -> dict[str, Any]:
    """A minute of the night: ozone (40 parts) and nitrogen monoxide (20) meet, `k = 1.73e-14 cm3 s-1`, and no more.

    Of a and b there are left a - x and b - x, `a exp((a - b) k t) (b - x) = b (a - x)` with k in (1e-9)-1 s-1:
    1.73e-14 times 2.43e10 cm-3, a 1e9-th of the air. What NO2 and ozone make together meanwhile is less than 0.1 %.
    """
    at = {"air_temperature": 25.0, "relative_humidity": 0.0, "surface_air_pressure": 1e5, "solar_zenith_angle": 120.0}
    gases = dict.fromkeys(NETWORK.names, 0.0) | {"ozone": 40.0, "nitrogen_monoxide": 20.0}
    left = 20.0 * 20.0 / (40.0 * math.exp(20.0 * 60.0 * 1.73e-14 * 2.43e10) - 20.0)
    return {
        "model": MethaneOxidation(time_step=60.0),
        "inputs": {name: jnp.asarray(value) for name, value in (gases | at).items()},
        "published": {"nitrogen_monoxide": left, "nitrogen_dioxide": 20.0 - left, "ozone": 20.0 + left},
        "tolerance": 2e-3,
        "source": "the closed form of a reaction of second order, with the constant of Atkinson et al. (2004)",
    }
