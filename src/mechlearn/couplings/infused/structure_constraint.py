"""Method 9, structure constraint: a law is built into the learner and cannot be broken."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ...compose import Add, Chain, Freeze, Obey, Pass, Rollout
from ...core import Fields, Law, Lesson, Model, System, Variable
from ...freshwater import TEMPERATURE_OF_MAXIMUM_DENSITY
from ...laws.bounds import Bounds
from ...laws.stratification import Stratification
from ...laws.water_balance import WaterBalance
from ...learners.through import Through
from ...parameters import follow
from ...variables import EVAPOTRANSPIRATION, STORAGE_CHANGE
from ..closing import FluxesOfHeating, SolvedFor
from ..embedded.replacement import offline
from ..radiative import AIR, CorrectAir, retrieval_of, simulated, supervision
from ..series import Untaught, forcing_of, output, reach, settled, terms_of
from ..teaching import taught_after


def transfer_equation(
    mechanism: Model,
    learner: Untaught,
    *,
    target: str = "surface_temperature",
    supervised: float = 5e-4,
    depth: float = 0.8,
    warmth: float = 15.0,
) -> System:
    """Let the learner put the mechanism's air right and the radiative transfer equation give the temperature.

    `d = d_0 exp(a)`, `T_up = T_up0 + b`, `T_down = T_down0 + c`, with corrections bounded by `depth` and `warmth` (K);
    then `B(T_s) = ((L - L_up) / t - (1 - e) L_down) / e`. The learner reads all that the retrieval reads and says.
    It is first taught the air that a radiative transfer has simulated for each sample, then end to end, where it goes
    on paying for departures from it with the weight `supervised`; with 0 it is only taught end to end.

    Raises `ValueError` for any mechanism but `radiation.standard_retrieval`.

    Source: after the abstract of Xie et al. (2025), arXiv:2504.07481; the structure is this library's.
    """
    retrieval = retrieval_of(mechanism, "infused.structure_constraint.transfer_equation")
    right = CorrectAir(retrieval.equation.band, depth, warmth)
    read = (*retrieval.inputs, *retrieval.outputs)
    step = Chain(Freeze(retrieval), learner(read, right.corrections), right, retrieval.equation)

    def examples(model: Model, fields: Fields, observed: Fields) -> tuple[Fields, Fields]:
        said = jax.vmap(follow(model, "step.parts.0"))({v.name: fields[v.name] for v in retrieval.inputs})
        known = {v.name: {**fields, **said}[v.name] for v in read}
        if supervised == 0:
            return known, {v.name: jnp.zeros_like(said[target]) for v in right.corrections}
        return known, right.needed(said, {v.name: fields[simulated(v).name] for v in AIR})

    reads = tuple(simulated(v) for v in AIR) if supervised else ()
    lesson = Lesson("step.parts.1", examples, scale_only=supervised == 0, reads=reads)
    return System(Rollout(step), (*terms_of(mechanism), *supervision(supervised)), (lesson,))


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
    return System(balanced, lessons=(Lesson("parts.0", examples, reads=mechanism.inputs),))


def stratified(
    mechanism: Model,
    learner: Untaught,
    *,
    target: str = "water_temperature",
    simulated: bool = True,
    residual: bool = False,
    end_to_end: bool = True,
    also: Sequence[Variable] = (),
) -> System:
    """Build into the learner that no denser water lies on lighter: whatever its weights, no profile is inverted.

    What the learner says of temperature is moved by the least distance to a profile whose density does not fall with
    depth. With `simulated` the learner reads the mechanism's temperature too; with `residual` it says by how much that
    is wrong, and the sum is made stable. Unless it is taught `end_to_end`, the learner is taught without the
    projection, which then can only bring it nearer to any profile that is stable on the same side of 4 degC.

    Source: the aim of Daw et al. (2020), doi:10.1137/1.9781611976236.60, by projection instead of by increments.
    """
    variable = output(mechanism, target)
    inputs = [*forcing_of(mechanism), *([variable] if simulated else []), *also]
    model, lesson = taught_after(mechanism, learner, inputs, target, residual=residual)
    said = Add(Pass(variable), model) if residual else model
    if end_to_end:
        return System(Chain(Freeze(mechanism), said, Stratify(variable)), terms_of(mechanism), (lesson,))
    free = System(Chain(Freeze(mechanism), said), terms_of(mechanism), (lesson,))
    return System(Chain(free, Stratify(variable)), stages=())


def balanced(
    mechanism: Model, learner: Untaught, *, joint: str = "physics", laws: Sequence[Law], solved_for: Sequence[str]
) -> System:
    """Put a learner in the place of a sub-process, and let laws give those of its answers that it does not say.

    The learner says all outputs of the joint but those named in `solved_for`, of which each follows from one of the
    `laws`: they hold to rounding whatever the weights are. It is taught by the sub-process along the host's own
    trajectory, on all outputs.

    Raises `ValueError` for a law that cannot be solved for what it is to be solved for.

    Source: Beucler et al. (2021), doi:10.1103/PhysRevLett.126.098302.
    """
    rest = SolvedFor(laws, solved_for)

    def structured(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Through:
        return Through(learner(inputs, [v for v in outputs if v.name not in rest.names]), rest)

    return offline(mechanism, structured, joint=joint, neighbours=None)


def energy_closed(mechanism: Model, learner: Untaught, *, joint: str = "physics.longwave") -> System:
    """Put a learner in the place of long-wave radiation, so that layers gain what the fluxes lose.

    The learner says the heating of each layer and the upwelling flux, from which the net and downwelling fluxes
    follow; it is taught by the scheme along the host's own trajectory, on all of them.

    Source: after Krasnopolsky et al. (2005), doi:10.1175/MWR2923.1; the structure is this library's.
    """
    after = FluxesOfHeating()

    def structured(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Through:
        said = {v.name for v in after.outputs}
        return Through(learner(inputs, [v for v in outputs if v.name not in said]), after)

    return offline(mechanism, structured, joint=joint, neighbours=None)


class Stratify(Model):
    """The stably stratified temperature profile nearest to a given one.

    Water is densest at `T_m` (3.99 degC) and lighter the further from it on either side, so a profile on one side is
    stable when `|T - T_m|` does not rise with depth: `T = T_m + s max(0, isotonic(s (T_given - T_m)))`, with s the
    side, +1 or -1, on which the given profile lies on the whole. Exact for any input, with gradients.

    Raises `ValueError` for a variable whose last axis is not depth, or that is no temperature in degC.

        >>> given = jnp.array([[20.0, 22.0, 8.0, 9.0]])
        >>> Stratify(Variable("water_temperature", "degC", ("time", "depth")))({"water_temperature": given})[
        ...     "water_temperature"
        ... ].round(2).tolist()
        [[21.0, 21.0, 8.5, 8.5]]
    """

    variable: Variable = eqx.field(static=True)

    def __check_init__(self) -> None:
        Stratification(self.variable)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        excess = fields[self.variable.name] - TEMPERATURE_OF_MAXIMUM_DENSITY
        side = jnp.where(jnp.mean(excess, axis=-1, keepdims=True) < 0, -1.0, 1.0)
        stable = jax.vmap(falling)(side * excess)
        return {self.variable.name: TEMPERATURE_OF_MAXIMUM_DENSITY + side * jnp.maximum(stable, 0.0)}


def falling(series: Float[Array, " n"]) -> Float[Array, " n"]:
    """The series nearest to a given one, in least squares, that never rises (isotonic regression).

    `y_i = min_{a <= i} max_{b >= i} mean(x_a .. x_b)`, a closed form with gradients; Barlow et al. (1972).

    >>> falling(jnp.array([3.0, 1.0, 2.0, 0.0])).tolist()
    [3.0, 1.5, 1.5, 0.0]
    """
    count = series.shape[0]
    total = jnp.concatenate([jnp.zeros(1, series.dtype), jnp.cumsum(series)])
    first, last = jnp.arange(count)[:, None], jnp.arange(count)[None, :]
    mean = (total[1:][None, :] - total[:-1][:, None]) / jnp.maximum(last - first + 1, 1)
    highest = jax.lax.cummax(jnp.where(last >= first, mean, -jnp.inf), axis=1, reverse=True)
    return jnp.min(jnp.where(first <= last, highest, jnp.inf), axis=0)
