"""A Lorenz-96 of which nothing is known: learned by turns with the assimilation of sparse, noisy observations."""

import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...assimilation.cycle import Assimilation
from ...assimilation.enkf import EnKFN
from ...assimilation.error import ObservationError
from ...compose import Pass
from ...core import Model
from ...couplings.embedded.model_error import Corrected, Unmoved, ahead, corrected
from ...couplings.embedded.unknown_model import Turn, alternate
from ...descent import Descent
from ...evaluation.lyapunov import dimension, lyapunov_exponents
from ...learners.convolution import Convolution
from ...mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from ..study import Findings, Score

TIME_STEP, LEADING = 0.05, 1.67
NAME = "embedded.unknown_model"


def study(
    *,
    size: int = 40,
    steps: int = 4000,
    observed: float = 0.5,
    error: float = 1.0,
    turns: int = 6,
    members: int = 30,
    epochs: int = 20,
    noise: float = 0.1,
    forecasts: int = 200,
    exponents: int = 2000,
    seed: int,
) -> Findings:
    """A share of the sectors, drawn anew at every step of 0.05, is observed; a convolutional network learns the step.

    `turns` of the finite-size EnKF with the network of the moment and of teaching it on the analyses. Judged from the
    truth at times that taught nothing: the RMSE of forecasts over the standard deviation of the climate, and the
    Lyapunov exponents. The paper has 40,000 steps and some 40 turns, and forecasts as far as two Lyapunov times.

    Brajard et al. (2020), doi:10.1016/j.jocs.2020.101171.
    """
    keys = jax.random.split(jax.random.key(seed), 4)
    truth, seen = _world(size, steps + 100 * 40, observed, error, keys[0])
    taught, judged = truth[1 : steps + 1], truth[steps + 1 :]

    def system(model: Corrected) -> Assimilation:
        return Assimilation(model, Pass(QUANTITY), ObservationError.of_variance(np.full(size, error**2)), noise=noise)

    how = Descent(epochs=epochs, batch_size=128, learning_rate=2e-3, patience=0)
    nothing = Unmoved((QUANTITY,), {QUANTITY.name: jnp.zeros(size)})
    network = partial(Convolution, width=(24, 37), kernels=(5, 5, 1), bilinear=True, activation="relu", key=keys[1])
    untaught = corrected(nothing, network)
    options = {"turns": turns, "members": members, "key": keys[2], "how": how}
    began, scores, last, curves = time.perf_counter(), [], None, {}
    for turn, last in enumerate(alternate(system, untaught, EnKFN(), seen[1 : steps + 1], **options)):
        curves[f"turn {turn}"] = _skill(last.model, judged, forecasts)
        scores += _of_turn(turn, last, taught, curves[f"turn {turn}"], time.perf_counter() - began)
    curves["persistence"] = _skill(nothing, judged, forecasts)
    model = last.model if last else untaught
    known = lyapunov_exponents(Lorenz96(size=size), TIME_STEP, exponents, start=judged[0])
    found = lyapunov_exponents(model, TIME_STEP, exponents, start=judged[0])
    curve = curves[f"turn {turns}"]
    scores += [Score(NAME, *pair) for pair in _lyapunov(found).items()]
    scores += [Score("mechanism_only", *pair) for pair in _lyapunov(known).items()]
    scores += [Score(NAME, "lyapunov_spectrum_rmse", float(np.sqrt(np.mean((found - known) ** 2))))]
    scores += [
        Score(NAME, "lyapunov_times_to_half", _reach(curve, 0.5)),
        Score(NAME, "rmse_at_1_time", float(curve[19])),
    ]
    figures = {
        "Forecasts from the truth": partial(_drawn, curves),
        "Lyapunov exponents": partial(_spectra, {"Lorenz-96": known, "learned": found}),
    }
    return Findings(scores, figures)


def _world(size: int, steps: int, observed: float, error: float, key: Array) -> tuple[Array, Array]:
    nature = Assimilation(Lorenz96(size=size), Pass(QUANTITY), ObservationError.of_variance(np.full(size, error**2)))
    first, second = jax.random.split(key)
    truth, seen = eqx.filter_jit(lambda k: nature.nature(steps, key=k, spin_up=500))(first)
    order = jnp.argsort(jax.random.uniform(second, seen.shape), axis=1)
    return truth, jnp.where(order < round(observed * size), seen, jnp.nan)


def _skill(model: Model, truth: Array, count: int, steps: int = 80) -> np.ndarray:
    """The RMSE (steps,) of forecasts from the truth, over the climate's standard deviation."""
    begins = np.linspace(0, len(truth) - steps - 1, count).astype(int)
    made = eqx.filter_jit(jax.vmap(lambda x: ahead(model, x, steps)))(truth[begins])
    wanted = jnp.stack([truth[b + 1 : b + 1 + steps] for b in begins])
    return np.asarray(jnp.sqrt(jnp.mean((made - wanted) ** 2, axis=(0, 2))) / jnp.std(truth), float)


def _of_turn(turn: int, done: Turn, truth: Array, curve: np.ndarray, seconds: float) -> list[Score]:
    analysis = float(jnp.sqrt(jnp.mean((done.mean - truth)[100:] ** 2)))
    pairs = {"analysis_rmse": analysis, "lyapunov_times_to_half": _reach(curve, 0.5)}
    return [Score(f"{NAME}, turn {turn}", metric, value, seconds=seconds) for metric, value in pairs.items()]


def _reach(curve: np.ndarray, limit: float) -> float:
    """How many Lyapunov times a forecast's error stays below a share of the climate's deviation."""
    beyond = np.flatnonzero(~(curve < limit))
    return float((beyond[0] if len(beyond) else len(curve)) * TIME_STEP * LEADING)


def _lyapunov(spectrum: np.ndarray) -> dict[str, float]:
    positive = float(np.sum(spectrum > 0.02))
    return {"leading_exponent": float(spectrum[0]), "positive_exponents": positive, "dimension": dimension(spectrum)}


def _drawn(curves: dict[str, np.ndarray], axes) -> None:
    for label, curve in curves.items():
        axes.plot(TIME_STEP * LEADING * np.arange(1, len(curve) + 1), curve, label=label)
    axes.set(xlabel="Lyapunov times ahead", ylabel="RMSE over the climate's deviation", ylim=(0, 1.5))
    axes.legend(frameon=False, fontsize=8)


def _spectra(spectra: dict[str, np.ndarray], axes) -> None:
    for label, values in spectra.items():
        axes.plot(np.arange(1, len(values) + 1), values, marker=".", label=label)
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.set(xlabel="number", ylabel="exponent per time unit")
    axes.legend(frameon=False)
