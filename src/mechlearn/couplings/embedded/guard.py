"""A guard: the learner answers inside the domain it was taught on, the original scheme everywhere else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ...along import Along
from ...compose import Chain, Freeze, Rollout
from ...core import Fields, Learner, Lesson, Model, System, Variable, Wrapped, union
from ...forecast import Forecast
from ...learners.examples import usable
from ...learners.mlp import MLP
from ...parameters import follow, replace_at
from ..series import Untaught, bare, join, over_further_axes
from .correction import Compound
from .replacement import Tap, online, overhear
from .replacement import offline as taught_alone

IN_DOMAIN = Variable("in_domain", "1", (), (0, 1), long_name="whether an input lies where a learner was taught")
FALLBACK = Variable("fallback", "1", (), (0, 1), long_name="whether the original scheme answered")
ERROR = Variable("emulation_error", "1", (), (0, float("inf")), long_name="how far a learner is off, in every output")


class Domain(Learner):
    """Where the examples of a learner lay: the range of every number it reads, and how they go together.

    An input is inside when each number lies within the range of the examples, widened by `margin` of itself on both
    sides, and the Mahalanobis distance `sqrt((x - m)' C^-1 (x - m))` is no larger than the `level` quantile of theirs;
    the correlation matrix carries a small `ridge`. NaN is outside. Untaught, everything is outside.

    Source: Mahalanobis (1936); as `evaluation.domain` does for the days of a record.

        >>> x = Variable("x", "1")
        >>> known = Domain([x]).fit({"x": jnp.arange(10.0)}, {}, key=jax.random.key(0))
        >>> [bool(known({"x": jnp.asarray(value)})["in_domain"]) for value in (4.0, 11.0)]
        [True, False]
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    lower: Array
    upper: Array
    mean: Array
    whitening: Array
    limit: Array
    level: float = eqx.field(static=True)
    ridge: float = eqx.field(static=True)
    margin: float = eqx.field(static=True)
    outputs: ClassVar = (IN_DOMAIN,)
    frozen: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable] = (),
        *,
        level: float = 0.999,
        ridge: float = 0.01,
        margin: float = 0.0,
    ):
        self.inputs, self.level, self.ridge, self.margin = tuple(inputs), level, ridge, margin
        count = len(self.inputs)
        self.lower, self.upper, self.mean = jnp.full(count, jnp.inf), jnp.full(count, -jnp.inf), jnp.zeros(count)
        self.whitening, self.limit = jnp.eye(count), jnp.zeros(())

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        x = jnp.concatenate([jnp.ravel(fields[v.name]) for v in self.inputs])
        within = jnp.all((x >= self.lower) & (x <= self.upper))
        return {"in_domain": within & (jnp.sum((self.whitening @ (x - self.mean)) ** 2) <= self.limit**2)}

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        columns = [np.asarray(inputs[v.name], float) for v in self.inputs]
        rows = np.concatenate([column.reshape(len(column), -1) for column in columns], axis=1)
        rows = rows[np.isfinite(rows).all(axis=1)]
        if not len(rows):
            raise ValueError(f"Domain.fit: no example has all of {', '.join(v.name for v in self.inputs)}")
        mean, lower, upper = rows.mean(axis=0), rows.min(axis=0), rows.max(axis=0)
        whitening = _whitening(rows - mean, self.ridge)
        limit = np.quantile(np.linalg.norm((rows - mean) @ whitening.T, axis=1), self.level) * (1 + 1e-5)
        slack = self.margin * (upper - lower) + 1e-6 * (1 + np.abs(upper - lower))
        found = (lower - slack, upper + slack, mean, whitening, limit)
        told = tuple(jnp.asarray(value, self.mean.dtype) for value in found)
        return eqx.tree_at(lambda d: (d.lower, d.upper, d.mean, d.whitening, d.limit), self, told)


def _whitening(anomalies: np.ndarray, ridge: float) -> np.ndarray:
    """W with `W' W = C^-1`; a number that never varied is left to its range."""
    spread = anomalies.std(axis=0)
    scale = np.where(spread > 1e-9 * (1 + np.abs(anomalies).max()), spread, np.inf)
    standard = anomalies / scale
    correlation = standard.T @ standard / len(standard) + ridge * np.eye(len(scale))
    return np.linalg.cholesky(np.linalg.inv(correlation)).T / scale


