"""Fusion of a coarse hyperspectral and a fine multispectral image by plug-and-play."""

import math
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Fields, Variable
from ...data.samson import samson
from ...mechanisms.imaging.camera import Camera, band_means, point_spread
from ...solvers.plug_and_play import data_step
from ...solvers.total_variation import TotalVariation, gradient
from ..study import Findings, Score
from ._photographs import EPOCHS, PIECES, taught_denoiser
from ._reconstruction import FIXED_PENALTY, Prior, annealed, converging, learned, noisy

# Blue, green, red and near infrared of a four-band camera, in micrometres.
CHANNELS = ((0.45, 0.52), (0.52, 0.60), (0.63, 0.69), (0.76, 0.889))
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
SHARES = (0.0625, 0.125, 0.25)
LEVELS, TOLD = (0.0125, 0.025, 0.05), (1.0, 0.5)
COEFFICIENTS = Variable("coefficients", "1", ("base", "row", "column"))
SEEN = Variable("seen", "1", ("base", "line", "sample"))


def study(
    *,
    size: int = 92,
    factor: int = 4,
    bases: int = 8,
    snr_coarse: float = 35.0,
    snr_fine: float = 40.0,
    iterations: int = 20,
    inner: int = 15,
    pieces: int = PIECES,
    epochs: int = EPOCHS,
    seed: int,
) -> Findings:
    """Fuse a blurred, decimated hyperspectral cube with four sharp broad bands (noise in dB of signal to noise).

    Unknown are the coefficients of the `bases` leading singular vectors of the coarse image, each in units of its
    root mean square; the denoiser works on their images. Priors: a Gaussian around the bicubic image; total variation,
    its weight a share of the inverse slope of the bicubic image; a network taught on photographs. The one number of
    each (strength, share, noise level) is chosen on the upper half of the scene, and all are scored on the lower. The
    Gaussian stands there a second time with the strength that is best ON THE LOWER HALF, which nobody can know.
    Dian et al. (2021), doi:10.1109/TNNLS.2020.2980398.
    """
    truth = samson()[:, :size, :size]
    scene = Scene(truth, factor, bases, snr_coarse, snr_fine, np.random.default_rng(seed))
    upper, lower = slice(None, size // 2), slice(size // 2, None)

    def best(cubes: list[np.ndarray], part: slice) -> int:
        return int(np.argmax([peak_ratio(cube[:, part], truth[:, part]) for cube in cubes]))

    cubes = gaussian(scene, inner=150)
    found = {"bicubic": (scene.interpolated, math.nan), "gaussian prior": (cubes[best(cubes, upper)], math.nan)}
    found["gaussian prior, best on the truth"] = (cubes[best(cubes, lower)], math.nan)
    network = taught_denoiser(pieces, epochs)
    varied = restorer(scene, variation(scene), iterations, inner)
    taught = {told: restorer(scene, learned(network, COEFFICIENTS, told), iterations, inner) for told in TOLD}
    methods = {
        "plug-and-play total variation": {f"{share:g}": partial(varied, share) for share in SHARES},
        "plug-and-play learned": {f"{n:g} ({t:g} of the noise)": partial(taught[t], n) for t in TOLD for n in LEVELS},
    }
    moved, notes = {}, []
    for name, choices in methods.items():
        tried, seconds = zip(*(timed(restore) for restore in choices.values()), strict=True)
        chosen = best([scene.cube(coefficients) for coefficients, _ in tried], upper)
        found[name] = scene.cube(tried[chosen][0]), min(seconds)
        moved[name] = np.asarray(tried[chosen][1])
        notes.append(f"{name}: {list(choices)[chosen]} was the best on the upper half, of {', '.join(choices)}.")
    scores = [s for n, (cube, took) in found.items() for s in scored(n, cube[:, lower], truth[:, lower], took)]
    scores += [Score(name, "last_residual", float(m[-1])) for name, m in moved.items()]
    return Findings(scores, {"How far each iteration still moves": lambda axes: converging(axes, moved)}, notes)


def timed(restore: Callable) -> tuple[tuple[jax.Array, jax.Array], float]:
    """What a function gives, and the seconds it took."""
    begin = time.perf_counter()
    return jax.block_until_ready(restore()), time.perf_counter() - begin


def variation(scene: "Scene") -> Prior:
    """Total variation as a prior of one number: the share of the inverse mean slope that is its weight."""
    slope = jnp.mean(jnp.linalg.norm(gradient(scene.bicubic), axis=0), axis=(1, 2))
    return lambda share: (TotalVariation(COEFFICIENTS, share / slope / FIXED_PENALTY, 20), FIXED_PENALTY)


def restorer(scene: "Scene", prior: Prior, iterations: int, inner: int) -> Callable:
    """Plug-and-play on a scene as a function of a prior's number: coefficients and residuals."""

    @jax.jit
    def restore(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        told = annealed(prior, number, scene.residual, {"coefficients": scene.bicubic}, iterations, inner)
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
