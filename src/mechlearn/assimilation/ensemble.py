"""What every ensemble method computes with: anomalies, square roots, rotations."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

ITERATIONS = 60
# Square roots of a matrix of condition k are off by its square in units of the last place, and some thousandth of that.
STEEP = 2.0


def centred(ensemble: Array) -> tuple[Array, Array]:
    """The mean (state,) of an ensemble (member, state) and its anomalies about it.

    Raises `ValueError` for a single member, which has none.

    >>> mean, anomalies = centred(jnp.array([[1.0], [3.0]]))
    >>> mean.tolist(), anomalies.tolist()
    ([2.0], [[-1.0], [1.0]])
    """
    if len(ensemble) < 2:
        raise ValueError("an ensemble method needs two members at least, got 1; its spread is what it knows of errors")
    mean = ensemble.mean(axis=0)
    return mean, ensemble - mean


def square_roots(matrix: Array) -> tuple[Array, Array]:
    """The symmetric square root and inverse square root of `I + C`, C positive semidefinite (member, member).

    The coupled Newton-Schulz iteration `M = (3 I - Z Y) / 2; Y <- Y M, Z <- M Z` from `Y = A / s, Z = I`: matrix
    products alone, several times faster than eigenvectors for small ensembles and as exact.
    Higham (2008), doi:10.1137/1.9780898717778, section 6.7.

        >>> root, inverse = square_roots(jnp.array([[4.0, 0.0], [0.0, 9.0]]))
        >>> bool(jnp.allclose(root, jnp.diag(jnp.array([2.0, 3.0])), atol=1e-5))
        True
    """
    unit = jnp.eye(len(matrix), dtype=matrix.dtype)
    # All eigenvalues lie between 1 and 1 + |C|, the norm that sums squares: their middle is the best scale.
    scale = 1 + 0.5 * jnp.sqrt(jnp.sum((matrix - unit) ** 2))
    enough = 8 * jnp.finfo(matrix.dtype).eps

    def unfinished(carry):
        step, _, _, change = carry
        # What a correction that moves by `change` leaves to be corrected is less than three times its square.
        return (3 * change**2 > enough) & (step < ITERATIONS)

    def improve(carry):
        step, root, inverse, before = carry
        correction = 1.5 * unit - 0.5 * (inverse @ root)
        change = jnp.sqrt(jnp.sum((correction - unit) ** 2))
        # At the end of the road rounding makes the correction wander: stop where it no longer shrinks.
        change = jnp.where((change < 1e-3) & (change > 0.5 * before), 0, change)
        return step + 1, root @ correction, correction @ inverse, change

    first = 1.5 * unit - 0.5 * matrix / scale
    start = (1, matrix @ first / scale, first, jnp.asarray(jnp.inf, matrix.dtype))
    _, root, inverse, _ = jax.lax.while_loop(unfinished, improve, start)
    return root * jnp.sqrt(scale), inverse / jnp.sqrt(scale)


def singular_values(anomalies: Array) -> tuple[Array, Array, Array]:
    """`U, s, V'` of anomalies `U s V'` (member, obs); s is 0 in what is no more than their rounding.

    Anomalies add up to nothing: there is always such a direction where observations are not fewer than members.

        >>> [round(float(value), 4) for value in singular_values(jnp.array([[3.0, 4.0], [-3.0, -4.0]]))[1]]
        [7.0711, 0.0]
    """
    axes, values, seen = jnp.linalg.svd(anomalies, full_matrices=False)
    told = values > len(anomalies) * jnp.finfo(values.dtype).eps * values[0]
    return axes, jnp.where(told, values, 0), seen


def is_steep(squares: Array) -> Array:
    """Whether squares of predictions, in standard deviations of the observation error, drown those of the error."""
    return squares > STEEP * float(jnp.finfo(squares.dtype).eps) ** -0.5


def with_remedy(quick: Callable[..., tuple[PyTree, Array]], sure: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`quick(*arrays)` gives a result and whether it is not to be trusted; where it is not, that of `sure(*arrays)`.

    The remedy costs nothing where no case of a batch needs it. It stands in a loop of at most one turn outside of all
    of the batch: `lax.cond` under `vmap` would compute both sides, and a loop in each case slows all of them down.

        >>> root = with_remedy(lambda x: (jnp.sqrt(x), x < 0), lambda x: 0 * x)
        >>> jax.vmap(root)(jnp.array([4.0, -1.0])).tolist()
        [2.0, 0.0]
    """

    @jax.custom_batching.custom_vmap
    def both(*arrays: Array) -> PyTree:
        usual, poor = quick(*arrays)

        def chosen(new: Array, old: Array) -> Array:
            return jnp.where(poor.reshape(poor.shape + (1,) * (old.ndim - poor.ndim)), new, old)

        def remedied(_):
            return jnp.zeros((), bool), jax.tree.map(chosen, sure(*arrays), usual)

        return jax.lax.while_loop(lambda carry: carry[0], remedied, (jnp.any(poor), usual))[1]

    @both.def_vmap
    def batched(size: int, given: list[bool], *arrays: Array) -> tuple[PyTree, PyTree]:
        axes = tuple(0 if each else None for each in given)
        made = with_remedy(jax.vmap(quick, axes), jax.vmap(sure, axes))(*arrays)
        return made, jax.tree.map(lambda _: True, made)

    return both


