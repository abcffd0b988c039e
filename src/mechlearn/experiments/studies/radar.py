"""Radar images from part of a phase history, by plug-and-play on the magnitude."""

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Fields
from ...mechanisms.imaging.phase_history import IMAGINARY, REAL, PhaseHistory
from ...solvers.magnitude import Magnitude, SoftThreshold
from ...solvers.total_variation import TotalVariation
from ..study import Findings, Score
from ._photographs import EPOCHS, IMAGE, PIECES, taught_denoiser
from ._reconstruction import FIXED_PENALTY, Prior, Restore, annealed, judged, learned, noisy, ratio

WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LEVELS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)


def study(
    *,
    size: int = 64,
    share: float = 0.5,
    snr: float = 25.0,
    iterations: int = 40,
    pieces: int = PIECES,
    epochs: int = EPOCHS,
    seed: int,
) -> Findings:
    """Form a radar image from a random share of its phase history, the phase of every pixel being random.

    Scenes are simulated: fields of even magnitude, roads, bright points. Methods: the inverse Fourier transform with
    zeros for what is missing; least squares with an l1 penalty on the magnitude; plug-and-play on the magnitude with
    total variation and with a network taught on photographs. The one number of each is chosen on another scene.
    Alver et al. (2019), arXiv:1912.03555, whose scenes are not public: only the order is comparable.
    """
    draw = np.random.default_rng(seed)
    other, test = (observed(size, share, snr, draw) for _ in range(2))
    priors: dict[str, tuple[tuple[float, ...], Prior]] = {
        "l1 magnitude": (WEIGHTS, lambda w: (SoftThreshold(IMAGE, w / FIXED_PENALTY), FIXED_PENALTY)),
        "plug-and-play total variation": (
            WEIGHTS,
            lambda w: (TotalVariation(IMAGE, w / FIXED_PENALTY, 30), FIXED_PENALTY),
        ),
        "plug-and-play learned": (LEVELS, learned(taught_denoiser(pieces, epochs), IMAGE)),
    }
    found = judged({n: (choices, restorer(p, iterations)) for n, (choices, p) in priors.items()}, other, test)
    score = Score("Fourier transform", "psnr", ratio(np.abs(transformed(test[1]["seen"])), test[0]), "dB")
    return Findings([score, *found.scores], found.figures, found.notes)


def transformed(seen: jax.Array) -> jax.Array:
    """The complex image that the inverse Fourier transform makes of a phase history (part, frequency, aspect)."""
    return jnp.fft.ifft2(seen[0] + 1j * seen[1], norm="ortho")


def restorer(prior: Prior, iterations: int) -> Restore:
    """Plug-and-play on the magnitude, from what the Fourier transform gives."""

    def of_magnitude(number: jax.Array) -> tuple[Magnitude, jax.Array | float]:
        denoiser, penalty = prior(number)
        return Magnitude(denoiser, (REAL, IMAGINARY)), penalty

    @jax.jit
    def restore(data: dict[str, jax.Array], choice: jax.Array) -> tuple[jax.Array, jax.Array]:
        radar, first = PhaseHistory(data["recorded"]), transformed(data["seen"])

        def misfit(fields: Fields) -> jax.Array:
            made = radar(fields)
            both = jnp.stack([made["phase_history_real"], made["phase_history_imaginary"]])
            return (both - data["seen"]) / data["error"]

        guess = {REAL.name: first.real, IMAGINARY.name: first.imag}
        told = annealed(of_magnitude, choice, misfit, guess, iterations, inner=5)
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
