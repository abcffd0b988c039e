"""Long-wave radiation in a column of air, replaced by networks: what they are worth outside and inside their host."""

import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...compose import Rollout
from ...core import Model, System
from ...couplings.embedded.guard import guard
from ...couplings.embedded.replacement import offline
from ...couplings.infused.structure_constraint import energy_closed
from ...descent import Descent
from ...learners.dense import Dense
from ...longwave import FLUXES, HEAT_CAPACITY, SECONDS
from ...mechanisms.flow.column import standard_grid
from ...moist_air import layer_mass
from ...parameters import follow
from ...training.offline import fit_offline
from ..study import Findings, Score
from ._air_columns import DAY, SIZES, SURFACE, TRANSPORT, YEAR, Q, Runs, T, first, heard, host, run, weather

JOINT = "physics.longwave"
UP, DOWN, NET, HEATING = (v.name for v in FLUXES)
STRUCTURED, PLAIN = "infused.structure_constraint.energy_closed", "embedded.replacement.offline"
GUARDED = "embedded.guard.guard"


def study(
    *,
    latitudes=(5.0, 20.0, 35.0, 50.0),
    warmer=(-10.0, 0.0, 10.0),
    teaching_years: float = 3.0,
    spin_up: float = 2.0,
    years: float = 10.0,
    width: int = 128,
    depth: int = 2,
    epochs: int = 50,
    seed: int,
) -> Findings:
    """How networks in the place of correlated-k long wave do on columns not seen, and over ten years in the host.

    A column of 24 layers over a slab of ocean (steps of three hours) at four latitudes; runs with ten W m-2 less, as
    much and more heat teach, from their own spin-up on. Judged under other weather: offline on what the scheme was
    given in two years of a ten-year run, online by ten years with the network instead, from the same start. The plain
    network says fluxes and heating apart; in the structured one fluxes follow from the heating; the guard lets the
    scheme answer beyond the domain of the examples. Krasnopolsky et al. (2005), doi:10.1175/MWR2923.1.
    """
    original, key = host(), jax.random.key(seed)
    scheme = follow(original.step, JOINT)
    lessons = Runs(weather(latitudes, teaching_years, 100 + seed, warmer=warmer))
    how = Descent(epochs, 256, 3e-3, final=0.01, patience=0)
    network = partial(Dense, sizes=SIZES, width=width, depth=depth, seed=seed, descent=how)
    systems, seconds = {}, {}
    for name, untaught in {
        STRUCTURED: energy_closed(original, network, joint=JOINT),
        PLAIN: offline(original, network, joint=JOINT, neighbours=None),
    }.items():
        began = time.perf_counter()
        systems[name] = fit_offline(untaught, lessons, key=key)
        seconds[name] = time.perf_counter() - began
    guarded = guard(systems[STRUCTURED], scheme, joint=JOINT)
    alone = System(guarded.model, (), guarded.lessons[-1:])
    systems[GUARDED] = fit_offline(alone, lessons, key=key)
    before = run(original, weather(latitudes, spin_up, 200 + seed), keep=(T, Q, SURFACE), every=1)
    start = {name: jnp.asarray(values[:, -1]) for name, values in before.items()}
    forcing = weather(latitudes, years, 300 + seed)
    truth = _climate(original, forcing, start)
    unseen = heard(original, JOINT, first(forcing, 2 * YEAR), start)
    scores: list[Score] = []
    climates = {"original": truth}
    for name, system in systems.items():
        part = follow(system.model, "step.step." + JOINT if name == GUARDED else "step." + JOINT)
        scores += _offline(name, part, unseen, seconds.get(name, float("nan")))
        climates[name] = _climate(system.model, forcing, start)
        scores += _online(name, climates[name], truth)
    warmed = _climate(original, {**forcing, TRANSPORT: forcing[TRANSPORT] + 1.0}, start)
    sensitivity = (warmed[SURFACE] - truth[SURFACE]).mean()
    scores.append(_score("mechanism_only", "online_warming_by_1_W_m-2", sensitivity, "K"))
    learned = follow(systems[STRUCTURED].model, "step." + JOINT)
    scores += _speed(scheme, learned, unseen["given"], original, systems[STRUCTURED].model, forcing)
    shown = {"Temperature, networks less the original scheme": partial(_drawn, climates)}
    return Findings(scores, shown, [f"{len(unseen['given'][T])} columns judge offline; {years:g} years online."])


def _climate(model: Rollout, forcing: dict, start: dict) -> dict:
    names = [T, SURFACE, "enthalpy_change", "net_energy_input"]
    told = "physics_longwave_fallback"
    counted = [told] if told in {v.name for v in model.step.outputs} else []
    return run(model, forcing, start, keep=[*names, *counted], every=1)


