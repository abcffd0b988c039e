"""Method 7, input-variable constraint: the mechanism's estimate is one more input of the learner."""

from collections.abc import Sequence

from ...compose import Chain, Freeze
from ...core import Model, System, Variable
from ..series import Untaught, forcing_of, output, terms_of
from ..teaching import taught_after


def simulated_input(
    mechanism: Model, learner: Untaught, *, target: str = "runoff", also: Sequence[Variable] = ()
) -> System:
    """Give the learner what the mechanism says of the target beside the forcing: `y = f(u, y_mechanism(u))`.

    Source: Karpatne et al. (2017), arXiv:1710.11431.
    """
    inputs = [*forcing_of(mechanism), output(mechanism, target), *also]
    model, lesson = taught_after(mechanism, learner, inputs, target)
    return System(Chain(Freeze(mechanism), model), terms_of(mechanism), (lesson,))
