"""Ensemble Kalman filters without localisation.

Predictions and observations are in standard deviations of the observation error (`ObservationError.compare`), so that R
is the identity. A (member, state) and Y (member, obs) are anomalies, d is the innovation of the mean.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Analysis
from .ensemble import by_products, by_singular_values, centred, is_steep, singular_values, with_remedy


class PerturbedEnKF(Analysis):
    """The stochastic ensemble Kalman filter: each member sees observations with an error of its own.

    `E + (y + e - Y_E) Y' (Y Y' + (N - 1) I)^-1 A`, the perturbations e with mean zero.
    Burgers, van Leeuwen & Evensen (1998), doi:10.1175/1520-0493(1998)126<1719:ASITEK>2.0.CO;2.

        >>> prior = jax.random.normal(jax.random.key(0), (4000, 1))
        >>> posterior = PerturbedEnKF().update(prior, prior, jnp.array([1.0]), key=jax.random.key(1))
        >>> round(float(posterior.mean()), 1), round(float(posterior.var()), 1)
        (0.5, 0.5)
    """

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        anomalies, differences = centred(ensemble)[1], centred(predicted)[1]
        perturbation = centred(jax.random.normal(key, predicted.shape, predicted.dtype))[1]
        # A missing observation has no anomalies: its perturbation moves nothing.
        return ensemble + _increments(anomalies, differences, observed + perturbation - predicted)


class DEnKF(Analysis):
    """The deterministic ensemble Kalman filter: anomalies move by half the Kalman gain.

    `A - K Y / 2`, the square root filter to first order in a weak update. Sakov & Oke (2008),
    doi:10.1111/j.1600-0870.2007.00299.x.

        >>> prior = jnp.linspace(-1, 1, 9)[:, None]
        >>> DEnKF().update(prior, prior, jnp.array([0.0]), key=jax.random.key(0)).shape
        (9, 1)
    """

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(ensemble)
        middle, differences = centred(predicted)
        innovations = (observed - middle) - 0.5 * differences
        return mean + anomalies + _increments(anomalies, differences, innovations)


class ETKF(Analysis):
    """The ensemble transform Kalman filter: the symmetric square root (EnKF Sqrt).

    `T = (I + Y Y' / (N - 1))^-1/2`, `E = mean + d Y' T² A / (N - 1) + T A`.
    Bishop et al. (2001), doi:10.1175/1520-0493(2001)129<0420:ASWTET>2.0.CO;2; Hunt et al. (2007),
    doi:10.1016/j.physd.2006.11.008.

        >>> prior = jnp.linspace(-1, 1, 9)[:, None]
        >>> posterior = ETKF().update(prior, prior, jnp.array([0.0]), key=jax.random.key(0))
        >>> round(float(posterior.var(ddof=1) / prior.var(ddof=1) * (1 + prior.var(ddof=1))), 4)
        1.0
    """

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(ensemble)
        middle, differences = centred(predicted)
        return mean + transform(differences, observed - middle) @ anomalies


def transform(differences: Array, innovation: Array) -> Array:
    """The ensemble transform (member, member): weights of the mean added to the square root."""
    return with_remedy(quick_transform, sure_transform)(differences, innovation)


def quick_transform(differences: Array, innovation: Array) -> tuple[Array, Array]:
    """`transform` by products of matrices, and whether the spread is too far beyond the error for them."""
    scale = (len(differences) - 1) ** -0.5
    found, steep = by_products(scale * differences, innovation)
    return found.root + scale * found.weights, steep


def sure_transform(differences: Array, innovation: Array) -> Array:
    """`transform` by singular values."""
    scale = (len(differences) - 1) ** -0.5
    found = by_singular_values(scale * differences, innovation)
    return found.root + scale * found.weights


class SerialEnKF(Analysis):
    """The square root filter one observation at a time, each a division: no matrix is ever factored.

    For one observation with anomalies y of variance s: `K = A'y / ((N - 1)(1 + s))`, the mean moves
    by K d, the anomalies by `- y K / (1 + sqrt(1 / (1 + s)))`. Whitaker & Hamill (2002),
    doi:10.1175/1520-0493(2002)130<1913:EDAWPO>2.0.CO;2; with independent errors it is the EAKF of
    Anderson (2003), doi:10.1175/1520-0493(2003)131<0634:ALLSFF>2.0.CO;2. Where the spread is too far beyond the error
    of observations for single precision (some ten standard deviations) it is the ETKF, of the same mean and covariance.

        >>> prior = jnp.linspace(-1, 1, 9)[:, None]
        >>> posterior = SerialEnKF().update(prior, prior, jnp.array([0.0]), key=jax.random.key(0))
        >>> round(float(posterior.var(ddof=1) / prior.var(ddof=1) * (1 + prior.var(ddof=1))), 4)
        1.0
    """

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(ensemble)
        middle, differences = centred(predicted)
        return mean + with_remedy(serial_transform, sure_transform)(differences, observed - middle) @ anomalies


def serial_transform(differences: Array, innovation: Array) -> tuple[Array, Array]:
    """`quick_transform` by observations taken one after the other."""
    members = len(differences)
    steep = is_steep(jnp.sum(differences**2) / (members - 1))
    free = members - 1
    # Members' weights, anomalies of all observations and the innovation move together: one table, one update.
    table = jnp.concatenate([jnp.eye(members, dtype=differences.dtype), differences], axis=1)
    mean = jnp.concatenate([jnp.zeros(members, differences.dtype), -innovation])

    def assimilate(place, carry):
        table, mean = carry
        y = jax.lax.dynamic_index_in_dim(table, members + place, axis=1, keepdims=False)
        total = 1 + y @ y / free
        gain = (y @ table) / (free * total)
        step = 1 / (1 + jax.lax.rsqrt(total))
        return table - jnp.outer(step * y, gain), mean - gain * mean[members + place]

    table, mean = jax.lax.fori_loop(0, differences.shape[1], assimilate, (table, mean))
    return table[:, :members] + mean[:members], steep


class EnKFN(Analysis):
    """The finite-size ensemble Kalman filter: it needs no inflation, for it knows how few its members are.

    The unknown covariance is integrated out with Jeffreys' prior. The weight z of the prior (N - 1 in
    the ETKF) makes `d'(I + Y'Y / z)^-1 d + e z - c log z` smallest, e = (1 + 1/N) / m and c = N m with the
    correction m of the mode (equation 36 of 2015); the new anomalies are those of
    `Y Y' + z I`, or with `hessian` of the whole Hessian, less `2 z² w w' / c` at the weights w of the mean.
    A `certainty` beyond 1 trusts the members' covariance as that of so many times more members (e and c grow alike).
    Bocquet (2011), doi:10.5194/npg-18-735-2011; Bocquet, Raanes & Hannart (2015), doi:10.5194/npg-22-645-2015.

        >>> prior = jnp.linspace(-1, 1, 9)[:, None]
        >>> near = EnKFN().update(prior, prior, jnp.array([0.1]), key=jax.random.key(0))
        >>> far = EnKFN().update(prior, prior, jnp.array([9.0]), key=jax.random.key(0))
        >>> bool(far.std() > near.std())
        True
    """

    certainty: ArrayLike = 1.0
    points: int = eqx.field(static=True, default=60)
    hessian: bool = eqx.field(static=True, default=False)

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(ensemble)
        middle, differences = centred(predicted)
        axes, values, seen = singular_values(differences)
        squares, misfit = values**2, seen @ (observed - middle)
        slope, power = (self.certainty * constant for constant in hyperprior(squares, len(ensemble)))
        weight = self._weight(squares, misfit, slope, power)
        turned = values * misfit / (squares + weight)
        unseen = jnp.sqrt((len(ensemble) - 1) / weight)
        narrowed = axes @ self._root(squares / weight, turned, weight / power) - axes
        return mean + turned @ (axes.T @ anomalies) + unseen * (anomalies + narrowed @ (axes.T @ anomalies))

    def _weight(self, squares: Array, misfit: Array, slope: Array, power: Array) -> Array:
        """The least of the dual cost over a grid of log z that is refined about its smallest point."""

        def cost(log_weight: Array) -> Array:
            weight = jnp.exp(log_weight)
            left = jnp.sum(misfit**2 / (squares / weight[:, None] + 1), axis=1)
            return left + slope * weight - power * log_weight

        most = jnp.log(power / slope)
        low, high = most - 12.0, most
        for _ in range(3):
            grid = jnp.linspace(low, high, self.points)
            best = grid[jnp.argmin(cost(grid))]
            width = (high - low) / (self.points - 1)
            low, high = best - width, jnp.minimum(best + width, most)
        return jnp.exp(best)

    def _root(self, squares: Array, turned: Array, share: Array) -> Array:
        """The inverse square root of the Hessian over z, in the axes that observations see."""
        if not self.hessian:
            return jnp.diag(jax.lax.rsqrt(1 + squares))
        spread, axes = jnp.linalg.eigh(jnp.diag(1 + squares) - 2 * share * jnp.outer(turned, turned))
        return axes * jax.lax.rsqrt(jnp.maximum(spread, 1e-6)) @ axes.T


def hyperprior(squares: Array, members: int) -> tuple[Array, Array]:
    """The two constants of the dual cost: where observations say little, its mode is the ETKF's.

    `squares` are the squared singular values of the predictions, those beyond the last being 0.
    """
    slope, power = 1 + 1 / members, members / (members - 1)
    unseen = 1 - jnp.sum(squares / (squares + members - 1)) / members
    mode = jnp.sqrt((slope / power) ** unseen)
    return slope / mode, power * mode * (members - 1)


def _increments(anomalies: Array, differences: Array, innovations: Array) -> Array:
    """`D Y' (Y Y' + (N - 1) I)^-1 A` of innovations D (member, obs)."""
    return with_remedy(_quick_increments, _sure_increments)(anomalies, differences, innovations)


def _quick_increments(anomalies: Array, differences: Array, innovations: Array) -> tuple[Array, Array]:
    """Solved in the smaller space."""
    members, count = differences.shape
    few, dtype = count < members, differences.dtype
    square = differences.T @ differences if few else differences @ differences.T
    steep = is_steep(jnp.trace(square) / (members - 1))
    factor = cho_factor(jnp.where(steep, 0, square) + (members - 1) * jnp.eye(len(square), dtype=dtype))
    if few:
        return cho_solve(factor, innovations.T).T @ (differences.T @ anomalies), steep
    return cho_solve(factor, differences @ innovations.T).T @ anomalies, steep


def _sure_increments(anomalies: Array, differences: Array, innovations: Array) -> Array:
    """By singular values, for a spread far beyond the error of the observations."""
    axes, values, seen = singular_values(differences)
    return (innovations @ seen.T) * (values / (values**2 + len(differences) - 1)) @ (axes.T @ anomalies)