class ErrorEstimate(Learner):
    """A second network that foretells the error of the first: inside is where it foretells little.

    It learns the logarithm of the mean absolute error over all outputs of the examples (outputs of unlike size should
    be put on one scale first); inside is where the foretold error is at most the `level` quantile of those foretold
    for the examples, and never beyond the range of the examples.

    Source: Krasnopolsky et al. (2008), doi:10.1016/j.neunet.2007.12.019, the quality-control network of their compound
    parameterization.
    """

    domain: Domain
    estimate: Learner
    limit: Array
    level: float = eqx.field(static=True)
    outputs: ClassVar = (IN_DOMAIN,)
    frozen: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable] = (),
        *,
        level: float = 0.99,
        margin: float = 0.0,
        learner: Untaught = MLP,
    ):
        self.domain, self.level = Domain(inputs, level=1.0, margin=margin), level
        self.estimate = learner(inputs, [replace(ERROR, bounds=(-float("inf"), float("inf")))])
        self.limit = jnp.asarray(-jnp.inf)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.domain.inputs

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        little = self.estimate(fields)[ERROR.name] <= self.limit
        return {"in_domain": self.domain(fields)["in_domain"] & little}

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        known = usable(self.estimate, inputs, {ERROR.name: np.log(np.asarray(targets[ERROR.name], float) + 1e-12)})
        estimate = self.estimate.fit(known.inputs, known.targets, key=key)
        foretold = np.asarray(jax.vmap(estimate)(known.inputs)[ERROR.name])
        limit = jnp.asarray(np.quantile(foretold, self.level), self.limit.dtype)
        domain = self.domain.fit(known.inputs, {}, key=key)
        return eqx.tree_at(lambda e: (e.domain, e.estimate, e.limit), self, (domain, estimate, limit))


class Guarded(Model):
    """A sub-process that a learner answers where `domain` says it may, and the original scheme elsewhere.

    `y = learner(x) where in_domain(x), else scheme(x)`: at every place on its own where the domain speaks of places,
    else as a whole. The further output `fallback` is 1 where the scheme answered. Training leaves scheme and domain
    as they are.

    Source: Krasnopolsky et al. (2008), doi:10.1016/j.neunet.2007.12.019 (compound parameterization).
    """

    learner: Model
    scheme: Model
    domain: Model

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return union(self.learner.inputs, self.scheme.inputs, self.domain.inputs, where="Guarded")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        judged = next(v for v in self.domain.outputs if v.name == IN_DOMAIN.name)
        return (*self.scheme.outputs, replace(FALLBACK, dims=judged.dims))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        def said(part: Model) -> Fields:
            return part({v.name: fields[v.name] for v in part.inputs}, key=key)

        learned, original, inside = said(self.learner), said(self.scheme), said(self.domain)["in_domain"]
        chosen = {v.name: jnp.where(inside, learned[v.name], original[v.name]) for v in self.scheme.outputs}
        return {**chosen, FALLBACK.name: 1.0 - inside}


class Watched(Wrapped):
    """A one-step model that also tells how often a guarded joint fell back: the share of its calls within the step.

    The further output is called `<joint>_fallback` and has the axis of the guard.
    """

    step: Model
    joint: str = eqx.field(static=True)
    wraps: ClassVar = "step"

    @property
    def watched(self) -> Variable:
        """The variable it adds."""
        guard = follow(self.step, self.joint)
        (told,) = (v for v in guard.outputs if v.name == FALLBACK.name)
        return replace(told, name=f"{self.joint.replace('.', '_')}_{FALLBACK.name}")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (*self.step.outputs, self.watched)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        heard: list[Fields] = []
        tapped = replace_at(self.step, self.joint, Tap(follow(self.step, self.joint), heard.append))
        made = tapped(fields, key=key)
        calls = [call[f"answered_{FALLBACK.name}"] for call in heard]
        return {**made, self.watched.name: sum(calls[1:], calls[0]) / len(calls)}


def guarded(
    mechanism: Model,
    learner: Untaught,
    *,
    joint: str = "evaporation",
    taught_by: Literal["mechanism", "observations"] = "mechanism",
    neighbours: Sequence[int] = (0,),
    through_time: bool = False,
    level: float = 0.999,
    margin: float = 0.0,
) -> System:
    """Put a learner in the place of one sub-process, guarded: outside the domain of its examples the scheme answers.

    The learner is taught alone as by `embedded.replacement.offline`, and `through_time` as by `online`; the domain is
    that of its examples (`level` and `margin` of `Domain`). The output `<joint>_fallback` tells where and when the
    scheme answered.

    Raises `ValueError` for a mechanism that is no roll-out or forecast, or a joint it does not have.

    Source: Krasnopolsky et al. (2008), doi:10.1016/j.neunet.2007.12.019.
    """
    replaced = online if through_time else taught_alone
    system = replaced(mechanism, learner, joint=joint, taught_by=taught_by, neighbours=neighbours)
    scheme = follow(bare(mechanism), join("step", joint))
    return guard(system, scheme, joint=joint, domain=lambda inputs, _: Domain(inputs, level=level, margin=margin))


