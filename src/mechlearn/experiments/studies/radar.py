"""Radar images from part of a phase history, by plug-and-play on the magnitude."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Fields, Model
from ...mechanisms.imaging.phase_history import IMAGINARY, REAL, PhaseHistory
from ...solvers.magnitude import Magnitude, SoftThreshold
from ...solvers.plug_and_play import PlugAndPlay
from ...solvers.total_variation import TotalVariation
from ..study import Findings, Score
from ._photographs import IMAGE, taught_denoiser
from .fusion import converging, noisy
from .tomography import ratio

PENALTY = 100.0
CHOICES: dict[str, tuple[float, ...]] = {
    "l1 magnitude": (1.0, 3.0, 10.0),
    "plug-and-play total variation": (1.0, 3.0, 10.0),
    "plug-and-play learned": (0.05, 0.1, 0.2),
}


def study(
    *,
    size: int = 64,
    share: float = 0.5,
    snr: float = 25.0,
    iterations: int = 100,
    pieces: int = 1600,
    epochs: int = 12,
    seed: int,
) -> Findings:
    """Form a radar image from a random share of its phase history, the phase of every pixel being random.

    Scenes are simulated: fields of even magnitude, roads, bright points. Methods: the inverse Fourier transform with
    zeros for what is missing; least squares with an l1 penalty on the magnitude; plug-and-play on the magnitude with
    total variation and with a network taught on photographs. The one number of each is chosen on another scene.
    Alver et al. (2019), arXiv:1912.03555, whose scenes are not public: only the order is comparable.
    """
    draw = np.random.default_rng(seed)
    scenes = [observed(size, share, snr, draw) for _ in range(2)]
    methods = {name: restorer(prior, iterations) for name, prior in priors(pieces, epochs).items()}
    (chosen_on, other), (truth, data) = scenes
    fourier = np.abs(np.fft.ifft2(data["seen"][0] + 1j * data["seen"][1], norm="ortho"))
    scores = [Score("Fourier transform", "psnr", ratio(fourier, truth), "dB")]
    moved, notes = {}, []
    for name, restore in methods.items():
        tried = [ratio(restore(other, choice)[0], chosen_on) for choice in CHOICES[name]]
        best = CHOICES[name][int(np.argmax(tried))]
        begin = time.perf_counter()
        image, residuals = jax.block_until_ready(restore(data, best))
        seconds = time.perf_counter() - begin
        scores.append(Score(name, "psnr", ratio(image, truth), "dB", seconds=seconds))
        scores.append(Score(name, "last_residual", float(residuals[-1])))
        moved[name] = np.asarray(residuals)
        notes.append(f"{name}: {best:g} was the best of {CHOICES[name]} on another scene.")
    return Findings(scores, {"How far each iteration still moves": lambda axes: converging(axes, moved)}, notes)


def priors(pieces: int, epochs: int) -> dict[str, Callable[[jax.Array], tuple[Model, jax.Array]]]:
    """Each method's denoiser of magnitudes and penalty, from its one number."""
    network = taught_denoiser(pieces, epochs)
    return {
        "l1 magnitude": lambda weight: (SoftThreshold(IMAGE, weight / PENALTY), PENALTY),
        "plug-and-play total variation": lambda weight: (TotalVariation(IMAGE, weight / PENALTY, 30), PENALTY),
        "plug-and-play learned": lambda level: (network.facing(IMAGE, level), level**-2),
    }


def restorer(prior: Callable, iterations: int) -> Callable[[dict, float], tuple[jax.Array, jax.Array]]:
    """Plug-and-play as a function of what was seen and of a prior's number: the magnitude, and how it converged."""

    @jax.jit
    def restore(data: dict[str, jax.Array], choice: jax.Array) -> tuple[jax.Array, jax.Array]:
        radar = PhaseHistory(data["recorded"])
        denoiser, penalty = prior(choice)

        def misfit(fields: Fields) -> jax.Array:
            made = radar(fields)
            return (jnp.stack([made["phase_history_real"], made["phase_history_imaginary"]]) - data["seen"]) / data[
                "error"
            ]

        first = jnp.fft.ifft2(data["seen"][0] + 1j * data["seen"][1], norm="ortho")
        solver = PlugAndPlay(Magnitude(denoiser, (REAL, IMAGINARY)), penalty, iterations=iterations, inner=5)
        told = solver.restore(misfit, {REAL.name: first.real, IMAGINARY.name: first.imag})
        return jnp.hypot(told.fields[REAL.name], told.fields[IMAGINARY.name]), told.residuals

    return restore


def observed(size: int, share: float, snr: float, draw: np.random.Generator) -> tuple[np.ndarray, dict]:
    """The magnitude of a simulated scene, and what was recorded of it."""
    magnitude = landscape(size, draw)
    scene = magnitude * np.exp(2j * np.pi * draw.random((size, size)))
    recorded = (draw.random((size, size)) < share).astype(float)
    made = PhaseHistory(recorded)({REAL.name: jnp.asarray(np.real(scene)), IMAGINARY.name: jnp.asarray(np.imag(scene))})
    seen, error = noisy(
        np.stack([np.asarray(made[f"phase_history_{p}"], float) for p in ("real", "imaginary")]), snr, draw
    )
    return magnitude, {"seen": seen * recorded, "recorded": recorded, "error": error}


def landscape(size: int, draw: np.random.Generator) -> np.ndarray:
    """Fields of even brightness, two roads and bright points, from 0 to 1."""
    row, column = np.mgrid[:size, :size] / size
    centres = draw.random((12, 2))
    owner = np.argmin([(row - r) ** 2 + (column - c) ** 2 for r, c in centres], axis=0)
    image = draw.uniform(0.05, 0.6, 12)[owner]
    for _ in range(2):
        angle, place = draw.uniform(0, np.pi), draw.uniform(0.3, 0.7)
        road = abs((row - place) * np.cos(angle) + (column - place) * np.sin(angle)) < 1.5 / size
        image[road] = 0.02
    image[tuple(draw.integers(0, size, (2, 15)))] = 1.0
    return image
