"""What studies of reconstruction share: noise, priors of one number chosen on other data, how they converge."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from ...core import Fields, Model, Variable
from ...learners.denoiser import Denoiser
from ...solvers.plug_and_play import PlugAndPlay, Restored
from ..study import Findings, Score

# Of its one number: the denoiser, and the penalty of ADMM.
Prior = Callable[[jax.Array], tuple[Model, jax.Array | float]]
# Of what was seen and of a prior's number: the image, and by how much each iteration moved it.
Restore = Callable[[Any, float], tuple[jax.Array, jax.Array]]
WIDTHS = (4.0, 2.0, 1.0)
FIXED_PENALTY = 100.0


def learned(network: Denoiser, variable: Variable, share: float = 1.0) -> Prior:
    """A network as the prior: its number is the noise level that it is told, a share of what ADMM hands to it."""
    return lambda level: (network.facing(variable, level), (share / level) ** 2)


def annealed(
    prior: Prior, number: jax.Array, residual: Callable[[Fields], jax.Array], guess: Fields, iterations: int, inner: int
) -> Restored:
    """Plug-and-play with four times a prior's number, from there with twice the number, and with the number itself."""

    def stage(fields: Fields, width: jax.Array) -> tuple[Fields, jax.Array]:
        denoiser, penalty = prior(number * width)
        told = PlugAndPlay(denoiser, penalty, iterations=iterations, inner=inner).restore(residual, fields)
        return told.fields, told.residuals

    found, residuals = jax.lax.scan(stage, guess, jnp.asarray(WIDTHS))
    return Restored(found, residuals.ravel())


def judged(
    methods: dict[str, tuple[Sequence[float], Restore]],
    other: tuple[np.ndarray, Any],
    test: tuple[np.ndarray, Any],
) -> Findings:
    """Choose each method's number on another image and score it on the test image; each is a truth and what is seen."""
    scores, notes, moved = [], [], {}
    for name, (choices, restore) in methods.items():
        tried = [ratio(restore(other[1], choice)[0], other[0]) for choice in choices]
        best = choices[int(np.argmax(tried))]
        begin = time.perf_counter()
        image, residuals = jax.block_until_ready(restore(test[1], best))
        seconds = time.perf_counter() - begin
        scores.append(Score(name, "psnr", ratio(image, test[0]), "dB", seconds=seconds))
        notes.append(f"{name}: {best:g} was the best of {tuple(choices)} on another image.")
        if len(residuals):
            moved[name] = np.asarray(residuals)
            scores.append(Score(name, "last_residual", float(residuals[-1])))
    return Findings(scores, {"How far each iteration still moves": lambda axes: converging(axes, moved)}, notes)


def noisy(image: np.ndarray, decibel: float, draw: np.random.Generator) -> tuple[np.ndarray, float]:
    """An image with noise of a signal-to-noise ratio, and the noise's standard deviation."""
    deviation = float(np.sqrt(np.mean(image**2) / 10 ** (decibel / 10)))
    return image + deviation * draw.normal(size=image.shape), deviation


def ratio(found: jax.Array | np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio (dB) of an image whose values go from 0 to 1."""
    return float(-10 * np.log10(np.mean((np.asarray(found) - truth) ** 2)))


def converging(axes: Axes, moved: dict[str, np.ndarray]) -> None:
    """Draw the fixed-point residual of each method."""
    for name, residuals in moved.items():
        axes.semilogy(np.arange(1, len(residuals) + 1), residuals, label=name)
    axes.set(xlabel="iteration", ylabel="rms change of the iterate")
    axes.legend()
