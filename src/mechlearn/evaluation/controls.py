"""Controls: what a coupling must lose when the knowledge it claims to use is taken from it.

A skill that survives shuffled attributes does not come from attributes; one that survives a scrambled mechanism
does not come from physics.
"""

from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from mechlearn.parameters import Parameter, bounded, map_parameters, parameters

from .uncertainty import hydrological_year


class Sampled(Protocol):
    """What a control needs of a record: named fields, (site, time) or (site,), and a way to replace some."""

    @property
    def fields(self) -> dict[str, np.ndarray]: ...

    @property
    def time(self) -> np.ndarray: ...

    def with_fields(self, fields: Mapping[str, np.ndarray]) -> Self: ...


R = TypeVar("R", bound=Sampled)


def attributes_shuffled(record: R, key: PRNGKeyArray) -> R:
    """The record with every site given another site's attributes, all attributes of a site kept together.

    No site keeps its own: the order is a cyclic shift of a random one. Forcing and observations stay.

    Raises `ValueError` for a single site, or when the record has no attributes.
    """
    static = {name: np.asarray(value) for name, value in record.fields.items() if np.ndim(value) == 1}
    if not static:
        raise ValueError("attributes_shuffled: the record has no attributes (fields with one value a site)")
    sites = len(next(iter(static.values())))
    if sites < 2:
        raise ValueError("attributes_shuffled needs at least two sites; with one there is nothing to exchange")
    order = _generator(key).permutation(sites)
    taken = np.empty(sites, int)
    taken[order] = np.roll(order, 1)
    return record.with_fields({name: value[taken] for name, value in static.items()})


def forcing_scrambled(record: R, key: PRNGKeyArray) -> R:
    """The record with the forcing of each hydrological year exchanged for another year's, seasons kept.

    Whole years move within a site, the same for all its forcings, so that each day is still possible weather of its
    season but not the weather that made the observed flow. Years that are not complete stay.

    Raises `ValueError` when no site has two complete years of forcing.
    """
    forcing = {name: np.asarray(value, float) for name, value in record.fields.items() if np.ndim(value) == 2}
    known = np.all([np.isfinite(value) for value in forcing.values()], axis=0)
    year, generator = hydrological_year(record.time), _generator(key)
    index = np.stack([_days_of_other_years(year, days, generator) for days in known])
    if np.all(index == np.arange(len(year))):
        raise ValueError("forcing_scrambled needs at least two complete hydrological years of forcing at a site")
    return record.with_fields({name: np.take_along_axis(value, index, axis=1) for name, value in forcing.items()})


def _days_of_other_years(year: np.ndarray, known: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    index = np.arange(len(year))
    complete = [days for y in np.unique(year) if len(days := np.flatnonzero((year == y) & known)) >= 365]
    order = generator.permutation(len(complete))
    for to, taken in zip(order, np.roll(order, 1), strict=True):
        index[complete[to][:365]] = complete[taken][:365]
    return index


def physics_scrambled(model: Any, key: PRNGKeyArray) -> Any:
    """The model with every free physical parameter drawn at random within its bounds, and held there.

    The structure stays; what the parameters knew is gone, and training cannot learn it again.
    A half-bounded parameter is drawn around its value in the unbounded space.

    Raises `ValueError` for a model without physical parameters.
    """
    count = len(parameters(model))
    if not count:
        raise ValueError(f"physics_scrambled: {type(model).__name__} has no physical parameters to scramble")
    keys = iter(jax.random.split(key, count))
    return map_parameters(lambda p: p if p.fixed else _drawn(p, next(keys)), model)


def _drawn(parameter: Parameter, key: PRNGKeyArray) -> Parameter:
    lower, upper = parameter.bounds
    shape = jnp.shape(parameter.value)
    if np.isfinite(lower) and np.isfinite(upper):
        value = jax.random.uniform(key, shape, minval=lower, maxval=upper)
    else:
        value = bounded(jax.random.normal(key, shape), parameter.bounds)
    return Parameter(value, parameter.units, parameter.bounds, parameter.meaning, parameter.prior, fixed=True)


def _generator(key: PRNGKeyArray) -> np.random.Generator:
    return np.random.default_rng(int(jax.random.randint(key, (), 0, np.iinfo(np.int32).max)))
