"""Forecasts from every analysis of the past: what assimilation is worth some steps ahead."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..compose import Rollout
from ..core import Analysis, Fields
from .cycle import Assimilation
from .inflation import Adaptive, begun


class Hindcast(NamedTuple):
    """Forecasts (cycle, lead, member) of one output from each analysis, members lost (cycle,), the last ensemble."""

    forecast: Array
    lost: Array
    ensemble: Array


def hindcast(
    system: Assimilation,
    analysis: Analysis,
    ensemble: Array,
    observed: ArrayLike,
    name: str,
    *,
    forcing: Fields,
    key: PRNGKeyArray,
    leads: int = 5,
    fixed: Fields | None = None,
    failing: ArrayLike | None = None,
) -> Hindcast:
    """Assimilate observations (cycle, obs) one after the other and run `leads` steps freely from each analysis.

    `forecast[t, k]` is the output `name` at cycle `t + 1 + k`, made of observations up to cycle t and of the forcing as
    it came (cycle + leads, ...). Observations that are all NaN give the open loop. `failing` (cycle, member) marks runs
    that are made to fail, for a drill: they come back not finite, are replaced like any lost member and counted.

    Raises `ValueError` when the forcing ends before the last forecast does, or the model takes several steps a cycle.

        >>> from mechlearn.assimilation.enkf import SerialEnKF
        >>> from mechlearn.assimilation.error import ObservationError
        >>> from mechlearn.compose import Pass
        >>> from mechlearn.mechanisms.water.hbv import HBV
        >>> from mechlearn.variables import RUNOFF
        >>> system = Assimilation(HBV(), Pass(RUNOFF), ObservationError.of_variance([0.1]))
        >>> days = {"precipitation": jnp.full(9, 3.0), "air_temperature": jnp.full(9, 9.0)}
        >>> days["potential_evapotranspiration"] = jnp.full(9, 1.0)
        >>> start = jnp.full((4, system.size), 20.0) + jnp.arange(4.0)[:, None]
        >>> made = hindcast(
        ...     system, SerialEnKF(), start, jnp.ones((6, 1)), "runoff", forcing=days, key=jax.random.key(0), leads=3
        ... )
        >>> made.forecast.shape
        (6, 3, 4)
    """
    seen = jnp.asarray(observed, ensemble.dtype)
    if system.every != 1:
        raise ValueError(f"hindcast needs a step a cycle, the system takes {system.every}; wrap the steps in the model")
    short = {series: len(values) for series, values in forcing.items() if len(values) < len(seen) + leads}
    if short:
        raise ValueError(f"forcing must last {len(seen)} cycles and {leads} steps beyond them, got {short}")
    failures = jnp.zeros((len(seen), len(ensemble)), bool) if failing is None else jnp.asarray(failing, bool)
    return _run(system, analysis, ensemble, seen, failures, forcing, fixed or {}, key, name, leads)


@eqx.filter_jit
def _run(system: Assimilation, analysis, ensemble, seen, failures, forcing, fixed, key, name, leads) -> Hindcast:
    ahead = Rollout(system.step, static=tuple(fixed), keep=(name,), remat=False)

    def slice_of(start: Array, length: int) -> Fields:
        return {n: jax.lax.dynamic_slice_in_dim(series, start, length) for n, series in forcing.items()}

    def freely(state: Array, weather: Fields) -> Array:
        return Rollout(ahead.step, system.fields_of(state), ahead.static, ahead.keep, remat=False)(weather)[name]

    def one(carry, now):
        members, arrays = carry
        place, values, failed, own = now
        members = jnp.where(failed[:, None], jnp.nan, members)
        method = eqx.combine(arrays, static)
        done = system.cycle(method, members, values[None], own, forcing=slice_of(place, 1), fixed=fixed)
        weather = {**slice_of(place + 1, leads), **fixed}
        made = jax.vmap(freely, (0, None), 1)(done.ensemble, weather)
        after = eqx.filter(done.analysis, eqx.is_inexact_array) if isinstance(analysis, Adaptive) else arrays
        return (done.ensemble, after), (made, done.lost[0])

    changing, static = eqx.partition(begun(analysis, ensemble), eqx.is_inexact_array)
    cycles = jnp.arange(len(seen))
    keys = jax.random.split(key, len(seen))
    (members, _), (made, lost) = jax.lax.scan(one, (ensemble, changing), (cycles, seen, failures, keys))
    return Hindcast(made, lost, members)
