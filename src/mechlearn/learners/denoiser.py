"""The convolutional denoiser, which stands for what images look like."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from ..descent import Descent, descend
from .convolution import gathered, scattered, views
from .examples import usable


class Denoiser(Learner):
    """A network that takes the noise out of an image: it says what the noise is, and that is subtracted.

    `D(v) = v - s R(v / s)`, s the `level` (standard deviation) of the noise, R `depth` convolutions of 3 by 3 cells,
    with `width` channels and relu between, where a cell holds `block` by `block` points side by side. The kernels of
    the first have the sum 0, so that a constant added to the image is added to the answer; one network taught on
    images of many contrasts in noise of level 1 serves every level.
    The last two axes of the variable are the image; those before (bands) are denoised one by one, with a level each
    if it has their shape. With `guides` of n, R also sees the first n other bands, each in units of its own spread, and
    may find there the edges that a band shares with them: put the bands that are known best first.
    `lipschitz` bounds how much R may stretch (each layer by its largest singular value), which plug-and-play needs to
    be sure of its convergence: Ryu et al. (2019), theorem 2.

    Raises `ValueError` for anything but one variable, read and given, with at least two axes (three with guides), and
    for guides with a `lipschitz` bound, which would not hold.

    Source: Zhang et al. (2017), doi:10.1109/TIP.2017.2662206; cells of points: Zhang et al. (2018),
    doi:10.1109/TIP.2018.2839891; Ryu et al. (2019), arXiv:1905.05406.

        >>> image = Variable("image", "1", ("row", "column"))
        >>> Denoiser([image], [image], level=0.1)({"image": jnp.ones((8, 8))})["image"].shape
        (8, 8)
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    kernels: tuple[Array, ...]
    biases: tuple[Array, ...]
    level: ArrayLike
    block: int = eqx.field(static=True)
    guides: int = eqx.field(static=True)
    lipschitz: float | None = eqx.field(static=True)
    descent: Descent = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        width: int = 32,
        depth: int = 6,
        block: int = 2,
        guides: int = 0,
        level: ArrayLike = 1.0,
        lipschitz: float | None = None,
        key: PRNGKeyArray | None = None,
        descent: Descent = Descent(epochs=5, batch_size=16, learning_rate=3e-3, patience=0),
    ):
        self.inputs, self.outputs = _one_image(inputs, outputs, axes=3 if guides else 2)
        if guides and lipschitz is not None:
            raise ValueError(
                "Denoiser: a lipschitz bound does not hold for a band that looks at others; guides=0 has one"
            )
        sizes = [(1 + guides) * block**2, *[width] * (depth - 1), block**2]
        keys = jax.random.split(jax.random.key(0) if key is None else key, depth)
        self.kernels = tuple(
            jax.random.normal(k, (3, 3, *pair)) * (2 / (9 * pair[0])) ** 0.5
            for pair, k in zip(pairwise(sizes), keys, strict=True)
        )
        # Before it is taught it finds next to no noise.
        self.kernels = (*self.kernels[:-1], 0.1 * self.kernels[-1])
        self.biases = tuple(jnp.zeros(after) for after in sizes[1:])
        self.level, self.block, self.guides = level, block, guides
        self.lipschitz, self.descent = lipschitz, descent

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Denoiser")
        (variable,) = self.outputs
        noisy = fields[variable.name]
        level = jax.lax.stop_gradient(jnp.asarray(self.level, noisy.dtype))
        level = jnp.broadcast_to(level, noisy.shape[:-2])[..., None, None]
        clean = noisy - level * self.noise(noisy / level)
        return {variable.name: jnp.clip(clean, *variable.bounds)}

    @eqx.filter_jit
    def noise(self, image: Array) -> Array:
        """R: the noise of level 1 in an image (..., row, column)."""
        rows, columns = image.shape[-2:]
        beyond = [(0, 0), *((0, -side % self.block) for side in (rows, columns)), (0, 0)]
        seen = beside(image, self.guides).reshape(-1, rows, columns, 1 + self.guides)
        whole = jnp.pad(seen, beyond, mode="edge")
        return jax.vmap(self._noise)(whole)[:, :rows, :columns, 0].reshape(image.shape)

    def _noise(self, seen: Array) -> Array:
        first = self.kernels[0].reshape(3, 3, self.block**2, 1 + self.guides, -1)
        kernels = (first - first.mean((0, 1, 2))).reshape(self.kernels[0].shape), *self.kernels[1:]
        if self.lipschitz is not None:
            share = self.lipschitz ** (1 / len(kernels))
            kernels = tuple(kernel * share / jnp.maximum(stretch(kernel), share) for kernel in kernels)
        active = gathered(seen, self.block)
        for place, (kernel, bias) in enumerate(zip(kernels, self.biases, strict=True)):
            around = jnp.pad(jax.nn.relu(active) if place else active, ((1, 1), (1, 1), (0, 0)), mode="edge")
            active = convolved(around, kernel) + bias
        return scattered(active, self.block)

    def facing(self, variable: Variable, level: ArrayLike) -> Self:
        """The same network for another image, with noise of another level."""
        new = Denoiser(
            [variable],
            [variable],
            level=level,
            block=self.block,
            guides=self.guides,
            lipschitz=self.lipschitz,
            descent=self.descent,
        )
        return eqx.tree_at(lambda d: (d.kernels, d.biases), new, (self.kernels, self.biases))

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        return descend(self, misfit, usable(self, inputs, targets), key=key, how=self.descent).model


