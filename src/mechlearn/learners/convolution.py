"""The convolutional network on a periodic grid, and convolutions as products of matrices."""

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from ..descent import Descent
from .examples import on_one_grid, taught
from .scaling import Scaling


class Convolution(Learner):
    """A network that does the same everywhere on a periodic grid: each place is estimated from its surroundings.

    `a_0 = scaled fields; a_k(s) = gelu(sum_r W_k(r) a_{k-1}(s + r) + b_k)`, one layer for each of `kernels`, which are
    the widths of the surroundings (odd); the last is linear. Kernels (5, 1, 1) make a local network of patches of
    five, (5, 3, 3) let the layers look further. `width` is the number of channels between them, or one for each.
    With a `block` of n, n cells along each axis are first gathered into one (their values side by side), so that the
    network works on the coarser grid and tells the places within a block apart. `bilinear` makes the first layer
    `[a, b c]` of three convolutions, with no activation: products of neighbours make an advection term exact.
    All variables have the same one or two axes; a single example may have any number of places along them.

    Raises `ValueError` for variables with other axes, a kernel that is even, widths that do not stand between the
    kernels, or a grid that blocks do not fill.

    Source: LeCun et al. (1998), doi:10.1109/5.726791; bilinear: Brajard et al. (2020), doi:10.1016/j.jocs.2020.101171,
    whose network is `width=(24, 37), kernels=(5, 5, 1), bilinear=True, activation="relu"`.

        >>> height, rate = Variable("height", "m", ("y", "x")), Variable("rate", "m s-1", ("y", "x"))
        >>> Convolution([height], [rate], width=4)({"height": jnp.ones((8, 8))})["rate"].shape
        (8, 8)
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    weights: tuple[Array, ...]
    offsets: tuple[Array, ...]
    entering: Scaling
    leaving: Scaling
    block: int = eqx.field(static=True)
    bilinear: bool = eqx.field(static=True)
    activation: Literal["gelu", "relu"] = eqx.field(static=True)
    descent: Descent = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        width: int | Sequence[int] = 32,
        kernels: Sequence[int] = (5, 3, 1),
        block: int = 1,
        bilinear: bool = False,
        activation: Literal["gelu", "relu"] = "gelu",
        key: PRNGKeyArray | None = None,
        descent: Descent = Descent(learning_rate=2e-3, batch_size=16),
    ):
        axes = on_one_grid(inputs, outputs, "Convolution")
        if not kernels or any(size % 2 == 0 for size in kernels):
            raise ValueError(f"Convolution needs odd kernels, which have a middle; got {tuple(kernels)}")
        widths = [width] * (len(kernels) - 1) if isinstance(width, int) else list(width)
        if len(widths) != len(kernels) - 1 or (bilinear and not widths):
            raise ValueError(f"Convolution needs a width between any two of {len(kernels)} kernels; got {widths}")
        self.inputs, self.outputs, self.block, self.descent = tuple(inputs), tuple(outputs), block, descent
        self.bilinear, self.activation = bilinear, activation
        cells = block**axes
        leaving = [*widths, len(self.outputs) * cells]
        entering = [len(self.inputs) * cells, *widths]
        if bilinear:
            leaving[0], entering[1] = 3 * widths[0], 2 * widths[0]
        keys = jax.random.split(jax.random.key(0) if key is None else key, len(kernels))
        shapes = [((k,) * axes + pair) for k, pair in zip(kernels, zip(entering, leaving, strict=True), strict=True)]
        self.weights = tuple(_drawn(shape, k) for shape, k in zip(shapes, keys, strict=True))
        self.offsets = tuple(jnp.zeros(size) for size in leaving)
        self.entering, self.leaving = Scaling(self.inputs), Scaling(self.outputs)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Convolution")
        active = gathered(self.entering.pack(fields), self.block)
        *first, last = zip(self.weights, self.offsets, strict=True)
        for place, (weight, offset) in enumerate(first):
            active = self._active(convolved(active, weight) + offset, place)
        return self.leaving.unpack(scattered(convolved(active, last[0]) + last[1], self.block))

    def _active(self, made: Array, place: int) -> Array:
        if self.bilinear and place == 0:
            plain, one, other = jnp.split(made, 3, axis=-1)
            return jnp.concatenate([plain, one * other], axis=-1)
        return (jax.nn.relu if self.activation == "relu" else jax.nn.gelu)(made)

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        scales = self.entering.seen(inputs), self.leaving.seen(targets)
        return eqx.tree_at(lambda m: (m.entering, m.leaving), self, scales)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        return taught(self, inputs, targets, key=key)


def views(field: Array, kernel: Sequence[int]) -> list[Array]:
    """What each place of a kernel sees as the kernel moves over a field along its first axes: one array a place.

    >>> [view.tolist() for view in views(jnp.array([3.0, 1.0, 2.0, 3.0, 1.0]), (3,))]
    [[3.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0]]
    """
    sizes = [side - size + 1 for side, size in zip(field.shape, kernel, strict=False)]
    starts = itertools.product(*(range(size) for size in kernel))
    return [field[tuple(slice(o, o + n) for o, n in zip(start, sizes, strict=True))] for start in starts]


@jax.jit
def convolved(field: Array, weight: Array) -> Array:
    """`sum_r W(r) a(s + r)` around a periodic grid: field (*grid, channel), weight (*kernel, channel, channel out).

    >>> convolved(jnp.array([[1.0], [0.0], [0.0]]), jnp.array([[[1.0]], [[0.0]], [[2.0]]]))[:, 0].tolist()
    [0.0, 1.0, 2.0]
    """
    *kernel, _, leaving = weight.shape
    if math.prod(kernel) > 1:
        around = jnp.pad(field, [*((size // 2, size // 2) for size in kernel), (0, 0)], mode="wrap")
        # Neighbours side by side and one product: XLA's own convolution is several times slower inside a loop.
        field = jnp.concatenate(views(around, kernel), axis=-1)
    return field @ weight.reshape(-1, leaving)


def gathered(field: Array, block: int) -> Array:
    """Cells (..., channel) of each block side by side as channels of one.

    Raises `ValueError` for a grid that blocks do not fill.

        >>> gathered(jnp.arange(6.0)[:, None], 2).tolist()
        [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """
    *grid, channels = field.shape
    if any(size % block for size in grid):
        raise ValueError(f"a grid of {tuple(grid)} cells is not filled by blocks of {block}")
    if block == 1:
        return field
    apart = field.reshape(*(n for size in grid for n in (size // block, block)), channels)
    inner = tuple(range(1, 2 * len(grid), 2))
    together = jnp.moveaxis(apart, inner, tuple(range(len(grid), 2 * len(grid))))
    return together.reshape(*(size // block for size in grid), -1)


def scattered(field: Array, block: int) -> Array:
    """Blocks taken apart again: what `gathered` put side by side.

    >>> scattered(gathered(jnp.arange(6.0)[:, None], 2), 2)[:, 0].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    *grid, channels = field.shape
    if block == 1:
        return field
    apart = field.reshape(*grid, *(block for _ in grid), channels // block ** len(grid))
    inner = tuple(range(1, 2 * len(grid), 2))
    together = jnp.moveaxis(apart, tuple(range(len(grid), 2 * len(grid))), inner)
    return together.reshape(*(size * block for size in grid), -1)


def _drawn(shape: Sequence[int], key: PRNGKeyArray) -> Array:
    """Weights that keep the variance of what passes."""
    return jax.random.normal(key, shape) / math.sqrt(math.prod(shape[:-1]))


def example() -> dict:
    """The slope of a wave, twice the central difference of its neighbours."""
    height, slope = Variable("height", "m", ("x",)), Variable("slope", "m", ("x",))
    waves = jax.random.normal(jax.random.key(0), (64, 8))
    learner = Convolution(
        [height], [slope], width=8, kernels=(3, 1), descent=Descent(epochs=25, batch_size=16, learning_rate=2e-2)
    )
    targets = {"slope": jnp.roll(waves, -1, 1) - jnp.roll(waves, 1, 1)}
    return {"learner": learner, "inputs": {"height": waves}, "targets": targets, "source": "doi:10.1109/5.726791"}
