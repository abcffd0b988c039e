"""Method 2, transfer of intermediate variables: what the mechanism computes on its way feeds the learner."""

from collections.abc import Sequence

from ...compose import Chain, Freeze, Rollout
from ...core import Model, System, Variable
from ...parameters import replace_at
from ..radiative import air_lesson, retrieval_of
from ..series import Untaught, forcing_of, output, terms_of
from ..teaching import taught_after


def states(
    mechanism: Model,
    learner: Untaught,
    *,
    target: str = "runoff",
    intermediates: Sequence[str] | None = None,
    also: Sequence[Variable] = (),
) -> System:
    """Let the learner predict the target from forcing and the mechanism's internal states and fluxes.

    `y = f(u, x_mechanism(u))`; the mechanism stays as it is. All one-valued outputs are handed over unless
    `intermediates` names some.
    """
    scalar = [v for v in mechanism.outputs if v.dims == ("time",) and v.name != target]
    chosen = [v for v in scalar if intermediates is None or v.name in intermediates]
    model, lesson = taught_after(mechanism, learner, [*forcing_of(mechanism), *chosen, *also], target)
    return System(Chain(Freeze(mechanism), model), terms_of(mechanism), (lesson,))


def air(mechanism: Model, learner: Untaught, *, target: str = "surface_temperature") -> System:
    """Let the learner say what the air does, and the radiative transfer equation what the surface is.

    The learner is taught transmittance, up- and downwelling radiance as a radiative transfer has simulated them for
    each sample; the temperature follows by inversion and is not taught.

    Raises `ValueError` for any mechanism but `radiation.standard_retrieval`.
    """
    output(mechanism, target)
    retrieval = retrieval_of(mechanism, "cascade.transfer.air")
    said = learner(retrieval.air.inputs, retrieval.air.outputs)
    model = Rollout(replace_at(retrieval, "air", said))
    lesson = air_lesson("step.air", retrieval.air.inputs)
    return System(model, terms_of(mechanism), (lesson,), stages=("offline",))
