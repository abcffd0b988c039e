"""Fusion of a coarse hyperspectral and a fine multispectral image by plug-and-play."""

import math
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Fields, Model, Variable
from ...data.samson import samson
from ...mechanisms.imaging.camera import Camera, band_means, point_spread
from ...solvers.plug_and_play import PlugAndPlay, data_step
from ...solvers.total_variation import TotalVariation, gradient
from ..study import Findings, Score
from ._photographs import taught_denoiser

# Blue, green, red and near infrared of a four-band camera, in micrometres.
CHANNELS = ((0.45, 0.52), (0.52, 0.60), (0.63, 0.69), (0.76, 0.889))
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
COEFFICIENTS = Variable("coefficients", "1", ("base", "row", "column"))
# What share of a prior is taken, and the penalty of ADMM.
CHOICES = tuple((share, penalty) for share in (1.0, 0.5, 0.25) for penalty in (100.0, 400.0))
SEEN = Variable("seen", "1", ("base", "line", "sample"))

Prior = Callable[[jax.Array, jax.Array, jax.Array], Model]


def study(
    *,
    size: int = 92,
    factor: int = 4,
    bases: int = 8,
    snr_coarse: float = 35.0,
    snr_fine: float = 40.0,
    iterations: int = 60,
    inner: int = 30,
    pieces: int = 1600,
    epochs: int = 12,
    seed: int,
) -> Findings:
    """Fuse a blurred, decimated hyperspectral cube with four sharp broad bands (noise in dB of signal to noise).

    Unknown are the coefficients of the `bases` leading singular vectors of the coarse image, each in units of its
    root mean square; the denoiser works on their images. Priors: a Gaussian around the bicubic image; total variation,
    its weight read off the bicubic image; a network taught on photographs, at the noise level that ADMM gives it,
    `1 / sqrt(penalty)`. The Gaussian's strength, the share that is taken of the other two and their penalty are
    chosen without the truth: where the coarse image, blurred and decimated once more, is fused best (Wald et al.
    1997). The Gaussian stands there a second time with the strength that is best ON THE TRUTH, which nobody can know.
    Dian et al. (2021), doi:10.1109/TNNLS.2020.2980398.
    """
    truth = samson()[:, :size, :size]
    scene = Scene(truth, factor, bases, snr_coarse, snr_fine, np.random.default_rng(seed))
    small = size // factor // factor * factor
    reduced = Scene(scene.hyper[:, :small, :small], factor, bases, snr_coarse, snr_fine, np.random.default_rng(seed))
    small_truth = scene.hyper[:, :small, :small]
    cubes = gaussian(scene, inner=150)
    fair = np.argmax([peak_ratio(cube, small_truth) for cube in gaussian(reduced, inner=150)])
    best = np.argmax([peak_ratio(cube, truth) for cube in cubes])
    found = {"bicubic": (scene.interpolated, math.nan), "gaussian prior": (cubes[fair], math.nan)}
    found["gaussian prior, best on the truth"] = (cubes[best], math.nan)
    network = taught_denoiser(pieces, epochs)
    priors: dict[str, Prior] = {
        "plug-and-play total variation": lambda share, penalty, slope: TotalVariation(
            COEFFICIENTS, share / slope / penalty, 20
        ),
        "plug-and-play learned": lambda share, penalty, _: network.facing(COEFFICIENTS, share * penalty**-0.5),
    }
    moved, notes = {}, []
    for name, prior in priors.items():
        (attempt, restore) = (restorer(each, prior, iterations, inner) for each in (reduced, scene))
        tried = [peak_ratio(reduced.cube(attempt(*each)[0]), small_truth) for each in CHOICES]
        best = CHOICES[int(np.argmax(tried))]
        compiled = restore.lower(*best).compile()
        begin = time.perf_counter()
        coefficients, residuals = jax.block_until_ready(compiled(*best))
        found[name] = scene.cube(coefficients), time.perf_counter() - begin
        moved[name] = np.asarray(residuals)
        notes.append(
            f"{name}: {best[0]:g} of the prior with a penalty of {best[1]:g} was the best at the reduced scale."
        )
    scores = [score for name, (cube, seconds) in found.items() for score in scored(name, cube, truth, seconds)]
    scores += [Score(name, "last_residual", float(m[-1])) for name, m in moved.items()]
    return Findings(scores, {"How far each iteration still moves": lambda axes: converging(axes, moved)}, notes)


