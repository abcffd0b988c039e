"""Optimal estimation: the most probable state given observations and a Gaussian prior, and what the data told of it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Fields, Solver
from .gauss_newton import Bounds, jacobian_of, least_squares, refuse_not_finite, searched


class Retrieval(NamedTuple):
    """What is known after observing; matrices hold all fields in the order of their names.

    `fields` the most probable state, `deviation` its standard deviation field by field, `covariance` S (n, n),
    `averaging_kernel` A = dx/dx_true (n, n), `degrees_of_freedom` tr A, `information` -ln|I - A|/2 (nat), `cost`
    twice the negative log posterior, `steps`, and whether the search `converged`.
    """

    fields: Fields
    deviation: Fields
    covariance: Array
    averaging_kernel: Array
    degrees_of_freedom: Array
    information: Array
    cost: Array
    steps: Array
    converged: Array


class OptimalEstimation(Solver):
    """The most probable state under a Gaussian prior and Gaussian errors, with its posterior covariance.

    `min (x - x_a)' S_a^-1 (x - x_a) + r' R^-1 r` with `r = F(x) - y`; `S = (K' R^-1 K + S_a^-1)^-1`,
    `A = S K' R^-1 K`, K the Jacobian of F at the answer. `prior` holds x_a, `covariance` is S_a as a matrix (n, n) in
    the order of the fields' names, or a mapping of standard deviations; `error` is R as variances (m,) or as a
    matrix (m, m). Exact for a linear F. Make the residual of a missing observation 0 where errors are independent.

    Raises `ValueError` for a covariance that is not positive definite or does not fit the prior.

    Source: Rodgers (2000), doi:10.1142/3171, chapters 2 and 5.

        >>> solver = OptimalEstimation({"x": jnp.asarray(0.0)}, {"x": 1.0}, [1.0])
        >>> told = solver.retrieve(lambda f: f["x"][None] - 2.0)
        >>> round(float(told.fields["x"]), 3), round(float(told.degrees_of_freedom), 3)
        (1.0, 0.5)
    """

    prior: Fields
    prior_root: Array
    error_root: Array
    bounds: dict[str, tuple[float, float]] = eqx.field(static=True)
    iterations: int = eqx.field(static=True)

    def __init__(
        self,
        prior: Mapping[str, ArrayLike],
        covariance: Mapping[str, ArrayLike] | ArrayLike,
        error: ArrayLike,
        *,
        bounds: Bounds | None = None,
        iterations: int = 50,
    ):
        self.prior = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in prior.items()}
        if isinstance(covariance, Mapping):
            covariance = _variances(self.prior, covariance)
        self.prior_root = whitener(covariance, ravel_pytree(self.prior)[0].size, "the prior covariance")
        self.error_root = whitener(error, None, "the error covariance R")
        self.bounds, self.iterations = dict(bounds or {}), iterations

    def solve(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Fields:
        return self.retrieve(residual, guess).fields

    def retrieve(self, residual: Callable[[Fields], Array], guess: Fields | None = None) -> Retrieval:
        """The answer with its posterior; the search starts from a guess, or from the prior."""
        if guess is not None and set(guess) != set(self.prior):
            raise ValueError(f"the prior is of {sorted(self.prior)} but the guess of {sorted(guess)}")
        start, physical = searched(self.prior if guess is None else guess, self.bounds)
        known, unravel = ravel_pytree(self.prior)
        first = residual(physical(start))
        refuse_not_finite(first, "OptimalEstimation")
        if jnp.size(first) != len(self.error_root):
            raise ValueError(f"R is of {len(self.error_root)} observations, the residual has {jnp.size(first)}")

        def misfit(state: Array) -> Array:
            return whiten(self.error_root, jnp.ravel(residual(unravel(state))))

        def both(point: Array) -> Array:
            state = ravel_pytree(physical(point))[0]
            return jnp.concatenate([misfit(state), whiten(self.prior_root, state - known)])

        found = least_squares(both, start, self.iterations)
        fields = physical(found.point)
        told = posterior(jacobian_of(misfit, ravel_pytree(fields)[0])[1], self.prior_root)
        deviation = unravel(jnp.sqrt(jnp.diagonal(told[0])))
        return Retrieval(fields, deviation, *told, 2 * found.cost, found.steps, found.converged)


def posterior(sensitivity: Array, prior_root: Array) -> tuple[Array, Array, Array, Array]:
    """What observations with whitened Jacobian K (m, n) leave of a prior with whitener W.

    Returns `S = (K'K + W'W)^-1`, `A = S K'K`, `tr A` and `-ln|I - A|/2`.

        >>> covariance, kernel, freedom, nats = posterior(jnp.array([[1.0]]), jnp.array([1.0]))
        >>> float(covariance[0, 0]), round(float(nats), 4)
        (0.5, 0.3466)
    """
    weight = jnp.diag(prior_root) if prior_root.ndim == 1 else prior_root
    triangle = jnp.linalg.qr(jnp.concatenate([sensitivity, weight]), mode="r")
    inverse = jax.scipy.linalg.solve_triangular(triangle, jnp.eye(len(weight), dtype=triangle.dtype))
    covariance = inverse @ inverse.T
    kernel = inverse @ (inverse.T @ (sensitivity.T @ sensitivity))
    # |I - A| = |S| / |S_a|, both from triangles: no cancellation where the data tell nearly everything.
    sizes = [jnp.sum(jnp.log(jnp.abs(jnp.diagonal(t)))) for t in (triangle, jnp.linalg.qr(weight, mode="r"))]
    return covariance, kernel, jnp.trace(kernel), sizes[0] - sizes[1]


def canonical(covariance: np.ndarray, sensitivity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions in which a Gaussian prior and what is told by observations are both independent, known best first.

    For a prior covariance C (n, n) and a Jacobian H (m, n) in units of the error: T (n, n) with `C = T T'` and
    `T' H' H T` diagonal, and the posterior standard deviations (n,) along its columns, those of the prior being 1.
    Rodgers (2000), doi:10.1142/3171, section 2.4.

        >>> turn, known = canonical(np.diag([4.0, 1.0]), np.array([[0.0, 3.0]]))
        >>> abs(turn).tolist(), known.round(3).tolist()
        ([[0.0, 2.0], [1.0, 0.0]], [0.316, 1.0])
    """
    root = np.linalg.cholesky(covariance)
    _, sizes, across = np.linalg.svd(sensitivity @ root)
    told = np.pad(sizes, (0, len(root) - len(sizes)))
    return root @ across.T, 1 / np.sqrt(1 + told**2)