class Posterior(NamedTuple):
    """Of predictions S (member, obs) and an innovation d (obs,): the covariance of the members' weights is `T T`.

    `root` is `T = (I + S S')^-1/2`, `inverse` that of T, and `weights` the `d S' T T` by which the mean moves.
    """

    root: Array
    inverse: Array
    weights: Array


def posterior(predicted: Array, innovation: Array) -> Posterior:
    """The transform that observations ask for; S and d are in standard deviations of the observation error.

    By products of matrices; where the spread is so far beyond that error that its square would drown the identity
    (some ten standard deviations in single precision), by singular values.

        >>> found = posterior(jnp.array([[1.0], [-1.0]]), jnp.array([3.0]))
        >>> [round(float(weight), 4) for weight in found.weights]
        [1.0, -1.0]
    """
    return with_remedy(by_products, by_singular_values)(predicted, innovation)


def by_products(predicted: Array, innovation: Array) -> tuple[Posterior, Array]:
    """`posterior` by products of matrices, and whether the spread is too far beyond the error for them."""
    unit = jnp.eye(len(predicted), dtype=predicted.dtype)
    square = predicted @ predicted.T
    steep = is_steep(jnp.sqrt(jnp.sum(square**2)))
    inverse, root = square_roots(unit + jnp.where(steep, 0, square))
    return Posterior(root, inverse, (innovation @ predicted.T) @ root @ root), steep


def by_singular_values(predicted: Array, innovation: Array) -> Posterior:
    """`posterior` by singular values."""
    axes, values, seen = singular_values(predicted)
    unit, wide = jnp.eye(len(predicted), dtype=predicted.dtype), jnp.sqrt(1 + values**2)
    weights = (innovation @ seen.T) * (values / wide**2) @ axes.T
    return Posterior(unit + axes * (1 / wide - 1) @ axes.T, unit + axes * (wide - 1) @ axes.T, weights)


def rotation(key: PRNGKeyArray, size: int) -> Array:
    """A random rotation of the members (member, member) that keeps their mean and covariance.

    Orthogonal, with `1 Q = 1`; uniform over all such. Sakov & Oke (2008), doi:10.1175/2007MWR2021.1.

        >>> turned = rotation(jax.random.key(0), 5)
        >>> bool(jnp.allclose(turned.sum(axis=0), 1.0, atol=1e-5))
        True
    """
    unit = jnp.eye(size)
    return 1 / size + rotated(key, unit - unit.mean(axis=0))


def rotated(key: PRNGKeyArray, anomalies: Array) -> Array:
    """Anomalies (member, state) turned at random: a rotation of the members drawn uniformly, and never formed.

    One reflection for each member but the first, each towards a direction drawn in the space that is left.
    Stewart (1980), doi:10.1137/0717034.

        >>> turned = rotated(jax.random.key(0), jnp.array([[-1.0], [0.0], [1.0]]))
        >>> round(float(jnp.sum(turned)), 5), round(float(jnp.sum(turned**2)), 5)
        (0.0, 2.0)
    """
    free = len(anomalies) - 1
    normal = jax.random.normal(key, (free, free), anomalies.dtype)
    place = jnp.arange(free)

    def reflect(count, rows):
        first = free - 1 - count
        left = place >= first
        drawn = jnp.where(left, normal[first], 0)
        sign = jnp.where(normal[first, first] < 0, -1, 1).astype(rows.dtype)
        axis = drawn + sign * jnp.where(place == first, jnp.sqrt(drawn @ drawn), 0)
        turned = rows - jnp.outer(axis * (2 / (axis @ axis)), axis @ rows)
        return jnp.where(left[:, None], -sign * turned, rows)

    mean_free = _mirrored(anomalies)
    turned = jax.lax.fori_loop(0, free, reflect, mean_free[1:])
    return _mirrored(jnp.concatenate([jnp.zeros_like(mean_free[:1]), turned]))


def _mirrored(table: Array) -> Array:
    """Rows reflected so that their mean becomes the first row, times the root of their number; its own inverse."""
    size = len(table)
    mirror = jnp.full(size, size**-0.5, table.dtype).at[0].add(-1)
    return table - jnp.outer(mirror * (2 / (mirror @ mirror)), mirror @ table)


def replace_lost(ensemble: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
    """The ensemble with every member that is not finite replaced by a living one drawn at random, and how many were.

    With no member left the ensemble stays as it is, and the count is its size.

        >>> whole, lost = replace_lost(jnp.array([[1.0], [jnp.nan], [1.0]]), jax.random.key(0))
        >>> whole[1, 0].item(), lost.item()
        (1.0, 1)
    """
    alive = jnp.all(jnp.isfinite(ensemble), axis=1)
    living = jnp.cumsum(alive)
    drawn = 1 + jnp.floor(living[-1] * jax.random.uniform(key, alive.shape)).astype(living.dtype)
    source = jnp.where(alive, jnp.arange(len(alive)), jnp.searchsorted(living, jnp.minimum(drawn, living[-1])))
    return jnp.where(jnp.any(alive), ensemble[source], ensemble), jnp.sum(~alive)