def restorer(scene: "Scene", prior: Prior, iterations: int, inner: int) -> Callable:
    """Plug-and-play on a scene as a function of the share of a prior and the penalty: coefficients and residuals."""
    slope = jnp.mean(jnp.linalg.norm(gradient(scene.bicubic), axis=0), axis=(1, 2))

    @jax.jit
    def restore(share: jax.Array, penalty: jax.Array) -> tuple[jax.Array, jax.Array]:
        solver = PlugAndPlay(prior(share, penalty, slope), penalty, iterations=iterations, inner=inner)
        told = solver.restore(scene.residual, {"coefficients": scene.bicubic})
        return told.fields["coefficients"], told.residuals

    return restore


class Scene:
    """What is seen of a cube (band, row, column), and how coefficients of its subspace are judged by it."""

    def __init__(self, truth: np.ndarray, factor: int, bases: int, coarse: float, fine: float, draw):
        count, size = truth.shape[:2]
        spread, sharp = point_spread(size, factor), jnp.eye(size)
        channels = band_means(np.linspace(0.401, 0.889, count), CHANNELS)
        see = Camera(jnp.eye(count), spread)({"radiance": jnp.asarray(truth)})["camera_image"]
        mean = Camera(channels, sharp)({"radiance": jnp.asarray(truth)})["camera_image"]
        self.hyper, self.coarse_error = noisy(np.asarray(see, float), coarse, draw)
        self.multi, self.fine_error = noisy(np.asarray(mean, float), fine, draw)
        spectra = self.hyper.reshape(count, -1)
        basis, sizes, _ = np.linalg.svd(spectra, full_matrices=False)
        scale = sizes[:bases] / np.sqrt(spectra.shape[1])
        self.mixing = basis[:, :bases] * scale
        self.seen = jnp.asarray((basis[:, :bases].T @ spectra).reshape(bases, *self.hyper.shape[1:]))
        self.coarse_camera = Camera(jnp.diag(jnp.asarray(scale)), spread, COEFFICIENTS, SEEN)
        self.fine_camera = Camera(jnp.asarray(np.asarray(channels) @ self.mixing), sharp, COEFFICIENTS, SEEN)
        self.bicubic = jax.image.resize(self.seen / scale[:, None, None], (bases, size, size), "cubic")
        self.interpolated = np.asarray(jax.image.resize(jnp.asarray(self.hyper), truth.shape, "cubic"))

    def residual(self, fields: Fields) -> jax.Array:
        """Both images' misfits in standard deviations of their noise."""
        coarse = (self.coarse_camera(fields)["seen"] - self.seen) / self.coarse_error
        fine = jnp.einsum("cb,bij->cij", self.fine_camera.response, fields["coefficients"]) - self.multi
        return jnp.concatenate([coarse.ravel(), fine.ravel() / self.fine_error])

    def cube(self, coefficients: jax.Array) -> np.ndarray:
        """The cube (band, row, column) of coefficients (base, row, column)."""
        return np.einsum("bk,kij->bij", self.mixing, np.asarray(coefficients, float))


def noisy(image: np.ndarray, decibel: float, draw: np.random.Generator) -> tuple[np.ndarray, float]:
    """An image with noise of a signal-to-noise ratio, and the noise's standard deviation."""
    deviation = float(np.sqrt(np.mean(image**2) / 10 ** (decibel / 10)))
    return image + deviation * draw.normal(size=image.shape), deviation


def gaussian(scene: Scene, inner: int) -> list[np.ndarray]:
    """The cubes of a Gaussian prior around the bicubic image, one a strength."""
    flat, shape = scene.bicubic.ravel(), scene.bicubic.shape

    @jax.jit
    def solve(strength: jax.Array) -> jax.Array:
        return data_step(lambda x: scene.residual({"coefficients": x.reshape(shape)}), flat, flat, strength, inner)

    return [scene.cube(solve(strength).reshape(shape)) for strength in STRENGTHS]


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


def converging(axes, moved: dict[str, np.ndarray]) -> None:
    """Draw the fixed-point residual of each method."""
    for name, residuals in moved.items():
        axes.semilogy(np.arange(1, len(residuals) + 1), residuals, label=name)
    axes.set(xlabel="iteration", ylabel="rms change of the iterate")
    axes.legend()
