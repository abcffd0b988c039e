"""Tomography: the sums of an image along parallel rays."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable, require

IMAGE = Variable("image", "1", ("row", "column"))
PROJECTIONS = Variable("projections", "1", ("angle", "ray"))


class Tomograph(Model):
    """The integrals of an image along rays: `y = A x`, in pixels times the image's units.

    `rays` is A (angle, ray, pixel), as `parallel_rays` makes it.

    Raises `ValueError` for an image of another size.

    Source: Kak & Slaney (1988), doi:10.1137/1.9780898719277, chapter 3.

        >>> tomograph = Tomograph(parallel_rays(8, [0.0]))
        >>> tomograph({"image": jnp.ones((8, 8))})["projections"].shape
        (1, 11)
    """

    rays: ArrayLike
    image: Variable = eqx.field(static=True, default=IMAGE)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.image,)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (PROJECTIONS,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Tomograph")
        image, rays = fields[self.image.name], jnp.asarray(self.rays)
        if image.size != rays.shape[2]:
            raise ValueError(f"the rays cross {rays.shape[2]} pixels, the {self.image.name} has {image.size}")
        return {"projections": rays @ image.ravel()}


def parallel_rays(size: int, angles: ArrayLike) -> Array:
    """Rays one pixel apart that cross a square image at each angle (radians): (angle, ray, pixel).

    Points half a pixel apart along each ray take the image by bilinear interpolation; outside it is 0.

        >>> rays = parallel_rays(16, [0.0, 0.7])
        >>> float(jnp.round(rays[1].sum() / rays[0].sum(), 2))
        1.0
    """
    half = int(np.ceil(size / np.sqrt(2))) - 1
    across = np.arange(-half, half + 1)
    along = np.arange(-half - 1, half + 1.01, 0.5)
    matrices = np.zeros((len(np.asarray(angles)), len(across), size * size), np.float32)
    for matrix, angle in zip(matrices, np.asarray(angles), strict=True):
        row = (size - 1) / 2 + across[:, None] * np.sin(angle) + along * np.cos(angle)
        column = (size - 1) / 2 + across[:, None] * np.cos(angle) - along * np.sin(angle)
        _spread(matrix, row, column, size)
    return jnp.asarray(matrices)


def _spread(matrix: np.ndarray, row: np.ndarray, column: np.ndarray, size: int) -> None:
    """Add to each ray (ray, pixel) the weights of its points (ray, point)."""
    ray = np.broadcast_to(np.arange(len(matrix))[:, None], row.shape)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        i, j = np.floor(row).astype(int) + down, np.floor(column).astype(int) + right
        weight = np.maximum(1 - abs(row - i), 0) * np.maximum(1 - abs(column - j), 0) / 2
        inside = (i >= 0) & (i < size) & (j >= 0) & (j < size)
        np.add.at(matrix, (ray[inside], (i * size + j)[inside]), weight[inside])


def example() -> dict:
    """Straight down the columns of a small image the rays give the sums of its columns."""
    image = jnp.zeros((7, 7)).at[2:4, 3:5].set(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    return {
        "model": Tomograph(parallel_rays(7, [0.0])),
        "inputs": {"image": image},
        "published": {"projections": jnp.zeros((1, 9)).at[0, 4:6].set(jnp.array([4.0, 6.0]))},
        "tolerance": 1e-5,
        "source": "by hand",
    }
