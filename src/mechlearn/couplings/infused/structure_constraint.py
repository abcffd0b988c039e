"""Method 9, structure constraint: a law is built into the learner and cannot be broken."""

from collections.abc import Sequence

from ...compose import Chain, Obey
from ...core import Fields, Lesson, Model, System, Variable
from ...laws.bounds import Bounds
from ...laws.water_balance import WaterBalance
from ...variables import EVAPOTRANSPIRATION, STORAGE_CHANGE
from ..series import Untaught, forcing_of, output, reach, settled


def mass_conserving(
    mechanism: Model, learner: Untaught, *, target: str = "runoff", also: Sequence[Variable] = ()
) -> System:
    """Use a network whose cells are stores of water: what enters leaves, evaporates or stays (MC-LSTM).

    Source: Hoedt et al. (2021), arXiv:2101.05186. The mechanism only lends its variables.
    """
    model = learner([*forcing_of(mechanism), *also], [output(mechanism, target)])
    lesson = Lesson("", lambda model, fields, observed: (reach(model, "", fields), observed), scale_only=True)
    return System(model, lessons=(lesson,))


def projected(
    mechanism: Model,
    learner: Untaught,
    *,
    target: str = "runoff",
    mobility: Sequence[float] = (0.1, 0.3, 1.0),
    also: Sequence[Variable] = (),
) -> System:
    """Project what the learner says of runoff, evapotranspiration and storage onto the day's water balance.

    `P = y + ET + dS` holds exactly; each moves in proportion to its squared `mobility`, but no runoff or
    evapotranspiration below zero: the storage takes what is left. The evapotranspiration
    and storage change are first taught from the mechanism, the runoff from the observations.
    """
    mechanism = settled(mechanism, "infused.structure_constraint.projected")
    series = [output(mechanism, target), EVAPOTRANSPIRATION.over("time"), STORAGE_CHANGE.over("time")]
    model = learner([*forcing_of(mechanism), *also], series)
    law = WaterBalance(gains=("precipitation",), losses=tuple(v.name for v in series), stores=())

    def examples(chain: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        made = mechanism({v.name: fields[v.name] for v in mechanism.inputs})
        storage = fields["precipitation"] - made[target] - made["evapotranspiration"]
        targets = {target: made[target], "evapotranspiration": made["evapotranspiration"], "storage_change": storage}
        return {v.name: fields[v.name] for v in chain.inputs}, targets

    nearest = Obey(law, adjust=tuple(v.name for v in series), mobility=tuple(mobility))
    positive = [Obey(Bounds((flux,)), adjust=(flux.name,)) for flux in series[:2]]
    balanced = Chain(model, nearest, *positive, Obey(law, adjust=("storage_change",)))
    return System(balanced, lessons=(Lesson("parts.0", examples),))
