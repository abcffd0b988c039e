"""Method 5, adjustment: what assimilation keeps correcting is learned as the error of the model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...assimilation.cycle import Assimilation
from ...assimilation.smoothers import minimise
from ...core import Fields, Learner, Model, Variable, Wrapped, named, union
from ...descent import Descent, descend, learnable
from ..series import Untaught


class Corrected(Wrapped):
    """One step of a model, and what a learner adds to its state: `x' = M(x, u) + g(x, u)`.

    The learner gives `correction_of_<state>` for some states of the step, and may read whatever the step reads.
    Farchi et al. (2021), doi:10.1002/qj.4116.

    Raises `ValueError` when the learner gives what is no correction of a state.

        >>> from mechlearn.learners.convolution import Convolution
        >>> from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
        >>> corrected(Lorenz96(), Convolution).state
        ('atmospheric_quantity',)
    """

    step: Model
    learner: Model
    wraps: ClassVar = "step"

    def __check_init__(self) -> None:
        unknown = set(named(self.learner.outputs)) - {_of(name) for name in self.step.state}
        if unknown:
            wanted = ", ".join(_of(name) for name in self.step.state)
            raise ValueError(f"Corrected: {sorted(unknown)} correct no state of the step; a learner may give {wanted}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return union(self.step.inputs, self.learner.inputs, where="Corrected")

    def prepare(self, fixed: Fields) -> Model:
        return Corrected(self.step.prepare(fixed), self.learner.prepare(fixed))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = self.step({v.name: fields[v.name] for v in self.step.inputs}, key=key)
        added = self.learner({v.name: fields[v.name] for v in self.learner.inputs}, key=key)
        return {**made, **{name: made[name] + added[_of(name)] for name in self.step.state if _of(name) in added}}


class Unmoved(Model):
    """The model of somebody who knows nothing: the state stays as it is, and all change has to be learned."""

    variables: tuple[Variable, ...] = eqx.field(static=True)
    start: dict[str, ArrayLike]

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.variables

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.variables

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(variable.name for variable in self.variables)

    def initial(self) -> dict[str, ArrayLike]:
        return self.start

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {variable.name: fields[variable.name] for variable in self.variables}


class Learned(NamedTuple):
    """A system whose model has gone on learning, and the trajectories (window, cycle + 1, state) of its analyses."""

    system: Assimilation
    path: Array


def corrected(step: Model, learner: Untaught, *, reads: Sequence[Variable] = ()) -> Corrected:
    """A step with an untaught learner that sees its state (and `reads`) and corrects all of it."""
    state = [named(step.inputs)[name] for name in step.state]
    return Corrected(step, learner([*state, *reads], [_correction(v) for v in state]))


def taught_on_increments(model: Corrected, before: Array, increments: Array, *, key: PRNGKeyArray) -> Corrected:
    """Teach the learner that `increments` (sample, state) are what a step from `before` (sample, state) lacks.

    The increments of an analysis, over the steps since the last one: `(x_a - M^n(x_a,before)) / n`. Bonavita &
    Laloyaux (2020), doi:10.1029/2020MS002232.
    """
    return Corrected(model.step, _learner(model).fit(*_examples(model, before, increments), key=key))


def standardised(model: Corrected, before: Array, increments: Array) -> Corrected:
    """The model with the scales of its learner set by states and increments (sample, state), and nothing taught."""
    return Corrected(model.step, _learner(model).standardise(*_examples(model, before, increments)))


def taught_through_windows(
    model: Corrected,
    starts: Array,
    ends: Array,
    steps: int,
    *,
    key: PRNGKeyArray,
    deviation: ArrayLike = 1.0,
    how: Descent = Descent(epochs=30, batch_size=32, learning_rate=1e-3),
) -> Corrected:
    """Teach the learner by the gradient through `steps` steps from one analysis to the next: both (sample, state).

    `min mean(((G^n(x_k) - x_{k+1}) / s)²)` with s the `deviation` (sample, state) of what it aims at. Only the
    learner moves. Brajard et al. (2020), doi:10.1016/j.jocs.2020.101171; Farchi et al. (2021), doi:10.1002/qj.4116.
    """
    pairs = Pairs(starts, ends, jnp.broadcast_to(jnp.asarray(deviation, ends.dtype), ends.shape))

    def loss(learner: Model, batch: tuple[Array, Array, Array], _: PRNGKeyArray | None) -> Array:
        begin, end, width = batch
        reached = jax.vmap(lambda x: ahead(Corrected(model.step, learner), x, steps)[-1])(begin)
        return jnp.mean(((reached - end) / width) ** 2)

    train, held_out = pairs.split(0.1)
    return Corrected(model.step, descend(model.learner, loss, train, key=key, validation=held_out, how=how).model)


class Pairs(eqx.Module):
    """States, what they became (both sample, state), and how well that is known."""

    begin: Array
    end: Array
    deviation: Array

    def __len__(self) -> int:
        return len(self.begin)

    def take(self, indices: Array) -> tuple[Array, Array, Array]:
        return self.begin[indices], self.end[indices], self.deviation[indices]

    def split(self, share: float) -> tuple["Pairs", "Pairs"]:
        """The first pairs, and the last share of them held out."""
        kept = len(self) - max(1, int(share * len(self)))
        return jax.tree.map(lambda v: v[:kept], self), jax.tree.map(lambda v: v[kept:], self)


@eqx.filter_jit
def online(
    system: Assimilation,
    background: Array,
    root: Array,
    observed: Array,
    *,
    doubt: ArrayLike = 1e-2,
    iterations: int = 3,
    tolerance: float = 1e-3,
) -> Learned:
    """4D-Var in which the learner's weights are unknown too, window after window (window, cycle, obs).

    `J(v, w) = |v|²/2 + |w - w_b|²/(2 d²) + misfit²/2`: the weights found in one window are the background w_b of the
    next, `doubt` d is the standard deviation of their background. Needs a system whose step is `Corrected`. Farchi et
    al. (2023), doi:10.1029/2022MS003474.
    """
    free, still = eqx.partition(system.step, _learners_weights(system.step))
    weights, shape = ravel_pytree(free)
    controls = root.shape[1]

    def with_weights(values: Array) -> Assimilation:
        return eqx.tree_at(lambda s: s.step, system, eqx.combine(shape(values), still))

    def one(carry: tuple[Array, Array], seen: Array):
        first, known = carry
        quiet = jnp.zeros((len(seen), len(first)), first.dtype)

        def unpack(control: Array) -> tuple[Assimilation, Array]:
            return with_weights(known + doubt * control[controls:]), first + root @ control[:controls]

        def residual(control: Array) -> Array:
            moved, start = unpack(control)
            return jnp.ravel(moved.misfit(start, quiet, seen)[1])

        control = minimise(residual, jnp.zeros(controls + len(known), first.dtype), iterations, tolerance)
        moved, start = unpack(control)
        path = jnp.concatenate([start[None], moved.misfit(start, quiet, seen)[0]])
        return (path[-1], known + doubt * control[controls:]), path

    (_, weights), path = jax.lax.scan(one, (background, weights), observed)
    return Learned(with_weights(weights), path)


def ahead(step: Model, start: Array, steps: int) -> Array:
    """The states (steps, state) that a step without forcing makes one after the other of a start (state,)."""
    unravel = _unravel(step)

    def one(state: Array, _) -> tuple[Array, Array]:
        made = step(unravel(state))
        after = ravel_pytree({name: made[name] for name in step.state})[0].astype(state.dtype)
        return after, after

    return jax.lax.scan(one, start, None, length=steps)[1]


def _learner(model: Corrected) -> Learner:
    if not isinstance(model.learner, Learner):
        raise TypeError(f"only a learner can be taught a correction, got {type(model.learner).__name__}")
    return model.learner


def _examples(model: Corrected, before: Array, increments: Array) -> tuple[Fields, Fields]:
    fields = jax.vmap(_unravel(model))
    return fields(before), {_of(name): value for name, value in fields(increments).items()}


def _learners_weights(step: Model):
    """Which leaves of a corrected step are the learner's to move."""
    if not isinstance(step, Corrected):
        raise TypeError(f"online learning needs a system whose step is Corrected, got {type(step).__name__}")
    none = jax.tree.map(lambda _: False, step)
    return eqx.tree_at(lambda s: s.learner, none, learnable(step.learner))


def _unravel(step: Model) -> Callable[[Array], Fields]:
    start = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in step.initial().items()}
    return ravel_pytree(start)[1]


def _correction(variable: Variable) -> Variable:
    free = (-float("inf"), float("inf"))
    meaning = f"what a step adds to {variable.long_name or variable.name}"
    return replace(variable, name=_of(variable.name), bounds=free, standard_name="", long_name=meaning)


def _of(name: str) -> str:
    return f"correction_of_{name}"
