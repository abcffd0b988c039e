"""The five abstract classes that everything in mechlearn is made of.

A mechanism, a learner and a coupling of the two are the same kind of thing: a
map from named fields to named fields, for one sample. Batches are `jax.vmap`.
"""

import abc
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import equinox as eqx
from jaxtyping import Array, ArrayLike, PRNGKeyArray

if TYPE_CHECKING:
    # A type checker would make a constructor argument of what a subclass gives as a property.
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar

cf_units = re.compile(r"^[^/*^]*$")

Fields = dict[str, Array]


@dataclass(frozen=True)
class Variable:
    """A named quantity of one sample, with the units every model must agree on.

    Identity is the name (the CF name where one exists). Units are written the CF
    way, `"mm day-1"`; other spellings and other units are converted at the data
    door, never inside a model. `dims` are the axes one sample has, `bounds` the
    values that make physical sense.

    Raises `ValueError` for a name that is no identifier, units that are not CF
    style, or bounds out of order.

        >>> Variable("precipitation", "mm day-1", ("time",), bounds=(0, math.inf)).units
        'mm day-1'
    """

    name: str
    units: str
    dims: tuple[str, ...] = ()
    bounds: tuple[float, float] = (-math.inf, math.inf)
    standard_name: str = ""
    long_name: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(
                f"a variable's name must be an identifier, got {self.name!r}; "
                "write air_temperature, not 'air temperature'"
            )
        if not cf_units.match(self.units):
            raise ValueError(
                f"{self.name}: units {self.units!r} are not CF style; "
                "write exponents after the unit, as in 'mm day-1' or 'W m-2'"
            )
        if not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"{self.name}: bounds {self.bounds} must be (lower, upper) with lower < upper")

    def over(self, *dims: str) -> "Variable":
        """The same quantity with further leading axes: `runoff.over("time")`."""
        return replace(self, dims=(*dims, *self.dims))


class Model(eqx.Module):
    """A map from named fields to named fields: mechanism, learner, coupling, operator.

    `inputs` and `outputs` declare what one sample needs and gives. A model that is
    one step in time also declares which of its outputs are its `state` (they are
    inputs too), what the state is before the first step, and which `lasting` inputs
    stay the same from step to step. `tolerates` names the
    inputs that may have gaps (NaN); all others must be complete.
    """

    inputs: AbstractVar[tuple[Variable, ...]]
    outputs: AbstractVar[tuple[Variable, ...]]
    state: ClassVar[tuple[str, ...]] = ()
    lasting: ClassVar[tuple[str, ...]] = ()
    tolerates: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        """Map one sample's inputs to its outputs."""

    def initial(self) -> dict[str, ArrayLike]:
        """The state before the first step."""
        return {}

    def prepare(self, fixed: Fields) -> "Model":
        """Return this step as a roll-out takes it, with what stays the same from step to step computed once.

        `fixed` are the inputs that do not change. The prepared step reads and gives the same fields; what it
        derives from a parameter it keeps in the part that owns the parameter. By default nothing is prepared.
        """
        return self


