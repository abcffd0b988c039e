"""Method 5, adjustment: a learner sets the parameters of the running mechanism, or corrects its state as it runs."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import ArrayLike

from ...assimilation.enkf import ETKF
from ...assimilation.inflation import Inflate
from ...compose import Chain, Dial, Rollout
from ...core import Analysis, Fields, Lesson, Model, System, Variable, named
from ...parameter_sets import Members, members
from ...parameters import find, parameters, variable_of
from ..series import Untaught, bare, forcing_of, join, settled, terms_of
from .learned_analysis import days_changes, scheme_analyses, steered


def static_parameters(
    mechanism: Model, learner: Untaught, *, attributes: Sequence[Variable], names: Sequence[str] | None = None
) -> System:
    """Let a learner read the parameters of each site off its attributes: `theta = f(attributes)`.

    Source: Tsai et al. (2021), doi:10.1038/s41467-021-26107-z.
    """
    return _dialled(mechanism, [(learner, tuple(attributes), _names(mechanism, names), False)])


def daily_parameters(
    mechanism: Model, learner: Untaught, *, names: Sequence[str], also: Sequence[Variable] = ()
) -> System:
    """Let a learner with memory set some parameters anew every day: `theta(t) = f(u(0..t))`; the others are calibrated.

    Source: Feng et al. (2022), doi:10.1029/2022WR032404.
    """
    return _dialled(mechanism, [(learner, (*_weather(mechanism), *also), tuple(names), True)])


def static_and_daily_parameters(
    mechanism: Model,
    learner: Untaught,
    *,
    daily: Sequence[str],
    attributes: Sequence[Variable],
    also: Sequence[Variable] = (),
    regionaliser: Untaught | None = None,
    components: int = 1,
) -> System:
    """Let learners set some parameters every day and all others once a site, from forcing and attributes.

    With several `components` the mechanism runs with as many sets of parameters and their mean is taken, which stands
    for the heterogeneity within a site: `y = (1/n) sum_k mechanism(u, theta_k)`.

    Source: Feng et al. (2022), doi:10.1029/2022WR032404.
    """
    others = tuple(name for name in _names(mechanism, None) if name not in daily)
    return _dialled(
        mechanism,
        [
            (learner, (*_weather(mechanism), *also, *attributes), tuple(daily), True),
            (regionaliser or learner, tuple(attributes), others, False),
        ],
        components,
    )


def imitation(
    mechanism: Model,
    learner: Untaught,
    *,
    observed: Sequence[str] = ("runoff",),
    scheme: Analysis = Inflate(ETKF(), 1.02),
    members: int = 20,
    doubt: float = 0.05,
    error: float = 0.1,
) -> System:
    """Let a learner correct the running state with past observations, as an assimilation scheme would have.

    `x_f, y = M(x_f + d, u); d' = g(x_f, o - y)`, g taught on what `scheme` adds with `members` in its own cycles: each
    single number of the state errs by a share `doubt` of itself at each step, observations by a share `error` of their
    standard deviation. Reads the fields `observed_<name>`; what is predicted is the forecast, made before its own
    observation is seen. Any learner will do that sees one time: networks, trees, support vectors; a convolution on a
    grid.

    Source: Haerter & de Campos Velho (2008), doi:10.1016/j.apm.2007.09.006; Gilbert et al. (2010).
    """
    settled(mechanism, "imitation")
    lesson = Lesson("step.learner", scheme_analyses(scheme, members, doubt, error))
    return System(steered(mechanism, learner, observed), terms_of(mechanism), (lesson,), ("offline",))


def learned_analysis(mechanism: Model, learner: Untaught, *, observed: Sequence[str] = ("runoff",)) -> System:
    """Let a learner find by itself how observations should correct the running state: taught end to end, no teacher.

    The same model as `imitation`; learner and parameters are taught by the gradient through all steps, for the
    forecasts that follow from the corrected states.

    Source: McCabe & Brown (2021), arXiv:2111.01058.
    """
    lesson = Lesson("step.learner", days_changes, scale_only=True)
    return System(steered(mechanism, learner, observed), terms_of(mechanism), (lesson,))


def _weather(mechanism: Model) -> tuple[Variable, ...]:
    """The forcing without what has further axes, such as the area of a lake at each depth."""
    return tuple(variable for variable in forcing_of(mechanism) if set(variable.dims) <= {"time"})


def _dialled(mechanism: Model, settings, components: int = 1) -> System:
    """The host with a learner at each of its dials, told by a lesson to start from the host's own values."""
    host = _host(mechanism)
    known = parameters(host.step)
    learners, lessons = [], []
    for place, (learner, inputs, names, daily) in enumerate(settings):
        chosen = {path: variable_of(path, known[path]) for path in (find(host.step, name) for name in names)}
        wanted = {path: members(v, components) if components > 1 else (v,) for path, v in chosen.items()}
        learners.append(learner(inputs, [v.over("time") if daily else v for each in wanted.values() for v in each]))
        start = {v.name: known[path].value for path, each in wanted.items() for v in each}
        lessons.append(Lesson(join("parts", str(place)), _start_from(start, inputs, daily), scale_only=True))
    dialled = Dial(host.step, [name for _, _, names, _ in settings for name in names])
    static = tuple(_last(name) for _, _, names, daily in settings for name in names if not daily)
    series: Model = Rollout(dialled, host.start, (*host.static, *static), remat=host.remat)
    if components > 1:
        series = Members(series, tuple(_last(path) for path in dialled.paths), components)
    return System(Chain(*learners, series), terms_of(mechanism), tuple(lessons))


def _start_from(start: dict[str, ArrayLike], inputs: Sequence[Variable], daily: bool):
    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        length = len(next(iter(observed.values())))
        targets = {name: jnp.full(length, value) if daily else jnp.asarray(value) for name, value in start.items()}
        return {v.name: fields[v.name] for v in inputs}, targets

    return examples


def _names(mechanism: Model, names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(
        names or (path for path, parameter in parameters(_host(mechanism).step).items() if not parameter.fixed)
    )


def _host(mechanism: Model) -> Rollout:
    """The roll-out whose parameters are to be set, freed from whatever set them before."""
    host = bare(mechanism)
    if not isinstance(host, Rollout):
        raise ValueError("embedded.adjustment needs a mechanism carried through time: Rollout(step)")
    if not isinstance(host.step, Dial):
        return host
    static = tuple(name for name in host.static if name in named(host.step.model.inputs))
    return Rollout(host.step.model, host.start, static, remat=host.remat)


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]
