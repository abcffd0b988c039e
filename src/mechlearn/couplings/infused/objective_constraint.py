"""Method 8, objective-function constraint: the learner pays for breaking a law."""

from collections.abc import Sequence

from ...compose import Chain, Freeze
from ...core import Model, System, Term, Variable
from ...laws.water_balance import WaterBalance
from ..series import Untaught, forcing_of, terms_of
from ..teaching import taught_after


def water_balance(
    mechanism: Model, learner: Untaught, *, target: str = "runoff", weight: float = 0.1, also: Sequence[Variable] = ()
) -> System:
    """Make the learner pay when a year's rain is not what ran off and evaporated.

    `loss = misfit + weight * mean((P - ET_mechanism - y)^2)` with sums over a year, in mm a day; only the
    mechanism's evapotranspiration is believed, not its runoff.
    """
    model, lesson = taught_after(mechanism, learner, [*forcing_of(mechanism), *also], target)
    law = WaterBalance(gains=("precipitation",), losses=(target, "evapotranspiration"), stores=(), window=365)
    return System(Chain(Freeze(mechanism), model), (*terms_of(mechanism), Term(law, weight)), (lesson,))
