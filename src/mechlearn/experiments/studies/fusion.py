"""Fusion of a coarse hyperspectral and a fine multispectral image by plug-and-play."""

import math
import time
from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from ...data.samson import samson
from ...solvers.total_variation import TotalVariation
from ..study import Findings, Score
from ._fused import COEFFICIENTS, Scene, gaussian
from ._materials import taught_guided
from ._photographs import taught_denoiser
from ._reconstruction import Prior, annealed, converging, learned

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)
WEIGHTS = (0.2, 0.4, 0.8)
LEVELS = (1.0, 1.5, 2.0, 3.0)


def study(
    *,
    size: int = 92,
    factor: int = 4,
    bases: int = 10,
    snr_coarse: float = 35.0,
    snr_fine: float = 40.0,
    iterations: int = 20,
    inner: int = 15,
    seed: int,
) -> Findings:
    """Fuse a blurred, decimated hyperspectral cube with four sharp broad bands (noise in dB of signal to noise).

    Unknown are the coefficients of the `bases` leading singular vectors of the coarse image, turned and scaled so that
    the noise of each is its own and of level 1, the best known first (`canonical`). Priors: a Gaussian around the
    bicubic image with the covariance of steps between coarse pixels; total variation, in each coefficient alone or in
    all jointly; a network taught on photographs, and one that also looks at the two coefficients known best. The one
    number of each (strength, weight, noise level) is chosen on the upper half of the scene, and all are scored on the
    lower. The Gaussian stands there a second time with the strength that is best ON THE LOWER HALF, which nobody knows.
    Dian et al. (2021), doi:10.1109/TNNLS.2020.2980398.
    """
    truth = samson()[:, :size, :size]
    scene = Scene(truth, factor, bases, snr_coarse, snr_fine, np.random.default_rng(seed))
    upper, lower = slice(None, size // 2), slice(size // 2, None)

    def best(cubes: list[np.ndarray], part: slice) -> int:
        return int(np.argmax([peak_ratio(cube[:, part], truth[:, part]) for cube in cubes]))

    cubes = gaussian(scene, STRENGTHS, inner=150)
    found = {"bicubic": (scene.interpolated, math.nan), "gaussian prior": (cubes[best(cubes, upper)], math.nan)}
    found["gaussian prior, best on the truth"] = (cubes[best(cubes, lower)], math.nan)
    moved, strength = {}, STRENGTHS[best(cubes, upper)]
    notes = [f"gaussian prior: {strength:g} was the best on the upper half, of {STRENGTHS}."]
    for name, priors in candidates(scene).items():
        ways = {kind: restorer(scene, prior, iterations, inner) for kind, (prior, _) in priors.items()}
        choices = {f"{kind}{n:g}": partial(ways[kind], n) for kind, (_, numbers) in priors.items() for n in numbers}
        tried, seconds = zip(*(timed(restore) for restore in choices.values()), strict=True)
        chosen = best([scene.cube(coefficients) for coefficients, _ in tried], upper)
        found[name] = scene.cube(tried[chosen][0]), min(seconds)
        moved[name] = np.asarray(tried[chosen][1])
        notes.append(f"{name}: {list(choices)[chosen]} was the best on the upper half, of {', '.join(choices)}.")
    scores = [s for n, (cube, took) in found.items() for s in scored(n, cube[:, lower], truth[:, lower], took)]
    scores += [Score(name, "last_residual", float(m[-1])) for name, m in moved.items()]
    return Findings(scores, {"How far each iteration still moves": lambda axes: converging(axes, moved)}, notes)


def candidates(scene: Scene) -> dict[str, dict[str, tuple[Prior, tuple[float, ...]]]]:
    """The priors of each method, by kind, with the numbers to choose from."""
    return {
        "plug-and-play total variation": {
            "alone, ": (lambda weight: (TotalVariation(COEFFICIENTS, weight, 20), 1.0), WEIGHTS),
            "jointly, ": (lambda weight: (TotalVariation(COEFFICIENTS, weight, 20, joint=True), 1.0), WEIGHTS),
        },
        "plug-and-play learned, alone": {"": (learned(taught_denoiser(), COEFFICIENTS), LEVELS)},
        "plug-and-play learned, guided": {"": (learned(taught_guided(), COEFFICIENTS), LEVELS)},
    }


def timed(restore: Callable) -> tuple[tuple[jax.Array, jax.Array], float]:
    """What a function gives, and the seconds it took."""
    begin = time.perf_counter()
    return jax.block_until_ready(restore()), time.perf_counter() - begin


def restorer(scene: Scene, prior: Prior, iterations: int, inner: int) -> Callable:
    """Plug-and-play on a scene as a function of a prior's number: coefficients and residuals."""

    @jax.jit
    def restore(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        told = annealed(prior, number, scene.residual, {"coefficients": scene.bicubic}, iterations, inner)
        return told.fields["coefficients"], told.residuals

    return restore


def scored(name: str, cube: np.ndarray, truth: np.ndarray, seconds: float) -> list[Score]:
    """Peak signal-to-noise ratio and spectral angle."""
    return [
        Score(name, "psnr", peak_ratio(cube, truth), "dB", seconds=seconds),
        Score(name, "spectral_angle", spectral_angle(cube, truth), "degree", seconds=seconds),
    ]


def peak_ratio(found: np.ndarray, truth: np.ndarray) -> float:
    """The mean over bands of `10 log10(max² / mean squared error)`."""
    error = np.mean((found - truth) ** 2, axis=(1, 2))
    return float(np.mean(10 * np.log10(truth.max(axis=(1, 2)) ** 2 / error)))


def spectral_angle(found: np.ndarray, truth: np.ndarray) -> float:
    """The mean angle between spectra (degrees)."""
    product = np.sum(found * truth, axis=0) / (np.linalg.norm(found, axis=0) * np.linalg.norm(truth, axis=0))
    return float(np.degrees(np.mean(np.arccos(np.clip(product, -1, 1)))))
