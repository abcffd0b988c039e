"""A camera: what it makes of a scene, its point spread and its spectral bands being known."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable, require

SCENE = Variable("radiance", "1", ("band", "row", "column"))
IMAGE = Variable("camera_image", "1", ("channel", "line", "sample"))


class Camera(Model):
    """A scene as a camera sees it: mixed over its bands, blurred and sampled.

    `y_cij = sum_brk W_cb P_ir P_jk x_brk`, W the spectral `response` (channel, band), P the point `spread` of each
    sample over rows and over columns (sample, row). It is linear; the scene is square.

    Raises `ValueError` for a scene that does not fit.

    Source: Yokoya et al. (2017), doi:10.1109/MGRS.2016.2637824, equations 1 and 2.

        >>> camera = Camera(jnp.ones((1, 3)) / 3, point_spread(8, 4))
        >>> camera({"radiance": jnp.ones((3, 8, 8))})["camera_image"].shape
        (1, 2, 2)
    """

    response: ArrayLike
    spread: ArrayLike
    scene: Variable = eqx.field(static=True, default=SCENE)
    image: Variable = eqx.field(static=True, default=IMAGE)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.scene,)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (self.image,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Camera")
        response, spread, scene = jnp.asarray(self.response), jnp.asarray(self.spread), fields[self.scene.name]
        if scene.shape != (response.shape[1], spread.shape[1], spread.shape[1]):
            raise ValueError(
                f"Camera sees {response.shape[1]} bands of {spread.shape[1]} by {spread.shape[1]} points, got a "
                f"{self.scene.name} of shape {scene.shape}"
            )
        return {self.image.name: jnp.einsum("cb,ir,brk,jk->cij", response, spread, scene, spread, optimize=True)}


def point_spread(size: int, factor: int) -> Array:
    """A Gaussian as wide at half its height as a sample of `factor` points: (size / factor, size), rows of sum 1.

    >>> point_spread(4, 1).round(2).tolist()[0]
    [0.94, 0.06, 0.0, 0.0]
    """
    middle = factor * np.arange(size // factor)[:, None] + (factor - 1) / 2
    weight = np.exp(-0.5 * ((np.arange(size) - middle) / (factor / 2.3548)) ** 2)
    return jnp.asarray(weight / weight.sum(axis=1, keepdims=True))


def band_means(wavelength: ArrayLike, channels: Sequence[tuple[float, float]]) -> Array:
    """The response (channel, band) of channels that weigh all bands between two wavelengths alike.

    >>> band_means([0.4, 0.5, 0.6], [(0.35, 0.55)]).tolist()
    [[0.5, 0.5, 0.0]]
    """
    bands = np.asarray(wavelength)
    inside = np.array([(bands >= low) & (bands <= high) for low, high in channels], float)
    return jnp.asarray(inside / inside.sum(axis=1, keepdims=True))


def example() -> dict:
    """Two bands, their mean seen through samples of two points each: by hand."""
    scene = jnp.asarray([[[1.0, 3.0], [5.0, 7.0]], [[0.0, 0.0], [0.0, 8.0]]])
    return {
        "model": Camera(jnp.asarray([[0.5, 0.5]]), jnp.asarray([[0.5, 0.5]])),
        "inputs": {"radiance": scene},
        "published": {"camera_image": jnp.asarray([[[3.0]]])},
        "tolerance": 1e-6,
        "source": "by hand",
    }
