"""Networks of reactions: how they are read, how fast they go, and what they leave in number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core import Fields, Variable
from ._rosenbrock import adaptive, graded


@dataclass(frozen=True)
class Network:
    """Reactions between the variables of some symbols, each of the kind "NO + O3 -> NO2".

    At most two molecules react; a number before a symbol is how many are made, or used up if it stands left ("2 HO2"
    is two of a kind that meet). Symbols of the right-hand side that have no variable are not followed.

    Raises `ValueError` for a reaction that is not of this kind, or starts from a symbol without a variable.
    """

    species: tuple[tuple[str, Variable], ...]
    reactions: tuple[str, ...]

    def __post_init__(self) -> None:
        for reaction in self.reactions:
            left, arrow, right = reaction.partition("->")
            met = [symbol for symbol, number in _terms(left) for _ in range(int(number))]
            if not arrow or not _terms(right) or not 1 <= len(met) <= 2 or not set(met) <= set(self.symbols):
                raise ValueError(
                    f'reaction {reaction!r}: write one or two of {", ".join(self.symbols)}, "->" and what is made, as '
                    'in "NO + O3 -> NO2"'
                )

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(symbol for symbol, _ in self.species)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(variable for _, variable in self.species)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(variable.name for variable in self.variables)

    @cached_property
    def partners(self) -> np.ndarray:
        """The places (reaction, 2) of what meets in each reaction; the place past the last species is for none."""
        places = []
        for reaction in self.reactions:
            met = [s for s, number in _terms(reaction.partition("->")[0]) for _ in range(int(number))]
            places.append([*map(self.symbols.index, met), len(self.species)][:2])
        return np.asarray(places)

    @cached_property
    def stoichiometry(self) -> np.ndarray:
        """How many of each species (species, reaction) a reaction makes, less those it uses up."""
        used, made = (
            np.asarray([self._numbers(reaction.split("->")[side]) for reaction in self.reactions]).T for side in (0, 1)
        )
        return made - used

    def _numbers(self, side: str) -> np.ndarray:
        """How many of each species one side of a reaction holds."""
        terms = _terms(side)
        return np.asarray([sum(number for symbol, number in terms if symbol == known) for known in self.symbols])

    def rates(self, amounts: Array, constants: Array) -> Array:
        """How often each reaction happens: `k c_a`, or `k c_a c_b`."""
        met = jnp.append(amounts, 1.0)[self.partners]
        return constants * met[:, 0] * met[:, 1]

    def tendency(self, amounts: Array, constants: Array) -> Array:
        """`dc/dt = S r(c)`, S the stoichiometric matrix."""
        return jnp.asarray(self.stoichiometry, amounts.dtype) @ self.rates(amounts, constants)

    def jacobian(self, amounts: Array, constants: Array) -> Array:
        """`S dr/dc`, in closed form."""
        met = jnp.append(amounts, 1.0)[self.partners]
        one, other = (np.eye(len(self.species) + 1)[self.partners[:, side], :-1] for side in (0, 1))
        slopes = (constants * met[:, 1])[:, None] * one + (constants * met[:, 0])[:, None] * other
        return jnp.asarray(self.stoichiometry, amounts.dtype) @ slopes.astype(amounts.dtype)

    def advance(
        self,
        fields: Fields,
        constants: Array,
        time: float,
        *,
        steps: int = 8,
        growth: float = 1.0,
        tolerance: float | None = None,
        floor: float = 1e-9,
    ) -> Fields:
        """The amounts after some time, by RODAS3: in `steps` graded steps, or in steps of a `tolerance`."""
        amounts = jnp.stack([jnp.asarray(fields[name], jnp.result_type(float)) for name in self.names])
        constants = constants.astype(amounts.dtype)

        def rate(c: Array) -> Array:
            return self.tendency(c, constants)

        def slope(c: Array) -> Array:
            return self.jacobian(c, constants)

        if tolerance is None:
            made = graded(rate, slope, amounts, time, steps, growth)
        else:
            made = adaptive(rate, slope, amounts, time, tolerance, floor)[0]
        return dict(zip(self.names, made, strict=True))

    def weights(self, numbers: dict[str, float]) -> np.ndarray:
        """The atoms (species,) of an element in each species, from those of the symbols that hold it."""
        return np.asarray([numbers.get(symbol, 0.0) for symbol in self.symbols])


def _terms(side: str) -> Sequence[tuple[str, float]]:
    """The symbols of one side of a reaction, each with its number.

    >>> _terms("2 HO2 + 0.4 CO")
    [('HO2', 2.0), ('CO', 0.4)]
    """
    found = []
    for term in filter(None, (part.strip() for part in side.split("+"))):
        match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)\s+)?([A-Za-z]\w*)", term)
        if match is None:
            raise ValueError(f'{term!r} is no number of a species; write "2 HO2" or "NO"')
        found.append((match[2], float(match[1] or 1)))
    return found
