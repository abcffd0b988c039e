"""Teaching all leaves of a system at once, by the gradient of misfit and charges."""

from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..core import System
from ..data.batches import Windows
from ..descent import Descended, Descent, descend, learnable, stack, unstack
from .losses import Misfit, misfit, objective


def fit_online(
    replicas: Sequence[System],
    windows: Windows,
    *,
    key: PRNGKeyArray,
    validation: Windows | None = None,
    how: Descent = Descent(),
    checkpoint: Path | None = None,
    label: str = "",
    misfit: Misfit = misfit,
) -> tuple[list[System], Descended | None]:
    """Teach replicas of one system (its seeds) side by side by gradient descent.

    `misfit(predicted, observed, spread)` says how far fields, with a leading batch axis, are from those observed.

    A system whose learners have no weights to descend on is returned as it came.
    """
    first = replicas[0]
    if not any(jax.tree.leaves(learnable(first.model))):
        return list(replicas), None
    loss = objective(first.terms, windows.warmup, len(windows) * windows.length, misfit)
    found = descend(
        stack([replica.model for replica in replicas]),
        loss,
        windows,
        key=key,
        validation=validation,
        how=how,
        seeds=len(replicas),
        checkpoint=checkpoint,
        label=label,
    )
    taught = [eqx.tree_at(lambda s: s.model, r, unstack(found.model, place)) for place, r in enumerate(replicas)]
    return taught, found
