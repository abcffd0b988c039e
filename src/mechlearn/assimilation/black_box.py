"""Assimilation around somebody else's running model, member by member."""

from collections.abc import Callable, Sequence
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

    def told(self) -> str:
        """How many members failed, where first and why, in one line.

        >>> mean, members = np.zeros((1, 2)), np.zeros((9, 2))
        >>> Outside(mean, mean, np.array([1]), members, ("cycle 0, member 3: ...",)).told()
        '1 of 9 runs of members failed and went on from a living one; the first: cycle 0, member 3: ...'
        """
        runs = len(self.lost) * len(self.ensemble)
        if not self.reasons:
            return f"none of {runs} runs of members failed"
        return (
            f"{len(self.reasons)} of {runs} runs of members failed and went on from a living one; "
            f"the first: {self.reasons[0]}"
        )


class Component(Protocol):
    """What is needed of a Basic Model Interface: https://bmi.csdms.io."""

    def update(self) -> None: ...
    def get_var_type(self, name: str) -> str: ...
    def get_var_itemsize(self, name: str) -> int: ...
    def get_var_nbytes(self, name: str) -> int: ...
    def get_value(self, name: str, dest: np.ndarray) -> np.ndarray: ...
    def set_value(self, name: str, src: np.ndarray) -> None: ...


class BmiMember:
    """An initialised BMI component as a member: its `state` variables are corrected, the `observed` ones compared.

    Between two times of observation it takes `updates` steps of its own. Forcing that it does not read by itself is
    set by `before(component, cycle)`. Hutton et al. (2020), doi:10.21105/joss.02317.
    """

    def __init__(
        self,
        component: Component,
        state: Sequence[str],
        observed: Sequence[str],
        updates: int = 1,
        before: Callable[[Component, int], None] = lambda component, cycle: None,
    ):
        self.component, self.state, self.observed = component, tuple(state), tuple(observed)
        self.updates, self.before = updates, before

    def get_state(self) -> np.ndarray:
        return self._read(self.state)

    def set_state(self, state: np.ndarray) -> None:
        ends = np.cumsum([self._count(name) for name in self.state])[:-1]
        for name, values in zip(self.state, np.split(state, ends), strict=True):
            self.component.set_value(name, values.astype(self.component.get_var_type(name)))

    def advance(self, cycle: int) -> np.ndarray:
        self.before(self.component, cycle)
        for _ in range(self.updates):
            self.component.update()
        return self._read(self.observed)

    def _count(self, name: str) -> int:
        return self.component.get_var_nbytes(name) // self.component.get_var_itemsize(name)

    def _read(self, names: Sequence[str]) -> np.ndarray:
        component = self.component
        empty = [np.empty(self._count(name), component.get_var_type(name)) for name in names]
        return np.concatenate(
            [np.array(component.get_value(name, into), float) for name, into in zip(names, empty, strict=True)]
        )


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
    random before the analysis, and counted; `reasons` holds what each failure said, `told()` says it in a line.

    Raises `ValueError` when all members are lost in one cycle, and for members or observations that do not fit;
    `TypeError` for a member that cannot be run, and for a smoother.
    """
    seen = np.asarray(observed, float)
    ensemble = _first(members, analysis, error, seen)
    forecasts, analyses, lost, reasons = [], [], [], []
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


def _first(members: Sequence[Runnable], analysis: Analysis, error: ObservationError, seen: np.ndarray) -> np.ndarray:
    """The states (member, state) at the start, or what is wrong with the request."""
    if not isinstance(analysis, Analysis):
        raise TypeError(f"a black box is steered by a filter, as ETKF(), got {type(analysis).__name__}")
    for place, member in enumerate(members):
        missing = [name for name in ("get_state", "set_state", "advance") if not hasattr(member, name)]
        if missing:
            raise TypeError(f"member {place}, a {type(member).__name__}, has no {', '.join(missing)}")
    if len(members) < 2:
        raise ValueError(f"an ensemble needs two members at least, got {len(members)}")
    if seen.ndim != 2 or seen.shape[1] != len(error.root):
        raise ValueError(f"observations must be (cycle, {len(error.root)}) as their error is, got {seen.shape}")
    states = [np.ravel(np.asarray(member.get_state(), float)) for member in members]
    sizes = sorted({len(state) for state in states})
    if len(sizes) > 1:
        raise ValueError(f"all members must have states of one size, got sizes {sizes}")
    return np.stack(states)


@eqx.filter_jit
def _updated(analysis: Analysis, ensemble: Array, predicted: Array, observed: Array, key: PRNGKeyArray) -> Array:
    return analysis.update(ensemble, predicted, observed, key=key)


def _forecast(members: Sequence[Runnable], cycle: int, size: int, count: int) -> tuple[np.ndarray, np.ndarray, list]:
    ensemble, predicted = np.full((len(members), size), np.nan), np.full((len(members), count), np.nan)
    why = []
    for place, member in enumerate(members):
        try:
            said = np.ravel(np.asarray(member.advance(cycle), float))
            ensemble[place] = np.ravel(member.get_state())
        except Exception as failure:
            complaint = f"{type(failure).__name__}: {failure}"
        else:
            predicted[place] = _as_many(said, count, place)
            complaint = "" if np.all(np.isfinite(said)) else "a prediction is not finite"
            complaint = complaint or ("" if np.all(np.isfinite(ensemble[place])) else "a state is not finite")
        if complaint:
            why.append(f"cycle {cycle}, member {place}: {complaint}")
            ensemble[place] = np.nan
    return ensemble, predicted, why


def _as_many(said: np.ndarray, count: int, place: int) -> np.ndarray:
    if len(said) != count:
        raise ValueError(
            f"member {place} predicts {len(said)} observations, but the observation error is that of {count}"
        )
    return said


def _replaced(ensemble: np.ndarray, predicted: np.ndarray, cycle: int, why: list[str]) -> tuple[np.ndarray, np.ndarray]:
    alive = np.flatnonzero(np.all(np.isfinite(ensemble), axis=1))
    if not len(alive):
        raise ValueError(f"all {len(ensemble)} members were lost in cycle {cycle}; the last said: {why[-1]}")
    source = np.arange(len(ensemble))
    gone = np.setdiff1d(source, alive)
    source[gone] = np.random.default_rng(cycle).choice(alive, len(gone))
    return ensemble[source], predicted[source]
