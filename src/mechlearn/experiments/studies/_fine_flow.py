"""Fine runs of quasi-geostrophic flow as a coarse grid sees them, and the climate that long runs have."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core import Model
from ...couplings.coarse_graining import refined, seen_coarsely
from ...evaluation.spectra import isotropic_spectrum, spectral_error
from ...forecast import Forecast
from ...mechanisms.flow.quasigeostrophic import Quasigeostrophic

Q, S, DAY, SETTLED = "potential_vorticity", "subgrid_forcing", 86400.0, 300


class Climate(NamedTuple):
    """Spectra of kinetic energy (layer, wavenumber), and time means: see `climate`."""

    spectra: np.ndarray
    means: np.ndarray


def nature(host: Quasigeostrophic, size: int, days: int, every: int, spin_up: int, kept: str, seed: int) -> dict:
    """A fine run (time, 2, y, x), one state `every` steps of the host, from noise that has become turbulence.

    It spins up on a grid half as fine, then settles for 300 days. A folder `kept` has it if it was run before.
    """
    name = f"fine-{size}-{host.size}-{float(host.shear.value):g}-{days}-{every}-{spin_up}-{seed}.npz"
    path = Path(kept or ".") / name
    if kept and path.exists():
        with np.load(path) as file:
            return {Q: file[Q], S: file[S]}
    made = _run(host, size, days, every, spin_up, seed)
    if kept:
        np.savez(path, **made)  # pyright: ignore[reportArgumentType]
    return made


def _run(host: Quasigeostrophic, size: int, days: int, every: int, spin_up: int, seed: int) -> dict:
    daily = round(DAY / host.time_step)
    fine = replace(host, size=size, time_step=host.time_step / 2, steps=2 * every)
    half = replace(fine, size=size // 2, steps=2 * daily)
    noise = 1e-6 * np.random.default_rng(seed).normal(size=(2, half.size, half.size))
    start = jnp.asarray(noise - noise.mean(axis=(1, 2), keepdims=True), jnp.float32)
    spun = Forecast(half, spin_up, save_every=spin_up)
    state, pieces = jax.jit(lambda q: refined(spun({f"initial_{Q}": q})[Q][-1], size))(start), []
    settled = replace(fine, steps=2 * daily)
    state = jax.jit(lambda q: Forecast(settled, SETTLED, save_every=SETTLED)({f"initial_{Q}": q})[Q][-1])(state)
    block = max(1, days * daily // every // 20)
    watch = jax.jit(partial(seen_coarsely, fine, replace(host, steps=1), length=block))
    count = days * daily // every
    while len(pieces) * block < count:
        state, seen = watch(state)
        pieces.append({name: np.asarray(values) for name, values in seen.items()})
    return {name: np.concatenate([piece[name] for piece in pieces])[:count] for name in (Q, S)}


def free(step: Model, start: np.ndarray, days: int) -> np.ndarray:
    """A free run (day, 2, y, x) of the host, with whatever closure, from one state."""
    return np.asarray(_daily(step, jnp.asarray(start, jnp.float32), days))


@eqx.filter_jit
def _daily(step: Model, start: Array, days: int) -> Array:
    daily = round(DAY / step.time_step)  # pyright: ignore[reportAttributeAccessIssue]
    return Forecast(replace(step, steps=daily), days, remat=False)({f"initial_{Q}": start})[Q]


def climate(host: Quasigeostrophic, states: np.ndarray) -> Climate:
    """Spectra, and the means of six: kinetic energies, potential energy, enstrophies, and the energy generated."""
    speeds, six = (np.asarray(values) for values in _told(host, jnp.asarray(states)))
    return Climate(0.5 * isotropic_spectrum(speeds).sum(axis=1).mean(axis=0), six.mean(axis=0))


@eqx.filter_jit
def _told(host: Quasigeostrophic, states: Array) -> tuple[Array, Array]:
    def one(vorticity):
        told, budget = host.told(vorticity), host.budget(vorticity)
        squares = jnp.mean(vorticity**2, axis=(1, 2))
        six = [budget["kinetic"], budget["potential"][None], squares, budget["generation"][None]]
        return jnp.stack([told["eastward_velocity"], told["northward_velocity"]]), jnp.concatenate(six)

    return jax.lax.map(one, states)


def errors(simulated: Climate, true: Climate) -> dict[str, float]:
    """How far two climates are apart: spectra, their logarithms below the host's filter, and means."""
    half = simulated.spectra.shape[1]
    first = slice(0, int(0.65 * half))
    with np.errstate(all="ignore"):
        logs = np.log(simulated.spectra[:, first] / true.spectra[:, first])
        found = {
            "spectrum_error": spectral_error(simulated.spectra, true.spectra),
            "log_spectrum_error": float(np.sqrt(np.mean(logs**2))),
            "mean_state_error": float(np.mean(np.abs(simulated.means / true.means - 1))),
        }
    return {name: value if np.isfinite(value) else float("inf") for name, value in found.items()}
