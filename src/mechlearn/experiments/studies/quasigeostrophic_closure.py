"""Closures of coarse quasi-geostrophic turbulence: tuned ones that dissipate, and a network taught by a finer run."""

import time
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Model, System
from ...couplings.coarse_graining import spared
from ...couplings.embedded.replacement import online
from ...data.trajectories import Trajectories
from ...descent import Descent
from ...evaluation.climate import lost
from ...forecast import Forecast
from ...learners.convolution import Convolution
from ...mechanisms.flow.hyperviscosity import Hyperviscosity
from ...mechanisms.flow.quasigeostrophic import Quasigeostrophic
from ...mechanisms.flow.smagorinsky import Smagorinsky
from ...parameters import set_parameters
from ...training.growing import fit_growing
from ...training.offline import fit_offline
from ..study import Findings, Score
from ._fine_flow import DAY, Climate, Q, S, climate, errors, free, nature

SMAGORINSKY, BIHARMONIC, RETURNED = "Smagorinsky, tuned", "biharmonic, tuned", "biharmonic, energy returned, tuned"
OFFLINE, ONLINE = "embedded.replacement.offline", "embedded.replacement.online"
QUARTER = "embedded.replacement.online, taught on a quarter"
VELOCITIES = ("eastward_velocity", "northward_velocity")
LIMIT = 1e-3
LADDERS = {
    SMAGORINSKY: (Smagorinsky, {"coefficient": [0.0, 0.01, 0.02, 0.04, 0.07, 0.1]}),
    BIHARMONIC: (Hyperviscosity, {"rate": [0.0, 0.01, 0.03, 0.06, 0.1, 0.2]}),
    RETURNED: (Hyperviscosity, {"rate": [0.1, 0.3, 1.0, 0.1, 0.3, 1.0], "returned": [0.7] * 3 + [1.0] * 3}),
}


