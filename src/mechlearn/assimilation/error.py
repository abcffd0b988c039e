"""Errors of observations, kept as what turns a misfit into standard deviations."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike


class ObservationError(eqx.Module):
    """The error of a vector of observations, in inverse form: `W` with `W' W = R^-1`.

    `W` is a vector (obs,) for independent errors, a matrix (obs, obs) for correlated ones. Every
    analysis sees `W y` and `W h(x)`: misfits in standard deviations, R the identity. An observation
    that is NaN is missing and takes no part.

        >>> ObservationError.of_variance([4.0, 1.0]).whiten(jnp.array([2.0, 3.0])).tolist()
        [1.0, 3.0]
    """

    root: Array

    @classmethod
    def of_variance(cls, variance: ArrayLike) -> "ObservationError":
        """Independent errors of given variances (obs,), in the squared units of the observations.

        Raises `ValueError` for a variance that is not positive.
        """
        known = np.asarray(variance, float)
        if known.ndim != 1:
            raise ValueError(
                f"variances of observation errors must be a vector, one for each observation, got shape {known.shape}; "
                "for correlated errors give the matrix to of_covariance"
            )
        if not np.all(known > 0):
            first = int(np.argmin(known > 0))
            raise ValueError(
                f"variances of observation errors must be positive, but that of observation {first} is {known[first]}; "
                "an observation to be left out is NaN, not of variance 0"
            )
        return cls(jnp.asarray(1 / np.sqrt(known)))

    @classmethod
    def of_covariance(cls, covariance: ArrayLike) -> "ObservationError":
        """Correlated errors of given covariance R (obs, obs).

        Raises `ValueError` when R is not symmetric or not positive definite.
        """
        values, vectors = _spectrum(covariance, "the covariance R of observation errors")
        return cls(jnp.asarray((vectors / np.sqrt(values)) @ vectors.T))

    @classmethod
    def of_inverse(cls, inverse: ArrayLike) -> "ObservationError":
        """Correlated errors of given inverse covariance (obs, obs).

        Raises `ValueError` when it is not symmetric or not positive definite.
        """
        values, vectors = _spectrum(inverse, "the inverse covariance of observation errors")
        return cls(jnp.asarray((vectors * np.sqrt(values)) @ vectors.T))

    def whiten(self, values: Array) -> Array:
        """Values or misfits (..., obs) in standard deviations of their error."""
        return values * self.root if self.root.ndim == 1 else values @ self.root.T

    def variance(self) -> Array:
        """The variance (obs,) of each observation's error."""
        if self.root.ndim == 1:
            return 1 / self.root**2
        return jnp.sum(jnp.linalg.inv(self.root) ** 2, axis=1)

    def draw(self, normal: Array) -> Array:
        """Errors (..., obs) made of standard normal numbers."""
        if self.root.ndim == 1:
            return normal / self.root
        return jnp.linalg.solve(self.root, normal[..., None])[..., 0]

    def compare(self, predicted: Array, observed: Array) -> tuple[Array, Array]:
        """Whitened predictions (member, obs) and observations (obs,), both zero where nothing was observed."""
        known = jnp.isfinite(observed)
        middle = jnp.where(known, observed, 0)
        # Less the observation: what is left to whiten is small, and a missing one mixes nothing into the others.
        misfit = jnp.where(known, predicted - middle, 0)
        if self.root.ndim == 1:
            return misfit * self.root, jnp.zeros_like(observed)
        return misfit @ self._among(known).T, jnp.zeros_like(observed)

    def _among(self, known: Array) -> Array:
        """The root for the observations that are there: R without the rows and columns of the missing ones."""
        inverse = self.root.T @ self.root
        gone = jnp.where(known, 0, 1)
        # Their variance is let go to infinity by a Schur complement of the precision.
        missing = gone[:, None] * inverse * gone[None, :] + jnp.diag(1.0 - gone)
        reduced = inverse - inverse @ (gone[:, None] * jnp.linalg.solve(missing, gone[:, None] * inverse))
        reduced = jnp.where(known[:, None] & known[None, :], reduced, jnp.eye(len(known)))
        return jnp.where(jnp.all(known), self.root, jnp.linalg.cholesky(reduced).T)


def _spectrum(matrix: ArrayLike, what: str) -> tuple[np.ndarray, np.ndarray]:
    known = np.asarray(matrix, float)
    if known.ndim != 2 or known.shape[0] != known.shape[1]:
        raise ValueError(f"{what} must be a square matrix, got shape {known.shape}; variances alone go to of_variance")
    if not np.all(np.isfinite(known)):
        raise ValueError(f"{what} must be finite, but {np.sum(~np.isfinite(known))} of its numbers are not")
    if not np.allclose(known, known.T):
        off = np.max(np.abs(known - known.T))
        raise ValueError(
            f"{what} must be symmetric, but differs from its transpose by up to {off:.3g}; take (R + R') / 2"
        )
    values, vectors = np.linalg.eigh(known)
    if values[0] <= 1e-12 * max(values[-1], 0) or values[0] <= 0:
        raise ValueError(
            f"{what} is not positive definite: its eigenvalues go from {values[0]:.3g} to {values[-1]:.3g}; "
            "add the variance of independent noise to its diagonal"
        )
    return values, vectors
