"""A learner of what a step changes, for fields of which some stay and some pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Variable, named, require
from .examples import distinct, usable
from .mlp import MLP
from .polynomial import Polynomial
from .scaling import clip

FREE, LEAST = (-float("inf"), float("inf")), 1e-6


class Increments(Learner):
    """Another learner, told of some outputs by how much they change, of families what the sum does and who has what.

    Outputs carry the names of inputs. One of those `changing` is `y = x + d`, d learned. A family has a sum
    `X = x_1 + .. + x_n` and shares `s_i = x_i / X`: `y_i = (s_i + e_i) (X + d)`, the changes d and e_i learned; where
    shares are `steady` they are learned themselves, `y_i = s_i (X + d)`. Of each of the `sums` the change is learned
    too, and its first member is what the others leave, `y_1 = X + d - (y_2 + .. + y_n)`: an error in how it is parted
    is forgotten by the next step. All other outputs are learned as they are. What is `conserved`, numbers w of each of
    some outputs, is then kept, `sum w y = sum w x`: the first named is the store that takes or gives the difference,
    and one factor for all does the rest. The learner inside also sees the shares, and of inputs named `logarithmic`
    the logarithm instead (1e-6 at least). Answers stay within their bounds.

    Raises `ValueError` for what is no output that is an input too, or stands in several families; and for the first
    of a sum that stands in a family or is conserved too.

    Source: Keller & Evans (2019), doi:10.5194/gmd-12-1209-2019, who predict changes of what lives long, concentrations
    of what does not, and NOx as a family with its partition; changes of shares, sums and the store are ours.

        >>> pair = [Variable(name, "1e-9", bounds=(0, float("inf"))) for name in ("no", "no2")]
        >>> told = Increments(pair, pair, families=[["no", "no2"]])
        >>> [v.name for v in told.learner.outputs]
        ['change_of_no_no2', 'change_of_share_of_no']
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    learner: Learner
    changing: tuple[str, ...] = eqx.field(static=True)
    families: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    conserved: tuple[tuple[tuple[str, float], ...], ...] = eqx.field(static=True)
    logarithmic: tuple[str, ...] = eqx.field(static=True)
    sums: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    steady: bool = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        learner: Callable[[Sequence[Variable], Sequence[Variable]], Learner] = MLP,
        changing: Sequence[str] = (),
        families: Sequence[Sequence[str]] = (),
        conserved: Sequence[Mapping[str, float]] = (),
        logarithmic: Sequence[str] = (),
        sums: Sequence[Sequence[str]] = (),
        steady: bool = False,
    ):
        self.inputs, self.outputs = tuple(distinct(inputs, "Increments")), tuple(distinct(outputs, "Increments"))
        members = [name for family in families for name in family]
        self.sums, self.steady = tuple(tuple(one) for one in sums), steady
        left = [one[0] for one in self.sums]
        # A member of a family changes with it, the first of a sum with that.
        self.changing = tuple(name for name in changing if name not in (*members, *left))
        self.families = tuple(tuple(family) for family in families)
        self.conserved = tuple(tuple(numbers.items()) for numbers in conserved)
        both = set(named(self.inputs)) & set(named(self.outputs))
        kept = [name for numbers in self.conserved for name, _ in numbers]
        counted = [*members, *self.changing, *kept, *(name for one in self.sums for name in one)]
        if set(counted) - both or len(set(members)) < len(members):
            raise ValueError(
                f"Increments: {sorted(set(counted) - both) or members} must be inputs and outputs, and in one family; "
                f"both are {', '.join(sorted(both)) or 'none'}"
            )
        if set(left) & {*members, *kept}:
            raise ValueError(f"Increments: {left} are what the others of a sum leave, so in no family nor conserved")
        self.logarithmic = tuple(logarithmic)
        self.learner = learner(self._shown(), self._told())

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Increments")
        told = self.learner(self._seen(fields), key=key)
        made = {name: value for name, value in told.items() if name in named(self.outputs)}
        made |= {name: fields[name] + told[f"change_of_{name}"] for name in self.changing}
        for family in self.families:
            made |= self._parted(family, fields, told)
        made = {v.name: clip(made[v.name], v.bounds) for v in self.outputs if v.name in made}
        for numbers in self.conserved:
            made |= _kept(numbers, fields, made)
        for first, *others in self.sums:
            total = sum(fields[name] for name in (first, *others)) + told[_change_of((first, *others))]
            made[first] = clip(total - sum(made[name] for name in others), named(self.outputs)[first].bounds)
        return {v.name: made[v.name] for v in self.outputs}

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        return eqx.tree_at(
            lambda m: m.learner, self, self.learner.standardise(self._seen(inputs), self._lessons(inputs, targets))
        )

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        samples = usable(self, inputs, targets)
        lessons = self._lessons(samples.inputs, samples.targets)
        return eqx.tree_at(lambda m: m.learner, self, self.learner.fit(self._seen(samples.inputs), lessons, key=key))

    def _shown(self) -> list[Variable]:
        """What the learner inside reads."""
        shown = [replace(v, name=_seen_as(v.name, self.logarithmic), bounds=FREE) for v in self.inputs]
        return shown + [
            Variable(f"share_of_{name}", "1", (), (0, 1)) for family in self.families for name in family[:-1]
        ]

    def _seen(self, fields: Fields) -> Fields:
        seen: Fields = {}
        for v in self.inputs:
            value = fields[v.name]
            seen[_seen_as(v.name, self.logarithmic)] = (
                jnp.log(jnp.maximum(value, LEAST)) if v.name in self.logarithmic else value
            )
        return seen | {f"share_of_{name}": share for family in self.families for name, share in _shares(family, fields)}

    def _told(self) -> list[Variable]:
        """What the learner inside answers."""
        known = named(self.outputs)
        settled = {name for family in self.families for name in family} | {one[0] for one in self.sums}
        told = [v for name, v in known.items() if name not in settled and name not in self.changing]
        told += [replace(known[name], name=f"change_of_{name}", bounds=FREE) for name in self.changing]
        for family in self.families:
            told.append(replace(known[family[0]], name=_change_of(family), bounds=FREE))
            told += [Variable(self._share(name), "1") for name in family[:-1]]
        return told + [replace(known[one[0]], name=_change_of(one), bounds=FREE) for one in self.sums]

    def _lessons(self, inputs: Fields, targets: Fields) -> Fields:
        lessons = {name: value for name, value in targets.items() if name in named(self.learner.outputs)}
        lessons |= {f"change_of_{name}": targets[name] - inputs[name] for name in self.changing}
        for group in (*self.families, *self.sums):
            before, after = (sum(one[name] for name in group) for one in (inputs, targets))
            lessons[_change_of(group)] = after - before
        for family in self.families:
            pairs = zip(_shares(family, inputs), _shares(family, targets), strict=True)
            lessons |= {self._share(n): share - (0 if self.steady else first) for (n, first), (_, share) in pairs}
        return lessons

    def _share(self, name: str) -> str:
        return f"new_share_of_{name}" if self.steady else f"change_of_share_of_{name}"

    def _parted(self, family: tuple[str, ...], fields: Fields, told: Fields) -> Fields:
        total = jnp.maximum(sum(fields[name] for name in family) + told[_change_of(family)], 0.0)
        shares: list[Array] = [
            jnp.clip((0 if self.steady else share) + told[self._share(name)], 0.0, 1.0)
            for name, share in _shares(family, fields)
        ]
        shares.append(jnp.maximum(1.0 - sum(shares), 0.0))
        return {name: total * share / sum(shares) for name, share in zip(family, shares, strict=True)}


