"""Which observations matter where: distance on any coordinate, and a taper."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike


class Taper(NamedTuple):
    """A weight that falls from 1 to 0 with distance over radius, and where it has reached 0."""

    weight: Callable[[Array], Array]
    support: float


def gaspari_cohn(ratio: Array) -> Array:
    """The compact fifth-order correlation that is nearest to a Gaussian whose standard deviation is the radius.

    0 beyond 3.64 radii. Gaspari & Cohn (1999), doi:10.1002/qj.49712555417, equation 4.10.

        >>> gaspari_cohn(jnp.array([0.0, 4.0])).tolist()
        [1.0, 0.0]
    """
    r = jnp.abs(ratio) / 1.82
    near = 1 - r**2 * (5 / 3 - r * (5 / 8 + r * (1 / 2 - r / 4)))
    far = 4 - r * (5 - r * (5 / 3 + r * (5 / 8 - r * (1 / 2 - r / 12)))) - 2 / (3 * jnp.maximum(r, 1))
    return jnp.where(r < 1, near, jnp.where(r < 2, jnp.maximum(far, 0), 0))


def boxcar(ratio: Array) -> Array:
    """All within the radius alike, nothing beyond.

    >>> boxcar(jnp.array([0.5, 1.5])).tolist()
    [1.0, 0.0]
    """
    return jnp.where(jnp.abs(ratio) <= 1, 1.0, 0.0)


GASPARI_COHN, BOXCAR = Taper(gaspari_cohn, 3.64), Taper(boxcar, 1.0)
TAPERS = {"gaspari_cohn": GASPARI_COHN, "boxcar": BOXCAR}


class Localisation(eqx.Module):
    """Where each number of the state and each observation is, and how far an observation reaches.

    `state_at` (state, coordinate) and `observed_at` (obs, coordinate) are in the units of `radius`; a vector means
    one coordinate. Scale a further coordinate (depth, time) to make it count more or less. `period` closes a
    coordinate to a circle of that length (0 for none). A number of the state without a place (NaN), as a parameter of
    the whole model, is corrected by all observations alike.

    Raises `ValueError` for a radius that is not positive, coordinates that do not fit, an unknown taper, or an
    observation outside the domain of the state.

        >>> ring = Localisation(jnp.arange(8.0), jnp.arange(8.0), radius=1.0, period=8.0)
        >>> round(float(ring.weights(jnp.array([0.0]), ring.state_at)[7]), 2)
        0.63
    """

    state_at: Array
    observed_at: Array
    radius: float = eqx.field(static=True)
    taper: str = eqx.field(static=True)
    period: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        state_at: ArrayLike,
        observed_at: ArrayLike,
        radius: float,
        *,
        period: float | tuple[float, ...] = 0.0,
        taper: str = "gaspari_cohn",
    ):
        if not radius > 0:
            raise ValueError(f"the radius of localisation must be positive, got {radius}")
        if taper not in TAPERS:
            raise ValueError(f"there is no taper {taper!r}; there are {', '.join(TAPERS)}")
        state, seen = (np.asarray(at, float).reshape(len(np.asarray(at)), -1) for at in (state_at, observed_at))
        if state.shape[1] != seen.shape[1]:
            raise ValueError(f"the state has {state.shape[1]} coordinates, observations have {seen.shape[1]}")
        around = (float(period),) * state.shape[1] if np.isscalar(period) else tuple(map(float, period))
        _refuse_outside(state, seen, radius, around)
        self.state_at, self.observed_at = jnp.asarray(state), jnp.asarray(seen)
        self.radius, self.taper, self.period = radius, taper, around

    def moved(self, drift: ArrayLike) -> "Localisation":
        """The state's places carried by `drift` (a number or (coordinate,)): where what is there now will be observed.

        >>> ring = Localisation(jnp.arange(8.0), jnp.arange(8.0), radius=1.0, period=8.0)
        >>> ring.moved(3.0).state_at[-1].tolist()
        [2.0]
        """
        length = np.array(self.period)
        there = np.asarray(self.state_at, float) + np.asarray(drift, float)
        there = np.where(length > 0, np.mod(there, np.where(length > 0, length, 1)), there)
        return eqx.tree_at(lambda w: w.state_at, self, jnp.asarray(there))

    def weights(self, place: Array, others: Array) -> Array:
        """The taper between one place (coordinate,) and others (n, coordinate)."""
        apart = jnp.abs(others - place)
        around = jnp.asarray([length or jnp.inf for length in self.period], apart.dtype)
        apart = jnp.sqrt(jnp.sum(jnp.minimum(apart, jnp.abs(around - apart)) ** 2, axis=-1))
        return jnp.where(jnp.isnan(apart), 1, TAPERS[self.taper].weight(apart / self.radius))

    def neighbours(self, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """For each number of the state the observations within reach (state, n), and the taper's weight of each.

        Rows are filled up with observation 0 at weight 0. With `most` only so many of the nearest are taken.
        """
        from scipy.spatial import KDTree

        box = [length or 0.0 for length in self.period]
        wrap = any(box)
        seen, state = (np.asarray(at, float) for at in (self.observed_at, self.state_at))
        if wrap:
            seen, state = (np.where(np.array(box) > 0, np.mod(at, [b or 1.0 for b in box]), at) for at in (seen, state))
        tree, reach = KDTree(seen, boxsize=box if wrap else None), self.radius * TAPERS[self.taper].support
        anywhere = np.any(np.isnan(state), axis=1, keepdims=True)
        state = np.where(anywhere, seen[0], state)
        count = int(tree.query_ball_point(state, reach, return_length=True).max())
        count = len(seen) if np.any(anywhere) else max(1, min(count, len(seen), most or count))
        apart, index = tree.query(state, k=count, distance_upper_bound=reach * (1 + 1e-9))
        apart, index = apart.reshape(-1, count), index.reshape(-1, count)
        apart, index = np.where(anywhere, 0, apart), np.where(anywhere, np.arange(count), index)
        there = np.isfinite(apart)
        weight = np.asarray(TAPERS[self.taper].weight(jnp.asarray(np.where(there, apart, 0) / self.radius)))
        return np.where(there, index, 0).astype(np.int32), np.where(there, weight, 0).astype(np.float32)


def require_places(numbers: int, observations: int, ensemble: Array, predicted: Array) -> None:
    """Refuse an ensemble (member, state) and predictions (member, obs) that a localisation was not made for.

    Raises `ValueError` with both sizes.
    """
    if (ensemble.shape[1], predicted.shape[1]) != (numbers, observations):
        raise ValueError(
            f"the localisation has the places of {numbers} numbers of the state and {observations} observations, but "
            f"there are {ensemble.shape[1]} and {predicted.shape[1]}; give Localisation a place for each of both"
        )


def sharing_a_place(places: np.ndarray) -> np.ndarray:
    """The numbers of the state at each place (place, number); each by itself when places have unequal many.

    >>> sharing_a_place(np.array([[0.0], [1.0], [0.0], [1.0]])).tolist()
    [[0, 2], [1, 3]]
    """
    _, place, count = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    if np.any(count != count[0]) or count[0] == 1:
        return np.arange(len(places))[:, None]
    return np.argsort(np.ravel(place), kind="stable").reshape(len(count), count[0])


def _refuse_outside(state: np.ndarray, seen: np.ndarray, radius: float, period: tuple[float, ...]) -> None:
    low, high = np.nanmin(state, axis=0), np.nanmax(state, axis=0)
    around = np.array(period)
    outside = np.where(around > 0, (seen < 0) | (seen > around), (seen < low - radius) | (seen > high + radius))
    if np.any(outside | ~np.isfinite(seen)):
        first = int(np.argmax(np.any(outside | ~np.isfinite(seen), axis=1)))
        raise ValueError(
            f"observation {first} at {seen[first].tolist()} lies outside the domain of the state, which spans "
            f"{low.tolist()} to {high.tolist()}; leave it out, or give its coordinates in the units of the state's"
        )
