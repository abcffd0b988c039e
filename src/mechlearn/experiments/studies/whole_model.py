"""Networks in the place of a whole model of the weather: how far they see, and where they end."""

import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...couplings.embedded.whole_model import AdamsBashforth, emulated, started
from ...descent import Descent
from ...evaluation.climate import histogram_distance, lost
from ...forecast import Forecast
from ...learners.mlp import MLP
from ...mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from ..study import Findings, Score

X = QUANTITY.name
TIME_STEP, LEADING, LIMIT, SKILFUL = 0.025, 1.67, 100.0, 0.4
NAME = "embedded.whole_model"


def study(
    *,
    size: int = 40,
    runs: int = 4,
    units: float = 50.0,
    stencil: int = 4,
    widths=(32, 128),
    epochs=(10, 100),
    starts: int = 100,
    ahead: float = 6.0,
    members: int = 20,
    free: float = 250.0,
    seed: int,
) -> Findings:
    """One network that sees a few sectors to either side, at every sector, against one that sees and answers all.

    Lorenz-96 stands for the atmosphere; both learn its tendencies from the same states, 0.025 time units (three hours)
    apart, and are stepped by the third-order Adams-Bashforth method. Offline: the error of the tendency over its
    spread in a run that taught nothing. Online: for how many Lyapunov times (of 1 / 1.67) the RMSE of forecasts stays
    below 0.4 of the climate's deviation, and the climate of `members` running free. Dueben & Bauer (2018),
    doi:10.5194/gmd-11-3999-2018.
    """
    keys = jax.random.split(jax.random.key(seed), 4)
    taught = _nature(size, runs, units, keys[0])
    judged = _nature(size, max(starts // 10, 2), units, keys[1])
    scores = [_score("the model against itself", "climate_distance", histogram_distance(taught, judged))]
    persisting = np.broadcast_to(judged[:, 2:3], judged.shape)[:, 2:]
    curves = {"persistence": _rmse(persisting, judged[:, 2:], judged)}
    ways = {"local network": range(-stencil, stencil + 1), "global network": None}
    for place, (name, neighbours) in enumerate(ways.items()):
        how = Descent(epochs=epochs[place], batch_size=(1024, 64)[place], learning_rate=3e-3, patience=0)
        network, began = partial(MLP, width=widths[place], key=keys[2], descent=how), time.perf_counter()
        step = emulated(QUANTITY, taught, TIME_STEP, network, key=keys[3], neighbours=neighbours)
        spent = time.perf_counter() - began
        score = partial(_score, f"{NAME}, {name}", seconds=spent)
        scores.append(score("tendency_error", _tendency_error(step, judged), "offline"))
        begins = np.linspace(0, judged.shape[1] - round(ahead / TIME_STEP) - 3, starts // len(judged)).astype(int)
        pieces = np.concatenate([judged[:, b : b + 3 + round(ahead / TIME_STEP)] for b in begins])
        made = _run(step, pieces[:, :3], pieces.shape[1] - 3, 1)
        curves[name] = _rmse(made, pieces[:, 3:], judged)
        scores.append(score("valid_time", _reach(curves[name]), "online", len(pieces)))
        every = round(0.5 / TIME_STEP)
        climate = _run(
            step, np.resize(pieces[:, :3], (members, 3, size)), round(free / TIME_STEP) // every * every, every
        )
        scores += [score(metric, value, "online", members) for metric, value in _climate(climate, judged).items()]
    scores.append(_score("persistence", "valid_time", _reach(curves["persistence"]), "online"))
    return Findings(scores, {"Forecasts": partial(_drawn, curves)})


def _nature(size: int, runs: int, units: float, key: Array) -> np.ndarray:
    """Runs (run, time, sector) of Lorenz-96 after ten time units of settling."""
    model, settle = Lorenz96(size=size, time_step=TIME_STEP), round(10 / TIME_STEP)
    run = jax.jit(jax.vmap(lambda x: Forecast(model, settle + round(units / TIME_STEP))({f"initial_{X}": x})[X]))
    return np.asarray(run(3 + 3 * jax.random.normal(key, (runs, size))))[:, settle:]


def _run(step: AdamsBashforth, begins: np.ndarray, length: int, every: int) -> np.ndarray:
    """Free runs (run, saved time, sector) from three true states each (run, 3, sector)."""
    model = Forecast(step, length, save_every=every, remat=False)

    def one(states: Array) -> Array:
        return model({f"initial_{name}": value for name, value in started(step, states).items()})[X]

    return np.asarray(eqx.filter_jit(jax.vmap(one))(jnp.asarray(begins)))


def _tendency_error(step: AdamsBashforth, states: np.ndarray) -> float:
    x = jnp.asarray(states[:, ::20].reshape(-1, states.shape[-1]))
    wanted = jax.vmap(lambda one: (Lorenz96(size=len(one), time_step=1e-3)({X: one})[X] - one) / 1e-3)(x)
    found = eqx.filter_jit(lambda states: jax.vmap(lambda one: step.rate(one))(states))(x)
    return float(jnp.sqrt(jnp.mean((found - wanted) ** 2)) / jnp.std(wanted))


def _rmse(made: np.ndarray, wanted: np.ndarray, climate: np.ndarray) -> np.ndarray:
    """The RMSE (time,) over runs and sectors, in units of the climate's deviation."""
    return np.sqrt(np.mean((np.asarray(made) - wanted) ** 2, axis=(0, 2))) / np.std(climate)


def _reach(curve: np.ndarray) -> float:
    """For how many Lyapunov times a forecast is skilful."""
    beyond = np.flatnonzero(~(curve < SKILFUL))
    return float((beyond[0] if len(beyond) else len(curve)) * TIME_STEP * LEADING)


def _climate(members: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    settled = members[:, members.shape[1] // 10 :]
    whole = np.where(np.isfinite(settled), settled, np.nan)
    return {
        "climate_distance": histogram_distance(settled, truth),
        "mean_error": float(abs(np.nanmean(whole) - np.mean(truth)) / np.std(truth)),
        "deviation_ratio": float(np.nanstd(whole) / np.std(truth)),
        "members_lost": lost(members, LIMIT),
    }


def _score(
    name: str, metric: str, value: float, split: str = "main", n: int = 1, seconds: float = float("nan")
) -> Score:
    learned = name.startswith("embedded")
    units = "Lyapunov times" if metric == "valid_time" else "1"
    kinds = ("embedded", "mlp") if learned else ("", "")
    return Score(name, metric, float(value), units, *kinds, "flow.lorenz96", X, split, n, seconds)


def _drawn(curves: dict[str, np.ndarray], axes) -> None:
    for label, curve in curves.items():
        axes.plot(TIME_STEP * LEADING * np.arange(1, len(curve) + 1), curve, label=label)
    axes.axhline(SKILFUL, color="0.6", linewidth=0.8)
    axes.set(xlabel="Lyapunov times ahead", ylabel="RMSE over the climate's deviation", ylim=(0, 1.6), xlim=(0, 10))
    axes.legend(frameon=False, fontsize=8)
