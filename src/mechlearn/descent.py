"""The gradient loop: the only one."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import keystr, tree_leaves_with_path
from jaxtyping import Array, PRNGKeyArray
from rich import get_console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .parameters import is_frozen, is_parameter, map_parameters, to_physical, to_unbounded

Loss = Callable[[Any, Any, PRNGKeyArray | None], Array]


@dataclass(frozen=True)
class Descent:
    """How to descend: epochs, batches, rate and its schedule, clipping, patience.

    The rate warms up over the first twentieth of the steps and decays to `final` of itself by a
    cosine, or stays constant. Training stops after `patience` epochs without a better validation
    loss, and the best weights seen are kept.
    """

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-2
    schedule: Literal["cosine", "constant"] = "cosine"
    final: float = 0.05
    clip: float = 1.0
    weight_decay: float = 0.0
    patience: int = 20


class Descended(NamedTuple):
    """What a descent leaves: the best model and the losses of every epoch (epoch, seed)."""

    model: Any
    training_loss: np.ndarray
    validation_loss: np.ndarray


class _State(eqx.Module):
    weights: Any
    optimiser: Any
    best: Any
    best_loss: Array
    stale: Array


def descend(
    model: Any,
    loss: Loss,
    examples: Any,
    *,
    key: PRNGKeyArray,
    validation: Any = None,
    how: Descent = Descent(),
    seeds: int | None = None,
    checkpoint: Path | None = None,
    label: str = "",
) -> Descended:
    """Teach every free leaf of a model by stochastic gradient descent.

    `examples` answers `len()` and `take(indices) -> batch` inside a compiled function; the loss is
    `loss(model, batch, key)`, with no key where it judges. Physical parameters move in their unbounded
    space. With `seeds=n` the model's arrays have a leading axis of n replicas, trained side by side in
    one compiled epoch.
    With a `checkpoint` path the state is written after every epoch (whole, then renamed) and found
    again there, so that a killed run goes on to the same numbers.

    Raises `ValueError` when there is nothing to learn, or nothing to learn from.
    """
    if not len(examples):
        raise ValueError("there are no examples to learn from: the training part holds no observed value")
    stacked = to_unbounded(model if seeds else stack([model]))
    weights, rest = eqx.partition(stacked, learnable(stacked))
    held, fixed = eqx.partition(rest, eqx.is_inexact_array)
    if not jax.tree.leaves(weights):
        raise ValueError(
            f"{type(model).__name__} has nothing left to learn: every part is frozen or every parameter fixed"
        )
    batch_size = min(how.batch_size, len(examples))
    optimiser = _optimiser(how, how.epochs * max(1, len(examples) // batch_size))
    state = _begun(weights, optimiser, seeds or 1)
    epoch = _epoch(loss, fixed, optimiser, batch_size)
    judge = _judge(loss, fixed, batch_size)
    history, state, first = _restore(checkpoint, state)
    keys = jax.random.split(key, seeds or 1)
    with _progress(label) as progress:
        bar = progress.add_task(label, total=how.epochs, completed=first)
        for number in range(first, how.epochs):
            if how.patience and bool(jnp.all(state.stale >= how.patience)):
                break
            now = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            state, train_loss = epoch(state, held, examples, now)
            valid_loss = train_loss if validation is None else judge(state.weights, held, validation)
            state = _keep_best(state, valid_loss, how.patience)
            history.append((np.asarray(train_loss), np.asarray(valid_loss)))
            _save(checkpoint, state, history, number + 1)
            progress.update(bar, advance=1, description=f"{label} loss {float(jnp.min(state.best_loss)):.4f}")
    found = to_physical(eqx.combine(state.best, held, fixed))
    train, valid = (np.asarray([row[i] for row in history]).reshape(len(history), -1) for i in (0, 1))
    return Descended(found if seeds else unstack(found, 0), train, valid)


def _begun(weights: Any, optimiser: optax.GradientTransformation, seeds: int) -> _State:
    """The state before the first epoch, of strong types as an epoch leaves it: weak ones would compile it twice."""
    moments = jax.vmap(optimiser.init)(weights)
    state = _State(weights, moments, weights, jnp.full((seeds,), jnp.inf), jnp.zeros((seeds,), int))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), state)


def _optimiser(how: Descent, steps: int) -> optax.GradientTransformation:
    rate = how.learning_rate
    if how.schedule == "cosine":
        warm = max(1, steps // 20)
        rate = optax.warmup_cosine_decay_schedule(rate / 10, rate, warm, max(steps, warm + 1), rate * how.final)
    return optax.chain(
        optax.zero_nans(), optax.clip_by_global_norm(how.clip), optax.adamw(rate, weight_decay=how.weight_decay)
    )


def _epoch(loss: Loss, fixed: Any, optimiser: optax.GradientTransformation, batch_size: int):
    def one_seed(weights, moments, held, key, examples):
        def step(carry, indices_and_key):
            weights, moments = carry
            indices, step_key = indices_and_key
            batch = examples.take(indices)

            def of_weights(w):
                return loss(to_physical(eqx.combine(w, held, fixed)), batch, step_key)

            value, slope = jax.value_and_grad(of_weights)(weights)
            updates, moments = optimiser.update(slope, moments, weights)
            return (optax.apply_updates(weights, updates), moments), value

        count = max(1, len(examples) // batch_size)
        order = jax.random.permutation(key, len(examples))[: count * batch_size].reshape(count, batch_size)
        (weights, moments), values = jax.lax.scan(step, (weights, moments), (order, jax.random.split(key, count)))
        return weights, moments, jnp.mean(values)

    @eqx.filter_jit
    def epoch(state: _State, held, examples, keys):
        run = jax.vmap(one_seed, (0, 0, 0, 0, None))
        weights, moments, value = run(state.weights, state.optimiser, held, keys, examples)
        return eqx.tree_at(lambda s: (s.weights, s.optimiser), state, (weights, moments)), value

    return epoch


def _judge(loss: Loss, fixed: Any, batch_size: int):
    @eqx.filter_jit
    def judge(weights, held, examples):
        whole = len(examples) // batch_size * batch_size
        blocks, rest = jnp.arange(whole).reshape(-1, batch_size), jnp.arange(whole, len(examples))

        def one_seed(w, h):
            model = to_physical(eqx.combine(w, h, fixed))
            each = jax.lax.map(lambda block: loss(model, examples.take(block), None), blocks)
            last = loss(model, examples.take(rest), None) * len(rest) if len(rest) else 0.0
            return (jnp.sum(each) * batch_size + last) / len(examples)

        return jax.vmap(one_seed)(weights, held)

    return judge


def _keep_best(state: _State, value: Array, patience: int) -> _State:
    better = (value < state.best_loss) & (state.stale < patience if patience else True)

    def choose(new: Array, old: Array) -> Array:
        return jnp.where(better.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

    best = jax.tree.map(choose, state.weights, state.best)
    stale = jnp.where(better, 0, state.stale + 1)
    return _State(state.weights, state.optimiser, best, jnp.where(better, value, state.best_loss), stale)


def learnable(model: Any) -> Any:
    """Which leaves of a model descent may move: floating arrays outside frozen parts, and free parameters."""

    def mark(node: Any) -> Any:
        if is_parameter(node):
            return jax.tree.map(lambda _: not node.fixed, node)
        still = is_frozen(node)
        return jax.tree.map(lambda leaf: not still and eqx.is_inexact_array(leaf), node)

    return jax.tree.map(mark, model, is_leaf=lambda node: is_frozen(node) or is_parameter(node))


def stack(models: Sequence[Any]) -> Any:
    """Put replicas of one model side by side, a leading axis on every floating array, for `descend(seeds=n)`."""
    whole = [map_parameters(lambda p: jax.tree.map(jnp.asarray, p), model) for model in models]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_inexact_array(leaves[0]) else leaves[0], *whole)


def unstack(models: Any, place: int) -> Any:
    """Take one replica out of a stack."""
    return jax.tree.map(lambda leaf: leaf[place] if eqx.is_inexact_array(leaf) else leaf, models)


def _save(path: Path | None, state: _State, history: list, epoch: int) -> None:
    if path is None:
        return
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    train, valid = (np.asarray([row[i] for row in history]) for i in (0, 1))
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        np.savez(file, *arrays, names=_names(state), epoch=epoch, train=train, valid=valid)
    os.replace(part, path)


def _names(state: _State) -> list[str]:
    """The name and shape of every array of a state: what tells one model's checkpoint from another's."""
    return [f"{keystr(path)} {np.shape(leaf)}" for path, leaf in tree_leaves_with_path(state)]


def _restore(path: Path | None, state: _State) -> tuple[list, _State, int]:
    if path is None or not path.exists():
        return [], state, 0
    with np.load(path, allow_pickle=False) as file:
        if "names" not in file or file["names"].tolist() != _names(state):
            raise ValueError(f"the checkpoint {path} belongs to another model; remove it, or run without --resume")
        leaves, shape = jax.tree.flatten(state)
        found = [jnp.asarray(file[f"arr_{place}"]) for place in range(len(leaves))]
        return (
            list(zip(file["train"], file["valid"], strict=True)),
            jax.tree.unflatten(shape, found),
            int(file["epoch"]),
        )


def _progress(label: str) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, transient=True, disable=not (label and get_console().is_terminal))
