"""Learned gains for small ensembles in a world: how they are taught, and how they are examined."""

import time
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...couplings.embedded.cycling import taught_while_cycling
from ...couplings.embedded.hybrid_gain import HybridGain, Inflation
from ...descent import Descent
from ._worlds import World

LANES, WHOLE, INFLATIONS = 6, 1200, (1.0, 1.02, 1.04, 1.06, 1.08)


class Lessons(NamedTuple):
    """Observations (lane, cycle, obs) and what analyses of them should be (lane, cycle, state)."""

    observed: np.ndarray
    target: np.ndarray

    @classmethod
    def cut(cls, observed: np.ndarray, target: np.ndarray) -> "Lessons":
        """One long run cut into lanes."""
        whole = len(observed) // LANES
        return cls(*(series[: LANES * whole].reshape(LANES, whole, -1) for series in (observed, target)))


def taught(world: World, lessons: Lessons, members: int, rounds: int, epochs: int, seed: int) -> tuple[HybridGain, str]:
    """A gain taught in rounds of its own cycles, and what to note of it."""
    key = jax.random.key(seed)
    climate = lessons.target[:, ::10].reshape(-1, lessons.target.shape[-1])
    untaught = HybridGain.make(world.quick, world.places, climate, key=key)
    how = Descent(epochs=epochs, batch_size=8, learning_rate=3e-3, patience=0)
    begin = time.process_time()
    found = taught_while_cycling(
        world.quick, untaught, *lessons, members=members, weight=world.weight, rounds=rounds, how=how, key=key
    )
    spelt = ", ".join(f"{x:.3f}" for x in found.distance)
    seconds = time.process_time() - begin
    gain, inflation = widened(world, found.gain, lessons, members)
    return (
        gain,
        f"distance to the target by round {spelt}; inflation {inflation:.3f}; {seconds:.0f} s of teaching",
    )


def widened(world: World, gain: HybridGain, lessons: Lessons, members: int) -> tuple[HybridGain, float]:
    """The gain with the inflation, of a few, that keeps it nearest to the target through what it was taught on."""
    # The last lane and the one before it follow each other when the run was cut.
    observed, target = (np.concatenate(list(series))[-WHOLE:] for series in lessons)
    best, least = gain, np.inf
    for factor in INFLATIONS:
        wider = eqx.tree_at(lambda g: g.inflation, gain, Inflation(jnp.full((), factor)))
        made, _ = examined(world, wider, target[0], observed[1:], members, timed=False)
        error = float(np.mean(world.error(made, target[1:])))
        best, least = (wider, error) if error < least else (best, least)
    return best, float(best.inflation.factor)


def examined(
    world: World, gain: HybridGain, start: np.ndarray, observed: np.ndarray, members: int, timed: bool = True
) -> tuple[np.ndarray, float]:
    """The analyses of all cycles from one around a state, and seconds a cycle when compiled."""
    width = gain.plane.state(jnp.broadcast_to(gain.plane.step, (*gain.plane.order.shape[1:], len(gain.plane.step))))
    first = start + width * jax.random.normal(jax.random.key(5), (members, len(start)))

    def run() -> np.ndarray:
        return np.asarray(world.quick.run(gain, first, observed, key=jax.random.key(0), keep_mean=True).mean)

    made = run()
    if not timed:
        return made, np.nan
    begin = time.process_time()
    made = run()
    return made, (time.process_time() - begin) / len(observed)
