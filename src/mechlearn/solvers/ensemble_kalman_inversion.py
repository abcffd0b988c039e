"""Ensemble Kalman inversion: parameters of a model that can only be run, from an ensemble of runs."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray
from scipy.special import ndtr, ndtri

from ..core import Fields, Solver
from ..parameters import unbounded
from .gauss_newton import FREE, searched


class Inversion(NamedTuple):
    """What an ensemble found: its mean and standard deviation by field, its members (member, ...), and its history.

    `cost` is the members' mean of `|r|²/2` before each step, `lost` how many failed in it, `reasons` what they said.
    """

    fields: Fields
    deviation: Fields
    ensemble: Fields
    cost: np.ndarray
    lost: np.ndarray
    reasons: tuple[str, ...]


class EnsembleKalmanInversion(Solver):
    """The unknowns of a model without gradients, by Kalman steps of an ensemble with perturbed observations.

    `x_j <- x_j - C_xr (C_rr + α I)^-1 (r_j + e_j)`, `e_j ~ N(0, α I)`, r the misfit in standard deviations of its
    error, C the covariances of the ensemble. The first members are drawn around the guess with the standard
    deviations `spread`, cut at the bounds. `tempered` steps (α = their number) lead to the posterior under that
    prior, exactly so for a linear model and many members; otherwise (α = 1) every step sees all data again and the
    ensemble shrinks onto the least squares. Members that raise, whose misfit is not finite or is shorter than that of
    others, are replaced by living ones and counted. `batched` runs a compiled model on all members at once; else it
    is called member by member with numpy arrays. Fields with `bounds` never leave them.

    Raises `ValueError` when fewer than two members live, for a spread that does not fit the guess or is not above 0,
    and for a guess outside its bounds.

    Source: Iglesias et al. (2013), doi:10.1088/0266-5611/29/4/045001; Emerick & Reynolds (2013),
    doi:10.1016/j.cageo.2012.03.011.

        >>> solver = EnsembleKalmanInversion({"x": 1.0}, members=2000)
        >>> told = solver.invert(lambda f: np.array([f["x"] - 2.0]), {"x": 0.0}, key=jax.random.key(0))
        >>> abs(float(told.fields["x"]) - 1.0) < 0.1, int(told.lost.sum())
        (True, 0)
    """

    spread: dict[str, float] = eqx.field(static=True)
    members: int = eqx.field(static=True, default=50)
    iterations: int = eqx.field(static=True, default=4)
    tempered: bool = eqx.field(static=True, default=True)
    batched: bool = eqx.field(static=True, default=False)
    bounds: dict[str, tuple[float, float]] = eqx.field(static=True, default_factory=dict)

    def __check_init__(self) -> None:
        if self.members < 3 or self.iterations < 1:
            raise ValueError(f"needs 3 members and 1 iteration, got {self.members} and {self.iterations}")
        if not all(value > 0 for value in self.spread.values()):
            raise ValueError(f"spreads are standard deviations above 0, got {self.spread}")

    def solve(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Fields:
        return self.invert(residual, guess, key=key).fields

    def invert(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Inversion:
        """The answer with its ensemble."""
        draw = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        points, physical = self._first(guess, draw)
        alpha = float(self.iterations) if self.tempered else 1.0
        run = _together(residual, physical) if self.batched else _one_by_one(residual, physical)
        cost, lost, reasons = [], [], []
        for step in range(self.iterations):
            misfits, said = _as_long_as_others(*run(points))
            alive = np.flatnonzero([not why for why in said])
            reasons += [f"step {step}, member {place}: {why}" for place, why in enumerate(said) if why]
            if len(alive) < 2:
                raise ValueError(
                    f"{len(said) - len(alive)} of {len(said)} members were lost; the last: {reasons[-1]} (make the "
                    "misfit of a missing observation 0)"
                )
            source = np.where([bool(why) for why in said], draw.choice(alive, len(said)), np.arange(len(said)))
            points, misfits = points[source], np.stack([misfits[place] for place in source])
            cost.append(0.5 * np.mean(np.sum(misfits**2, axis=1)))
            lost.append(len(said) - len(alive))
            points = kalman_step(points, misfits, np.sqrt(alpha) * draw.standard_normal(misfits.shape), alpha)
        ensemble = jax.vmap(physical)(jnp.asarray(points, jnp.result_type(float)))
        mean, deviation = ({n: moment(e, axis=0) for n, e in ensemble.items()} for moment in (jnp.mean, jnp.std))
        return Inversion(mean, deviation, ensemble, np.array(cost), np.array(lost), tuple(reasons))

    def _first(self, guess: Fields, draw: np.random.Generator) -> tuple[np.ndarray, Callable]:
        if set(self.spread) != set(guess):
            raise ValueError(f"spread is given for {sorted(self.spread)} but the guess has {sorted(guess)}")
        start, physical = searched(guess, self.bounds)
        limits = {name: self.bounds.get(name, FREE) for name in guess}
        drawn = {
            name: around(guess[name], self.spread[name], limits[name], self.members, draw) for name in sorted(guess)
        }
        columns = [np.asarray(unbounded(v, limits[name])).reshape(self.members, -1) for name, v in drawn.items()]
        return np.concatenate(columns, axis=1).astype(float).reshape(self.members, len(start)), physical


def around(
    middle: ArrayLike, spread: float, bounds: tuple[float, float], count: int, draw: np.random.Generator
) -> np.ndarray:
    """Normal draws (count, ...) around a middle, cut at bounds: what lies beyond is drawn again, not moved to them.

    >>> drawn = around(1.0, 5.0, (0.0, 2.0), 100, np.random.default_rng(0))
    >>> bool(np.all((drawn > 0) & (drawn < 2)))
    True
    """
    lower, upper = (ndtr((limit - np.asarray(middle, float)) / spread) for limit in bounds)
    return np.asarray(middle) + spread * ndtri(draw.uniform(lower, upper, (count, *np.shape(middle))))


def kalman_step(points: np.ndarray, misfits: np.ndarray, noise: np.ndarray, alpha: float) -> np.ndarray:
    """One Kalman step of members (member, unknown) with misfits (member, obs) and their noise.

    `C_xr (C_rr + α I)^-1 = X' Y (Y' Y + α I)^-1 = X' (Y Y' + α I)^-1 Y` with the anomalies X and Y: solved for
    observations or for members, whichever are fewer.

        >>> moved = kalman_step(np.array([[-1.0], [1.0]]), np.array([[-3.0], [-1.0]]), np.zeros((2, 1)), 1e-9)
        >>> np.round(moved, 6).tolist()
        [[2.0], [2.0]]
    """
    scale = np.sqrt(len(points) - 1)
    states, seen = (points - points.mean(axis=0)) / scale, (misfits - misfits.mean(axis=0)) / scale
    if misfits.shape[1] < len(points):
        inner = seen.T @ seen + alpha * np.eye(misfits.shape[1])
        return points - (misfits + noise) @ np.linalg.solve(inner, seen.T @ states)
    inner = seen @ seen.T + alpha * np.eye(len(points))
    return points - np.linalg.solve(inner, seen @ (misfits + noise).T).T @ states


def _one_by_one(residual: Callable, physical: Callable) -> Callable:
    def run(points: np.ndarray) -> tuple[list, list[str]]:
        fields = jax.vmap(physical)(jnp.asarray(points, jnp.result_type(float)))
        fields = {name: np.asarray(value) for name, value in fields.items()}
        both = [_tried(residual, {name: v[place] for name, v in fields.items()}) for place in range(len(points))]
        return [misfit for misfit, _ in both], [why for _, why in both]

    return run


def _tried(residual: Callable, fields: Fields) -> tuple[np.ndarray, str]:
    try:
        misfit = np.ravel(np.asarray(residual(fields), float))
    except Exception as failure:
        return np.empty(0), f"{type(failure).__name__}: {failure}"
    return misfit, "" if np.all(np.isfinite(misfit)) else "its misfit is not finite"


def _as_long_as_others(misfits: list[np.ndarray], said: list[str]) -> tuple[list[np.ndarray], list[str]]:
    """A member whose run broke off says less than others: it is lost too."""
    length = max((len(one) for one, why in zip(misfits, said, strict=True) if not why), default=0)
    short = [f"its misfit has {len(one)} of {length} values" if len(one) < length else "" for one in misfits]
    return misfits, [why or less for why, less in zip(said, short, strict=True)]


def _together(residual: Callable, physical: Callable) -> Callable:
    compiled = jax.jit(jax.vmap(lambda point: jnp.ravel(residual(physical(point)))))

    def run(points: np.ndarray) -> tuple[list, list[str]]:
        misfits = np.asarray(compiled(jnp.asarray(points, jnp.result_type(float))), float)
        return list(misfits), ["" if np.all(np.isfinite(one)) else "its misfit is not finite" for one in misfits]

    return run


def example() -> dict:
    """A prior of 0 ± 1 and an observation of 2 ± 1 meet in the middle."""
    return {
        "solver": EnsembleKalmanInversion({"x": 1.0}, members=3000),
        "residual": lambda f: np.array([f["x"] - 2.0]),
        "guess": {"x": jnp.asarray(0.0)},
        "solution": {"x": 1.0},
        "tolerance": 0.1,
        "source": "doi:10.1016/j.cageo.2012.03.011",
        "outside": True,
    }