def _kept(numbers: Sequence[tuple[str, float]], fields: Fields, made: Fields) -> Fields:
    """What is conserved, the difference put into the first, and what that has not taken from all alike."""

    def held(one: Fields) -> Array:
        return sum(number * one[name] for name, number in numbers)

    (store, number), *_ = numbers
    before = held(fields)
    filled = {**made, store: jnp.maximum(made[store] + (before - held(made)) / number, 0.0)}
    after = held(filled)
    return {name: filled[name] * jnp.where(after > 0, before / after, 1.0) for name, _ in numbers}


def _shares(family: tuple[str, ...], fields: Fields) -> list[tuple[str, Array]]:
    """The shares of all members but the last."""
    total = sum(fields[name] for name in family)
    return [(name, fields[name] / jnp.maximum(total, LEAST)) for name in family[:-1]]


def _seen_as(name: str, logarithmic: tuple[str, ...]) -> str:
    return f"logarithm_of_{name}" if name in logarithmic else name


def _change_of(family: tuple[str, ...]) -> str:
    return f"change_of_{'_'.join(family)}"


def example() -> dict:
    """Two gases that turn into each other, as much as the sun wills, and a little of both is lost."""
    air = [Variable(name, "1e-9", bounds=(0, float("inf"))) for name in ("nitrogen_monoxide", "nitrogen_dioxide")]
    sun = Variable("sun", "1", bounds=(0, 1))
    one, other, light = (jax.random.uniform(jax.random.key(n), (256,)) for n in range(3))
    left = 0.95 * (one + other)
    share = 0.9 * one / (one + other) + 0.1 * light
    return {
        "learner": Increments(
            [*air, sun], air, learner=partial(Polynomial, degree=1), families=[[v.name for v in air]]
        ),
        "inputs": {"nitrogen_monoxide": one, "nitrogen_dioxide": other, "sun": light},
        "targets": {"nitrogen_monoxide": share * left, "nitrogen_dioxide": (1 - share) * left},
        "source": "doi:10.5194/gmd-12-1209-2019",
    }
