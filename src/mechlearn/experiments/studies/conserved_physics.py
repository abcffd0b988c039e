"""The whole physics of a column of air learned, with its laws built in, charged for, or left alone."""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...compose import Rollout
from ...core import Model, System
from ...couplings.embedded.replacement import offline
from ...couplings.infused.objective_constraint import balanced as charged
from ...couplings.infused.structure_constraint import balanced as built_in
from ...descent import Descent
from ...laws.flux_balance import FluxBalance
from ...learners.dense import Dense
from ...mechanisms.flow.column import BALANCES, standard_grid
from ...moist_air import layer_mass
from ...parameters import follow
from ...training.offline import fit_offline
from ..study import Findings, Score
from ._air_columns import DAY, SIZES, SURFACE, Q, Runs, T, heard, host, run, weather

JOINT = "physics"
SOLVED = {
    "longwave": "surface_net_downward_longwave_flux",
    "shortwave": "surface_net_downward_shortwave_flux",
    "water": "precipitation_heat_flux",
    "enthalpy": "surface_upward_sensible_heat_flux",
}
LAWS = {name: FluxBalance(*BALANCES[name]) for name in SOLVED}
FREE, CHARGED, BUILT_IN = (
    "embedded.replacement.offline",
    "infused.objective_constraint.balanced",
    "infused.structure_constraint.balanced",
)
FAR = 5.0  # K of the mean temperature of the air


def study(
    *,
    latitudes=(5.0, 20.0, 35.0, 50.0),
    teaching_years: float = 2.0,
    spin_up: float = 2.0,
    years: float = 0.5,
    heat: float = 7.2,
    weights=(1e-6, 1e-4, 1e-2),
    width: int = 64,
    depth: int = 2,
    epochs: int = 10,
    seed: int,
) -> Findings:
    """How well networks of convection and radiation together conserve, and what that does to their skill.

    Each says what every layer gains of heat and vapour, of long and short wave, and seven fluxes at top and ground, all
    in W m-2, from the state of the column and its forcing; taught at one climate. Four laws (enthalpy, water, long
    wave, short wave) are left alone, charged for with one of the `weights`, or solved for four of the fluxes. Judged
    offline (mean square error over all outputs, mean square residual over the laws) under other weather, and with more
    `heat` (W m-2), which warms the column by about 4 K; online by days until the air is 5 K off in any column.
    Beucler et al. (2021), doi:10.1103/PhysRevLett.126.098302, did so with a superparameterised aquaplanet.
    """
    original, key = host(), jax.random.key(seed)
    lessons = Runs(weather(latitudes, teaching_years, 100 + seed))
    network = partial(
        Dense, sizes=SIZES, width=width, depth=depth, seed=seed, descent=Descent(epochs, 128, 3e-3, patience=0)
    )
    laws = tuple(LAWS.values())
    untaught = {(FREE, "no law"): offline(original, network, joint=JOINT, neighbours=None)}
    for weight in weights:
        untaught[CHARGED, f"weight {weight:g}"] = charged(original, network, laws=laws, weight=weight)
    untaught[BUILT_IN, "solved"] = built_in(original, network, laws=laws, solved_for=tuple(SOLVED.values()))
    taught, seconds = _taught(untaught, lessons, key)
    scores: list[Score] = []
    curves: dict = {}
    for climate, warmer in {"same climate": 0.0, "warmer": heat}.items():
        before = run(original, weather(latitudes, spin_up, 200 + seed, warmer=(warmer,)), keep=(T, Q, SURFACE), every=1)
        start = {name: jnp.asarray(values[:, -1]) for name, values in before.items()}
        forcing = weather(latitudes, years, 300 + seed, warmer=(warmer,))
        unseen = heard(original, JOINT, forcing, start)
        truth = run(original, forcing, start, keep=(T, SURFACE), every=1)
        score = partial(Score, mechanism="flow.column", target="layer_heating")
        scores.append(score("mechanism_only", "surface_temperature", float(truth[SURFACE].mean()), "K", split=climate))
        for (name, how), system in taught.items():
            told = partial(
                score,
                name,
                paradigm=name.split(".")[0],
                learner="dense",
                split=f"{how}, {climate}",
                seconds=seconds[name, how],
            )
            found = _offline(follow(system.model, f"step.{JOINT}"), unseen)
            online, apart = _online(system.model, forcing, start, truth)
            curves[how, climate] = apart
            scores += [told(metric, value=v, units=u) for metric, (v, u) in (found | online).items()]
    shown = {f"Temperature of the air, {c}": partial(_drawn, curves, c) for c in ("same climate", "warmer")}
    return Findings(scores, shown)


def _taught(untaught: dict, lessons: Runs, key) -> tuple[dict[tuple[str, str], System], dict]:
    taught, seconds = {}, {}
    for name, system in untaught.items():
        began = time.perf_counter()
        taught[name] = fit_offline(system, lessons, key=key)
        seconds[name] = time.perf_counter() - began
    return taught, seconds


def _offline(part: Model, unseen: dict) -> dict[str, tuple[float, str]]:
    given, answered = unseen["given"], unseen["answered"]
    said = {n: np.asarray(v) for n, v in jax.jit(jax.vmap(lambda x: part(x)))(given).items()}
    made, wanted = (_flat(one, list(answered)) for one in (said, answered))
    left = [np.asarray(jax.vmap(law.residual)({**given, **said})) for law in LAWS.values()]
    return {
        "offline_mean_square_error": (float(np.mean((made - wanted) ** 2)), "W2 m-4"),
        "offline_explained": (float(1 - np.mean((made - wanted) ** 2) / np.mean(wanted.var(axis=0))), "1"),
        "offline_mean_square_residual": (float(np.mean(np.square(left))), "W2 m-4"),
    }


def _flat(fields: dict, names: list[str]) -> np.ndarray:
    return np.concatenate([np.reshape(fields[name], (len(fields[name]), -1)) for name in names], axis=1)


def _online(model: Rollout, forcing: dict, start: dict, truth: dict) -> tuple[dict, np.ndarray]:
    made = run(model, forcing, start, keep=(T, "enthalpy_change", "net_energy_input"), every=1)
    mass = np.asarray(layer_mass(standard_grid()["air_pressure_at_half_levels"]), float)
    apart = np.average(made[T].astype(float) - truth[T], axis=-1, weights=mass)
    gone = ~(np.abs(apart) < FAR).all(axis=0)
    kept = int(np.argmax(gone)) if gone.any() else apart.shape[1]
    month = slice(0, max(1, min(kept, 30 * DAY)))
    energy = made["enthalpy_change"][:, month] - made["net_energy_input"][:, month]
    return {
        "online_days_kept": (kept / DAY, "day"),
        "online_rmse_first_month": (float(np.sqrt(np.mean(apart[:, month] ** 2))), "K"),
        "online_energy_residual": (float(np.mean(np.abs(energy))), "W m-2"),
    }, apart


def _drawn(curves: dict, climate: str, axes) -> None:
    for (how, where), apart in curves.items():
        if where == climate:
            error = np.clip(np.nan_to_num(np.abs(apart).max(axis=0), nan=50.0), 1e-3, 50.0)
            axes.semilogy(np.arange(len(error)) / DAY, error, label=how)
    axes.axhline(FAR, color="grey", linewidth=0.8)
    axes.set(xlabel="days", ylabel="worst column's mean temperature, K off")
    axes.legend(frameon=False)
