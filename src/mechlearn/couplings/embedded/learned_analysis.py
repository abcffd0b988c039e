"""A mechanism whose state a learner corrects after every step with what was observed."""

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import ArrayLike, PRNGKeyArray

from ...assimilation.cycle import Assimilation
from ...assimilation.error import ObservationError
from ...assimilation.errors_of_input import WithErrors
from ...compose import Pass, Rollout
from ...core import Analysis, Examples, Fields, Model, Variable, named, union
from ..series import Untaught, bare, output

FREE = (-float("inf"), float("inf"))


class Steered(Model):
    """One step of a mechanism, after which a learner corrects its state with what was observed.

    `x_f, y = M(x_f + d, u); d' = g(x_f, o - y, m)`: o is the field `observed_<name>` of each observed output y, NaN
    where there is none (m, the coverage, is 1 where there is). What is given is the forecast, made before o was seen;
    the increment d is carried along and added, within the bounds of the state, when the next step begins.

    Haerter & de Campos Velho (2008), doi:10.1016/j.apm.2007.09.006. `steered` builds one.
    """

    step: Model
    learner: Model
    observed: tuple[str, ...] = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        known = named(self.step.outputs)
        seen = [replace(known[name], name=f"observed_{name}") for name in self.observed]
        return union(self.step.inputs, self.learner.outputs, seen, where="Steered")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return union(self.step.outputs, self.learner.outputs, where="Steered")

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.step.state, *named(self.learner.outputs))

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.step.tolerates, *(f"observed_{name}" for name in self.observed))

    def initial(self) -> dict[str, ArrayLike]:
        return self.unmoved(self.step.initial())

    def unmoved(self, start: dict[str, ArrayLike]) -> dict[str, ArrayLike]:
        """A state of the step, with no increment to be added to it."""
        return {**start, **{f"{name}_increment": jnp.zeros(jnp.shape(start[name])) for name in self.moved()}}

    def moved(self) -> list[str]:
        """The states that the learner corrects."""
        return [name.removesuffix("_increment") for name in named(self.learner.outputs)]

    def prepare(self, fixed: Fields) -> Model:
        return eqx.tree_at(lambda m: m.step, self, self.step.prepare(fixed))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        given = {v.name: fields[v.name] for v in self.step.inputs}
        bounds = {v.name: v.bounds for v in self.step.outputs}
        given |= {n: jnp.clip(fields[n] + fields[f"{n}_increment"], *bounds[n]) for n in self.moved()}
        made = self.step(given, key=key)
        return {**made, **self.learner(self.seen(made, fields))}

    def seen(self, made: Fields, fields: Fields) -> Fields:
        """What the learner reads: the forecast state, the innovations (0 where nothing was observed), the coverage."""
        found = {name: made[name] for name in named(self.learner.inputs) if name in made}
        for name in self.observed:
            there = jnp.isfinite(fields[f"observed_{name}"])
            found[f"{name}_innovation"] = jnp.where(there, jnp.nan_to_num(fields[f"observed_{name}"]) - made[name], 0)
            found[f"{name}_coverage"] = there.astype(found[f"{name}_innovation"].dtype)
        return found


def steered(mechanism: Model, learner: Untaught, observed: Sequence[str]) -> Rollout:
    """A mechanism carried through time, with an untaught learner that corrects every state on the observations' axes.

    Raises `ValueError` for a mechanism that is not carried through time, an output that it does not give, no state
    to correct, and for a learner that reads whole series.
    """
    host = bare(mechanism)
    if not isinstance(host, Rollout) or not host.step.state:
        raise ValueError("a learned analysis needs a mechanism with a state, carried through time: Rollout(step)")
    if getattr(getattr(learner, "func", learner), "sequential", False):
        raise ValueError("a learned analysis sees one time after the other: give a learner without memory, as mlp")
    quantities = [output(host.step, name) for name in observed]
    known = named(host.step.outputs)
    moved = [known[name] for name in host.step.state if known[name].dims == quantities[0].dims]
    if not moved:
        raise ValueError(f"no state of {type(host.step).__name__} has the axes {quantities[0].dims} of {observed[0]!r}")
    innovations = [replace(v, name=f"{v.name}_innovation", bounds=FREE) for v in quantities]
    coverage = [Variable(f"{v.name}_coverage", "1", v.dims, (0.0, 1.0)) for v in quantities]
    given = [replace(v, name=f"{v.name}_increment", bounds=FREE, standard_name="") for v in moved]
    made = learner([*(replace(v, bounds=FREE) for v in moved), *innovations, *coverage], given)
    step = Steered(host.step, made, tuple(observed))
    start = None if host.start is None else step.unmoved(host.start)
    return Rollout(step, start, host.static, remat=host.remat)