def _offline(name: str, part: Model, unseen: dict, seconds: float) -> list[Score]:
    given, answered = unseen["given"], unseen["answered"]
    said = {n: np.asarray(v) for n, v in _batched(part)(given).items()}
    wrong = said[HEATING] - answered[HEATING]
    flux = np.concatenate([said[NET][:, [0, -1]] - answered[NET][:, [0, -1]]])
    mass = np.asarray(layer_mass(given["air_pressure_at_half_levels"][0]), float)
    kept = (said[HEATING].astype(float) * mass).sum(axis=1) * HEAT_CAPACITY / SECONDS
    left = said[NET][:, -1].astype(float) - said[NET][:, 0]
    found = {
        "offline_heating_rmse": (np.sqrt(np.mean(wrong**2)), "K day-1"),
        "offline_heating_bias": (np.mean(wrong), "K day-1"),
        "offline_heating_worst": (np.abs(wrong).max(), "K day-1"),
        "offline_flux_rmse": (np.sqrt(np.mean(flux**2)), "W m-2"),
        "offline_energy_residual": (np.mean(np.abs(kept - left)), "W m-2"),
    }
    return [_score(name, metric, *value, n=len(wrong), seconds=seconds) for metric, value in found.items()]


def _online(name: str, made: dict, truth: dict) -> list[Score]:
    """Means and variances of ten years against those with the scheme; the worst of the columns."""
    mass = np.asarray(layer_mass(standard_grid()["air_pressure_at_half_levels"]), float)
    pair = [{n: np.asarray(v, float) for n, v in one.items()} for one in (made, truth)]
    apart = pair[0][T].mean(axis=1) - pair[1][T].mean(axis=1)
    air = [np.average(one[T], axis=-1, weights=mass) for one in pair]
    spread = np.average(pair[0][T].var(axis=1) / pair[1][T].var(axis=1), axis=-1, weights=mass)
    last = (air[0] - air[1])[:, -YEAR:].mean(axis=1) - (air[0] - air[1])[:, :YEAR].mean(axis=1)
    energy = (pair[0]["enthalpy_change"] - pair[0]["net_energy_input"]).mean(axis=1)
    sea = pair[0][SURFACE].mean(axis=1) - pair[1][SURFACE].mean(axis=1)
    found = {
        "online_mean_temperature": (_worst(air[0].mean(axis=1) - air[1].mean(axis=1)), "K"),
        "online_surface_temperature": (_worst(sea), "K"),
        "online_worst_level": (_worst(apart), "K"),
        "online_drift_of_last_year": (_worst(last), "K"),
        "online_variance_ratio": (1 + _worst(spread - 1), "1"),
        "online_energy_residual": (_worst(energy), "W m-2"),
    }
    if "physics_longwave_fallback" in made:
        found["online_fallback_rate"] = (float(made["physics_longwave_fallback"].mean()), "1")
    return [_score(name, metric, *value, n=len(apart)) for metric, value in found.items()]


def _worst(values: np.ndarray) -> float:
    return float(np.ravel(values)[np.argmax(np.abs(values))])


def _speed(scheme: Model, learned: Model, given: dict, original: Rollout, replaced: Rollout, forcing: dict):
    batch = {name: jnp.asarray(np.resize(values, (256, *values.shape[1:]))) for name, values in given.items()}
    alone = [_seconds(_batched(part), batch) for part in (scheme, learned)]
    month = first(forcing, 30 * DAY)
    whole = [_seconds(_batched(model), month) for model in (original, replaced)]
    speed = partial(_score, STRUCTURED, units="1")
    return [speed("speed_ratio", alone[0] / alone[1], n=256), speed("speed_ratio_of_host", whole[0] / whole[1])]


def _batched(part: Model) -> Callable:
    return jax.jit(jax.vmap(lambda fields: part(fields)))


def _seconds(call: Callable, given: dict) -> float:
    """The least of ten times, compiled before."""
    jax.block_until_ready(call(given))
    taken = []
    for _ in range(10):
        began = time.perf_counter()
        jax.block_until_ready(call(given))
        taken.append(time.perf_counter() - began)
    return min(taken)


def _score(name: str, metric: str, value: float, units: str, n: int = 1, seconds: float = float("nan")) -> Score:
    return Score(name, metric, float(value), units, name.split(".")[0], "dense", "flow.column", T, n=n, seconds=seconds)


def _drawn(climates: dict, axes) -> None:
    for name, made in climates.items():
        if name != "original":
            apart = (made[SURFACE] - climates["original"][SURFACE]).mean(axis=0)
            months = apart[: len(apart) // 240 * 240].reshape(-1, 240).mean(axis=1)
            axes.plot(np.arange(len(months)) / 12, months, label=name)
    axes.set(xlabel="years", ylabel="surface temperature less that with the scheme, K")
    axes.legend(frameon=False)
