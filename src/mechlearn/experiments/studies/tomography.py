"""Tomography by plug-and-play: one algorithm, priors exchanged as denoisers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.pyplot import imread

from ...core import Fields
from ...data.photographs import photographs
from ...mechanisms.imaging.tomograph import Tomograph, parallel_rays
from ...solvers.plug_and_play import data_step
from ...solvers.total_variation import TotalVariation, gradient
from ..study import Findings, Score
from ._photographs import EPOCHS, IMAGE, PIECES, taught_denoiser
from ._reconstruction import FIXED_PENALTY, Prior, Restore, annealed, judged, learned, noisy, ratio

WEIGHTS = (2.0, 4.0, 8.0, 16.0)
LEVELS = (0.04, 0.08, 0.16)


def study(
    *,
    size: int = 64,
    angles: int = 20,
    snr: float = 35.0,
    iterations: int = 20,
    inner: int = 15,
    pieces: int = PIECES,
    epochs: int = EPOCHS,
    seed: int,
) -> Findings:
    """Reconstruct an image from few noisy projections with filtered back projection and with three priors.

    Each prior's one number (smoothness, weight of the total variation, noise level of the network) is chosen on a
    piece of the photograph of a flower; the test image is another photograph, of Grace Hopper, that nothing was
    taught or chosen on. The framework is that of Venkatakrishnan et al. (2013), doi:10.1109/GlobalSIP.2013.6737048;
    its images are not public, so that only the order of the methods is comparable.
    """
    tomograph = Tomograph(parallel_rays(size, np.pi * np.arange(angles) / angles))
    draw = np.random.default_rng(seed)
    portrait = imread(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    truth = shrunk(portrait[:512, :512].mean(axis=-1) / 255, size)
    test = truth, projected(tomograph, truth, snr, draw)
    flower = shrunk(photographs()["flower"][20:404, 150:534], size)
    other = flower, projected(tomograph, flower, snr, draw)
    steps = {"iterations": iterations, "inner": inner}
    methods = {
        "smooth prior": (WEIGHTS, smooth(10 * inner)),
        "plug-and-play total variation": (WEIGHTS, restorer(variation, **steps)),
        "plug-and-play learned": (LEVELS, restorer(learned(taught_denoiser(pieces, epochs), IMAGE), **steps)),
    }
    found = judged(methods, other, test)
    back = back_projected(tomograph, np.asarray(test[1]["seen"]))
    return Findings(
        [Score("filtered back projection", "psnr", ratio(back, truth), "dB"), *found.scores], found.figures, found.notes
    )


def projected(tomograph: Tomograph, image: np.ndarray, snr: float, draw: np.random.Generator) -> dict:
    """What the tomograph sees of an image, with its error and itself."""
    seen, error = noisy(np.asarray(tomograph({"image": jnp.asarray(image)})["projections"]), snr, draw)
    return {"tomograph": tomograph, "seen": seen, "error": error}


def variation(weight: jax.Array) -> tuple[TotalVariation, float]:
    """Total variation as a prior of one number, its weight."""
    return TotalVariation(IMAGE, weight / FIXED_PENALTY, 30), FIXED_PENALTY


def restorer(prior: Prior, iterations: int, inner: int) -> Restore:
    """Plug-and-play with a prior that has one number, compiled once."""

    @jax.jit
    def restore(data: dict, choice: jax.Array) -> tuple[jax.Array, jax.Array]:
        told = annealed(prior, choice, misfit(data), {"image": grey(data)}, iterations, inner)
        return told.fields["image"], told.residuals

    return restore


def smooth(inner: int) -> Restore:
    """Least squares with a Gaussian prior on the slopes."""

    @jax.jit
    def restore(data: dict, choice: jax.Array) -> tuple[jax.Array, jax.Array]:
        start, missed = grey(data), misfit(data)

        def both(x: jax.Array) -> jax.Array:
            image = x.reshape(start.shape)
            return jnp.concatenate([missed({"image": image}), choice * gradient(image).ravel()])

        found = data_step(both, start.ravel(), start.ravel(), 1e-6, inner)
        return found.reshape(start.shape), jnp.zeros(0)

    return restore


def grey(data: dict) -> jax.Array:
    """An even image to start from."""
    side = int(np.sqrt(jnp.shape(data["tomograph"].rays)[2]))
    return jnp.full((side, side), 0.5)


def misfit(data: dict) -> Callable[[Fields], jax.Array]:
    """Projections missed, in standard deviations of their noise."""
    return lambda fields: ((data["tomograph"](fields)["projections"] - data["seen"]) / data["error"]).ravel()


def back_projected(tomograph: Tomograph, seen: np.ndarray) -> np.ndarray:
    """Each projection under the ramp filter, spread back along its rays. Kak & Slaney (1988), equation 3.34."""
    count, rays = seen.shape
    width = 2 * rays
    place = np.minimum(np.arange(width), width - np.arange(width))
    odd = place % 2 == 1
    ramp = np.where(place == 0, 0.25, np.where(odd, -1 / (np.pi * np.maximum(place, 1)) ** 2, 0))
    filtered = np.real(np.fft.ifft(np.fft.fft(seen, width) * np.fft.fft(ramp)))[:, :rays]
    spread = np.einsum("arp,ar->p", np.asarray(tomograph.rays), filtered) * np.pi / count
    side = int(np.sqrt(spread.size))
    return spread.reshape(side, side)


def shrunk(image: np.ndarray, size: int) -> np.ndarray:
    """A square image at a smaller size, by means over squares."""
    step = len(image) // size
    return image[: step * size, : step * size].reshape(size, step, size, step).mean(axis=(1, 3))
