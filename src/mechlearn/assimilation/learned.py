"""A learned analysis: a learner corrects one forecast with its observations, and is taught by cycling.

It stands wherever a filter does, with an ensemble of one. Imitation teaches it what another scheme made of the same
observations; end to end it is taught through the cycles of the model itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Analysis, Fields, Learner, Model, Variable, named
from ..descent import Descent, descend
from .cycle import Assimilation

Untaught = Callable[[Sequence[Variable], Sequence[Variable]], Learner]


class LearnedAnalysis(Analysis):
    """A learner reads the forecast and the innovations where they were made, and gives the increment.

    `x_a = x_f + f(x_f, d, m)`: x_f the fields of the forecast's mean, d the innovations in standard deviations of the
    observation error, m where there are any, both on the grid of the state. Every member moves alike.

    Haerter & de Campos Velho (2008), doi:10.1016/j.apm.2007.09.006; Cintra & de Campos Velho (2018),
    doi:10.5772/intechopen.70791. `make` builds one for a system.

        >>> from functools import partial
        >>> from mechlearn.assimilation.error import ObservationError
        >>> from mechlearn.compose import Pass
        >>> from mechlearn.learners.convolution import Convolution
        >>> from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
        >>> system = Assimilation(Lorenz96(size=8), Pass(QUANTITY), ObservationError.of_variance(jnp.ones(8)))
        >>> untaught = LearnedAnalysis.make(system, partial(Convolution, kernels=(3, 1)), jnp.arange(8))
        >>> untaught.increment(jnp.zeros(8), jnp.ones(8)).shape
        (8,)
    """

    learner: Model
    places: Array
    variables: tuple[Variable, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @classmethod
    def make(cls, system: Assimilation, learner: Untaught, places: ArrayLike) -> "LearnedAnalysis":
        """An untaught analysis: `places` (obs,) says which number of the state each observation belongs to.

        Raises `ValueError` for places beyond the state, or not one for each observation.
        """
        size, known = system.size, np.asarray(places)
        if known.shape != (len(system.error.root),) or known.min() < 0 or known.max() >= size:
            raise ValueError(
                f"places must say for each of {len(system.error.root)} observations which of {size} numbers of the "
                f"state it belongs to, got {known.shape} from {known.min()} to {known.max()}"
            )
        fields = system.fields_of(jnp.zeros(size))
        given = named(system.step.outputs)
        variables = tuple(given[name] for name in fields)
        inputs, outputs = reading(variables)
        return cls(learner(inputs, outputs), jnp.asarray(known), variables, tuple(f.shape for f in fields.values()))

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        return ensemble + self.increment(ensemble.mean(axis=0), observed - predicted.mean(axis=0))

    def increment(self, forecast: Array, innovation: Array) -> Array:
        """What is to be added to a forecast (state,), given its innovations (obs,), 0 where nothing was observed."""
        made = self.learner(self.seen(forecast, innovation))
        parts = [jnp.ravel(made[f"{v.name}_increment"]) for v in self.variables]
        return jnp.concatenate(parts).astype(forecast.dtype)

    def seen(self, forecast: Array, innovation: Array) -> Fields:
        """What the learner reads: forecast, innovations and their coverage as fields."""
        there = jnp.zeros_like(forecast).at[self.places].add((innovation != 0).astype(forecast.dtype))
        gridded = jnp.zeros_like(forecast).at[self.places].add(innovation.astype(forecast.dtype))
        parts = {"": forecast, "_innovation": gridded / jnp.maximum(there, 1), "_coverage": jnp.minimum(there, 1)}
        return {v.name + s: part for s, x in parts.items() for v, part in self.apart(x)}

    def wanted(self, increment: Array) -> Fields:
        """An increment (state,) as the fields that the learner is to give."""
        return {f"{v.name}_increment": part for v, part in self.apart(increment)}

    def apart(self, state: Array) -> list[tuple[Variable, Array]]:
        """Each variable of the state with its field."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = jnp.split(state, ends[:-1])
        return [(v, x.reshape(shape)) for v, x, shape in zip(self.variables, parts, self.shapes, strict=True)]


