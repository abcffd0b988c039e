"""Teaching the weights of a learner inside a host without gradients: by an ensemble of runs."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, System
from ..data.batches import Windows
from ..descent import learnable
from ..parameters import to_physical, to_unbounded
from ..solvers.ensemble_kalman_inversion import EnsembleKalmanInversion, Inversion


def fit_ensemble_kalman(
    system: System,
    windows: Windows,
    *,
    key: PRNGKeyArray,
    error: float = 0.1,
    spread: float = 0.2,
    members: int = 100,
    iterations: int = 5,
    tempered: bool = True,
    far: float = 100.0,
    statistic: Callable[[Array], Array] | None = None,
) -> tuple[System, Inversion]:
    """Teach all that a system may learn by ensemble Kalman inversion: the host is only run, never differentiated.

    The members begin around the weights as they are, with standard deviations of `spread` times the size of each array
    (its root mean square; 1 where it is all zeros), parameters in their unbounded space. The misfit is
    `(predicted - observed) / (error * scale)` of every window, scale the spread of each target, or of a `statistic` of
    each target of a window, such as its mean over time. A member that strays further than `far` such spreads is lost,
    and replaced by a living one. Returns the system at the ensemble's mean, and the ensemble.

    Raises `ValueError` when there is nothing to learn, or fewer than two members live.

    Source: Kovachki & Stuart (2019), doi:10.1088/1361-6420/ab1c3a; Schneider et al. (2017), doi:10.1002/2017GL076101.
    """
    whole = to_unbounded(system.model)
    weights, rest = eqx.partition(whole, learnable(whole))
    leaves, structure = jax.tree.flatten(weights)
    if not leaves:
        raise ValueError(f"{type(system.model).__name__} has nothing to learn: every part is frozen or every one fixed")
    fields, observed, scales = windows.take(jnp.arange(len(windows)))

    def residual(values: Fields) -> Array:
        own = jax.tree.unflatten(structure, [values[name] for name in _names(leaves)])
        told = jax.vmap(to_physical(eqx.combine(own, rest)))(fields)
        misfit = _misfit(told, observed, scales, windows.warmup, statistic)
        return jnp.where(jnp.max(jnp.abs(misfit)) < far, misfit, jnp.nan) / error

    guess = dict(zip(_names(leaves), map(jnp.asarray, leaves), strict=True))
    around = {name: spread * (float(jnp.sqrt(jnp.mean(leaf**2))) or 1.0) for name, leaf in guess.items()}
    solver = EnsembleKalmanInversion(around, members, iterations, tempered, batched=True)
    found = solver.invert(residual, guess, key=key)
    mean = jax.tree.unflatten(structure, [found.fields[name] for name in _names(leaves)])
    return eqx.tree_at(lambda s: s.model, system, to_physical(eqx.combine(mean, rest))), found


def _names(leaves: list) -> list[str]:
    return [f"array_{place:03d}" for place in range(len(leaves))]


def _misfit(told: Fields, observed: Fields, scales: Fields, warmup: int, statistic: Callable | None) -> Array:
    """Every number by which predictions miss what was observed, in spreads of each target; gaps count nothing."""
    each = []
    for name, value in observed.items():
        predicted, seen = told[name][:, warmup:], value[:, warmup:]
        if statistic is not None:
            predicted, seen = jax.vmap(statistic)(predicted), jax.vmap(statistic)(seen)
        known, scale = jnp.isfinite(seen), scales[name].reshape(-1, *[1] * (seen.ndim - 1))
        each.append(jnp.ravel(jnp.where(known, predicted - jnp.where(known, seen, 0), 0) / scale))
    return jnp.concatenate(each)
