"""A scene seen twice, coarse in many bands and fine in few, and the Gaussian answer to what it was."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Fields, Variable
from ...mechanisms.imaging.camera import Camera, band_means, point_spread
from ...solvers.optimal_estimation import canonical
from ...solvers.plug_and_play import data_step
from ._reconstruction import noisy

# Blue, green, red and near infrared of a four-band camera, in micrometres.
CHANNELS = ((0.45, 0.52), (0.52, 0.60), (0.63, 0.69), (0.76, 0.889))
COEFFICIENTS = Variable("coefficients", "1", ("base", "row", "column"))
SEEN = Variable("seen", "1", ("base", "line", "sample"))


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
        basis = np.linalg.svd(spectra, full_matrices=False)[0][:, :bases]
        seen = (basis.T @ spectra).reshape(bases, *self.hyper.shape[1:])
        spread_of, self.known = canonical(
            steps(seen, self.coarse_error), np.asarray(channels) @ basis / self.fine_error
        )
        turn = spread_of * self.known
        self.seen, self.mixing = jnp.asarray(seen), basis @ turn
        self.coarse_camera = Camera(jnp.asarray(turn), spread, COEFFICIENTS, SEEN)
        self.fine_camera = Camera(jnp.asarray(np.asarray(channels) @ self.mixing), sharp, COEFFICIENTS, SEEN)
        fine = jax.image.resize(self.seen, (bases, size, size), "cubic")
        self.bicubic = jnp.einsum("kb,bij->kij", jnp.asarray(np.linalg.inv(turn)), fine)
        self.interpolated = np.asarray(jax.image.resize(jnp.asarray(self.hyper), truth.shape, "cubic"))

    def residual(self, fields: Fields) -> jax.Array:
        """Both images' misfits in standard deviations of their noise."""
        coarse = (self.coarse_camera(fields)["seen"] - self.seen) / self.coarse_error
        fine = jnp.einsum("cb,bij->cij", self.fine_camera.response, fields["coefficients"]) - self.multi
        return jnp.concatenate([coarse.ravel(), fine.ravel() / self.fine_error])

    def cube(self, coefficients: jax.Array) -> np.ndarray:
        """The cube (band, row, column) of coefficients (base, row, column)."""
        return np.einsum("bk,kij->bij", self.mixing, np.asarray(coefficients, float))


def steps(image: np.ndarray, noise: float) -> np.ndarray:
    """The covariance (base, base) of half the difference between neighbours, less that of noise; positive definite."""
    bases = len(image)
    moves = np.concatenate([np.diff(image, axis=axis).reshape(bases, -1) for axis in (1, 2)], axis=1)
    sizes, axes = np.linalg.eigh(moves @ moves.T / (2 * moves.shape[1]))
    return (axes * np.maximum(sizes - noise**2, 0.1 * noise**2)) @ axes.T


def gaussian(scene: Scene, strengths: Sequence[float], inner: int) -> list[np.ndarray]:
    """The cubes of a Gaussian prior around the bicubic image, one a strength."""
    spread = jnp.asarray(1 / scene.known)[:, None, None]
    still = jnp.zeros(scene.bicubic.size)

    def around(detail: jax.Array) -> jax.Array:
        return scene.bicubic + spread * detail.reshape(scene.bicubic.shape)

    def missed(detail: jax.Array) -> jax.Array:
        return scene.residual({"coefficients": around(detail)})

    @jax.jit
    def solve(strength: jax.Array) -> jax.Array:
        return around(data_step(missed, still, still, strength, inner))

    return [scene.cube(solve(strength)) for strength in strengths]
