"""Teaching each learner of a system alone, from its lesson: works for trees and black boxes as well."""

from collections.abc import Iterator

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..along import Along
from ..core import Fields, Learner, Lesson, Model, System
from ..data.batches import Windows
from ..parameters import follow, replace_at

BLOCK = 256


def fit_offline(system: System, windows: Windows, *, key: PRNGKeyArray) -> System:
    """Teach each lesson of a system in turn, and put each taught learner back in its place."""
    for lesson, lesson_key in zip(system.lessons, jax.random.split(key, max(1, len(system.lessons))), strict=False):
        learner = follow(system.model, lesson.where)
        taught = teach(learner, lesson, system, windows, lesson_key)
        system = eqx.tree_at(lambda s: s.model, system, replace_at(system.model, lesson.where, taught))
    return system


def teach(learner: Learner, lesson: Lesson, system: System, windows: Windows, key: PRNGKeyArray) -> Learner:
    """Teach one learner its lesson."""
    inputs, targets = lesson_examples(learner, lesson, system, windows)
    ready = learner.standardise(inputs, targets)
    return ready if lesson.scale_only else ready.fit(inputs, targets, key=key)


def lesson_examples(learner: Learner, lesson: Lesson, system: System, windows: Windows) -> tuple[Fields, Fields]:
    """The inputs and targets of a lesson, collected from the windows block by block."""
    blocks = [_rows(learner, inputs, targets) for inputs, targets in _examples(lesson, system, windows)]
    inputs, targets = ({name: np.concatenate([b[i][name] for b in blocks]) for name in blocks[0][i]} for i in (0, 1))
    return inputs, targets


def _examples(lesson: Lesson, system: System, windows: Windows) -> Iterator[tuple[Fields, Fields]]:
    @eqx.filter_jit
    def of_block(model, fields, observed):
        return jax.vmap(lambda f, o: lesson.examples(model, f, o))(fields, observed)

    sequential = getattr(follow(system.model, lesson.where), "sequential", False)
    varying = _varying(system.model, lesson.where)
    for start in range(0, len(windows), BLOCK):
        fields, observed, _ = windows.take(np.arange(start, min(start + BLOCK, len(windows))))
        inputs, targets = of_block(system.model, fields, observed)
        if varying:
            inputs, targets = _by_place(inputs, targets, varying)
        if sequential:
            yield _as_arrays(inputs), _blank(targets, windows.warmup)
        else:
            yield _trim(inputs, windows.warmup), _trim(targets, windows.warmup)


def _varying(model: Model, where: str) -> tuple[str, ...]:
    """The inputs that differ from place to place, for a learner that stands inside an `Along`."""
    words = where.split(".") if where else []
    parts = (follow(model, ".".join(words[:length])) for length in range(len(words)))
    return next((part.varying for part in parts if isinstance(part, Along)), ())


def _by_place(inputs: Fields, targets: Fields, varying: tuple[str, ...]) -> tuple[Fields, Fields]:
    """Every place along the last axis as a sample of its own."""
    count = np.shape(next(iter(targets.values())))[-1]

    def each(value):
        moved = np.moveaxis(np.asarray(value), -1, 1)
        return moved.reshape(-1, *moved.shape[2:])

    repeated = {name: each(v) if name in varying else np.repeat(np.asarray(v), count, 0) for name, v in inputs.items()}
    return repeated, {name: each(value) for name, value in targets.items()}


def _as_arrays(fields: Fields) -> Fields:
    return {name: np.asarray(value) for name, value in fields.items()}


def _trim(fields: Fields, warmup: int) -> Fields:
    return {name: value[:, warmup:] if np.ndim(value) > 1 else value for name, value in _as_arrays(fields).items()}


def _blank(targets: Fields, warmup: int) -> Fields:
    blanked = {name: np.array(value, dtype=float) for name, value in targets.items()}
    for value in blanked.values():
        value[:, :warmup] = np.nan
    return blanked


def _rows(learner: Learner, inputs: Fields, targets: Fields) -> tuple[Fields, Fields]:
    """Flatten windows to single days for a learner that sees one day at a time."""
    days = {np.shape(value)[1] for value in (*inputs.values(), *targets.values()) if np.ndim(value) > 1}
    if getattr(learner, "sequential", False) or not days:
        return inputs, targets
    length = days.pop()

    def flat(value):
        return value.reshape(-1, *value.shape[2:]) if value.ndim > 1 else np.repeat(value, length)

    return {name: flat(value) for name, value in inputs.items()}, {name: flat(value) for name, value in targets.items()}
