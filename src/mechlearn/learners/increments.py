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
    `X = x_1 + .. + x_n` and shares `s_i = x_i / X`: `y_i = (s_i + e_i) (X + d)`, the changes d and e_i learned. All
    other outputs are learned as they are. What is `conserved`, numbers w of each of some outputs, is then kept by one
    factor: `sum w y = sum w x`. The learner inside also sees the shares, and of inputs named `logarithmic` the
    logarithm instead (1e-6 at least). Answers stay within their bounds.

    Raises `ValueError` for what is no output that is an input too, or stands in several families.

    Source: Keller & Evans (2019), doi:10.5194/gmd-12-1209-2019, who predict changes of what lives long, concentrations
    of what does not, and NOx as a family with its partition; changes of shares and the factor are ours.

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
    ):
        self.inputs, self.outputs = tuple(distinct(inputs, "Increments")), tuple(distinct(outputs, "Increments"))
        members = [name for family in families for name in family]
        # A member of a family changes with it.
        self.changing = tuple(name for name in changing if name not in members)
        self.families = tuple(tuple(family) for family in families)
        self.conserved = tuple(tuple(numbers.items()) for numbers in conserved)
        both = set(named(self.inputs)) & set(named(self.outputs))
        counted = [*members, *self.changing, *(name for numbers in self.conserved for name, _ in numbers)]
        if set(counted) - both or len(set(members)) < len(members):
            raise ValueError(
                f"Increments: {sorted(set(counted) - both) or members} must be inputs and outputs, and in one family; "
                f"both are {', '.join(sorted(both)) or 'none'}"
            )
        self.logarithmic = tuple(logarithmic)
        self.learner = learner(self._shown(), self._told())

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Increments")
        told = self.learner(self._seen(fields), key=key)
        made = {name: value for name, value in told.items() if name in named(self.outputs)}
        made |= {name: fields[name] + told[f"change_of_{name}"] for name in self.changing}
        for family in self.families:
            made |= _parted(family, fields, told)
        made = {v.name: clip(made[v.name], v.bounds) for v in self.outputs}
        for numbers in self.conserved:
            before, after = (sum(number * one[name] for name, number in numbers) for one in (fields, made))
            made |= {name: made[name] * jnp.where(after > 0, before / after, 1.0) for name, _ in numbers}
        return made

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
        members = {name for family in self.families for name in family}
        told = [v for name, v in known.items() if name not in members and name not in self.changing]
        told += [replace(known[name], name=f"change_of_{name}", bounds=FREE) for name in self.changing]
        for family in self.families:
            told.append(replace(known[family[0]], name=_change_of(family), bounds=FREE))
            told += [Variable(f"change_of_share_of_{name}", "1") for name in family[:-1]]
        return told

    def _lessons(self, inputs: Fields, targets: Fields) -> Fields:
        lessons = {name: value for name, value in targets.items() if name in named(self.learner.outputs)}
        lessons |= {f"change_of_{name}": targets[name] - inputs[name] for name in self.changing}
        for family in self.families:
            before, after = (sum(one[name] for name in family) for one in (inputs, targets))
            lessons[_change_of(family)] = after - before
            pairs = zip(_shares(family, inputs), _shares(family, targets), strict=True)
            lessons |= {f"change_of_share_of_{name}": share - first for (name, first), (_, share) in pairs}
        return lessons


def _parted(family: tuple[str, ...], fields: Fields, told: Fields) -> Fields:
    total = jnp.maximum(sum(fields[name] for name in family) + told[_change_of(family)], 0.0)
    shares: list[Array] = [
        jnp.clip(share + told[f"change_of_share_of_{name}"], 0.0, 1.0) for name, share in _shares(family, fields)
    ]
    shares.append(jnp.maximum(1.0 - sum(shares), 0.0))
    return {name: total * share / sum(shares) for name, share in zip(family, shares, strict=True)}


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
