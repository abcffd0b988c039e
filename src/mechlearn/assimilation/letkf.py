"""Local filters: every number of the state is corrected by the observations near it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..core import Analysis
from .enkf import quick_transform, sure_transform
from .ensemble import centred, with_remedy
from .localisation import Localisation, require_places, sharing_a_place


class LETKF(Analysis):
    """The local ensemble transform Kalman filter: one small transform for each number of the state.

    Observations within reach take part with their inverse error variance times the taper. Places are
    done `block` at a time, so that memory is linear in the state; `nearest` limits how many observations
    one of them sees. Numbers of the state at the same place (several variables of one cell) share one
    transform, when every place has as many. Raises `ValueError` for an ensemble the localisation was not made for.

    Hunt, Kostelich & Szunyogh (2007), doi:10.1016/j.physd.2006.11.008.

        >>> near = Localisation(jnp.arange(8.0), jnp.arange(8.0), radius=1.0, period=8.0)
        >>> prior = jax.random.normal(jax.random.key(0), (5, 8))
        >>> bool(LETKF(near).update(prior, prior, jnp.zeros(8), key=jax.random.key(1)).std() < prior.std())
        True
    """

    index: Array
    weight: Array
    numbers: Array
    observations: int = eqx.field(static=True)
    block: int = eqx.field(static=True)

    def __init__(self, localisation: Localisation, *, nearest: int | None = None, block: int = 4096):
        numbers = sharing_a_place(np.asarray(localisation.state_at))
        one_each = eqx.tree_at(lambda w: w.state_at, localisation, localisation.state_at[numbers[:, 0]])
        index, weight = one_each.neighbours(nearest)
        self.index, self.weight, self.block = jnp.asarray(index), jnp.sqrt(jnp.asarray(weight)), block
        self.numbers, self.observations = jnp.asarray(numbers), len(localisation.observed_at)

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        require_places(self.numbers.size, self.observations, ensemble, predicted)
        mean, anomalies = centred(ensemble)
        middle, differences = centred(predicted)
        innovation = observed - middle

        numbers = self.numbers
        places = (self.index, self.weight.astype(ensemble.dtype), mean[numbers], anomalies.T[numbers])
        analysed = with_remedy(self._quick, self._sure)(differences, innovation, *places)
        return jnp.zeros_like(ensemble).at[:, numbers.ravel()].set(analysed.reshape(-1, len(ensemble)).T)

    def _quick(self, differences: Array, innovation: Array, *places: Array) -> tuple[Array, Array]:
        def local(place: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
            index, weight, mean, anomalies = place
            turned, steep = quick_transform(differences[:, index] * weight, innovation[index] * weight)
            return mean[:, None] + anomalies @ turned.T, steep

        return self._everywhere(local, places)

    def _sure(self, differences: Array, innovation: Array, *places: Array) -> Array:
        def local(place: tuple[Array, Array, Array, Array]) -> Array:
            index, weight, mean, anomalies = place
            turned = sure_transform(differences[:, index] * weight, innovation[index] * weight)
            return mean[:, None] + anomalies @ turned.T

        return self._everywhere(local, places)

    def _everywhere(self, local: Callable, places: tuple[Array, ...]) -> Any:
        if len(self.numbers) <= self.block:
            return jax.vmap(local)(places)
        return jax.lax.map(local, places, batch_size=self.block)


class LocalEAKF(Analysis):
    """The serial ensemble adjustment filter with localisation: each observation moves what is near it.

    The update of `SerialEnKF` times the taper between the observation and each number of the state, and
    each observation still to come. Nothing larger than the ensemble is ever held.

    Anderson (2003), doi:10.1175/1520-0493(2003)131<0634:ALLSFF>2.0.CO;2.

        >>> near = Localisation(jnp.arange(8.0), jnp.arange(8.0), radius=1.0, period=8.0)
        >>> prior = jax.random.normal(jax.random.key(0), (5, 8))
        >>> bool(LocalEAKF(near).update(prior, prior, jnp.zeros(8), key=jax.random.key(1)).std() < prior.std())
        True
    """

    localisation: Localisation

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(jnp.concatenate([ensemble, predicted], axis=1))
        mean = mean.at[ensemble.shape[1] :].add(-observed)
        where = self.localisation
        require_places(len(where.state_at), len(where.observed_at), ensemble, predicted)
        free, size = len(ensemble) - 1, ensemble.shape[1]
        places = jnp.concatenate([where.state_at, where.observed_at]).astype(ensemble.dtype)

        def assimilate(place: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            mean, anomalies = carry
            y = jax.lax.dynamic_index_in_dim(anomalies, size + place, axis=1, keepdims=False)
            total = 1 + y @ y / free
            gain = where.weights(places[size + place], places) * (y @ anomalies) / (free * total)
            step = 1 / (1 + jax.lax.rsqrt(total))
            return mean - gain * mean[size + place], anomalies - jnp.outer(step * y, gain)

        mean, anomalies = jax.lax.fori_loop(0, len(where.observed_at), assimilate, (mean, anomalies))
        return (mean + anomalies)[:, :size]
