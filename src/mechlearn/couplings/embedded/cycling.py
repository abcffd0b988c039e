"""How a learned gain for a small ensemble is taught: on the forecasts that its own cycles come upon."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...assimilation.cycle import Assimilation
from ...assimilation.learned import predicted
from ...descent import Descent, descend
from .hybrid_gain import HybridGain, Inflation

RATE, LEAST, MOST = 1e-3, 0.9, 1.3


class Taught(NamedTuple):
    """A taught gain, and the mean distance of its own cycles to the target in each round (round,), before it."""

    gain: HybridGain
    distance: np.ndarray


class Lessons(eqx.Module):
    """Forecasts (lesson, member, state), their whitened misfits (lesson, member, obs), and what was wanted."""

    forecast: Array
    misfit: Array
    target: Array

    def __len__(self) -> int:
        return len(self.forecast)

    def take(self, indices: Array) -> "Lessons":
        return jax.tree.map(lambda x: x[indices], self)


def taught_while_cycling(
    system: Assimilation,
    gain: HybridGain,
    observed: ArrayLike,
    target: ArrayLike,
    *,
    members: int = 8,
    weight: ArrayLike = 1.0,
    rounds: int = 4,
    how: Descent = Descent(epochs=3, batch_size=8, learning_rate=3e-3, patience=0),
    key: PRNGKeyArray,
) -> Taught:
    """Let a gain cycle through observations (lane, cycle, obs) in rounds, and teach it after each what was wanted.

    `target` (lane, cycle, state) is what analyses should be: those of a scheme to be imitated, or the truth of a run
    made for the purpose. The loss is `sqrt(sum_i (w_i e_i)²)` of the mean's analysis, on forecasts of the gain's own
    cycles, which go on from round to round. Nothing flows through the model, which may be any. Inflation follows the
    innovations (their mean square should be that of spread and observation error together), not the gradient.

    Raises `ValueError` for fewer cycles than rounds.
    """
    seen, wanted, norm = jnp.asarray(observed), jnp.asarray(target), jnp.asarray(weight)
    length = seen.shape[1] // rounds
    if not length or seen.shape[:2] != wanted.shape[:2]:
        raise ValueError(f"observations and targets of {rounds} cycles at least, got {seen.shape} and {wanted.shape}")
    width = gain.plane.state(jnp.broadcast_to(gain.plane.step, (*gain.plane.order.shape[1:], len(gain.plane.step))))
    keys = jax.random.split(key, rounds + 1)
    noise = jax.random.normal(keys[0], (len(seen), members, wanted.shape[2]), wanted.dtype)
    now = Lanes(wanted[:, :1] + width * noise, jnp.full(len(seen), gain.inflation.factor, wanted.dtype))
    distances = []
    for number in range(rounds):
        part = slice(number * length, (number + 1) * length)
        now, lessons, distance = _gathered(system, gain, now, seen[:, part], wanted[:, part], norm)
        distances.append(float(distance))
        gain = descend(gain, _loss(norm), lessons, key=keys[number + 1], how=how).model
        gain = eqx.tree_at(lambda g: g.inflation, gain, Inflation(jnp.mean(now.factor)))
    return Taught(gain, np.asarray(distances))


class Lanes(NamedTuple):
    """Where the runs of a teaching are: ensembles (lane, member, state), inflation (lane,)."""

    ensemble: Array
    factor: Array


def _loss(norm: Array):
    def one(gain: HybridGain, lesson: Lessons) -> Array:
        prior = gain.prior(lesson.forecast, lesson.misfit)
        analysed = lesson.forecast.mean(axis=0) + gain.increment(prior, -lesson.misfit.mean(axis=0))
        return _apart(analysed, lesson.target, norm)

    def loss(gain: HybridGain, batch: Lessons, key: PRNGKeyArray | None) -> Array:
        return jnp.mean(jax.vmap(lambda lesson: one(gain, lesson))(batch))

    return loss


@eqx.filter_jit
def _gathered(system: Assimilation, gain: HybridGain, lanes: Lanes, seen: Array, wanted: Array, norm: Array):
    """A stretch of cycles in every lane: where they end, the lessons on their way, the mean distance."""

    def one(now: Lanes, cycle: tuple[Array, Array]):
        observed, target = cycle
        forecast, innovation = jax.vmap(lambda x: predicted(system, x, observed))(now.ensemble)
        own = eqx.tree_at(lambda g: g.inflation, gain, Inflation(now.factor))
        analysed = own.update(forecast, -innovation, jnp.zeros_like(observed), key=jax.random.key(0))
        distance = _apart(analysed.mean(axis=0), target, norm)
        # A run that is lost begins anew, as wide as before.
        again = target + (now.ensemble - now.ensemble.mean(axis=0))
        lost = ~(distance < _apart(wanted.mean(axis=(0, 1)), target, norm))
        factor = jnp.clip(now.factor + RATE * (_narrow(innovation, now.factor) - 1), LEAST, MOST)
        return Lanes(jnp.where(lost, again, analysed), factor), (Lessons(forecast, -innovation, target), distance)

    def through(lane: tuple[Lanes, Array, Array]):
        return jax.lax.scan(one, lane[0], (lane[1], lane[2]))

    ends, (lessons, distance) = jax.lax.map(through, (lanes, seen, wanted))
    return ends, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), lessons), jnp.mean(distance)


def _narrow(innovation: Array, factor: Array) -> Array:
    """By how much the spread of whitened misfits (member, obs) is too small for the innovations of their mean."""
    mean = innovation.mean(axis=0)
    known = jnp.maximum(jnp.sum(mean != 0), 1)
    spread = factor**2 * jnp.sum((innovation - mean) ** 2) / (len(innovation) - 1) / known
    error = jnp.maximum(jnp.sum(mean**2) / known - 1, 1e-3)
    return jnp.clip(jnp.sqrt(error / jnp.maximum(spread, 1e-6)), 0.0, 2.0)


def _apart(analysed: Array, target: Array, norm: Array) -> Array:
    return jnp.sqrt(jnp.sum((norm * (analysed - target)) ** 2) + 1e-12)
