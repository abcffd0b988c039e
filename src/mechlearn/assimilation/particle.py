"""The particle filter: no Gaussian is assumed, and many members are needed."""

from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from .inflation import Adaptive


class ParticleFilter(Adaptive):
    """Members are weighted by how well they explain the observations, and drawn again where few carry all weight.

    `w <- w exp(-|y - h(x)|² / 2)` over their sum. Where the effective number `1 / sum w²` falls to the share
    `resample_below` of the members they are resampled systematically, and each that was drawn more than once is told
    apart by a kernel of the weighted covariance, of bandwidth `regularisation N^(-1 / (n + 4))` in n dimensions.
    By itself in a run of cycles it keeps the weights from one to the next, and scores are of the weighted mean;
    inside a wrapper, or called alone, it always resamples.

    Gordon, Salmond & Smith (1993), doi:10.1049/ip-f-2.1993.0015; Musso, Oudjane & Le Gland (2001),
    doi:10.1007/978-1-4757-3437-9_12.

        >>> prior = jax.random.normal(jax.random.key(0), (4000, 1))
        >>> posterior = ParticleFilter(0.1).update(prior, prior, jnp.array([1.0]), key=jax.random.key(1))
        >>> round(float(posterior.mean()), 1), round(float(posterior.var()), 1)
        (0.5, 0.5)
    """

    regularisation: ArrayLike = 1.0
    resample_below: ArrayLike = 1.0
    log_weight: Array | None = None

    def begin(self, ensemble: Array) -> Self:
        if self.log_weight is not None:
            return self
        even = jnp.zeros(len(ensemble), ensemble.dtype)
        return eqx.tree_at(lambda a: a.log_weight, self, even, is_leaf=lambda x: x is None)

    def weights(self) -> Array | None:
        return None if self.log_weight is None else jax.nn.softmax(self.log_weight)

    def adapt(self, predicted: Array, observed: Array) -> Self:
        log_weight = self._explained(predicted, observed)
        carried = jnp.where(self._degenerate(log_weight), 0, log_weight)
        return eqx.tree_at(lambda a: a.log_weight, self, carried, is_leaf=lambda x: x is None)

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        log_weight = self._explained(predicted, observed)
        drawn = _resampled(ensemble, jax.nn.softmax(log_weight), self.regularisation, key)
        return jnp.where(self._degenerate(log_weight), drawn, ensemble)

    def _explained(self, predicted: Array, observed: Array) -> Array:
        before = 0 if self.log_weight is None else self.log_weight
        log_weight = before - 0.5 * jnp.sum((observed - predicted) ** 2, axis=1)
        return log_weight - jnp.max(log_weight)

    def _degenerate(self, log_weight: Array) -> Array:
        effective = 1 / jnp.sum(jax.nn.softmax(log_weight) ** 2)
        return jnp.asarray(self.log_weight is None) | (effective <= self.resample_below * len(log_weight))


def _resampled(ensemble: Array, weight: Array, regularisation: ArrayLike, key: PRNGKeyArray) -> Array:
    """Members drawn systematically by their weight, copies moved apart."""
    pick, shake = jax.random.split(key)
    members, size = ensemble.shape
    place = (jnp.arange(members) + jax.random.uniform(pick)) / members
    source = jnp.clip(jnp.searchsorted(jnp.cumsum(weight), place), 0, members - 1)
    copied = (source == jnp.roll(source, 1)) | (source == jnp.roll(source, -1))
    kernel = regularisation * members ** (-1 / (size + 4)) * _root(ensemble, weight)
    noise = jax.random.normal(shake, (members, len(kernel)), ensemble.dtype) @ kernel
    return ensemble[source] + jnp.where(copied[:, None], noise, 0)


def _root(ensemble: Array, weight: Array) -> Array:
    """A root L (?, state) of the weighted covariance L'L; of all members alike where one has nearly all the weight."""
    members, size = ensemble.shape
    alone = 1 - jnp.sum(weight**2) < 1e-5
    weight = jnp.where(alone, 1 / members, weight)
    anomalies = jnp.sqrt(weight / (1 - jnp.sum(weight**2)))[:, None] * (ensemble - weight @ ensemble)
    if size >= members:
        return anomalies
    # Not by Cholesky: where a few members carry all weight the covariance has no full rank.
    values, axes = jnp.linalg.eigh(anomalies.T @ anomalies)
    return jnp.sqrt(jnp.maximum(values, 0))[:, None] * axes.T
