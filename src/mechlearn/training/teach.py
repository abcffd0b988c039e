"""Teaching a system: whatever it nests first, then its own stages in order."""

from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..core import System
from ..data.batches import Windows
from ..descent import Descended, Descent
from ..parameters import dotted, follow, replace_at
from .offline import fit_offline
from .online import fit_online
from .surrogate import fit_surrogate


def fit(
    replicas: Sequence[System],
    windows: Windows,
    *,
    key: PRNGKeyArray,
    validation: Windows | None = None,
    how: Descent = Descent(),
    checkpoint: Path | None = None,
    label: str = "",
) -> tuple[list[System], Descended | None]:
    """Teach replicas of one system (one for every seed) and return them taught, with the losses of the descent.

    A taught system has no stages left, so that it can be embedded in another without being taught again.
    """
    keys = jax.random.split(key, 4)
    taught = _fit_nested(list(replicas), windows, keys[0], validation, how, checkpoint, label)
    losses = None
    for stage in taught[0].stages:
        if stage == "online":
            options = {"validation": validation, "how": how, "checkpoint": checkpoint, "label": label}
            taught, losses = fit_online(taught, windows, key=keys[1], **options)
        else:
            alone = {"offline": fit_offline, "surrogate": fit_surrogate}[stage]
            own = jax.random.split(keys[2], len(taught))
            taught = [alone(system, windows, key=own[place]) for place, system in enumerate(taught)]
    return [System(system.model, system.terms, stages=()) for system in taught], losses


def _fit_nested(replicas, windows, key, validation, how, checkpoint, label) -> list[System]:
    for place, path in enumerate(_nested(replicas[0])):
        inner = [follow(system.model, path) for system in replicas]
        beside = checkpoint and checkpoint.with_name(f"{checkpoint.stem}-{place}{checkpoint.suffix}")
        options = {
            "validation": validation,
            "how": how,
            "checkpoint": beside,
            "label": f"{label} part {place}" if label else "",
        }
        inner, _ = fit(inner, windows, key=jax.random.fold_in(key, place), **options)
        replicas = [
            eqx.tree_at(lambda s: s.model, system, replace_at(system.model, path, part))
            for system, part in zip(replicas, inner, strict=True)
        ]
    return replicas


def _nested(system: System) -> list[str]:
    nodes = jax.tree_util.tree_leaves_with_path(system.model, is_leaf=lambda node: isinstance(node, System))
    return [dotted(path) for path, node in nodes if isinstance(node, System) and node.stages]
