"""The iterative ensemble Kalman smoother with localisation: few members for a large nonlinear model."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from .cycle import Predict, Smoother
from .ensemble import centred, rotated
from .localisation import Localisation, require_places, sharing_a_place
from .smoothers import GaussNewton


class LocalIEnKS(Smoother):
    """The iterative ensemble Kalman smoother whose weights differ from place to place.

    Each place minimises `(N - 1) |w|² + sum t |y - h(M(mean + w A))|²` over the observations within its reach, t the
    taper; between two Gauss-Newton steps the model carries the ensemble that all places' weights make together. What
    is at a place now is observed `lag` cycles later where it has moved to: `drift`, in the units of the places, moves
    the taper along (on Lorenz-96 by 6 sectors a time unit, as in figure 4 of 2016). Otherwise as `IEnKS`, which it is
    where the radius has no end.

    Bocquet (2016), doi:10.1002/qj.2711; Sakov & Bocquet (2018), doi:10.1080/16000870.2017.1414545.

        >>> ring = Localisation(jnp.arange(8.0), jnp.arange(8.0), radius=1.0, period=8.0)
        >>> prior = 2 + jax.random.normal(jax.random.key(0), (6, 8))
        >>> smoother = LocalIEnKS(ring, lag=0)
        >>> found = smoother.smooth(prior, lambda e: e**2 - 5.0, jnp.zeros(8), key=jax.random.key(1))
        >>> bool(jnp.abs(found.mean(axis=0)**2 - 5).mean() < jnp.abs(prior.mean(axis=0)**2 - 5).mean())
        True
    """

    index: Array
    weight: Array
    numbers: Array
    observations: int = eqx.field(static=True)
    lag: int = eqx.field(static=True)
    inflation: ArrayLike
    rotate: bool = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    certainty: ArrayLike | None

    def __init__(
        self,
        localisation: Localisation,
        lag: int = 1,
        *,
        inflation: ArrayLike = 1.0,
        rotate: bool = False,
        iterations: int = 10,
        tolerance: float = 1e-3,
        drift: ArrayLike = 0.0,
        certainty: ArrayLike | None = None,
    ):
        numbers = sharing_a_place(np.asarray(localisation.state_at))
        one_each = eqx.tree_at(lambda w: w.state_at, localisation, localisation.state_at[numbers[:, 0]])
        index, weight = one_each.moved(drift).neighbours()
        self.index, self.weight = jnp.asarray(index), jnp.sqrt(jnp.asarray(weight))
        self.numbers, self.observations = jnp.asarray(numbers), len(localisation.observed_at)
        self.lag, self.inflation, self.rotate = lag, inflation, rotate
        self.iterations, self.tolerance, self.certainty = iterations, tolerance, certainty

    def smooth(self, ensemble: Array, predict: Predict, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(ensemble)
        members, places = len(ensemble), len(self.numbers)
        require_places(self.numbers.size, self.observations, ensemble, observed[None])

        def unfinished(carry: tuple[Array, GaussNewton]) -> Array:
            step, now = carry
            return (step < self.iterations) & (now.change(members) > self.tolerance)

        def improve(carry: tuple[Array, GaussNewton]) -> tuple[Array, GaussNewton]:
            step, now = carry
            middle, seen = centred(predict(mean + self._combined(now.weights[:, None] + now.root, anomalies)))
            innovation = observed - middle

            def local(index: Array, taper: Array, own: GaussNewton) -> GaussNewton:
                return own.improved(seen[:, index] * taper, innovation[index] * taper, self.certainty)

            return step + 1, jax.vmap(local)(self.index, self.weight.astype(ensemble.dtype), now)

        first = GaussNewton.start(members, ensemble.dtype)
        everywhere = jax.tree.map(lambda x: jnp.broadcast_to(x, (places, *x.shape)), first)
        _, found = jax.lax.while_loop(unfinished, improve, (jnp.zeros((), int), everywhere))
        spread = centred(self._combined(found.root, anomalies))[1]
        spread = rotated(key, spread) if self.rotate else spread
        return mean + self._combined(found.weights[:, None], anomalies)[0] + self.inflation * spread

    def _combined(self, weights: Array, anomalies: Array) -> Array:
        """Each place's combinations (place, ?, member) of the anomalies there: (?, state)."""
        made = jax.vmap(lambda combine, own: combine @ own)(weights, jnp.moveaxis(anomalies[:, self.numbers], 1, 0))
        flat = jnp.moveaxis(made, 0, 1).reshape(weights.shape[1], -1)
        return jnp.zeros_like(anomalies[: len(flat)]).at[:, self.numbers.ravel()].set(flat)
