"""Clear-sky long-wave radiation of one column by a correlated k-distribution."""

from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...longwave import COLUMN, FLUXES, answer, at_half_levels, example_column, fluxes
from ...parameters import Parameter
from ...soundings import WATER_TO_AIR
from ...variables import HALF_LEVEL_TEMPERATURE
from ._ecckd import ecckd
from ._gas_optics import Air, GasOptics

# Secants and weights of the slant paths that stand for a flux:
# Gauss-Jacobi-5 of Hogan (2024), doi:10.1002/qj.4598.
PATHS = {
    1: ((1 / 0.6096748751,), (1.0,)),
    2: ((1 / 0.2509907356, 1 / 0.7908473988), (0.2300253764, 0.7699746236)),
    3: ((1 / 0.1024922169, 1 / 0.4417960320, 1 / 0.8633751621), (0.0437820218, 0.3875796738, 0.5686383044)),
}
# Mole fractions in dry air in 2014, the present day of Pincus, Forster & Stevens (2016), doi:10.5194/gmd-9-3447-2016.
PRESENT = {
    "carbon_dioxide": (397.547, "1e-6"),
    "methane": (1831.47, "1e-9"),
    "nitrous_oxide": (326.988, "1e-9"),
    "carbon_monoxide": (120.0, "1e-9"),
    "oxygen": (0.209, "1"),
    "nitrogen": (0.781, "1"),
    "cfc11": (233.08, "1e-12"),
    "cfc12": (520.58, "1e-12"),
    "hcfc22": (229.54, "1e-12"),
    "carbon_tetrachloride": (83.07, "1e-12"),
    "cf4": (81.09, "1e-12"),
    "hfc134a": (80.52, "1e-12"),
    "hfc143a": (15.25, "1e-12"),
    "hfc125": (15.36, "1e-12"),
    "hfc23": (26.89, "1e-12"),
    "hfc32": (8.34, "1e-12"),
}


def present_day() -> dict[str, Parameter]:
    """The well mixed gases of 2014.

    >>> present_day()["methane"].value
    1831.47
    """
    return {
        name: Parameter(value, units, (0.0, 1.0 if units == "1" else 1e5), f"mole fraction of {name}", fixed=True)
        for name, (value, units) in PRESENT.items()
    }


def gas_variable(name: str) -> Variable:
    """A well mixed gas as an input: its mole fraction in dry air, 1."""
    cf = f"mole_fraction_of_{name}_in_air"
    return Variable(cf, "1", bounds=(0, 1), standard_name=cf)


class Longwave(Model):
    """Clear air absorbs and emits, by a correlated k-distribution and the exact solution without scattering.

    At every point of the distribution `dI/d tau = I - B` along 1 to 3 slant paths, B linear in tau between half
    levels; fluxes are their weighted sums. Fluxes in W m-2 at half levels, heating in K day-1 at levels, which run from
    the ground up; any number of them. A column that runs down is turned, and its answer with it.

    `optics` is by default ecCKD's "climate" model of 32 points, which comes with this package (water vapour, ozone,
    carbon dioxide, methane, nitrous oxide, two CFCs); `data.gas_optics.rrtmgp()` reads those of RRTMGP. Water vapour
    and ozone are profiles; `gases` are well mixed, and those named in `given` are inputs `mole_fraction_of_..._in_air`.
    With `half_levels` "given" the temperature between levels is an input, else it is drawn through those of the levels.

    Raises `ValueError` for a number of paths, a gas or a choice of half levels that is not known.
    Hogan & Matricardi (2022), doi:10.1029/2022MS003033; Pincus, Mlawer & Delamere (2019), doi:10.1029/2019MS001621.

        >>> made = Longwave()(example_column())
        >>> round(float(made["upwelling_longwave_flux_in_air"][-1]))
        253
    """

    optics: GasOptics = eqx.field(default_factory=ecckd)
    gases: dict[str, Parameter] = eqx.field(default_factory=present_day)
    given: tuple[str, ...] = eqx.field(static=True, default=())
    half_levels: Literal["drawn", "given"] = eqx.field(static=True, default="drawn")
    paths: Literal[1, 2, 3] = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        if self.paths not in PATHS:
            raise ValueError(f"paths must be 1, 2 or 3, got {self.paths}")
        if self.half_levels not in ("drawn", "given"):
            raise ValueError(f"half_levels must be 'drawn' or 'given', got {self.half_levels!r}")
        unknown = [name for name in self.given if name not in self.gases]
        if unknown:
            raise ValueError(f"given: no gas {unknown[0]!r}; there are {', '.join(self.gases)}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        warmth = (HALF_LEVEL_TEMPERATURE,) if self.half_levels == "given" else ()
        return (*COLUMN, *warmth, *(gas_variable(name) for name in self.given))

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return FLUXES

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return _simulate(self, {variable.name: jnp.asarray(fields[variable.name]) for variable in self.inputs})

    def simulate(self, fields: Fields) -> Fields:
        """What `__call__` compiles."""
        falls = fields["air_pressure_at_half_levels"][0] > fields["air_pressure_at_half_levels"][-1]
        upward = turned(fields, falls)
        return turned(self.upward(upward), falls)

    def upward(self, fields: Fields) -> Fields:
        """The answer for a column from the ground up."""
        air = self.air(fields)
        seen = self.optics(air)
        rising = falling = jnp.zeros(())
        for secant, weight in zip(*PATHS[self.paths], strict=True):
            up, down = fluxes(secant * seen.depth, *seen[1:], fields["surface_emissivity"])
            rising, falling = rising + weight * up, falling + weight * down
        return answer(air.half_level_pressure, rising, falling)

    def air(self, fields: Fields) -> Air:
        """The column as gas optics takes it."""
        pressure, half = fields["air_pressure"], fields["air_pressure_at_half_levels"]
        warmth, humidity = fields["air_temperature_profile"], fields["specific_humidity"]
        edge = fields.get(HALF_LEVEL_TEMPERATURE.name)
        edge = at_half_levels(pressure, half, warmth) if edge is None else edge
        mixed = {name: gas.value * (1.0 if gas.units == "1" else float(gas.units)) for name, gas in self.gases.items()}
        mixed |= {name: fields[gas_variable(name).name] for name in self.given}
        vapour = jnp.clip(humidity, 0.0, 0.5) / (WATER_TO_AIR * (1 - jnp.clip(humidity, 0.0, 0.5)))
        profiles = {"water_vapour": vapour, "ozone": fields["mole_fraction_of_ozone_in_air"]}
        return Air(pressure, half, warmth, edge, fields["surface_temperature"], {**mixed, **profiles})


def turned(fields: Fields, kept: Array) -> Fields:
    """Profiles as they are, or the other way up."""
    return {name: jnp.where(kept, v, v[::-1]) if jnp.ndim(v) else v for name, v in fields.items()}


# One program, also where a column is given outside of jit.
_simulate = eqx.filter_jit(Longwave.simulate)


def example() -> dict[str, Any]:
    """A dark, warm column: as warm as its ground, it sends up what the ground does, whatever absorbs."""
    column = example_column()
    column |= {"air_temperature_profile": jnp.full(4, 280.0), "surface_temperature": jnp.asarray(280.0)}
    column |= {"surface_emissivity": jnp.asarray(1.0)}
    return {
        "model": Longwave(),
        "inputs": column,
        "published": {"upwelling_longwave_flux_in_air": [5.670374419e-8 * 280.0**4] * 5},
        "tolerance": 1e-4,
        "source": "Kirchhoff; ecCKD of Hogan & Matricardi 2022, doi:10.1029/2022MS003033",
    }
