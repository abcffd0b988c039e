"""Teaching a forecast online, first over a few steps, then over more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
from jaxtyping import ArrayLike, PRNGKeyArray

from ..core import System
from ..data.trajectories import Trajectories
from ..descent import Descent
from ..forecast import Forecast
from .losses import Misfit, misfit
from .online import fit_online


def fit_growing(
    replicas: Sequence[System],
    series: Mapping[str, ArrayLike],
    *,
    lengths: Sequence[int],
    key: PRNGKeyArray,
    validation: Mapping[str, ArrayLike] | None = None,
    how: Descent | Sequence[Descent] = Descent(),
    stride: int | None = None,
    misfit: Misfit = misfit,
) -> tuple[list[System], list[np.ndarray]]:
    """Teach forecasts on trajectories (run, time, ...), over one length of roll-out after another.

    `L_n = mean over pieces and k <= n of |x_hat(t+k) - x(t+k)|²` in units of each state's spread, n from `lengths`,
    unless another `misfit(predicted, observed, spread)` is given, such as one of energy;
    returns the systems and the validation (else training) losses of every length. A short roll-out first keeps the
    gradients tame, a long one teaches what the errors do to the model that makes them.

    Raises `ValueError` for systems that are no forecasts.

    Source: Brenowitz & Bretherton (2018), doi:10.1029/2018GL078510; Um et al. (2020), arXiv:2007.00016.
    """
    if not all(isinstance(system.model, Forecast) for system in replicas):
        raise ValueError("growing roll-outs are taught to forecasts: build the system around Forecast(step, length)")
    taught, history = list(replicas), []
    ways = [how] * len(lengths) if isinstance(how, Descent) else list(how)
    for number, (length, way) in enumerate(zip(lengths, ways, strict=True)):
        longer = [_of_length(system, length) for system in taught]
        states = replicas[0].model.step.state  # pyright: ignore[reportAttributeAccessIssue]
        pieces = [_pieces(given, states, length, stride) for given in (series, validation) if given is not None]
        told = jax.random.fold_in(key, number)
        held_out = pieces[1] if len(pieces) > 1 else None
        taught, found = fit_online(longer, pieces[0], key=told, validation=held_out, how=way, misfit=misfit)
        history.append(np.asarray(found.validation_loss if found else np.zeros((0, len(taught)))))
    return taught, history


def _pieces(series: Mapping[str, ArrayLike], states: tuple[str, ...], length: int, stride: int | None) -> Trajectories:
    known = {name: values for name, values in series.items() if name in states}
    return Trajectories(known, states=tuple(known), length=length, stride=stride)


def _of_length(system: System, length: int) -> System:
    return eqx.tree_at(lambda s: s.model, system, replace(system.model, length=length, save_every=1))
