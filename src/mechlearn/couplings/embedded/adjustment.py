"""Method 5, adjustment: a learner sets the parameters of the running mechanism (differentiable parameter learning)."""

from collections.abc import Sequence

from ...compose import Chain, Dial, Rollout
from ...core import Fields, Lesson, Model, System, Variable, named
from ...parameters import find, follow, parameters, variable_of
from ..series import Untaught, forcing_of, join, terms_of


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
    return _dialled(mechanism, [(learner, (*forcing_of(mechanism), *also), tuple(names), True)])


def static_and_daily_parameters(
    mechanism: Model,
    learner: Untaught,
    *,
    daily: Sequence[str],
    attributes: Sequence[Variable],
    regionaliser: Untaught | None = None,
) -> System:
    """Let learners set some parameters every day and all others once a site, from forcing and attributes."""
    others = tuple(name for name in _names(mechanism, None) if name not in daily)
    return _dialled(
        mechanism,
        [
            (learner, (*forcing_of(mechanism), *attributes), tuple(daily), True),
            (regionaliser or learner, tuple(attributes), others, False),
        ],
    )


def _dialled(mechanism: Model, settings) -> System:
    host = _host(mechanism)
    known = parameters(host.step)
    learners, lessons = [], []
    for place, (learner, inputs, names, daily) in enumerate(settings):
        chosen = [variable_of(path, known[path]) for path in (find(host.step, name) for name in names)]
        learners.append(learner(inputs, [v.over("time") for v in chosen] if daily else chosen))
        lessons.append(Lesson(join("parts", str(place)), _scales(inputs, place), scale_only=True))
    dialled = Dial(host.step, [name for _, _, names, _ in settings for name in names])
    static = tuple(name for _, _, names, daily in settings for name in names if not daily)
    series = Rollout(dialled, host.start, (*host.static, *(_last(name) for name in static)), remat=host.remat)
    return System(Chain(*learners, series), terms_of(mechanism), tuple(lessons))


def _scales(inputs: Sequence[Variable], place: int):
    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        return {v.name: fields[v.name] for v in follow(model, f"parts.{place}").inputs}, {}

    return examples


def _names(mechanism: Model, names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(
        names or (path for path, parameter in parameters(_host(mechanism).step).items() if not parameter.fixed)
    )


def _host(mechanism: Model) -> Rollout:
    """The roll-out whose parameters are to be set, freed from whatever set them before."""
    host = mechanism.model if isinstance(mechanism, System) else mechanism
    if not isinstance(host, Rollout):
        raise ValueError("embedded.adjustment needs a mechanism carried through time: Rollout(step)")
    if not isinstance(host.step, Dial):
        return host
    static = tuple(name for name in host.static if name in named(host.step.model.inputs))
    return Rollout(host.step.model, host.start, static, remat=host.remat)


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]