def beside(image: Array, guides: int) -> Array:
    """Each band and its guides, which are the first other bands made as wide as itself.

    From (..., band, row, column) to (..., band, row, column, 1 + guides); 0 stands for a guide that there is not.

        >>> beside(jnp.asarray([[[0.0, 2.0]], [[5.0, 5.5]]]), 1)[0, 0].tolist()
        [[0.0, -1.0], [2.0, 1.0]]
    """
    if not guides:
        return image[..., None]
    bands = image.shape[-3]
    spread = jnp.std(image, axis=(-2, -1), keepdims=True)
    unit = (image - image.mean((-2, -1), keepdims=True)) / jnp.maximum(spread, jnp.finfo(image.dtype).tiny)
    unit = jnp.concatenate([unit, *[jnp.zeros_like(unit[..., :1, :, :])] * guides], axis=-3)
    others = np.asarray([[k for k in range(bands + guides) if k != band][:guides] for band in range(bands)])
    seen = jnp.moveaxis(unit[..., others, :, :], -3, -1) * spread[..., None]
    return jnp.concatenate([image[..., None], seen], axis=-1)


def misfit(denoiser: Denoiser, batch: tuple[Fields, Fields], key: PRNGKeyArray | None) -> Array:
    """The mean squared error in units of the noise, NaN targets left out."""
    inputs, targets = batch
    (name,) = targets
    made = jax.vmap(lambda image: denoiser({name: image})[name])(inputs[name])
    seen = jnp.isfinite(targets[name])
    error = jnp.where(seen, made - jnp.where(seen, targets[name], 0), 0) / jnp.mean(jnp.asarray(denoiser.level))
    return jnp.sum(error**2) / jnp.maximum(jnp.sum(seen), 1)


@jax.custom_vjp
def convolved(around: Array, kernel: Array) -> Array:
    """An image (row, column, channel) under a kernel (3, 3, in, out), one cell lost at each side.

    Its own adjoint is another such convolution: left to automatic differentiation teaching takes twice the time.
    """
    return jnp.concatenate(views(around, (3, 3)), axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def _forward(around: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return convolved(around, kernel), (around, kernel)


def _backward(seen: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    around, kernel = seen
    beside = jnp.concatenate(views(around, (3, 3)), axis=-1)
    of_kernel = jnp.tensordot(beside, slope, axes=((0, 1), (0, 1))).reshape(kernel.shape)
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return convolved(jnp.pad(slope, ((2, 2), (2, 2), (0, 0))), turned), of_kernel


convolved.defvjp(_forward, _backward)


def stretch(kernel: Array, grid: int = 16) -> Array:
    """The largest singular value of a convolution on a periodic image, by its transfer matrices on a grid.

    Sedghi et al. (2019), arXiv:1805.10408.

        >>> round(float(stretch(jnp.full((3, 3, 1, 1), 1 / 9))), 4)
        1.0
    """
    transfer = jnp.fft.fft2(kernel, (grid, grid), axes=(0, 1))
    return jnp.max(jnp.linalg.svd(transfer, compute_uv=False))


def _one_image(
    inputs: Sequence[Variable], outputs: Sequence[Variable], axes: int
) -> tuple[tuple[Variable], tuple[Variable]]:
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"Denoiser reads one image and gives it back, each only once; got {[v.name for v in inputs]} and "
            f"{[v.name for v in outputs]}"
        )
    (read,), (given,) = inputs, outputs
    if read.name != given.name or read.dims != given.dims or len(read.dims) < axes:
        raise ValueError(
            f"Denoiser gives the image it reads, with at least {axes} axes; got {read.name}{list(read.dims)} and "
            f"{given.name}{list(given.dims)}"
        )
    return (read,), (given,)


def example() -> dict:
    """Squares in noise."""
    image = Variable("image", "1", ("row", "column"))
    draw = jax.random.key(3)
    corner = jax.random.randint(draw, (48, 2), 0, 8)
    rows, columns = jnp.meshgrid(jnp.arange(12), jnp.arange(12), indexing="ij")
    inside = (abs(rows - corner[:, :1, None] - 2) < 3) & (abs(columns - corner[:, 1:, None] - 2) < 3)
    clean = 4.0 * inside
    descent = Descent(epochs=30, batch_size=8, learning_rate=1e-2, patience=0)
    return {
        "learner": Denoiser([image], [image], width=6, depth=3, descent=descent),
        "inputs": {"image": clean + jax.random.normal(jax.random.key(4), clean.shape)},
        "targets": {"image": clean},
        "source": "doi:10.1109/TIP.2017.2662206",
    }
