"""Assimilation around somebody else's running model, member by member."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Analysis
from .error import ObservationError


class Runnable(Protocol):
    """A model with a state that can be read and set: an executable, a BMI component, any object."""

    def get_state(self) -> np.ndarray:
        """The state now (state,)."""
        ...

    def set_state(self, state: np.ndarray) -> None:
        """Go on from this state."""
        ...

    def advance(self, cycle: int) -> np.ndarray:
        """Run until the observations of this cycle and return what they would be (obs,)."""
        ...


class Outside(NamedTuple):
    """What is left of cycles around a black box: means (cycle, state), failures (cycle,) and the last ensemble."""

    forecast_mean: np.ndarray
    analysis_mean: np.ndarray
    lost: np.ndarray
    ensemble: np.ndarray
    reasons: tuple[str, ...]


def steer(
    members: Sequence[Runnable],
    analysis: Analysis,
    error: ObservationError,
    observed: ArrayLike,
    *,
    key: PRNGKeyArray,
) -> Outside:
    """Correct running models with observations (cycle, obs), NaN where there is none.

    A member that raises, or whose state or prediction is not finite, is given the state of a living one drawn at
    random before the analysis, and counted; `reasons` holds what each failure said.

    Raises `ValueError` when all members are lost in one cycle.
    """
    seen = np.asarray(observed, float)
    forecasts, analyses, lost, reasons = [], [], [], []
    ensemble = np.stack([member.get_state() for member in members])
    for cycle, step_key in enumerate(jax.random.split(key, len(seen))):
        ensemble, predicted, why = _forecast(members, cycle, ensemble.shape[1], seen.shape[1])
        ensemble, predicted = _replaced(ensemble, predicted, cycle, why)
        forecasts.append(ensemble.mean(axis=0))
        if np.any(np.isfinite(seen[cycle])):
            misfit, target = error.compare(jnp.asarray(predicted), jnp.asarray(seen[cycle]))
            ensemble = np.array(_updated(analysis, jnp.asarray(ensemble), misfit, target, step_key), float)
        for member, state in zip(members, ensemble, strict=True):
            member.set_state(state)
        analyses.append(ensemble.mean(axis=0))
        lost.append(len(why))
        reasons += why
    return Outside(np.array(forecasts), np.array(analyses), np.array(lost), ensemble, tuple(reasons))


@eqx.filter_jit
def _updated(analysis: Analysis, ensemble: Array, predicted: Array, observed: Array, key: PRNGKeyArray) -> Array:
    return analysis.update(ensemble, predicted, observed, key=key)


def _forecast(members: Sequence[Runnable], cycle: int, size: int, count: int) -> tuple[np.ndarray, np.ndarray, list]:
    ensemble, predicted = np.full((len(members), size), np.nan), np.full((len(members), count), np.nan)
    why = []
    for place, member in enumerate(members):
        try:
            predicted[place] = member.advance(cycle)
            ensemble[place] = member.get_state()
            complaint = "" if np.all(np.isfinite(predicted[place])) else "a prediction is not finite"
            complaint = complaint or ("" if np.all(np.isfinite(ensemble[place])) else "a state is not finite")
        except Exception as failure:
            complaint = f"{type(failure).__name__}: {failure}"
        if complaint:
            why.append(f"cycle {cycle}, member {place}: {complaint}")
            ensemble[place] = np.nan
    return ensemble, predicted, why


def _replaced(ensemble: np.ndarray, predicted: np.ndarray, cycle: int, why: list[str]) -> tuple[np.ndarray, np.ndarray]:
    alive = np.flatnonzero(np.all(np.isfinite(ensemble), axis=1))
    if not len(alive):
        raise ValueError(f"all {len(ensemble)} members were lost in cycle {cycle}; the last said: {why[-1]}")
    source = np.arange(len(ensemble))
    gone = np.setdiff1d(source, alive)
    source[gone] = np.random.default_rng(cycle).choice(alive, len(gone))
    return ensemble[source], predicted[source]