def scheme_analyses(scheme: Analysis, members: int, doubt: float, error: float) -> Examples:
    """Examples of what a scheme adds to the state, from its own cycles through a sample.

    Each single number of the state errs at every step by a share `doubt` of itself (by `doubt` in its own units where
    it may be negative), each observation by the share `error` of the standard deviation of its series.
    """

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        step, driven, fixed = _parts(model, fields)
        wide = WithErrors(step.step, dict.fromkeys(_stores(step), doubt))
        seen = jnp.stack([fields[f"observed_{name}"] for name in step.observed], axis=1)
        width = error * jnp.maximum(jnp.nanstd(seen, axis=0), 1e-6)
        known = named(step.step.outputs)
        operator = Pass(*(known[name] for name in step.observed))
        system = Assimilation(wide, operator, ObservationError(_flat(1 / width)), noise=wide.noise())
        start = {**_start(model), **{n: jnp.zeros(()) for n in set(wide.state) - set(step.step.state)}}
        first, unravel = ravel_pytree({n: jnp.asarray(v, seen.dtype) for n, v in start.items()})
        many = jnp.tile(first, (members, 1))
        flat = seen.reshape(len(seen), -1)
        made = system.cycle(scheme, many, flat, jax.random.key(0), None, driven, fixed, True).mean
        analysed = {name: jax.vmap(unravel)(made)[name] for name in step.step.state}
        before = {n: jnp.concatenate([jnp.asarray(start[n])[None], x[:-1]]) for n, x in analysed.items()}
        return _lesson(step, before, analysed, {**driven, **_only(fields, step)}, fixed)

    return examples


def days_changes(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
    """Examples that say no more than the scale: increments are of the size of a step's change of the state."""
    step, driven, fixed = _parts(model, fields)
    reads = named(step.step.inputs)

    def one(state: Fields, now: Fields) -> tuple[Fields, tuple[Fields, Fields]]:
        made = step.step({name: value for name, value in {**now, **fixed, **state}.items() if name in reads})
        after = {name: made[name].astype(value.dtype) for name, value in state.items()}
        return after, (step.seen(made, now), {f"{name}_increment": after[name] - state[name] for name in step.moved()})

    start = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in _start(model).items()}
    return jax.lax.scan(one, start, {**driven, **_only(fields, step)})[1]


def _lesson(step: Steered, before: Fields, after: Fields, driven: Fields, fixed: Fields) -> tuple[Fields, Fields]:
    """What the learner would have seen in forecasts from states before, and what it should have added."""
    reads = named(step.step.inputs)

    def one(start: Fields, now: Fields) -> tuple[Fields, Fields]:
        made = step.step({name: value for name, value in {**now, **fixed, **start}.items() if name in reads})
        return step.seen(made, now), {name: made[name] for name in step.moved()}

    inputs, forecast = jax.vmap(one)(before, driven)
    bounds = {v.name: v.bounds for v in step.step.outputs}
    return inputs, {f"{n}_increment": jnp.clip(after[n], *bounds[n]) - x for n, x in forecast.items()}


def _parts(model: Model, fields: Fields) -> tuple[Steered, Fields, Fields]:
    """The steered step of a roll-out, its forcing over time and what stays the same."""
    if not isinstance(model, Rollout) or not isinstance(model.step, Steered):
        raise TypeError(f"expected a steered mechanism carried through time, got {type(model).__name__}")
    step, fixed = model.step, {name: fields[name] for name in model.static}
    free = set(named(step.step.inputs)) - set(step.step.state) - set(fixed)
    return step, {name: fields[name] for name in free}, fixed


def _start(model) -> dict[str, ArrayLike]:
    """The state of the mechanism itself before the first step."""
    start = model.start or model.step.initial()
    return {name: start[name] for name in model.step.step.state}


def _only(fields: Fields, step: Steered) -> Fields:
    return {f"observed_{name}": fields[f"observed_{name}"] for name in step.observed}


def _stores(step: Steered) -> list[str]:
    known = named(step.step.outputs)
    return [name for name in step.step.state if not known[name].dims]


def _flat(width: ArrayLike) -> jax.Array:
    return jnp.ravel(jnp.asarray(width))