def study(
    *,
    size: int = 24,
    fine: int = 128,
    taught_days: int = 500,
    judged_days: int = 5000,
    tuning_days: int = 1500,
    elsewhere_days: int = 1500,
    spin_up=(3000, 2000),
    width: int = 16,
    kernels=(5, 3, 3),
    epochs: int = 20,
    lengths=(6, 12),
    online_epochs=(2, 2),
    skipped: int = 200,
    shear: float = 0.03,
    kept: str = "",
    seed: int,
) -> Findings:
    """How well a coarse model keeps the climate of a fine one: with tuned closures, and with one it is taught.

    Two layers, the eddies of Ross et al. (2023), doi:10.1029/2022MS003258, on a square of 500 km. One fine run teaches
    and tunes; another, from other noise and ten times as long, judges free runs of the host as long as itself, both
    seen through the sharp filter. The mean state are time means of both layers' kinetic energy, the potential energy,
    both enstrophies and the energy generated; its error is the mean relative one. Then nothing is taught again and the
    `shear` is another. `kept` is a folder that keeps the fine runs. Bolton & Zanna (2019), doi:10.1029/2018MS001472.
    """
    host = Quasigeostrophic(size=size, length=5e5, time_step=4 * 3600.0, asked="step")
    key = jax.random.key(seed)
    teacher = nature(host, fine, taught_days, 1, spin_up[0], kept, seed=1 + 3 * seed)
    truth = nature(host, fine, judged_days, 6, spin_up[1], kept, seed=2 + 3 * seed)
    closed, notes = tuned(host, climate(host, teacher[Q][::6]), teacher[Q][0], tuning_days, skipped)
    network = partial(Convolution, width=width, kernels=kernels, key=key, descent=Descent(epochs=epochs, batch_size=16))
    whole, quarter = np.ones((size, size), bool), np.zeros((size, size), bool)
    quarter[: size // 2, : size // 2] = True
    teach = partial(taught, host, teacher, network, lengths=lengths, epochs=online_epochs, key=key)
    seconds = {}
    (closed[OFFLINE], closed[ONLINE]), (seconds[OFFLINE], seconds[ONLINE]) = teach(whole)
    (_, closed[QUARTER]), (_, seconds[QUARTER]) = teach(quarter)
    half = len(truth[Q]) // 2
    apart = errors(climate(host, truth[Q][:half]), climate(host, truth[Q][half:]))
    scores = [_score("fine model, one half against the other", name, value) for name, value in apart.items()]
    scoring = {"outside": ~quarter, "seconds": seconds, "skipped": skipped}
    judged, climates = judge(host, closed, truth, **scoring)
    other_host = set_parameters(host, {"shear": shear})
    other = nature(other_host, fine, elsewhere_days, 6, spin_up[1], kept, seed=3 + 3 * seed)
    moved = {name: set_parameters(step, {"shear": shear}) for name, step in closed.items()}
    beyond, _ = judge(other_host, moved, other, **scoring, split=f"shear {shear:g}")
    return Findings([*scores, *judged, *beyond], {"Kinetic energy of both layers": partial(_spectra, climates)}, notes)


def tuned(
    host: Quasigeostrophic, wanted: Climate, start, days: int, skipped: int
) -> tuple[dict[str, Model], list[str]]:
    """The host alone, and with each closure that dissipates, its coefficients those of the best climate."""
    closed, notes, daily = {"mechanism_only": host}, [], round(DAY / host.time_step)
    for name, (kind, ladder) in LADDERS.items():

        def run(values, kind=kind):
            step = replace(host, closure=set_parameters(kind(length=host.length), values))
            return Forecast(replace(step, steps=daily), days, remat=False)({f"initial_{Q}": jnp.asarray(start)})[Q]

        runs = np.asarray(jax.jit(jax.vmap(run))({key: jnp.asarray(values) for key, values in ladder.items()}))
        found = [errors(climate(host, one[skipped:]), wanted) for one in runs]
        totals = [one["spectrum_error"] + one["mean_state_error"] for one in found]
        best = int(np.argmin(totals))
        chosen = {key: values[best] for key, values in ladder.items()}
        closed[name] = replace(host, closure=set_parameters(kind(length=host.length), chosen))
        notes.append(f"{name}: {chosen}; spectrum and mean state on the run that teaches: {np.round(totals, 3)}")
    return closed, notes


def taught(host, teacher, network, region, *, lengths, epochs, key) -> tuple[list[Model], list[float]]:
    """The host with a network taught offline, and then online over growing roll-outs, on a region; and the seconds."""
    began, told = time.perf_counter(), jax.jit(jax.vmap(host.told))(teacher[Q][::6])
    velocities = {name: np.asarray(told[name])[None] for name in VELOCITIES}
    wanted = np.where(region, np.asarray(spared(jnp.asarray(teacher[S][::6]))), np.nan)[None]
    daily = {Q: teacher[Q][None, ::6], S: wanted, **velocities}
    system = online(Forecast(host, 1), network, joint="closure", taught_by="observations", conserving=True)
    alone = fit_offline(system, Trajectories(daily, states=(Q,), length=4), key=key)
    first = time.perf_counter() - began
    how = [Descent(epochs=n, batch_size=8, learning_rate=3e-4, patience=0) for n in epochs]
    (through,), _ = fit_growing(
        [alone], {Q: teacher[Q][None]}, lengths=lengths, key=key, how=how, stride=10, misfit=_misfit(host, told, region)
    )
    return [_step(alone), _step(through)], [first, time.perf_counter() - began]


def _step(system: System) -> Model:
    return system.model.step  # pyright: ignore[reportAttributeAccessIssue]


def _misfit(host: Quasigeostrophic, told: dict, region: np.ndarray):
    """Squared errors of vorticity and of velocity, each in units of its spread in each layer, one half each."""
    weights = {Q: 0.5, **dict.fromkeys(VELOCITIES, 0.25)}
    spreads = {name: jnp.std(told[name], axis=(0, 2, 3))[:, None, None] for name in weights}

    def misfit(predicted, observed, spread):
        apart = jax.vmap(jax.vmap(host.told))(spared(predicted[Q] - observed[Q]))
        each = (weight * jnp.mean((region * apart[n] / spreads[n]) ** 2) for n, weight in weights.items())
        return sum(each, jnp.zeros(())) / np.mean(region)

    return misfit


def judge(host, closed, truth, *, outside, seconds, skipped, split="main") -> tuple[list[Score], dict[str, Climate]]:
    """Scores of free runs as long as the truth, and of what the closures say of its states; the climates as well."""
    climates, scores = {"fine model": climate(host, truth[Q])}, []
    for name, step in closed.items():
        run = free(step, truth[Q][0], len(truth[Q]))
        climates[name] = climate(host, run[skipped:])
        found = {**errors(climates[name], climates["fine model"]), "members_lost": lost(run[None], LIMIT)}
        if name != "mechanism_only":
            found |= correlations(step, truth, outside if name == QUARTER else np.ones_like(outside))
        scores += [_score(name, metric, value, split, seconds.get(name, np.nan)) for metric, value in found.items()]
    for metric in ("spectrum_error", "mean_state_error"):
        value = {s.coupling: s.value for s in scores if s.metric == metric}
        best = min(value[SMAGORINSKY], value[BIHARMONIC])
        scores += [_score(n, f"{metric}_over_tuned", value[n] / best, split) for n in (OFFLINE, ONLINE, QUARTER)]
    return scores, climates


def correlations(step: Model, truth: dict, where: np.ndarray) -> dict[str, float]:
    """How what a closure says of the fine run's states goes with what it should say, in each layer; and its mean."""
    told = jax.jit(jax.vmap(lambda q: step.closure(step.told(q))[S]))  # pyright: ignore[reportAttributeAccessIssue]
    said, wanted = (np.asarray(spared(f)) for f in (told(truth[Q][::25]), jnp.asarray(truth[S][::25])))
    with np.errstate(all="ignore"):
        pairs = [(said[:, layer, where].ravel(), wanted[:, layer, where].ravel()) for layer in (0, 1)]
        upper, lower = (float(np.corrcoef(*pair)[0, 1]) for pair in pairs)
    mean = float(np.max(np.abs(said.mean(axis=(2, 3)))) / max(float(said.std()), 1e-30))
    return {"offline_correlation_upper": upper, "offline_correlation_lower": lower, "mean_forcing": mean}


def _score(name: str, metric: str, value: float, split: str = "main", seconds: float = np.nan) -> Score:
    learned = name.startswith("embedded")
    kind = ("embedded", "convolution") if learned else ("", "")
    return Score(name, metric, value, "1", *kind, "flow.quasigeostrophic", Q, split, seconds=seconds)


def _spectra(climates: dict[str, Climate], axes) -> None:
    number = 1 + np.arange(next(iter(climates.values())).spectra.shape[1])
    for name in ("fine model", "mechanism_only", BIHARMONIC, OFFLINE, ONLINE):
        total = climates[name].spectra.sum(axis=0)
        axes.loglog(number, total, label=name, color="black" if name == "fine model" else None)
    axes.set(xlabel="waves along the square", ylabel="kinetic energy, m2 s-2", ylim=(1e-7, 1e-2))
    axes.legend(frameon=False)
