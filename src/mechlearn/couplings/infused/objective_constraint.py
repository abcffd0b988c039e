"""Method 8, objective-function constraint: the learner pays for breaking a law."""

from collections.abc import Sequence

from ...compose import Chain, Freeze
from ...core import Fields, Law, Lesson, Model, System, Term, Variable
from ...laws.radiative_transfer import RadiativeTransfer
from ...laws.stratification import Stratification
from ...laws.water_balance import WaterBalance
from ...learners.through import Through
from ..embedded.replacement import offline
from ..radiative import AIR, retrieval_of, simulated, supervision
from ..series import Untaught, along_time, forcing_of, output, reach, terms_of
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


def transfer_equation(
    mechanism: Model,
    learner: Untaught,
    *,
    target: str = "surface_temperature",
    weight: float = 1e-2,
    supervised: float = 5e-4,
    also: Sequence[Variable] = (),
) -> System:
    """Make the learner pay where the temperature and the air that it tells do not give the radiance that was measured.

    `loss = misfit + weight * mean(r^2)`, r the residual of the radiative transfer equation in W m-2 sr-1 um-1. The
    learner says the surface temperature, the transmittance and both radiances of the air, for which it pays where
    they differ from what a radiative transfer has simulated (`supervised`).

    Raises `ValueError` for any mechanism but `radiation.standard_retrieval`.

    Source: after the abstract of Xie et al. (2025), arXiv:2504.07481.
    """
    retrieval = retrieval_of(mechanism, "infused.objective_constraint.transfer_equation")
    said = [output(mechanism, target), *(v.over("time") for v in AIR)]
    model, where = along_time(learner, [*forcing_of(mechanism), *also], said)

    def examples(alone: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        air = {v.name: fields[simulated(v).name] for v in AIR}
        return reach(alone, where, fields), {target: observed[target], **air}

    terms = (Term(RadiativeTransfer(retrieval.equation.band, ("time",)), weight), *supervision(supervised))
    lesson = Lesson(where, examples, reads=tuple(simulated(v) for v in AIR))
    return System(model, (*terms_of(mechanism), *terms), (lesson,))


def stratification(
    mechanism: Model,
    learner: Untaught,
    *,
    target: str = "water_temperature",
    weight: float = 1.0,
    simulated: bool = True,
    also: Sequence[Variable] = (),
) -> System:
    """Make the learner pay where it lays denser water on lighter, on every day with forcing, observed or not.

    `loss = misfit + weight * mean(max(0, rho(T_i) - rho(T_i+1)))` over neighbouring depths. With `simulated` the
    learner reads the mechanism's temperature too, as in the physics-guided neural network.

    Source: Karpatne et al. (2017), arXiv:1710.11431.
    """
    variable = output(mechanism, target)
    inputs = [*forcing_of(mechanism), *([variable] if simulated else []), *also]
    model, lesson = taught_after(mechanism, learner, inputs, target)
    return System(
        Chain(Freeze(mechanism), model), (*terms_of(mechanism), Term(Stratification(variable), weight, 1.0)), (lesson,)
    )


def balanced(
    mechanism: Model, learner: Untaught, *, joint: str = "physics", laws: Sequence[Law], weight: float = 1e-3
) -> System:
    """Put a learner in the place of a sub-process, and make it pay where its answers break laws.

    `loss = misfit + weight * sum(mean(r^2))` over the residuals r of the `laws`, the misfit in units of each output's
    spread. It is taught by the sub-process along the host's own trajectory.

    Source: Beucler et al. (2021), doi:10.1103/PhysRevLett.126.098302.
    """
    terms = tuple(Term(law, weight) for law in laws)

    def charged(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Through:
        return Through(learner(inputs, outputs), terms=terms)

    return offline(mechanism, charged, joint=joint, neighbours=None)