def reading(variables: Sequence[Variable]) -> tuple[list[Variable], list[Variable]]:
    """What a learned analysis of a state reads, and what it gives.

    >>> [v.name for v in reading([Variable("height", "m")])[0]]
    ['height', 'height_innovation', 'height_coverage']
    """
    free = (-np.inf, np.inf)
    seen = [
        replace(v, name=f"{v.name}_{s}", units="1", bounds=free) for s in ("innovation", "coverage") for v in variables
    ]
    given = [replace(v, name=f"{v.name}_increment", bounds=free) for v in variables]
    return [replace(v, bounds=free) for v in variables] + seen, given


class Imitation(NamedTuple):
    """A taught analysis, and how far from the scheme it imitates each round of teaching left it (round,).

    The distance is the root mean square between its own analyses and the scheme's, over the standard deviation of
    each number of the state, in the cycles held out: from the first round, taught on the scheme's own, to the last.
    """

    analysis: LearnedAnalysis
    distance: np.ndarray


class Cycles(eqx.Module):
    """Observations (span, cycle, obs), what another scheme made of them (span, cycle, state), and the state before.

    The first cycle of each span is only where it begins: `start` (span, state) is what is known after it.
    """

    observed: Array
    analysed: Array
    start: Array

    @classmethod
    def cut(cls, observed: ArrayLike, analysed: ArrayLike, span: int, *, own: ArrayLike | None = None) -> "Cycles":
        """Spans of a run's observations (cycle, obs) and another scheme's analyses (cycle, state) of it.

        They begin at the other scheme's analyses, or at `own` ones (cycle, state).

        Raises `ValueError` when there are fewer cycles than a span has, or unequal numbers of both.
        """
        seen, made = np.asarray(observed), np.asarray(analysed)
        if len(seen) != len(made) or len(seen) <= span:
            raise ValueError(
                f"needs observations and analyses of more than {span} cycles, as many of each; "
                f"got {len(seen)} and {len(made)}"
            )
        starts = np.arange((len(seen) - 1) // span) * span
        index = starts[:, None] + np.arange(span + 1)
        before = made if own is None else np.asarray(own)
        return cls(jnp.asarray(seen[index]), jnp.asarray(made[index]), jnp.asarray(before[starts]))

    def __len__(self) -> int:
        return len(self.observed)

    def take(self, indices: Array) -> "Cycles":
        return jax.tree.map(lambda x: x[indices], self)


def imitate(
    system: Assimilation,
    analysis: LearnedAnalysis,
    cycles: Cycles,
    held_out: Cycles,
    *,
    rounds: int = 3,
    key: PRNGKeyArray,
) -> Imitation:
    """Teach an analysis what another scheme made of the same observations, at first on that scheme's own cycles.

    Then it cycles by itself, and is taught what the scheme's analysis was from the forecasts that it came upon: a
    learner that has only seen its teacher's forecasts does not know how to come back from its own. Each round adds
    its examples to those before; the round whose own cycles on the spans held out stay nearest to the teacher is
    kept. Works with any learner, and with models without forcing. Ross, Gordon & Bagnell (2011), https://proceedings.mlr.press/v15/ross11a.html.
    """
    scale = spread(cycles)
    found = _taught_by(system, cycles)
    gathered: list[tuple[Fields, Fields]] = []
    best, distances = analysis, []
    for round_key in jax.random.split(key, rounds):
        gathered.append(_examples(analysis, found, cycles))
        inputs, targets = (_joined([pair[side] for pair in gathered]) for side in (0, 1))
        learner: Learner = analysis.learner  # pyright: ignore[reportAssignmentType]
        analysis = eqx.tree_at(lambda a: a.learner, analysis, learner.fit(inputs, targets, key=round_key))
        found = cycled(system, analysis, cycles)
        distances.append(distance(cycled(system, analysis, held_out), held_out, scale))
        best = analysis if distances[-1] <= min(distances) else best
    return Imitation(best, np.asarray(distances))


class Run(NamedTuple):
    """Cycles of an analysis: forecasts and analyses (span, cycle, state), innovations (span, cycle, obs)."""

    forecast: Array
    innovation: Array
    analysed: Array


@eqx.filter_jit
def cycled(system: Assimilation, analysis: LearnedAnalysis, cycles: Cycles, warm_up: int = 0) -> Run:
    """Let a learned analysis cycle by itself through each span, from where the other scheme was before it.

    No gradient passes the first `warm_up` cycles.
    """

    def one(state: Array, now: tuple[Array, Array]) -> tuple[Array, Run]:
        observed, warm = now
        forecast, innovation = predicted(system, state, observed)
        analysed = forecast + analysis.increment(forecast, innovation)
        return jnp.where(warm, jax.lax.stop_gradient(analysed), analysed), Run(forecast, innovation, analysed)

    def through(start: Array, observed: Array) -> Run:
        return jax.lax.scan(one, start, (observed, jnp.arange(len(observed)) < warm_up))[1]

    return jax.vmap(through)(cycles.start, cycles.observed[:, 1:])


def predicted(system: Assimilation, state: Array, observed: Array) -> tuple[Array, Array]:
    """One cycle's forecast of a state and its innovations in standard deviations, 0 where nothing was observed."""
    path, misfit = system.misfit(state, jnp.zeros((1, len(state)), state.dtype), observed[None])
    return path[0], -misfit[0]


def end_to_end(
    system: Assimilation,
    analysis: LearnedAnalysis,
    cycles: Cycles,
    held_out: Cycles,
    *,
    judged_by: Literal["analyses", "observations"] = "analyses",
    warm_up: int = 4,
    how: Descent = Descent(epochs=10, batch_size=8, learning_rate=1e-3),
    key: PRNGKeyArray,
) -> LearnedAnalysis:
    """Teach an analysis by gradient through spans of its own cycles, the model inside.

    It pays for the distance of its analyses to those of another scheme (or to a truth, where there is one), in the
    spread of the state; or, with no teacher at all, for the innovations of its forecasts, which it has not yet seen
    when it makes them: `sum_k |y_k - h(M(x_a,k-1))|²`. The first `warm_up` cycles of a span are left out.

    McCabe & Brown (2021), arXiv:2111.01058; Bocquet et al. (2024), doi:10.1063/5.0230837.
    """
    if judged_by not in ("analyses", "observations"):
        raise ValueError(f"judged_by is 'analyses' or 'observations', got {judged_by!r}")
    scale = spread(cycles)

    def loss(analysis: LearnedAnalysis, batch: Cycles, key: PRNGKeyArray | None) -> Array:
        run = cycled(system, analysis, batch, warm_up)
        if judged_by == "observations":
            # The first innovation after the warm-up was made by what carries no gradient.
            innovation = run.innovation[:, warm_up + 1 :]
            return jnp.sum(innovation**2) / jnp.maximum(jnp.sum(innovation != 0), 1)
        return jnp.mean(((run.analysed - batch.analysed[:, 1:])[:, warm_up:] / scale) ** 2)

    return descend(analysis, loss, cycles, key=key, validation=held_out, how=how).model


def distance(run: Run, cycles: Cycles, scale: Array) -> float:
    """The root mean square between analyses and those of the other scheme, in `scale`; infinite when it was lost."""
    found = float(jnp.sqrt(jnp.mean(((run.analysed - cycles.analysed[:, 1:]) / scale) ** 2)))
    return found if np.isfinite(found) else np.inf


def spread(cycles: Cycles) -> Array:
    """The standard deviation over cycles of each number of the state, one for all numbers alike in size (state,)."""
    return jnp.maximum(jnp.std(cycles.analysed, axis=(0, 1)), 1e-12)


@eqx.filter_jit
def _taught_by(system: Assimilation, cycles: Cycles) -> Run:
    """The teacher's own cycles: forecasts from its analyses."""

    def one(before: Array, observed: Array, after: Array) -> Run:
        return Run(*predicted(system, before, observed), after)

    return jax.vmap(jax.vmap(one))(cycles.analysed[:, :-1], cycles.observed[:, 1:], cycles.analysed[:, 1:])


@eqx.filter_jit
def _examples(analysis: LearnedAnalysis, run: Run, cycles: Cycles) -> tuple[Fields, Fields]:
    """What the learner saw in a run, and what the other scheme would have added, one example a cycle."""
    flat = [x.reshape(-1, x.shape[-1]) for x in (run.forecast, run.innovation, cycles.analysed[:, 1:])]
    forecast, innovation, wanted = flat
    return jax.vmap(analysis.seen)(forecast, innovation), jax.vmap(analysis.wanted)(wanted - forecast)


def _joined(parts: list[Fields]) -> Fields:
    return {name: jnp.concatenate([part[name] for part in parts]) for name in parts[0]}
