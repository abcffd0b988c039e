"""The examples a learner is taught on, and how a network is taught on them."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Model, Variable, require
from ..descent import descend

Taught = TypeVar("Taught", bound=Learner)


class Samples(eqx.Module):
    """Pairs of inputs and targets along a leading sample axis."""

    inputs: Fields
    targets: Fields

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, indices: Array) -> tuple[Fields, Fields]:
        return jax.tree.map(lambda values: values[indices], (self.inputs, self.targets))

    def split(self, share: float) -> tuple["Samples", "Samples | None"]:
        """The first samples, and the last share of them held out (none when there are fewer than five)."""
        kept = len(self) - int(share * len(self))
        if len(self) < 5 or kept == len(self):
            return self, None
        both = (self.inputs, self.targets)
        first = jax.tree.map(lambda values: values[:kept], both)
        last = jax.tree.map(lambda values: values[kept:], both)
        return Samples(*first), Samples(*last)


def usable(model: Model, inputs: Fields, targets: Fields, *, gaps: bool = False) -> Samples:
    """The examples that can teach: every input known (unless `gaps` are allowed), at least one target known.

    Raises `ValueError` when a declared input or every output is missing, when lengths differ, or when no example
    is left.
    """
    who = type(model).__name__
    require(inputs, model.inputs, f"{who}.fit")
    given = {v.name: np.asarray(inputs[v.name]) for v in model.inputs}
    wanted = {v.name: np.asarray(targets[v.name]) for v in model.outputs if v.name in targets}
    if not wanted:
        names = ", ".join(v.name for v in model.outputs)
        raise ValueError(f"{who}.fit needs targets for one of {names}; got {', '.join(targets) or 'none'}")
    shapes = [(name, values.shape) for part in (given, wanted) for name, values in part.items()]
    if len({shape[:1] for _, shape in shapes}) != 1 or () in dict(shapes).values():
        raise ValueError(f"{who}.fit needs inputs and targets along one sample axis of equal length; got {shapes}")
    known = np.ones(len(next(iter(given.values()))), bool) if gaps else _every_finite(given.values())
    known &= np.any([np.isfinite(_rows(values)).any(1) for values in wanted.values()], axis=0)
    if not known.any():
        raise ValueError(
            f"{who}.fit has nothing to learn from: of {len(known)} examples none has all inputs "
            f"({', '.join(given)}) and a target ({', '.join(wanted)}) without NaN; fill the gaps or give other examples"
        )
    return Samples(*({name: jnp.asarray(values[known]) for name, values in part.items()} for part in (given, wanted)))


def taught(learner: Taught, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Taught:
    """A network taught by gradient descent: scales first, the last fifth of the samples held out to stop in time."""
    samples = usable(learner, inputs, targets)
    ready = learner.standardise(samples.inputs, samples.targets)
    if ready.descent.epochs == 0:  # pyright: ignore[reportAttributeAccessIssue]
        return ready  # its scales are all that is wanted: it is taught together with others
    train, held_out = samples.split(0.2)
    loss = misfit if getattr(learner, "quantile", None) is None else pinball
    return descend(ready, loss, train, key=key, validation=held_out, how=ready.descent).model  # pyright: ignore


def misfit(learner: Learner, batch: tuple[Fields, Fields], key: PRNGKeyArray | None) -> Array:
    """The mean squared error in units of each target's spread, NaN targets left out."""
    inputs, targets = batch
    keys = None if key is None else jax.random.split(key, len(next(iter(inputs.values()))))
    predicted = jax.vmap(lambda sample, k: learner(sample, key=k))(inputs, keys)
    errors = [_squared(predicted[n], t, learner.leaving.scale_of(n)) for n, t in targets.items()]  # pyright: ignore
    return jnp.mean(jnp.stack(errors))


def pinball(learner: Learner, batch: tuple[Fields, Fields], key: PRNGKeyArray | None) -> Array:
    """The loss that a quantile makes least: `mean(max(q e, (q - 1) e))` of `e = target - predicted`."""
    inputs, targets = batch
    predicted = jax.vmap(lambda sample: learner(sample))(inputs)
    share = learner.quantile  # pyright: ignore[reportAttributeAccessIssue]
    errors = [(t - predicted[n]) / learner.leaving.scale_of(n) for n, t in targets.items()]  # pyright: ignore
    return jnp.nanmean(jnp.stack([jnp.maximum(share * e, (share - 1) * e) for e in errors]))


def instant(variables: Sequence[Variable], who: str) -> tuple[Variable, ...]:
    """Refuse variables with axes, for learners that see one number of each at a time."""
    distinct(variables, who)
    for variable in variables:
        if variable.dims:
            raise ValueError(
                f"{who} sees one value of each variable at a time, but {variable.name!r} has axes {variable.dims}; "
                f"declare it without and carry the learner along with Rollout"
            )
    return tuple(variables)


def serial(inputs: Sequence[Variable], outputs: Sequence[Variable], who: str) -> None:
    """Refuse variables that a learner of series cannot read or give."""
    distinct(inputs, who)
    distinct(outputs, who)
    for variable in (*inputs, *outputs):
        if variable.dims not in ((), ("time",)):
            raise ValueError(f"{who} takes axes ('time',) or none, but {variable.name!r} has {variable.dims}")
    if not any(v.dims for v in inputs) or not all(v.dims for v in outputs):
        raise ValueError(
            f"{who} reads and gives series: at least one input and every output needs the axis 'time'; "
            f"got inputs {_spelt(inputs)} and outputs {_spelt(outputs)}. For attributes alone take MLP"
        )


def on_one_grid(inputs: Sequence[Variable], outputs: Sequence[Variable], who: str) -> int:
    """How many axes the grid of all variables has; refuse those that lie on another."""
    distinct(inputs, who)
    distinct(outputs, who)
    grids = {variable.dims for variable in (*inputs, *outputs)}
    if len(grids) > 1 or len(axes := grids.pop()) not in (1, 2):
        raise ValueError(
            f"{who} reads and gives fields on one grid of one or two axes; "
            f"got inputs {_spelt(inputs)} and outputs {_spelt(outputs)}"
        )
    return len(axes)


def distinct(variables: Sequence[Variable], who: str) -> Sequence[Variable]:
    """Refuse no variable at all, and one that is named twice."""
    names = [variable.name for variable in variables]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{who} needs at least one variable and each only once; got {names}")
    return variables


def _spelt(variables: Sequence[Variable]) -> str:
    return ", ".join(f"{v.name}{list(v.dims)}" for v in variables)


def _squared(predicted: Array, target: Array, scale: Array) -> Array:
    seen = jnp.isfinite(target)
    error = jnp.where(seen, predicted - jnp.where(seen, target, 0), 0) / scale
    return jnp.sum(error**2) / jnp.maximum(jnp.sum(seen), 1)


def _every_finite(values: Iterable[np.ndarray]) -> np.ndarray:
    return np.all([np.isfinite(_rows(v)).all(1) for v in values], axis=0)


def _rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1) if values.size else values.reshape(len(values), 0)
