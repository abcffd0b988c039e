"""Tomography by plug-and-play: one algorithm, priors exchanged as denoisers."""

import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.pyplot import imread

from ...core import Fields, Model
from ...data.photographs import photographs
from ...mechanisms.imaging.tomograph import Tomograph, parallel_rays
from ...solvers.plug_and_play import PlugAndPlay, Restored, data_step
from ...solvers.total_variation import TotalVariation, gradient
from ..study import Findings, Score
from ._photographs import IMAGE, taught_denoiser
from .fusion import converging, noisy

Restore = Callable[[np.ndarray, float, float], Restored]


def study(
    *,
    size: int = 64,
    angles: int = 20,
    snr: float = 35.0,
    iterations: int = 40,
    inner: int = 15,
    pieces: int = 1600,
    epochs: int = 12,
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
    chosen_on = shrunk(photographs()["flower"][20:404, 150:534], size)
    portrait = imread(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    truth = shrunk(portrait[:512, :512].mean(axis=-1) / 255, size)
    priors = {
        "smooth prior": ((0.5, 2.0, 8.0, 32.0), smooth(tomograph, 10 * inner)),
        "plug-and-play total variation": ((2.0, 8.0, 32.0), variation(tomograph, iterations, inner)),
        "plug-and-play learned": ((0.04, 0.08, 0.16), learned(tomograph, iterations, inner, pieces, epochs)),
    }
    seen, error = noisy(np.asarray(tomograph({"image": jnp.asarray(truth)})["projections"]), snr, draw)
    other, other_error = noisy(np.asarray(tomograph({"image": jnp.asarray(chosen_on)})["projections"]), snr, draw)
    scores = [Score("filtered back projection", "psnr", ratio(back_projected(tomograph, seen), truth), "dB")]
    moved, notes = {}, []
    for name, (choices, restore) in priors.items():
        tried = [ratio(restore(other, other_error, choice).fields["image"], chosen_on) for choice in choices]
        best = choices[int(np.argmax(tried))]
        begin = time.perf_counter()
        told = jax.block_until_ready(restore(seen, error, best))
        seconds = time.perf_counter() - begin
        scores.append(Score(name, "psnr", ratio(told.fields["image"], truth), "dB", seconds=seconds))
        notes.append(f"{name}: {best:g} was the best of {choices} on the flower.")
        if len(told.residuals):
            moved[name] = np.asarray(told.residuals)
            scores.append(Score(name, "last_residual", float(told.residuals[-1])))
    return Findings(scores, {"How far each iteration still moves": lambda axes: converging(axes, moved)}, notes)


def variation(tomograph: Tomograph, iterations: int, inner: int) -> Restore:
    """Plug-and-play with total variation, as a function of projections, their error and the weight."""
    penalty = 400.0
    return restorer(tomograph, lambda weight: (TotalVariation(IMAGE, weight / penalty, 30), penalty), iterations, inner)


def learned(tomograph: Tomograph, iterations: int, inner: int, pieces: int, epochs: int) -> Restore:
    """Plug-and-play with the network, as a function of projections, their error and the noise level."""
    network = taught_denoiser(pieces, epochs)
    return restorer(tomograph, lambda level: (network.facing(IMAGE, level), level**-2), iterations, inner)


def restorer(
    tomograph: Tomograph, prior: Callable[[jax.Array], tuple[Model, jax.Array]], iterations: int, inner: int
) -> Restore:
    """Plug-and-play with a prior that has one number, compiled once."""
    side = int(np.sqrt(jnp.shape(tomograph.rays)[2]))

    @jax.jit
    def restore(tomograph: Tomograph, seen: jax.Array, error: jax.Array, choice: jax.Array) -> Restored:
        denoiser, penalty = prior(choice)
        solver = PlugAndPlay(denoiser, penalty, iterations=iterations, inner=inner)
        return solver.restore(misfit(tomograph, seen, error), {"image": jnp.full((side, side), 0.5)})

    return partial(restore, tomograph)


def smooth(tomograph: Tomograph, inner: int) -> Restore:
    """Least squares with a Gaussian prior on the slopes."""
    side = int(np.sqrt(jnp.shape(tomograph.rays)[2]))

    @jax.jit
    def restore(tomograph: Tomograph, seen: jax.Array, error: jax.Array, choice: jax.Array) -> Restored:
        data = misfit(tomograph, seen, error)

        def both(x: jax.Array) -> jax.Array:
            image = x.reshape(side, side)
            return jnp.concatenate([data({"image": image}), choice * gradient(image).ravel()])

        start = jnp.full(side * side, 0.5)
        found = data_step(both, start, start, 1e-6, inner)
        return Restored({"image": found.reshape(side, side)}, jnp.zeros(0))

    return partial(restore, tomograph)


def misfit(tomograph: Tomograph, seen: jax.Array, error: jax.Array) -> Callable[[Fields], jax.Array]:
    """Projections missed, in standard deviations of their noise."""
    return lambda fields: ((tomograph(fields)["projections"] - seen) / error).ravel()


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


def ratio(found: jax.Array | np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio (dB) of an image whose values go from 0 to 1."""
    return float(-10 * np.log10(np.mean((np.asarray(found) - truth) ** 2)))
