"""Parameters of two-scale Lorenz-96 from time averages alone."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from ...forecast import Forecast
from ...mechanisms.flow.lorenz96_two_scale import Lorenz96TwoScale
from ...parameters import set_parameters
from ...solvers.ensemble_kalman_inversion import EnsembleKalmanInversion
from ..study import Findings, Score

TRUE = {"forcing": 10.0, "coupling": 1.0, "time_ratio": 10.0, "space_ratio": 10.0}
GUESS = {"forcing": 7.0, "coupling": 0.7, "time_ratio": 6.0, "space_ratio": 6.0}
SPREAD = {"forcing": 4.0, "coupling": 0.4, "time_ratio": 3.0, "space_ratio": 3.0}
BOUNDS = {"coupling": (0.0, np.inf), "time_ratio": (0.5, 40.0), "space_ratio": (1.0, 40.0)}
SLOW, FAST, RIPPLES = "atmospheric_quantity", "convective_quantity", 10


def study(
    *,
    size: int = 36,
    members: int = 60,
    iterations: int = 8,
    units: float = 40.0,
    spin_up: float = 10.0,
    time_step: float = 0.0025,
    seed: int,
) -> Findings:
    """Whether an ensemble of runs finds forcing, coupling, time and space ratio from the climate of one run.

    K sectors of 10 ripples, truth (F, h, c, b) = (10, 1, 10, 10). The data are averages over time and sectors of
    x, ybar, x², x ybar and the ripples' mean square, and the covariances of x with its two next neighbours; their
    error covariance is what 24 true runs of that length differ by. Ensemble Kalman inversion, tempered.
    Schneider et al. (2017), doi:10.1002/2017GL076101.
    """
    key, began = jax.random.key(seed), time.perf_counter()
    run = jax.jit(lambda values, k: statistics(values, size, units, spin_up, time_step, k))
    pieces = np.stack([np.asarray(run(_arrays(TRUE), k)) for k in jax.random.split(key, 24)])
    seen, scatter = pieces[0], np.cov(pieces, rowvar=False)
    whiten = jnp.asarray(np.linalg.inv(np.linalg.cholesky(2 * scatter + 1e-9 * np.eye(len(scatter)))))
    solver = EnsembleKalmanInversion(SPREAD, members, iterations, True, True, BOUNDS)
    start = jax.random.fold_in(key, 1)
    told = solver.invert(lambda values: whiten @ (run(values, start) - seen), _arrays(GUESS), key=key)
    seconds = time.perf_counter() - began
    scores = [_score(name, told, TRUE[name], seconds) for name in TRUE]
    spread = [_spread(name, told, seconds) for name in TRUE]
    lost = Score("ensemble_kalman_inversion", "runs_lost", float(told.lost.sum()), n=members * iterations)
    costs = ", ".join(f"{cost:.1f}" for cost in told.cost)
    return Findings([*scores, *spread, lost], {}, [f"mean misfit |r|²/2 before each step: {costs}"])


def statistics(values, size: int, units: float, spin_up: float, time_step: float, key) -> jax.Array:
    """Averages over time and sectors of a run's moments, in seven numbers."""
    step = set_parameters(Lorenz96TwoScale(size=size, ripples=RIPPLES, time_step=time_step, steps=20), values)
    first, second = jax.random.split(key)
    start = {f"initial_{SLOW}": values["forcing"] / 3 + jax.random.normal(first, (size,))}
    start[f"initial_{FAST}"] = 0.1 * jax.random.normal(second, (size * RIPPLES,))
    settled = _after(step, start, spin_up, time_step, keep=False)
    made = _after(step, {f"initial_{n}": v[-1] for n, v in settled.items()}, units, time_step, keep=True)
    x, y = made[SLOW], made[FAST].reshape(-1, size, RIPPLES)
    anomaly = x - jnp.mean(x)
    products = [x, y.mean(-1), x**2, x * y.mean(-1), (y**2).mean(-1)]
    products += [anomaly * jnp.roll(anomaly, -by, axis=1) for by in (1, 2)]
    return jnp.stack([jnp.mean(product) for product in products])


def _after(step: Lorenz96TwoScale, start: dict, units: float, time_step: float, *, keep: bool) -> dict:
    length = round(units / time_step / step.steps)
    return Forecast(step, length, save_every=1 if keep else length, remat=False)(start)


def _arrays(values: dict[str, float]) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value) for name, value in values.items()}


def _score(name: str, told, true: float, seconds: float) -> Score:
    error = 100 * abs(float(told.fields[name]) / true - 1)
    return Score(
        "ensemble_kalman_inversion", f"error_of_{name}", error, "percent", "", "", "flow.lorenz96_two_scale", name,
        n=len(told.ensemble[name]), seconds=seconds,
    )  # fmt: skip


def _spread(name: str, told, seconds: float) -> Score:
    spread = 100 * float(told.deviation[name] / told.fields[name])
    return Score(
        "ensemble_kalman_inversion", f"spread_of_{name}", spread, "percent", "", "", "flow.lorenz96_two_scale", name,
        n=len(told.ensemble[name]), seconds=seconds,
    )  # fmt: skip