def whiten(root: Array, value: Array) -> Array:
    """`W v`, for W a matrix or its diagonal."""
    return root * value if root.ndim == 1 else root @ value


def whitener(covariance: ArrayLike, size: int | None, what: str) -> Array:
    """W with `W'W = C^-1`: a vector (n,) for variances, a lower triangle (n, n) for a covariance.

    Raises `ValueError` where C is not positive definite, or not of the size expected.
    """
    known = np.asarray(covariance, float)
    if known.ndim not in (1, 2) or known.shape != known.shape[:1] * known.ndim or size not in (None, len(known)):
        raise ValueError(
            f"{what} must be variances (n,) or a matrix (n, n)"
            f"{'' if size is None else f' with n = {size}'}, got shape {known.shape}"
        )
    values = known if known.ndim == 1 else np.linalg.eigvalsh(known)
    if not (np.all(values > 0) and np.allclose(known, known.T)):
        raise ValueError(
            f"{what} is not positive definite: its smallest eigenvalue is {values.min():.3g}; "
            "give each element a variance of its own above 0, and a symmetric matrix"
        )
    if known.ndim == 1:
        return jnp.asarray(1 / np.sqrt(known), jnp.result_type(float))
    return jnp.asarray(np.linalg.inv(np.linalg.cholesky(known)), jnp.result_type(float))


def _variances(prior: Fields, deviations: Mapping[str, ArrayLike]) -> np.ndarray:
    if set(deviations) != set(prior):
        raise ValueError(f"standard deviations are of {sorted(deviations)} but the prior of {sorted(prior)}")
    if not all(np.all(np.asarray(value) > 0) for value in deviations.values()):
        raise ValueError(f"standard deviations of a prior must be above 0; got {dict(deviations)}")
    spread = {name: jnp.broadcast_to(jnp.asarray(deviations[name], float), prior[name].shape) for name in prior}
    return np.asarray(ravel_pytree(spread)[0], float) ** 2


def example() -> dict:
    """Two observations of a sum and of one of its parts, a prior of 0 with unit variance: the answer by hand."""
    prior = {"a": jnp.asarray(0.0), "b": jnp.asarray(0.0)}
    return {
        "solver": OptimalEstimation(prior, {"a": 1.0, "b": 1.0}, [1.0, 0.5]),
        "residual": lambda f: jnp.stack([f["a"] + f["b"] - 2.0, f["a"] - 1.0]),
        "guess": prior,
        "solution": {"a": 6 / 7, "b": 4 / 7},
        "tolerance": 1e-4,
        "source": "doi:10.1142/3171",
    }
