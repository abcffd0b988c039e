"""Method 2, transfer of intermediate variables: what the mechanism computes on its way feeds the learner."""

from collections.abc import Sequence

from ...compose import Chain, Freeze
from ...core import Model, System, Variable
from ..series import Untaught, forcing_of, terms_of
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
