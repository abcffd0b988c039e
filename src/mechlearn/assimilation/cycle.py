"""The one loop of assimilation: forecast, compare, correct; compiled over all cycles."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from equinox import AbstractVar
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Analysis, Fields, Model, agree, named
from .error import ObservationError
from .inflation import Adaptive, begun
from .scoring import History, living, mean_of, ranks_of, scores_of, weights_of

Predict = Callable[[Array], Array]


class Smoother(eqx.Module):
    """A way to correct an ensemble with observations that come `lag` cycles later, with the model inside.

    With `lag` 0 the observations are of the same time, and `predict` is the observation operator alone.
    """

    lag: AbstractVar[int]

    @abc.abstractmethod
    def smooth(self, ensemble: Array, predict: Predict, observed: Array, *, key: PRNGKeyArray) -> Array:
        """Return the analysed ensemble (member, state) at the window's start.

        `predict` maps an ensemble there to its whitened observations (member, obs) at the window's end.
        """


class Now(NamedTuple):
    """What one cycle is given."""

    key: PRNGKeyArray
    place: Array
    observed: Array
    truth: Array | None


class Assimilation(eqx.Module):
    """A model that runs, and observations that steer it.

    One cycle is `every` steps of `step`, then an analysis. The state is one vector, its fields in the order of
    `jax.flatten_util.ravel_pytree(step.initial())`; an ensemble is (member, state). `operator` is any model that
    reads what the step gives (or takes) and gives the observed quantities, `error` their error, in the order of
    its outputs. `noise` is an error of the model added each cycle: its standard deviation (a number or (state,)), or
    a root L (state, rank) of its covariance L L'. An observation whose misfit of the mean exceeds `reject` standard
    deviations (of forecast and observation) is left out.

    Raises `ValueError` when the operator needs what the step does not give, or in other units or axes.

        >>> from mechlearn.assimilation.enkf import ETKF
        >>> from mechlearn.compose import Pass
        >>> from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
        >>> system = Assimilation(Lorenz96(), Pass(QUANTITY), ObservationError.of_variance(jnp.ones(40)))
        >>> truth, observed = system.nature(50, key=jax.random.key(0), spin_up=500)
        >>> start = truth[0] + jax.random.normal(jax.random.key(1), (60, 40))
        >>> history = system.run(ETKF(), start, observed[1:], truth=truth[1:], key=jax.random.key(2))
        >>> bool(history.analysis_rmse[-1] < 0.5)
        True
    """

    step: Model
    operator: Model
    error: ObservationError
    noise: ArrayLike | None = None
    every: int = eqx.field(static=True, default=1)
    reject: float | None = eqx.field(static=True, default=None)
    together: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if not self.step.state:
            raise ValueError(f"{type(self.step).__name__} has no state to be corrected; give a model of one step")
        shape = () if self.noise is None else tuple(np.shape(self.noise))
        if len(shape) > 2 or shape[:1] not in ((), (self.size,)):
            raise ValueError(f"noise must be a number, ({self.size},) or a root ({self.size}, rank), got {shape}")
        if self.every < 1:
            raise ValueError(f"a cycle is one step or more, got every={self.every}")
        there = named(self.step.inputs) | named(self.step.outputs)
        for variable in self.operator.inputs:
            if variable.name in there:
                agree(there[variable.name], variable, f"observation operator {type(self.operator).__name__}")

    @property
    def size(self) -> int:
        """How many numbers the state has."""
        return len(self._start())

    def fields_of(self, state: Array) -> Fields:
        """The fields of a state vector."""
        return self._unravel()(state)

    def nature(
        self,
        cycles: int,
        *,
        key: PRNGKeyArray,
        start: Array | None = None,
        spin_up: int = 0,
        forcing: Fields | None = None,
        fixed: Fields | None = None,
    ) -> tuple[Array, Array]:
        """A true run (cycles + 1, state) and observations of it with errors (cycles + 1, obs).

        The first is the start (its observation has no use), after `spin_up` cycles without any error of the model.
        """
        forcing, fixed = forcing or {}, fixed or {}
        self._check_fields(forcing, fixed)
        self.check_operator(forcing, fixed)
        state = self._start() if start is None else start
        advance = self._advance(forcing, fixed)
        settle = self._advance(jax.tree.map(lambda series: series[: self.every], forcing), fixed)
        keys = jax.random.split(key, (cycles, 2))

        def one(x: Array, now):
            (noise_key, error_key), place = now
            moved, made = advance(x, place)
            moved = self._disturbed(moved, noise_key)
            seen = self._observe({**made, **self.fields_of(moved)})
            return moved, (moved, seen + self.error.draw(jax.random.normal(error_key, seen.shape, seen.dtype)))

        state = jax.lax.fori_loop(0, spin_up, lambda _, x: settle(x, 0)[0], state)
        _, (truth, observed) = jax.lax.scan(one, state, (keys, jnp.arange(cycles)))
        unseen = jnp.full((1, observed.shape[1]), jnp.nan, observed.dtype)
        return jnp.concatenate([state[None], truth]), jnp.concatenate([unseen, observed])

    def run(
        self,
        analysis: Analysis | Smoother,
        ensemble: Array,
        observed: ArrayLike,
        *,
        key: PRNGKeyArray,
        truth: Array | None = None,
        forcing: Fields | None = None,
        fixed: Fields | None = None,
        keep_mean: bool = False,
    ) -> History:
        """Assimilate observations (cycle, obs), NaN where there is none, into an ensemble (member, state).

        `truth` (cycle, state) is for the bookkeeping alone; `forcing` (cycle * every, ...) and `fixed` are the
        other inputs of step and operator. A member that is no longer finite is replaced by a living one and counted.

        Raises `ValueError` for shapes that do not fit, and when all members are lost.
        """
        ensemble = jnp.asarray(ensemble, jnp.result_type(ensemble, float))
        observed = jnp.asarray(observed, ensemble.dtype)
        self._check(ensemble, observed, truth, forcing or {}, fixed or {})
        self.check(analysis)
        history = _compiled(self, analysis, ensemble, observed, key, truth, forcing or {}, fixed or {}, keep_mean)
        lost = np.asarray(history.lost)
        if np.any(lost == len(ensemble)):
            raise ValueError(
                f"all {len(ensemble)} members were lost in cycle {int(np.argmax(lost == len(ensemble)))}: the forecast "
                "is not finite for any; shorten the time step, widen the observation error or check the first ensemble"
            )
        return history

    def cycle(
        self,
        analysis: Analysis | Smoother,
        ensemble: Array,
        observed: Array,
        key: PRNGKeyArray,
        truth: Array | None = None,
        forcing: Fields | None = None,
        fixed: Fields | None = None,
        keep_mean: bool = False,
    ) -> History:
        """The loop itself, unchecked and to be compiled: what `run` calls, and what seeds are mapped over."""
        forcing, fixed = forcing or {}, fixed or {}
        one = self._smoothed if isinstance(analysis, Smoother) else self._filtered
        advance = self._advance(forcing, fixed)
        changing, static = eqx.partition(begun(analysis, ensemble), eqx.is_inexact_array)

        def body(carry, now: Now):
            members, arrays, ranks = carry
            known = eqx.combine(arrays, static)
            members, (prior, posterior), method, told = one(known, members, advance, now)
            before, after = (
                scores_of(prior, now.truth, weights_of(known)),
                scores_of(posterior, now.truth, weights_of(method)),
            )
            ranks = ranks if now.truth is None else ranks + ranks_of(prior, now.truth)
            kept = mean_of(posterior, weights_of(method)) if keep_mean else None
            return (members, eqx.filter(method, eqx.is_inexact_array), ranks), (before, after, told, kept)

        count = len(observed)
        now = Now(jax.random.split(key, count), jnp.arange(count), observed, truth)
        counts = jnp.zeros(len(ensemble) + 1, jnp.int32)
        (members, arrays, ranks), (before, after, told, kept) = jax.lax.scan(body, (ensemble, changing, counts), now)
        return History(
            before[0], after[0], before[1], after[1], *told, ranks, kept, members, eqx.combine(arrays, static)
        )

    def misfit(
        self,
        state: Array,
        errors: Array,
        observed: Array,
        forcing: Fields | None = None,
        fixed: Fields | None = None,
    ) -> tuple[Array, Array]:
        """The run (cycle, state) from a state with an error of the model (cycle, state) added in each cycle.

        And its whitened misfits (cycle, obs), zero where nothing was observed.
        """
        advance = self._advance(forcing or {}, fixed or {})

        def one(x: Array, now):
            place, seen, error = now
            moved, made = advance(x, place)
            moved = moved + error
            predicted = self._observe({**made, **self.fields_of(moved)})
            return moved, (moved, self.error.compare(predicted[None], seen)[0][0])

        return jax.lax.scan(jax.checkpoint(one), state, (jnp.arange(len(observed)), observed, errors))[1]

    def _filtered(self, analysis: Analysis, members: Array, advance, now: Now):
        noise_key, lost_key, key = jax.random.split(now.key, 3)
        members, made = self._forecast(members, lambda x: advance(x, now.place))
        if self.noise is not None:
            members = jax.vmap(self._disturbed)(members, jax.random.split(noise_key, len(members)))
            made = made | jax.vmap(self.fields_of)(members)
        predicted = jax.vmap(self._observe)(made)
        both, lost = living(jnp.concatenate([members, predicted], axis=1), lost_key)
        members, predicted = both[:, : members.shape[1]], both[:, members.shape[1] :]
        misfit, target, rejected, consistency = self._compared(predicted, now.observed)
        analysed = analysis.update(members, misfit, target, key=key)
        analysed = jnp.where(jnp.any(jnp.isfinite(now.observed)), analysed, members)
        method = analysis.adapt(misfit, target) if isinstance(analysis, Adaptive) else analysis
        return analysed, (members, analysed), method, (consistency, rejected, lost)

    def _forecast(self, members: Array, advance) -> tuple[Array, Fields]:
        if self.together is None:
            return jax.vmap(advance)(members)
        return jax.lax.map(advance, members, batch_size=self.together)

    def _smoothed(self, smoother: Smoother, members: Array, advance, now: Now):
        lost_key, key = jax.random.split(now.key)
        lag, first = smoother.lag, now.place + 1 - smoother.lag

        def forward(x: Array) -> tuple[Array, Fields]:
            """From the window's start to its end; cycles before the first do not count."""

            def earlier(x: Array, place: Array):
                return jnp.where(place >= 0, advance(x, jnp.maximum(place, 0))[0], x), None

            if not lag:
                return x, {**self.fields_of(x)}
            x = jax.lax.scan(earlier, x, first + jnp.arange(lag - 1))[0] if lag > 1 else x
            return advance(x, now.place)

        if not lag:
            members = jax.vmap(lambda x: advance(x, now.place)[0])(members)
            members = jax.vmap(self._disturbed)(members, jax.random.split(jax.random.fold_in(key, 1), len(members)))
        members, lost = living(members, lost_key)
        prior, made = jax.vmap(forward)(members)
        predicted = jax.vmap(self._observe)(made)
        _, _, rejected, consistency = self._compared(predicted, now.observed)
        seen = jnp.where(self._outliers(predicted, now.observed), jnp.nan, now.observed)

        def predict(ensemble: Array) -> Array:
            return self.error.compare(jax.vmap(lambda x: self._observe(forward(x)[1]))(ensemble), seen)[0]

        smoothed = smoother.smooth(members, predict, jnp.zeros_like(now.observed), key=key)
        smoothed = jnp.where(jnp.any(jnp.isfinite(now.observed)), smoothed, members)
        posterior = jax.vmap(lambda x: forward(x)[0])(smoothed)
        moved = posterior
        if lag > 1:
            shifted = jax.vmap(lambda x: advance(x, jnp.maximum(first, 0))[0])(smoothed)
            moved = jnp.where(first >= 0, shifted, smoothed)
        return moved, (prior, posterior), smoother, (consistency, rejected, lost)

    def _compared(self, predicted: Array, observed: Array) -> tuple[Array, Array, Array, Array]:
        refused = self._outliers(predicted, observed)
        observed = jnp.where(refused, jnp.nan, observed)
        misfit, target = self.error.compare(predicted, observed)
        known = jnp.maximum(jnp.sum(jnp.isfinite(observed)), 1)
        variance = jnp.sum(jnp.var(misfit, axis=0)) * len(misfit) / max(len(misfit) - 1, 1)
        consistency = jnp.sum(misfit.mean(axis=0) ** 2) / (variance + known)
        return misfit, target, jnp.sum(refused), consistency

    def _outliers(self, predicted: Array, observed: Array) -> Array:
        if self.reject is None:
            return jnp.zeros(observed.shape, bool)
        error = self.error.variance()
        width = jnp.sqrt(jnp.var(predicted, axis=0) + error)
        return jnp.abs(observed - predicted.mean(axis=0)) > self.reject * width

    def _advance(self, forcing: Fields, fixed: Fields):
        """One cycle of the step from a state vector, with the forcing of that cycle: the state, and all fields."""
        unravel, step = self._unravel(), self.step.prepare(fixed)

        def once(x: Array, forced: Fields) -> tuple[Array, Fields]:
            given = {**forced, **fixed, **unravel(x)}
            made = step({variable.name: given[variable.name] for variable in step.inputs})
            return ravel_pytree({name: made[name] for name in step.state})[0].astype(x.dtype), {**given, **made}

        def advance(x: Array, place: ArrayLike) -> tuple[Array, Fields]:
            start = jnp.asarray(place) * self.every
            own = {n: jax.lax.dynamic_slice_in_dim(series, start, self.every) for n, series in forcing.items()}
            if self.every > 1:
                head = {name: series[:-1] for name, series in own.items()}
                x = jax.lax.scan(lambda s, f: (once(s, f)[0], None), x, head, length=self.every - 1)[0]
            return once(x, {name: series[-1] for name, series in own.items()})

        return advance

    def _observe(self, made: Fields) -> Array:
        seen = self.operator({variable.name: made[variable.name] for variable in self.operator.inputs})
        return jnp.concatenate([jnp.ravel(seen[variable.name]) for variable in self.operator.outputs])

    def _disturbed(self, state: Array, key: PRNGKeyArray) -> Array:
        if self.noise is None:
            return state
        noise = jnp.asarray(self.noise, state.dtype)
        if noise.ndim == 2:
            return state + noise @ jax.random.normal(key, noise.shape[1:], state.dtype)
        return state + noise * jax.random.normal(key, state.shape, state.dtype)

    def _start(self) -> Array:
        return ravel_pytree({n: jnp.asarray(v, jnp.result_type(float)) for n, v in self.step.initial().items()})[0]

    def _unravel(self) -> Callable[[Array], Fields]:
        start = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in self.step.initial().items()}
        return ravel_pytree(start)[1]

    def _check(self, ensemble: Array, observed: Array, truth: Array | None, forcing: Fields, fixed: Fields) -> None:
        if ensemble.ndim != 2 or ensemble.shape[1] != self.size:
            raise ValueError(f"the ensemble must be (member, {self.size}) for this state, got {ensemble.shape}")
        self._check_fields(forcing, fixed)
        expected = len(self.error.root)
        if observed.ndim != 2 or observed.shape[1] != expected:
            raise ValueError(f"observations must be (cycle, {expected}) as their error is, got {observed.shape}")
        if truth is not None and truth.shape != (len(observed), self.size):
            raise ValueError(f"the truth must be {(len(observed), self.size)} (cycle, state), got {truth.shape}")
        short = [name for name, series in forcing.items() if len(series) < len(observed) * self.every]
        if short:
            raise ValueError(f"forcing {short} must last {len(observed)} cycles of {self.every} steps")

    def _check_fields(self, forcing: Fields, fixed: Fields) -> None:
        """Whether all that step and operator read is there."""
        given, step = {*forcing, *fixed}, type(self.step).__name__
        missing = sorted(set(named(self.step.inputs)) - set(self.step.state) - given)
        if missing:
            raise ValueError(f"{step} also reads {missing}; give them in forcing or fixed")
        unseen = sorted(set(named(self.operator.inputs)) - set(named(self.step.outputs)) - given)
        if unseen:
            raise ValueError(
                f"the observation operator {type(self.operator).__name__} reads {unseen}, which {step} does not give "
                f"(it gives {', '.join(named(self.step.outputs))}); give them in forcing or fixed, or observe another"
            )

    def check_operator(self, forcing: Fields, fixed: Fields) -> None:
        """Refuse an operator that gives more or less than has an error: asked once, where a run is compiled."""
        first = {name: jax.tree.map(lambda series: series[: self.every], forced) for name, forced in forcing.items()}
        seen = jax.eval_shape(lambda x: self._observe(self._advance(first, fixed)(x, 0)[1]), self._start())
        if len(self.error.root) != len(seen):
            raise ValueError(
                f"the observation operator {type(self.operator).__name__} gives {len(seen)} numbers, "
                f"but the observation error is that of {len(self.error.root)}; give one variance for each"
            )

    def check(self, analysis: Analysis | Smoother) -> None:
        """Refuse an analysis that does not go with this system, as `run` does before it starts."""
        if not isinstance(analysis, Analysis | Smoother):
            raise TypeError(f"an analysis or a smoother is needed, as ETKF() or IEnKS(), got {analysis!r}")
        name = type(analysis).__name__
        if isinstance(analysis, Smoother) and analysis.lag and self.noise is not None:
            raise ValueError(
                f"{name} of lag {analysis.lag} takes the model as perfect, but it has noise; take a filter, a smoother "
                "of lag 0, or four_d_var with model_error"
            )
        beyond = sorted(set(named(self.operator.inputs)) - set(self.step.state))
        if isinstance(analysis, Smoother) and not analysis.lag and beyond:
            raise ValueError(f"{name} of lag 0 observes the state alone, but the operator reads {beyond}; take lag 1")


@eqx.filter_jit
def _compiled(system: Assimilation, analysis, ensemble, observed, key, truth, forcing, fixed, keep_mean) -> History:
    system.check_operator(forcing, fixed)
    return system.cycle(analysis, ensemble, observed, key, truth, forcing, fixed, keep_mean)
