"""Predicting whole records: each unbroken stretch of forcing from its own start."""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..core import Fields, Model
from ..data.batches import runs
from ..data.fields import Record

SITES_AT_ONCE = 64


def predict(
    model: Model, record: Record, names: tuple[str, ...] | None = None, *, keys: PRNGKeyArray | None = None
) -> dict[str, np.ndarray]:
    """Run a model over every site of a record: named outputs as (site, time, ...) arrays, NaN where forcing is missing.

    A gap in the forcing ends a run, unless the model tolerates it; the next stretch starts from the model's initial
    state. With `keys` a model that draws at random (dropout) gives a draw for each, as a leading axis.
    """
    wanted = names or tuple(v.name for v in model.outputs if v.dims == ("time",))
    made: dict[str, np.ndarray] = {}
    draws = () if keys is None else (len(keys),)

    for (first, last), sites in stretches(model, record).items():
        for start in range(0, len(sites), SITES_AT_ONCE):
            some = np.asarray(sites[start : start + SITES_AT_ONCE])
            fields = {v.name: _cut(record, v.name, some, first, last) for v in model.inputs}
            for name, value in _told(model, fields, keys, tuple(wanted)).items():
                shape = (*draws, len(record.sites), len(record.time), *value.shape[len(draws) + 2 :])
                whole = made.setdefault(name, np.full(shape, np.nan, np.float32))
                whole[(*[slice(None)] * len(draws), some, slice(first, last))] = np.asarray(value)
    nothing = np.full((len(record.sites), len(record.time)), np.nan, np.float32)
    return {name: made.get(name, nothing) for name in wanted}


@eqx.filter_jit
def _told(model: Model, fields: Fields, keys: PRNGKeyArray | None, wanted: tuple[str, ...]) -> Fields:
    """What is wanted of every site, once or for each key; compiled once for all models of one kind."""

    def sites_at_once(key):
        return jax.vmap(lambda sample: {name: model(sample, key=key)[name] for name in wanted})(fields)

    return sites_at_once(None) if keys is None else jax.lax.map(sites_at_once, keys)


def stretches(model: Model, record: Record) -> dict[tuple[int, int], list[int]]:
    """The unbroken stretches of forcing that is complete where it must be, with the sites that have each.

    Independent samples are one stretch: what is missing of one is no matter to the next.
    """
    if record.independent:
        return {(0, len(record.time)): list(range(len(record.sites)))}
    needed = [v.name for v in model.inputs if v.name not in model.tolerates and v.name in record.dynamic]
    found: dict[tuple[int, int], list[int]] = {}
    for site, whole in enumerate(record.complete(needed)):
        for stretch in runs(whole):
            found.setdefault(stretch, []).append(site)
    return found


def _cut(record: Record, name: str, sites: np.ndarray, first: int, last: int) -> np.ndarray:
    values = record.fields[name]
    return values[sites, first:last] if name in record.dynamic else values[sites]
