"""Smoothers with the model inside: the iterative ensemble Kalman smoother and variational methods."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from .cycle import Assimilation, Predict, Smoother
from .enkf import hyperprior
from .ensemble import centred, posterior, rotated


class IEnKS(Smoother):
    """The iterative ensemble Kalman smoother: Gauss-Newton steps in the space of members, the model run in each.

    Minimises `(N - 1) |w|² + |y - h(M(mean + w A))|²`; slopes come from the ensemble itself, transformed to the
    present estimate of the posterior. Observations `lag` cycles ahead correct the window's start. `lag` 0 is an
    iterated filter. The result is inflated by `inflation` and, with `rotate`, turned at random. With a `certainty`
    the prior is that of the finite-size filter (`enkf.EnKFN`), which needs no inflation.

    Bocquet & Sakov (2012), doi:10.5194/npg-19-383-2012; (2014), doi:10.1002/qj.2236.

        >>> prior = jnp.linspace(-1, 1, 9)[:, None] + 2
        >>> found = IEnKS(lag=0).smooth(prior, lambda e: e**2 - 5.0, jnp.zeros(1), key=jax.random.key(0))
        >>> round(float(found.mean()), 1)
        2.2
    """

    lag: int = eqx.field(static=True, default=1)
    inflation: ArrayLike = 1.0
    rotate: bool = eqx.field(static=True, default=False)
    iterations: int = eqx.field(static=True, default=10)
    tolerance: float = eqx.field(static=True, default=1e-3)
    certainty: ArrayLike | None = None

    def smooth(self, ensemble: Array, predict: Predict, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(ensemble)
        members = len(ensemble)

        def unfinished(carry: tuple[Array, GaussNewton]) -> Array:
            step, now = carry
            return (step < self.iterations) & (now.change(members) > self.tolerance)

        def improve(carry: tuple[Array, GaussNewton]) -> tuple[Array, GaussNewton]:
            step, now = carry
            middle, seen = centred(predict(mean + (now.weights + now.root) @ anomalies))
            return step + 1, now.improved(seen, observed - middle, self.certainty)

        start = jnp.zeros((), int), GaussNewton.start(members, ensemble.dtype)
        _, found = jax.lax.while_loop(unfinished, improve, start)
        spread = centred(found.root @ anomalies)[1]
        spread = rotated(key, spread) if self.rotate else spread
        return mean + found.weights @ anomalies + self.inflation * spread


class GaussNewton(NamedTuple):
    """The search for the members' weights w (member,) of a posterior mean: where it is, and how it came there.

    `root` is the square root of their covariance times N - 1, `inverse` its inverse, `move` the last step.
    """

    weights: Array
    root: Array
    inverse: Array
    move: Array

    @classmethod
    def start(cls, members: int, dtype) -> "GaussNewton":
        """At the prior."""
        unit = jnp.eye(members, dtype=dtype)
        return cls(jnp.zeros(members, dtype), unit, unit, jnp.full(members, jnp.inf, dtype))

    def change(self, members: int) -> Array:
        """How far the last step moved, in standard deviations."""
        return jnp.sqrt(jnp.mean(self.move**2) * (members - 1))

    def improved(self, seen: Array, innovation: Array, certainty: ArrayLike | None = None) -> "GaussNewton":
        """One step, given anomalies (member, obs) and innovation (obs,) of what the present weights predict."""
        members = len(self.weights)
        prior = self.inverse @ seen
        share = 1.0 if certainty is None else self._share(prior, certainty)
        scale = jnp.sqrt(share * (members - 1))
        root, inverse, weights = posterior(prior / scale, innovation)
        move = root @ root @ self.weights - weights / scale
        return GaussNewton(self.weights - move, root / jnp.sqrt(share), inverse * jnp.sqrt(share), move)

    def _share(self, prior: Array, certainty: ArrayLike) -> Array:
        """The weight of the finite-size prior over N - 1."""
        members = len(prior)
        slope, power = hyperprior(jnp.linalg.svd(prior, compute_uv=False) ** 2, members)
        return certainty * power / (certainty * slope + self.weights @ self.weights) / (members - 1)


class Variational(Smoother):
    """3D-Var (`lag` 0) and cycled strong-constraint 4D-Var: the mean is moved, with a fixed background covariance.

    Minimises `|v|² + |y - h(M(mean + L v))|²`, `B = L L'` with L (state, control), by Gauss-Newton steps whose
    adjoint is automatic; the ensemble, which may be a single member, is carried along.

    Le Dimet & Talagrand (1986), doi:10.3402/tellusa.v38i2.11706; Courtier et al. (1994), doi:10.1002/qj.49712051912.

        >>> prior = jnp.zeros((1, 2))
        >>> one = Variational(jnp.eye(2)).smooth(prior, lambda e: e - 1.0, jnp.zeros(2), key=jax.random.key(0))
        >>> [round(float(x), 3) for x in one[0]]
        [0.5, 0.5]
    """

    root: Array
    lag: int = eqx.field(static=True, default=0)
    iterations: int = eqx.field(static=True, default=5)

    def smooth(self, ensemble: Array, predict: Predict, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean = ensemble.mean(axis=0)
        root = self.root.astype(mean.dtype)
        found = minimise(
            lambda v: predict((mean + root @ v)[None])[0] - observed,
            jnp.zeros(root.shape[1], mean.dtype),
            self.iterations,
        )
        return ensemble + root @ found


class HybridEnVar(Smoother):
    """The mean by a variational analysis whose background covariance is part ensemble, part climatology.

    `B = share A'A / (N - 1) + (1 - share) L L'`; the anomalies are those of the ensemble's own transform.
    Hamill & Snyder (2000), doi:10.1175/1520-0493(2000)128<2905:AHEKFV>2.0.CO;2; Lorenc (2003), doi:10.1256/qj.02.132.

        >>> prior = jnp.linspace(-1, 1, 9)[:, None]
        >>> made = HybridEnVar(jnp.eye(1)).smooth(prior, lambda e: e - 1.0, jnp.zeros(1), key=jax.random.key(0))
        >>> bool(0 < made.mean() < 1) and bool(made.std() < prior.std())
        True
    """

    root: Array
    share: float = 0.5
    lag: int = eqx.field(static=True, default=0)
    iterations: int = eqx.field(static=True, default=5)
    inflation: ArrayLike = 1.0

    def smooth(self, ensemble: Array, predict: Predict, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(ensemble)
        free = len(ensemble) - 1
        own = jnp.sqrt(self.share / free) * anomalies.T
        both = jnp.concatenate([own, jnp.sqrt(1 - self.share) * self.root.astype(mean.dtype)], axis=1)
        found = minimise(
            lambda v: predict((mean + both @ v)[None])[0] - observed,
            jnp.zeros(both.shape[1], mean.dtype),
            self.iterations,
        )
        middle, differences = centred(predict(ensemble))
        root = posterior(differences / jnp.sqrt(free), observed - middle).root
        return mean + both @ found + self.inflation * root @ anomalies


def four_d_var(
    system: Assimilation,
    background: Array,
    root: Array,
    observed: Array,
    *,
    model_error: ArrayLike | None = None,
    iterations: int = 10,
    tolerance: float = 1e-10,
    **inputs,
) -> tuple[Array, Array]:
    """The trajectory of one window (cycle + 1, state) that observations (cycle, obs) and background make most likely.

    Strong constraint: `J(v) = |v|²/2 + sum |h(x_k) - y_k|²/2` over the start `x_0 = background + L v`. With a
    `model_error` (the standard deviation of each cycle's, a number or (state,)) the constraint is weak:
    `x_k = M(x_{k-1}) + q_k`, all q_k unknown too. Returns the trajectory and the gradient of J at the end.
    `inputs` are `forcing` and `fixed`. Trémolet (2006), doi:10.1256/qj.05.224.

        >>> from mechlearn.assimilation.error import ObservationError
        >>> from mechlearn.compose import Pass
        >>> from mechlearn.mechanisms.flow.lorenz63 import CONVECTION, Lorenz63
        >>> system = Assimilation(Lorenz63(), Pass(CONVECTION), ObservationError.of_variance(jnp.ones(3)))
        >>> truth, observed = system.nature(10, key=jax.random.key(0))
        >>> path, slope = four_d_var(system, truth[0] + 0.5, jnp.eye(3), observed[1:])
        >>> bool(jnp.abs(path[0] - truth[0]).max() < 1.5)
        True
    """
    count, controls = len(observed), root.shape[1]
    width = jnp.zeros(()) if model_error is None else jnp.asarray(model_error)

    def split(control: Array) -> tuple[Array, Array]:
        errors = jnp.zeros((count, len(background)), background.dtype)
        if model_error is not None:
            errors = width * control[controls:].reshape(errors.shape)
        return background + root @ control[:controls], errors

    def residual(control: Array) -> Array:
        return jnp.ravel(system.misfit(*split(control), observed, **inputs)[1])

    size = controls + (0 if model_error is None else count * len(background))
    control = minimise(residual, jnp.zeros(size, background.dtype), iterations, tolerance)
    start, errors = split(control)
    path = system.misfit(start, errors, observed, **inputs)[0]
    return jnp.concatenate([start[None], path]), jax.grad(lambda v: cost(residual, v))(control)


def cost(residual: Callable[[Array], Array], control: Array) -> Array:
    """`J(v) = |v|²/2 + |r(v)|²/2`, background and observations in standard deviations."""
    return 0.5 * jnp.sum(control**2) + 0.5 * jnp.sum(residual(control) ** 2)


def minimise(residual: Callable[[Array], Array], start: Array, iterations: int, tolerance: float = 1e-10) -> Array:
    """The least of `J(v)` by Gauss-Newton steps, each solved by conjugate gradients with tangent and adjoint.

    A step that does not lower J is halved. `tolerance` is the share of the slope at which the conjugate gradients stop.

        >>> [round(float(x), 4) for x in minimise(lambda v: 3 * (v - 1), jnp.zeros(2), 3)]
        [0.9, 0.9]
    """

    def step(control: Array, _) -> tuple[Array, None]:
        value, tangent = jax.linearize(residual, control)
        adjoint = jax.linear_transpose(tangent, control)
        slope = control + adjoint(value)[0]
        move, _ = jax.scipy.sparse.linalg.cg(lambda v: v + adjoint(tangent(v))[0], -slope, tol=tolerance, maxiter=200)
        lengths = 0.5 ** jnp.arange(6.0)
        found = jax.lax.map(lambda length: cost(residual, control + length * move), lengths)
        best = jnp.argmin(jnp.where(jnp.isfinite(found), found, jnp.inf))
        return control + lengths[best].astype(control.dtype) * move, None

    return jax.lax.scan(step, start, None, length=iterations)[0]
