"""What training minimises: the misfit to the observations and what the terms charge."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Model, Term
from ..parameters import log_prior

SMALLEST_SPREAD = 0.1
Misfit = Callable[[Fields, Fields, Fields], Array]


def misfit(predicted: Fields, observed: Fields, spread: Fields) -> Array:
    """The mean squared error of each target in units of its site's own spread, missing days left out.

    `L = mean(((y - y_obs) / (s + 0.1))^2)`, one minus the NSE up to the offset, so that wet and dry sites weigh alike
    (Kratzert et al. 2019, doi:10.5194/hess-23-5089-2019).
    """
    return sum((_squared(predicted[name], observed[name], spread[name]) for name in observed), jnp.zeros(()))


def _squared(predicted: Array, observed: Array, spread: Array) -> Array:
    known = jnp.isfinite(observed)
    scale = (spread + SMALLEST_SPREAD).reshape(spread.shape + (1,) * (observed.ndim - spread.ndim))
    error = jnp.where(known, predicted - jnp.where(known, observed, 0.0), 0.0) / scale
    return jnp.sum(error**2) / jnp.maximum(jnp.sum(known), 1)


def charges(terms: tuple[Term, ...], fields: Fields) -> Array:
    """What a batch pays for the laws it breaks: the sum of weight times the mean power of the residual."""
    return sum((term.weight * _mean_power(term, fields) for term in terms), jnp.zeros(()))


def _mean_power(term: Term, fields: Fields) -> Array:
    residual = jax.vmap(term.law.residual)(fields)
    return jnp.mean(jnp.abs(residual) if term.power == 1 else jnp.abs(residual) ** term.power)


def objective(terms: tuple[Term, ...], warmup: int, days: int = 0, misfit: Misfit = misfit):
    """The loss of a model on a batch of windows: misfit and charges after the warm-up days, and what the priors say.

    `L = misfit + charges - 2 log p(theta) / n`: with n observed `days` in all and errors of one spread, the least loss
    is the most probable model. Parameters without a prior of their own are uniform inside their bounds.
    """

    def loss(model: Model, batch: tuple[Fields, Fields, Fields], key: PRNGKeyArray | None) -> Array:
        fields, observed, spread = batch
        count = len(next(iter(fields.values())))
        if key is None:
            predicted = jax.vmap(lambda sample: model(sample))(fields)
        else:
            predicted = jax.vmap(lambda sample, k: model(sample, key=k))(fields, jax.random.split(key, count))
        declared = (*model.inputs, *model.outputs, *(v for term in terms for v in term.law.inputs))
        series = {v.name for v in declared if v.dims[:1] == ("time",)}
        after = {
            name: value[:, warmup:] if name in series else value for name, value in {**fields, **predicted}.items()
        }
        wanted = {name: value[:, warmup:] for name, value in observed.items()}
        return (
            misfit({name: after[name] for name in wanted}, wanted, spread)
            + charges(terms, after)
            - belief * log_prior(model)
        )

    belief = 2.0 / days if days else 0.0
    return loss
