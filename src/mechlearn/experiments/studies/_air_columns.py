"""Columns of air under sun and weather: what the studies of replaced radiation and physics run on."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...compose import Rollout
from ...core import Fields, Model
from ...couplings.embedded.replacement import Overheard
from ...mechanisms.flow.column import AirColumn, RadiativeConvective, standard_grid, sunshine
from ...mechanisms.radiation.longwave import Longwave
from ...parameters import follow, replace_at

DAY, YEAR = 8, 2880  # steps
SIZES = {"level": 24, "half_level": 25}
T, Q, SURFACE = AirColumn.state
TRANSPORT = "heat_transport_convergence"


class Runs(eqx.Module):
    """The forcing of some runs as windows that lessons are taken from: one whole run a sample."""

    fields: Fields
    warmup: int = eqx.field(static=True, default=0)

    def __len__(self) -> int:
        return len(self.fields[TRANSPORT])

    def take(self, indices: Array) -> tuple[Fields, Fields, Fields]:
        return {name: values[indices] for name, values in self.fields.items()}, {}, {}


def host(longwave: Model | None = None) -> Rollout:
    """The column with correlated-k long-wave radiation, through time."""
    step = AirColumn(RadiativeConvective(longwave=longwave or Longwave()))
    return Rollout(step, static=AirColumn.lasting, remat=False)


def weather(
    latitudes: Sequence[float],
    years: float,
    seed: int,
    *,
    absorbed: float = 222.0,
    warmer: Sequence[float] = (0.0,),
    noise: float = 25.0,
) -> Fields:
    """The forcing of a column at every latitude, and for every extra input of heat (W m-2): (column, time).

    Winds take 70 % of the season away, and in the yearly mean all that differs from `absorbed` (W m-2, at a planetary
    albedo of 0.31), and bring noise that lasts five days.
    """
    steps = round(years * YEAR)
    suns = [sunshine(latitude, np.arange(steps) / DAY) for latitude in latitudes for _ in warmer]
    sun = {name: np.stack([one[name] for one in suns]) for name in suns[0]}
    daily = sun["toa_incoming_shortwave_flux"].reshape(len(suns), -1, DAY).mean(axis=-1).repeat(DAY, axis=1)
    yearly = daily[:, : min(YEAR, steps)].mean(axis=1, keepdims=True)
    brought = absorbed - 0.69 * (0.7 * daily + 0.3 * yearly) + np.tile(warmer, len(latitudes))[:, None]
    kept, drawn = np.exp(-1 / (5 * DAY)), np.random.default_rng(seed).normal(size=daily.shape)
    red = np.zeros_like(daily)
    for step in range(1, steps):
        red[:, step] = kept * red[:, step - 1] + np.sqrt(1 - kept**2) * drawn[:, step]
    fields = sun | {TRANSPORT: brought + noise * red}
    fields |= {name: np.tile(value, (len(suns), *[1] * value.ndim)) for name, value in standard_grid().items()}
    return {name: jnp.asarray(value, jnp.float32) for name, value in fields.items()}


def run(model: Rollout, forcing: Fields, start: Fields | None = None, *, keep: Sequence[str], every: int = 1) -> dict:
    """What some outputs of a host come to under every forcing, from states (column, ...), as numpy arrays."""
    start = start or {}

    @eqx.filter_jit
    def go(model, forcing, start):
        def one(fields, begin):
            whole = {**model.step.initial(), **begin}
            return Rollout(model.step, whole, model.static, tuple(keep), every, False)(fields)

        return jax.vmap(one)(forcing, start)

    return {name: np.asarray(value) for name, value in go(model, forcing, start).items()}


def first(forcing: Fields, steps: int) -> Fields:
    """The beginning of a forcing."""
    return {name: v if name in AirColumn.lasting else v[:, :steps] for name, v in forcing.items()}


def heard(model: Rollout, joint: str, forcing: Fields, start: Fields, every: int = 5) -> dict[str, dict]:
    """What a joint of a host was given and answered, as samples: every fifth step of all columns."""
    tapped = replace_at(model, "step", Overheard(model.step, joint))
    part = follow(model.step, joint)
    names = [f"given_{v.name}" for v in part.inputs] + [f"answered_{v.name}" for v in part.outputs]
    made = run(tapped, forcing, start, keep=names, every=every)  # pyright: ignore[reportArgumentType]
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in made.items()}
    return {
        "given": {v.name: flat[f"given_{v.name}"] for v in part.inputs},
        "answered": {v.name: flat[f"answered_{v.name}"] for v in part.outputs},
    }
