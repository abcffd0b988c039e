"""Chemical kinetics by the law of mass action, stiff as it may be (one step)."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ._network import Network
from ._pollu import CONSTANTS, NETWORK, START


class Kinetics(Model):
    """Substances react with each other as often as they meet.

    `dc/dt = S r(c)`, `r_j = k_j c_a` or `k_j c_a c_b`, S the stoichiometric matrix of reactions written as
    "NO + O3 -> NO2". `species` pairs each symbol with its variable, `start` are the amounts before the first step, and
    the constants are per unit of time and, of two that meet, per unit of amount. A call carries the amounts over
    `time_step` by the Rosenbrock method RODAS3: in `steps` steps, each `growth` times as long as the one before; or,
    with a `tolerance`, in as many as keep the relative error there (above amounts of `floor`), which cannot be
    differentiated backwards.

    Raises `ValueError` for reactions that cannot be read, or as many constants as there are no reactions.

    Source: Sandu et al. (1997), doi:10.1016/S1352-2310(97)83212-8.

        >>> a, b = Variable("a", "1"), Variable("b", "1")
        >>> rate = Parameter(jnp.array([math.log(2)]), "s-1", (0, 10), "a turns into b")
        >>> decay = Kinetics(rate, (("A", a), ("B", b)), ("A -> B",), time_step=1.0)
        >>> made = decay({"a": jnp.asarray(1.0), "b": jnp.asarray(0.0)})
        >>> round(float(made["a"]), 3), round(float(made["b"]), 3)
        (0.5, 0.5)
    """

    constants: Parameter
    species: tuple[tuple[str, Variable], ...] = eqx.field(static=True)
    reactions: tuple[str, ...] = eqx.field(static=True)
    start: tuple[float, ...] = eqx.field(static=True, default=())
    time_step: float = eqx.field(static=True, default=1.0)
    steps: int = eqx.field(static=True, default=8)
    growth: float = eqx.field(static=True, default=1.0)
    tolerance: float | None = eqx.field(static=True, default=None)
    floor: float = eqx.field(static=True, default=1e-9)

    def __check_init__(self) -> None:
        count = jnp.size(self.constants.value)
        if count != len(self.network.reactions):
            raise ValueError(f"Kinetics: {count} constants for {len(self.reactions)} reactions; give one of each")

    @property
    def network(self) -> Network:
        return Network(self.species, self.reactions)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.network.variables

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.network.variables

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.network.names

    def initial(self) -> dict[str, ArrayLike]:
        amounts = self.start or (0.0,) * len(self.species)
        return dict(zip(self.network.names, amounts, strict=True))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        how = {"steps": self.steps, "growth": self.growth, "tolerance": self.tolerance, "floor": self.floor}
        return self.network.advance(fields, jnp.asarray(self.constants.value), self.time_step, **how)


def robertson(time_step: float = 40.0, steps: int = 60, growth: float = 1.25, **options: Any) -> Kinetics:
    """Robertson's autocatalytic reaction, whose rates lie nine orders apart."""
    species = (
        ("A", Variable("reactant", "1", long_name="share of what reacts first")),
        ("B", Variable("catalyst", "1", long_name="share of what makes and speeds its own loss")),
        ("C", Variable("product", "1", long_name="share of what is left in the end")),
    )
    constants = Parameter(jnp.array([0.04, 3e7, 1e4]), "s-1", (0.0, math.inf), "of the three reactions")
    reactions = ("A -> B", "2 B -> B + C", "B + C -> A + C")
    how = {"time_step": time_step, "steps": steps, "growth": growth, **options}
    return Kinetics(constants, species, reactions, (1.0, 0.0, 0.0), **how)


def pollu(time_step: float = 3600.0, steps: int = 30, growth: float = 1.3, **options: Any) -> Kinetics:
    """Twenty gases of polluted air (mole fractions in 1e-9) that react in 25 ways, the sun as it stands.

    Verwer (1994), doi:10.1137/0915076; problem POLLU of the Test Set for IVP Solvers (Mazzia & Magherini 2008).
    """
    constants = Parameter(jnp.asarray(CONSTANTS), "s-1", (0.0, math.inf), "of the 25 reactions, as published")
    begin = tuple(START.get(symbol, 0.0) for symbol in NETWORK.symbols)
    how = {"time_step": time_step, "steps": steps, "growth": growth, **options}
    return Kinetics(constants, NETWORK.species, NETWORK.reactions, begin, **how)


def example() -> dict[str, Any]:
    """Robertson's reaction after 40 s, as the solvers of LLNL have printed it since 1972."""
    return {
        "model": robertson(),
        "inputs": {"reactant": jnp.asarray(1.0), "catalyst": jnp.asarray(0.0), "product": jnp.asarray(0.0)},
        "published": {"reactant": 0.7158, "catalyst": 9.185e-06, "product": 0.2842},
        "tolerance": 1e-3,
        "source": "Robertson (1966); values of Hindmarsh (1972), repeated in the documentation of LSODE and CVODE",
    }
