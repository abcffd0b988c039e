"""Retrievals that are linear in their coefficients, with other coefficients for each class of column water."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

Ranges = tuple[tuple[float, float], ...]
KG_PER_GRAM_AND_CM2 = 10.0  # of water: 1 g cm-2 is 10 kg m-2
ELSEWHERE = (float("inf"), float("inf"))  # the range of a class that serves where no other does


def grams(water: ArrayLike) -> Array:
    """Column water in g cm-2, as the published coefficients have it, of kg m-2; never negative."""
    return jnp.maximum(jnp.asarray(water), 0) / KG_PER_GRAM_AND_CM2


@partial(jax.jit, static_argnames="ranges")
def weights(water: ArrayLike, ranges: Ranges) -> Array:
    """How much each class counts at a column water (g cm-2): equally those whose range `low <= w < high` holds it.

    Where none does, the last class counts alone.
    """
    w = jnp.asarray(water)[..., None]
    low, high = np.array(ranges).T
    inside = jnp.where((w >= low) & (w < high), 1.0, 0.0)
    last = jnp.eye(len(ranges))[-1]
    found = jnp.sum(inside, axis=-1, keepdims=True)
    return jnp.where(found > 0, inside / jnp.maximum(found, 1.0), last)


@jax.jit
def applied(coefficients: ArrayLike, features: Array, shares: Array) -> Array:
    """The weighted mean over classes of `features . coefficients`; coefficients are (class, feature)."""
    return jnp.sum(shares * (features @ jnp.asarray(coefficients).T), axis=-1)


def least_squares(features: ArrayLike, target: ArrayLike, water: ArrayLike, ranges: Ranges) -> np.ndarray:
    """Coefficients (class, feature) by ordinary least squares in each class; samples with gaps are left out.

    Water in g cm-2. The class `ELSEWHERE` learns from all samples. A class of fewer samples than three a coefficient
    takes the coefficients of the nearest class that has them.

    Raises `ValueError` where no class has enough samples.
    """
    x, y, w = (np.asarray(values, np.float64) for values in (features, target, water))
    known = np.isfinite(x).all(axis=-1) & np.isfinite(y) & np.isfinite(w)
    within = [known & ((low == float("inf")) | ((w >= low) & (w < high))) for low, high in ranges]
    enough = [place for place, chosen in enumerate(within) if chosen.sum() >= 3 * x.shape[-1]]
    if not enough:
        raise ValueError(
            f"{known.sum()} complete samples are too few to fit {x.shape[-1]} coefficients; "
            f"give at least {3 * x.shape[-1]} of one class of column water"
        )
    fitted = {place: _solved(x[within[place]], y[within[place]]) for place in enough}
    return np.stack([fitted[_nearest(place, enough)] for place in range(len(ranges))])


def _solved(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    scale = np.maximum(np.sqrt(np.mean(x**2, axis=0)), 1e-12)
    return np.linalg.lstsq(x / scale, y, rcond=1e-12)[0] / scale


def _nearest(place: int, places: Sequence[int]) -> int:
    return min(places, key=lambda other: abs(other - place))
