"""Snow from its microwave emission: a network stands for the radiative transfer in an iterative inversion."""

import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Fields, Model
from ...couplings.embedded.solution import amortised, surrogate_inversion
from ...descent import Descent
from ...learners.mlp import MLP
from ...mechanisms.microwave.snow import Snow
from ...solvers.lookup_table import latin_hypercube
from ...solvers.optimal_estimation import OptimalEstimation, Retrieval
from ..study import Findings, Score

RANGES = {
    "snow_depth": (0.1, 1.0),
    "snow_density": (150.0, 400.0),
    "correlation_length": (0.08, 0.3),
    "snow_temperature": (245.0, 272.0),
}


def study(
    *,
    simulations: int = 1500,
    epochs: int = 400,
    width: int = 48,
    cases: int = 20,
    error: float = 1.0,
    streams: int = 8,
    seed: int,
) -> Findings:
    """Invert five SSM/I channels for depth, density, correlation length and temperature of a snow pack.

    Forward model: smrt (improved Born approximation, discrete ordinates). A network taught on `simulations` of it
    stands in its place inside optimal estimation; both inversions have the same prior (mean and standard deviation
    of the ranges), the same data (noise of `error` K) and start from the prior. Scores: how far the answers lie apart
    in posterior standard deviations of the full model, seconds of each, and errors against the truth in units of the
    prior spread; a network that inverts directly (amortised) stands beside them. Full model and surrogate are timed in
    the same process, each compiled beforehand, one case at a time.
    Davis et al. (1993), doi:10.1109/36.239907; Davis et al. (1995), doi:10.1109/36.387591.
    """
    mechanism, key = Snow(streams), jax.random.key(seed)
    names = sorted(RANGES)
    errors = {v.name: error for v in mechanism.outputs}
    network = partial(MLP, width=width, descent=Descent(epochs=epochs, learning_rate=1e-2, patience=0))
    begin = time.perf_counter()
    taught = surrogate_inversion(mechanism, network, ranges=RANGES, errors=errors, simulations=simulations, key=key)
    teaching = time.perf_counter() - begin
    truth = latin_hypercube(RANGES, cases, key=jax.random.fold_in(key, 1))
    clean = jax.vmap(lambda one: stacked(mechanism, one))(truth)
    seen = clean + error * jax.random.normal(jax.random.fold_in(key, 2), clean.shape)
    surrogate = taught.model.forward  # pyright: ignore[reportAttributeAccessIssue]
    missed = float(jnp.sqrt(jnp.mean((jax.vmap(lambda one: stacked(surrogate, one))(truth) - clean) ** 2)))
    full, full_seconds = inverted(mechanism, seen, error)
    fast, fast_seconds = inverted(surrogate, seen, error)
    spread = np.array([(RANGES[n][1] - RANGES[n][0]) / 12**0.5 for n in names])
    deviation = table([told.deviation for told in full], names)
    apart = (
        np.abs(table([told.fields for told in fast], names) - table([told.fields for told in full], names)) / deviation
    )
    true = np.stack([np.asarray(truth[n]) for n in names], axis=-1)
    scores = [
        Score("embedded.solution.surrogate_inversion", "within_one_deviation", float(np.mean(apart < 1)), n=apart.size),
        Score("embedded.solution.surrogate_inversion", "median_distance", float(np.median(apart)), n=apart.size),
        Score("embedded.solution.surrogate_inversion", "times_faster", full_seconds / fast_seconds, n=cases),
        Score("embedded.solution.surrogate_inversion", "surrogate_error", missed, "K", seconds=teaching),
    ]
    answers = {"mechanism_only": (full, full_seconds), "embedded.solution.surrogate_inversion": (fast, fast_seconds)}
    for name, (told, seconds) in answers.items():
        found = (table([t.fields for t in told], names) - true) / spread
        scores.append(Score(name, "normalised_rmse", float(np.sqrt(np.mean(found**2))), n=cases, seconds=seconds))
        inside = np.abs(found * spread) < 1.96 * table([t.deviation for t in told], names)
        scores.append(Score(name, "coverage_95", float(np.mean(inside)), n=inside.size))
    direct = amortised(surrogate, network, ranges=RANGES, errors=errors, simulations=4 * simulations, key=key)
    given = {v.name: seen[:, place] for place, v in enumerate(mechanism.outputs)}
    told = jax.vmap(lambda one: direct(one))(given)
    found = (np.stack([np.asarray(told[n]) for n in names], axis=-1) - true) / spread
    scores.append(Score("embedded.solution.amortised", "normalised_rmse", float(np.sqrt(np.mean(found**2))), n=cases))
    return Findings(scores, {"Snow depth": lambda axes: compared(axes, truth, full, fast)})


def stacked(model: Model, fields: Fields) -> jax.Array:
    """All channels as one vector (channel,)."""
    made = model(fields)
    return jnp.stack([made[v.name] for v in model.outputs])


def inverted(model: Model, seen: jax.Array, error: float) -> tuple[list[Retrieval], float]:
    """Each case inverted by optimal estimation, compiled beforehand, and the seconds of one case."""
    prior = {name: sum(limits) / 2 for name, limits in RANGES.items()}
    spread = {name: (high - low) / 12**0.5 for name, (low, high) in RANGES.items()}
    solver = OptimalEstimation(prior, spread, jnp.full(seen.shape[1], error**2), bounds=RANGES, iterations=20)
    retrieve: Callable[[jax.Array], Retrieval] = jax.jit(
        lambda case: solver.retrieve(lambda state: stacked(model, state) - case)
    )
    jax.block_until_ready(retrieve(seen[0]))
    begin = time.perf_counter()
    told = [jax.block_until_ready(retrieve(case)) for case in seen]
    return told, (time.perf_counter() - begin) / len(seen)


def table(fields: list[Fields], names: list[str]) -> np.ndarray:
    """Fields of several cases as an array (case, name)."""
    return np.array([[float(one[name]) for name in names] for one in fields])


def compared(axes, truth: Fields, full: list[Retrieval], fast: list[Retrieval]) -> None:
    """Draw the retrieved against the true snow depth, with both models."""
    for label, told, mark in (("full model", full, "o"), ("network", fast, "x")):
        axes.plot(np.asarray(truth["snow_depth"]), [float(t.fields["snow_depth"]) for t in told], mark, label=label)
    axes.axline((0.1, 0.1), slope=1, color="0.7", linewidth=1)
    axes.set(xlabel="true depth (m)", ylabel="retrieved depth (m)")
    axes.legend()