class Wrapped(Model):
    """A model around another, `wraps` the name of it among its parts: what it does not say itself, that one says."""

    wraps: AbstractVar[str]

    @property
    def inner(self) -> Model:
        """The model inside."""
        return getattr(self, self.wraps)

    @property
    def inputs(self) -> tuple[Variable, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.inputs

    @property
    def outputs(self) -> tuple[Variable, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.outputs

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.state

    @property
    def lasting(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.lasting

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.tolerates

    def initial(self) -> dict[str, ArrayLike]:
        return self.inner.initial()

    def prepare(self, fixed: Fields) -> Model:
        return eqx.tree_at(lambda model: model.inner, self, self.inner.prepare(fixed))


class Learner(Model):
    """A model with weights that can be taught from examples alone."""

    @abc.abstractmethod
    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        """Return this learner taught on examples (a leading sample axis; NaN targets are skipped)."""

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        """Return this learner with its scales of inputs and outputs set from examples."""
        return self


class Law(eqx.Module):
    """Something that must hold: a penalty, a projection and an audit in one."""

    inputs: AbstractVar[tuple[Variable, ...]]

    @abc.abstractmethod
    def residual(self, fields: Fields) -> Array:
        """By how much the law is broken, in the law's units: 0 where it is obeyed."""


class Solver(eqx.Module):
    """A way to find fields that make a residual vanish, or as small as can be."""

    @abc.abstractmethod
    def solve(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Fields:
        """Return the fields that minimise the squared residual, starting from a guess."""


class Analysis(eqx.Module):
    """A way to correct an ensemble of states with observations."""

    @abc.abstractmethod
    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        """Return the analysed ensemble (member, state), given each member's predicted observations."""


class Term(eqx.Module):
    """A law that training pays for: `weight * mean(|residual|^power)`."""

    law: Law
    weight: float = 1.0
    power: float = eqx.field(static=True, default=2.0)


Examples = Callable[[Model, Fields, Fields], tuple[Fields, Fields]]


class Lesson(eqx.Module):
    """How one learner inside a system is taught alone: where it sits, which examples.

    `where` is a dotted path from the system's model ("" is the whole model, "parts.1.step"
    a part of a chain). `examples(model, fields, observed)` returns the inputs and targets of
    that learner for one sample of the data. With `scale_only` they set its scales and no more,
    for a learner that online teaching will do better by.
    """

    where: str = eqx.field(static=True)
    examples: Examples = eqx.field(static=True)
    scale_only: bool = eqx.field(static=True, default=False)
    reads: tuple[Variable, ...] = eqx.field(static=True, default=())


Stage = Literal["offline", "online", "surrogate"]


class System(Wrapped):
    """What every coupling returns: how it predicts, how it is judged beyond the data, how its learners are taught.

    `terms` are what training pays for beside the misfit, `lessons` what each learner is taught alone,
    `stages` the order of teaching: each lesson in turn ("offline"), all leaves by gradient ("online"), or the
    parameters of a model without gradients ("surrogate"); none once it is taught. A system is itself a model, so a
    coupling takes one wherever it takes a mechanism or a learner; a system within another is taught first.
    """

    model: Model
    terms: tuple[Term, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    stages: tuple[Stage, ...] = eqx.field(static=True, default=("offline", "online"))
    wraps: ClassVar = "model"

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return self.model(fields, key=key)


def named(variables: Iterable[Variable]) -> dict[str, Variable]:
    """Index variables by name."""
    return {variable.name: variable for variable in variables}


def agree(given: Variable, needed: Variable, where: str) -> None:
    """Refuse two declarations of one name that differ in units or axes.

    Raises `ValueError` with both declarations and what to do.
    """
    if given.units != needed.units:
        raise ValueError(
            f"{where}: {needed.name!r} is needed in {needed.units!r} but given in {given.units!r}; "
            "declare the same units on both sides (data are converted where they enter)"
        )
    if given.dims != needed.dims:
        raise ValueError(
            f"{where}: {needed.name!r} is needed with axes {needed.dims} but given with {given.dims}; "
            "wrap a one-step model in Rollout, or name the input as static there"
        )


def union(*groups: Iterable[Variable], where: str) -> tuple[Variable, ...]:
    """Merge declarations by name, refusing those that disagree."""
    merged: dict[str, Variable] = {}
    for variable in (variable for group in groups for variable in group):
        if variable.name in merged:
            agree(merged[variable.name], variable, where)
        merged.setdefault(variable.name, variable)
    return tuple(merged.values())


def tolerated(parts: Iterable[Model], *, in_series: bool = False) -> tuple[str, ...]:
    """The inputs that every part which reads them takes with gaps, as they come from outside."""
    made: set[str] = set()
    with_gaps: set[str] = set()
    complete: set[str] = set()
    for part in parts:
        reads = set(named(part.inputs)) - made
        with_gaps |= reads & set(part.tolerates)
        complete |= reads - set(part.tolerates)
        made |= set(named(part.outputs)) if in_series else set()
    return tuple(sorted(with_gaps - complete))


def require(fields: Fields, variables: Iterable[Variable], where: str) -> None:
    """Refuse a sample that lacks a declared input.

    Raises `ValueError` naming every missing field and those that came.
    """
    missing = [f"{variable.name} ({variable.units})" for variable in variables if variable.name not in fields]
    if missing:
        raise ValueError(f"{where} needs {', '.join(missing)}; the sample has {', '.join(sorted(fields)) or 'nothing'}")
