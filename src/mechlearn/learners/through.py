"""A learner whose answer passes through a known model before it counts."""

from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..compose import Freeze, Pass
from ..core import Fields, Learner, Model, Term, Variable, named, union
from ..descent import descend
from .dense import Dense, Flat, misfit_of
from .examples import usable


class Through(Learner):
    """A network taught by what a known model makes of its answer, and by what laws charge for it.

    `y = after(f(x), x)`; the loss is the mean square error of all that is in `y`, each number in units of its spread,
    and `weight * mean(|residual|^power)` of each of the `terms`. What the model `after` builds in holds whatever the
    weights are, and the network is taught knowing it. Outputs are those of the network and of `after`.

        >>> length, area = Variable("length", "m", ("side",)), Variable("area", "m2")
        >>> network = Dense([length], [length], sizes={"side": 2})
        >>> Through(network, Pass(length))({"length": jnp.ones(2)})["length"].shape
        (2,)
    """

    learner: Dense
    after: Model
    terms: tuple[Term, ...]
    leaving: Flat
    sequential: ClassVar[bool] = False

    def __init__(self, learner: Dense, after: Model | None = None, terms: tuple[Term, ...] = ()):
        self.learner, self.after = learner, Freeze(after or Pass(*learner.outputs))
        self.terms = tuple(terms)
        self.leaving = Flat(self.outputs, dict(learner.sizes))

    @property
    def inputs(self) -> tuple[Variable, ...]:
        made = named(self.learner.outputs)
        return union(self.learner.inputs, (v for v in self.after.inputs if v.name not in made), where="Through")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple({**named(self.learner.outputs), **named(self.after.outputs)}.values())

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        said = self.learner({v.name: fields[v.name] for v in self.learner.inputs}, key=key)
        known = {**fields, **said}
        return {**said, **self.after({v.name: known[v.name] for v in self.after.inputs})}

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        parts = self.learner.standardise(inputs, targets), self.leaving.seen(targets)
        return eqx.tree_at(lambda t: (t.learner, t.leaving), self, parts)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        samples = usable(self, inputs, targets)
        ready = self.standardise(samples.inputs, samples.targets)
        if self.learner.descent.epochs == 0:
            return ready
        train, held_out = samples.split(0.1)
        return descend(ready, charged_misfit, train, key=key, validation=held_out, how=self.learner.descent).model


def charged_misfit(learner: Through, batch: tuple[Fields, Fields], key: PRNGKeyArray | None) -> Array:
    """The mean square error of all that comes out, in units of each number's spread, and what the laws charge."""
    inputs, targets = batch
    said = jax.vmap(lambda sample: learner(sample))(inputs)
    paid = [
        t.weight * jnp.mean(jnp.abs(jax.vmap(t.law.residual)({**inputs, **said})) ** t.power) for t in learner.terms
    ]
    return misfit_of(said, targets, learner.leaving.scales()) + sum(paid, jnp.zeros(()))
