"""Combinators: the ways models are put together. All of them are models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from .core import Fields, Law, Model, Variable, Wrapped, agree, named, require, tolerated, union
from .parameters import find, follow, parameters, replace_at, variable_of


def _keys(key: PRNGKeyArray | None, count: int):
    return [None] * count if key is None else list(jax.random.split(key, count))


def _pick(fields: Fields, variables: Sequence[Variable]) -> Fields:
    return {variable.name: fields[variable.name] for variable in variables}


class Pass(Model):
    """Hand fields on unchanged: the identity, and the reader of a single field.

    >>> Pass(Variable("runoff", "mm day-1"))({"runoff": jnp.asarray(2.0)})["runoff"].item()
    2.0
    """

    variables: tuple[Variable, ...] = eqx.field(static=True)

    def __init__(self, *variables: Variable):
        self.variables = variables

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.variables

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.variables

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return _pick(fields, self.variables)


class Chain(Model):
    """Models in series: each sees the inputs and all that came before it.

    The outputs are those of every part (a later part's replace an earlier one's of the same
    name), so that a law can judge what happens between the parts.

    Raises `ValueError` where two parts disagree on units or axes.
    """

    parts: tuple[Model, ...]
    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)

    def __init__(self, *parts: Model):
        if not parts:
            raise ValueError("a Chain needs at least one model")
        self.parts = parts
        given: dict[str, Variable] = {}
        needed: tuple[Variable, ...] = ()
        for place, part in enumerate(parts):
            where = f"Chain part {place} ({type(part).__name__})"
            for variable in part.inputs:
                if variable.name in given:
                    agree(given[variable.name], variable, where)
                else:
                    needed = union(needed, [variable], where=where)
            given |= named(part.outputs)
        self.inputs, self.outputs = needed, tuple(given.values())

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tolerated(self.parts, in_series=True)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Chain")
        made: Fields = {}
        for part, part_key in zip(self.parts, _keys(key, len(self.parts)), strict=True):
            made |= part(_pick({**fields, **made}, part.inputs), key=part_key)
        return made


class Add(Model):
    """Models side by side: outputs of the same name are summed.

    `y = y_mechanism + y_correction` is the residual form of error correction.
    """

    parts: tuple[Model, ...]
    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)

    def __init__(self, *parts: Model):
        self.parts = parts
        self.inputs = union(*(part.inputs for part in parts), where="Add inputs")
        self.outputs = union(*(part.outputs for part in parts), where="Add outputs")

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tolerated(self.parts)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Add")
        total: Fields = {}
        for part, part_key in zip(self.parts, _keys(key, len(self.parts)), strict=True):
            for name, value in part(_pick(fields, part.inputs), key=part_key).items():
                total[name] = total[name] + value if name in total else value
        return total


class Rollout(Model):
    """A one-step model carried through time.

    `x_t, y_t = step(x_{t-1}, u_t)` for every t. Inputs gain a leading `time` axis, except the
    state and those named `static`. `start` holds the state before the first step as leaves (the
    unknown of variational assimilation); without it the step's own `initial()` is used. With
    `remat` the backward pass recomputes each step instead of storing it. `save_every=n` keeps
    every n-th output; `keep` names the outputs to return (all by default). `step.prepare` is called once, first.

    Raises `ValueError` when a declared state is not both input and output of the step.
    """

    step: Model
    start: dict[str, ArrayLike] | None = None
    static: tuple[str, ...] = eqx.field(static=True, default=())
    keep: tuple[str, ...] | None = eqx.field(static=True, default=None)
    save_every: int = eqx.field(static=True, default=1)
    remat: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        reads, writes = named(self.step.inputs), named(self.step.outputs)
        for name in self.step.state:
            if name not in reads or name not in writes:
                raise ValueError(
                    f"Rollout: state {name!r} of {type(self.step).__name__} must be an input and an output of it"
                )
            agree(writes[name], reads[name], f"Rollout state of {type(self.step).__name__}")
        unknown = set(self.static) - set(reads) | set(self.keep or ()) - set(writes)
        if unknown:
            raise ValueError(f"Rollout: {sorted(unknown)} are no inputs or outputs of {type(self.step).__name__}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        free = (variable for variable in self.step.inputs if variable.name not in self.step.state)
        return tuple(variable if variable.name in self.static else variable.over("time") for variable in free)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        keep = self.keep or named(self.step.outputs)
        return tuple(variable.over("time") for variable in self.step.outputs if variable.name in keep)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, f"Rollout of {type(self.step).__name__}")
        driven = {v.name: fields[v.name] for v in self.inputs if v.name not in self.static}
        fixed = {name: fields[name] for name in self.static}
        length = len(next(iter(driven.values())))
        if not self.step.state:
            series = self._independent(driven, fixed, key, length)
        else:
            series = self._sequential(driven, fixed, key, length)
        return {v.name: series[v.name][:: self.save_every] for v in self.outputs}

    def _independent(self, driven: Fields, fixed: Fields, key, length: int) -> Fields:
        keys = None if key is None else jax.random.split(key, length)
        return jax.vmap(lambda now, k: self.step({**now, **fixed}, key=k))(driven, keys)

    def _sequential(self, driven: Fields, fixed: Fields, key, length: int) -> Fields:
        keep = self.keep or tuple(named(self.step.outputs))
        step = self.step.prepare(fixed)

        def advance(state: Fields, now):
            forcing, step_key = now
            made = step({**forcing, **fixed, **state}, key=step_key)
            return {name: made[name].astype(state[name].dtype) for name in state}, {name: made[name] for name in keep}

        start = self.step.initial() if self.start is None else self.start
        kind = jnp.result_type(float, *driven.values())
        state = {name: jnp.asarray(start[name], dtype=kind) for name in self.step.state}
        keys = None if key is None else jax.random.split(key, length)
        return jax.lax.scan(jax.checkpoint(advance) if self.remat else advance, state, (driven, keys))[1]


class Dial(Wrapped):
    """A model whose parameters are set per call, site or day by other models.

    `Dial(hbv, {"soil.field_capacity": learner})` reads the value from the learner's one output.
    `Dial(hbv, ["field_capacity"])` reads it from an input field of the parameter's own name.

    Raises `ValueError` for a parameter the model does not have, or units that differ.
    """

    model: Model
    settings: tuple[Model, ...]
    paths: tuple[str, ...] = eqx.field(static=True)
    wraps: ClassVar = "model"

    def __init__(self, model: Model, settings: Mapping[str, Model] | Sequence[str]):
        known = parameters(model)
        self.model = model
        self.paths = tuple(find(model, name) for name in settings)
        if isinstance(settings, Mapping):
            self.settings = tuple(settings.values())
        else:
            self.settings = tuple(Pass(variable_of(path, known[path])) for path in self.paths)
        for path, setting in zip(self.paths, self.settings, strict=True):
            given = [(variable.name, variable.units) for variable in setting.outputs]
            if len(given) != 1 or given[0][1] != known[path].units:
                raise ValueError(f"Dial: {path!r} needs a model with one output in {known[path].units!r}, got {given}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return union(self.model.inputs, *(setting.inputs for setting in self.settings), where="Dial")

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tolerated((self.model, *self.settings))

    def prepare(self, fixed: Fields) -> "Dial":
        """Make the settings that read only fixed fields once; a part whose parameters go on changing stays as it is."""
        settings = dict(zip(self.paths, self.settings, strict=True))
        changing = {path: one for path, one in settings.items() if not set(named(one.inputs)) <= set(fixed)}
        model = _dialled(self.model, {path: settings[path] for path in self.paths if path not in changing}, fixed)
        prepared = model.prepare(fixed)
        for owner in {path.rpartition(".")[0] for path in changing}:
            prepared = replace_at(prepared, owner, follow(model, owner))
        return Dial(prepared, changing)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Dial")
        dialled = _dialled(self.model, dict(zip(self.paths, self.settings, strict=True)), fields)
        return dialled(_pick(fields, self.model.inputs), key=key)


def _dialled(model: Model, settings: Mapping[str, Model], fields: Fields) -> Model:
    values = [next(iter(setting(_pick(fields, setting.inputs)).values())) for setting in settings.values()]
    return eqx.tree_at(lambda m: [follow(m, path).value for path in settings], model, values) if values else model


class Freeze(Wrapped):
    """A model that training leaves as it is."""

    model: Model
    frozen: ClassVar[bool] = True
    wraps: ClassVar = "model"

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return self.model(fields, key=key)


class Obey(Model):
    """Move fields by the least distance that makes a law hold.

    `x* = x - S J^T (J S J^T)^-1 r(x)` with J the law's Jacobian and S the squared `mobility` of
    each adjusted field: exact in one step for a linear law, Gauss-Newton steps for others.
    Fields with an axis of time are projected day by day, or along all of it at once unless `pointwise`.

    Raises `ValueError` when the law does not read an adjusted field.
    """

    law: Law
    adjust: tuple[str, ...] = eqx.field(static=True)
    mobility: tuple[float, ...] | None = eqx.field(static=True, default=None)
    steps: int = eqx.field(static=True, default=1)
    pointwise: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        unread = set(self.adjust) - set(named(self.law.inputs))
        if unread:
            raise ValueError(
                f"Obey: {type(self.law).__name__} does not read {sorted(unread)}; "
                f"it reads {', '.join(named(self.law.inputs))}"
            )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.law.inputs

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(named(self.law.inputs)[name] for name in self.adjust)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Obey")
        adjusted = {name: fields[name] for name in self.adjust}
        others = {v.name: fields[v.name] for v in self.inputs if v.name not in adjusted}
        project = self._project
        if self.pointwise and jnp.ndim(adjusted[self.adjust[0]]):
            axes = {name: 0 if jnp.ndim(value) else None for name, value in others.items()}
            project = jax.vmap(self._project, in_axes=(0, axes))
        for _ in range(self.steps):
            adjusted = project(adjusted, others)
        return adjusted

    def _project(self, adjusted: Fields, others: Fields) -> Fields:
        point, unravel = ravel_pytree(adjusted)
        free = self.mobility or (1.0,) * len(self.adjust)
        scale = {name: jnp.full_like(adjusted[name], width) for name, width in zip(self.adjust, free, strict=True)}
        spread = ravel_pytree(scale)[0] ** 2

        def residual(x: Array) -> Array:
            return jnp.ravel(self.law.residual({**others, **unravel(x)}))

        jacobian = jax.jacrev(residual)(point)
        gain = jacobian * spread
        # A law already obeyed (a bound not touched) has no slope there: the ridge keeps the system solvable.
        curvature = gain @ jacobian.T + 1e-9 * jnp.eye(len(jacobian), dtype=point.dtype)
        broken = residual(point)
        share = broken / curvature[0] if len(broken) == 1 else jnp.linalg.solve(curvature, broken)
        return unravel(point - gain.T @ share)


class Rename(Wrapped):
    """A model whose outputs carry other names, so that several of a kind can stand side by side.

    Raises `ValueError` for a name the model does not give.
    """

    model: Model
    names: dict[str, str] = eqx.field(static=True)
    wraps: ClassVar = "model"

    def __check_init__(self) -> None:
        unknown = set(self.names) - set(named(self.model.outputs))
        if unknown:
            raise ValueError(f"Rename: {sorted(unknown)} are no outputs of {type(self.model).__name__}")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(replace(v, name=self.names.get(v.name, v.name)) for v in self.model.outputs)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {self.names.get(name, name): value for name, value in self.model(fields, key=key).items()}


class Mean(Model):
    """Models side by side: the outputs they share are averaged.

    `y = (y_1 + ... + y_n) / n`, the ensemble mean; each part keeps its own inputs.
    """

    parts: tuple[Model, ...]
    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)

    def __init__(self, *parts: Model):
        self.parts = parts
        self.inputs = union(*(part.inputs for part in parts), where="Mean inputs")
        shared = set.intersection(*(set(named(part.outputs)) for part in parts))
        if not shared:
            raise ValueError("Mean: the models share no output; rename one, or name what they have in common alike")
        self.outputs = union(*([v for v in part.outputs if v.name in shared] for part in parts), where="Mean outputs")

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tolerated(self.parts)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Mean")
        keys = _keys(key, len(self.parts))
        made = [part(_pick(fields, part.inputs), key=k) for part, k in zip(self.parts, keys, strict=True)]
        return {v.name: sum(one[v.name] for one in made) / len(made) for v in self.outputs}