def guard(
    system: System,
    scheme: Model,
    *,
    joint: str,
    domain: Untaught = Domain,
    met: Literal["examples", "own_run"] = "examples",
    counted: bool = True,
) -> System:
    """The system of a replacement, taught or not, guarded by a scheme with the joint's inputs and outputs.

    Its last lesson teaches the domain: `Domain`, `ErrorEstimate` or any learner that answers `in_domain`, from the
    examples that teach the learner; `fit_offline` of it alone (`system.lessons[-1:]`) guards what is taught already.
    What was taught through the time loop knows more than its examples: `met="own_run"` is the domain of all that the
    joint meets while the taught host runs over the windows of that lesson.
    Where one learner serves every place of an axis, each place is guarded on its own. The fall-backs are `counted`
    in the output `<joint>_fallback`; not so for a host that calls its joint within a loop or branch of its own.

    Raises `ValueError` for a system that `embedded.replacement` has not made.
    """
    host = system.model
    if not isinstance(host, Rollout | Forecast) or len(system.lessons) != 1:
        raise ValueError("guard takes what embedded.replacement made: a host through time, one learner, one lesson")
    lesson, path = system.lessons[0], join("step", joint)
    if not (lesson.where == path or lesson.where.startswith(path + ".")):
        raise ValueError(f"the learner sits at {lesson.where!r}, not at the joint {joint!r}; name the joint it took")
    place, where = follow(host, path), lesson.where[len(path) + 1 :]
    whether, inner = _judging(place, where, domain)
    made = replace_at(host, path, Guarded(place, Freeze(scheme), whether))
    at = path
    if counted:
        made, at = replace_at(made, "step", Watched(follow(made, "step"), joint)), join("step", path)
    learned, judged = join(at, "learner", where), join(at, "domain", inner)

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        return lesson.examples(_unguarded(model, at, path), fields, observed)

    def errors(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        given, answered = examples(model, fields, observed)
        part = follow(model, learned)
        told = over_further_axes(part, given, answered)
        return given, {ERROR.name: _mean_error(part, told, answered)}

    def met_there(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        return _overheard(_unguarded(model, at, path), joint, fields, follow(model, learned).inputs)

    lessons = Lesson(learned, examples, lesson.scale_only), Lesson(judged, errors if met == "examples" else met_there)
    return System(made, system.terms, lessons, system.stages)


def _judging(place: Model, where: str, domain: Untaught) -> tuple[Model, str]:
    """What judges the input of the learner at a path of a place, put together as the place is; and where it sits."""
    word, _, rest = where.partition(".")
    if not where:
        return domain(place.inputs, (IN_DOMAIN,)), ""
    if isinstance(place, Along) and word == "part":
        inner, path = _judging(place.part, rest, domain)
        return Along(inner, place.dim, place.varying), join("part", path)
    if isinstance(place, Compound) and word == "correction":
        return _judging(place.correction, rest, domain)
    if isinstance(place, Chain) and word == "parts":
        number, _, rest = rest.partition(".")
        before = place.parts[: int(number)]
        inner, path = _judging(place.parts[int(number)], rest, domain)
        return (Chain(*before, inner), join(f"parts.{number}", path)) if before else (inner, path)
    raise ValueError(f"guard does not know how {type(place).__name__} leads to its learner; guard what is inside it")


def _unguarded(model: Model, at: str, path: str) -> Model:
    """The host as the replacement made it, with the learner as it is now."""
    step = follow(model, "step.step" if at != path else "step")
    inside = replace_at(step, path.removeprefix("step."), follow(model, join(at, "learner")))
    return replace_at(model, "step", inside)


def _overheard(host: Model, joint: str, fields: Fields, inputs: Sequence[Variable]) -> tuple[Fields, Fields]:
    """What the learner at a joint is given while its host runs, and what the joint answers."""
    place = follow(host, join("step", joint))
    made = overhear(host, joint)({v.name: fields[v.name] for v in host.inputs})  # pyright: ignore[reportArgumentType]
    seen = {v.name: made[f"given_{v.name}"] for v in place.inputs}
    around = place.correction if isinstance(place, Compound) else place
    features = {**seen, **around.parts[0](seen)} if isinstance(around, Chain) else seen
    answered = {v.name: made[f"answered_{v.name}"] for v in place.outputs}
    return {v.name: features[v.name] for v in inputs}, answered


def _mean_error(learner: Learner, told: Fields, answered: Fields) -> Array:
    """The mean absolute error over all numbers of all outputs of each example."""
    each = []
    for variable in learner.outputs:
        error = jnp.abs(told[variable.name] - answered[variable.name])
        axes = tuple(range(error.ndim - len(variable.dims), error.ndim))
        each.append(jnp.mean(error, axis=axes))
    return jnp.mean(jnp.stack(each), axis=0)
