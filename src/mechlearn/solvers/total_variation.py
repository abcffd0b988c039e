"""Total variation: the classical denoiser, as a model that plugs into `plug_and_play`."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Fields, Model, Variable, require


class TotalVariation(Model):
    """The image nearest to a noisy one whose edges are few: the proximal map of the total variation.

    `argmin_x |x - v|²/2 + weight sum_ij |grad x|_ij` with forward differences and the length of both (isotropic),
    by accelerated projected gradient on the dual. The last two axes of the variable are the image; those before
    (bands) are denoised one by one, with a `weight` each if it has their shape, or `joint`: `|grad x|_ij` is then the
    length over all bands, so that what is an edge in one is likely one in all.

    Raises `ValueError` for a variable or an image with fewer than two axes, and for a weight below 0.

    Source: Rudin et al. (1992), doi:10.1016/0167-2789(92)90242-F; Beck & Teboulle (2009), doi:10.1109/TIP.2009.2028250;
    joint: Bresson & Chan (2008), doi:10.3934/ipi.2008.2.455.

        >>> image = Variable("image", "1", ("row", "column"))
        >>> flat = TotalVariation(image, 10.0)({"image": jnp.eye(4)})["image"]
        >>> bool(jnp.allclose(flat, 0.25, atol=1e-3))
        True
    """

    variable: Variable = eqx.field(static=True)
    weight: ArrayLike = 0.1
    iterations: int = eqx.field(static=True, default=100)
    joint: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if len(self.variable.dims) < 2:
            raise ValueError(f"TotalVariation needs an image, {self.variable.name} has the axes {self.variable.dims}")
        if isinstance(self.weight, int | float) and self.weight < 0:
            raise ValueError(f"the weight of TotalVariation must not be below 0, got {self.weight}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "TotalVariation")
        noisy = fields[self.variable.name]
        if noisy.ndim < 2:
            raise ValueError(f"TotalVariation needs an image with two axes or more, got the shape {noisy.shape}")
        weight = jnp.broadcast_to(jnp.asarray(self.weight, noisy.dtype), noisy.shape[:-2])[..., None, None]
        return {self.variable.name: denoised(noisy, weight, self.iterations, self.joint)}


def gradient(image: Array) -> Array:
    """Forward differences down and across (2, ..., row, column), 0 at the last row and column."""
    down = jnp.zeros_like(image).at[..., :-1, :].set(jnp.diff(image, axis=-2))
    across = jnp.zeros_like(image).at[..., :-1].set(jnp.diff(image, axis=-1))
    return jnp.stack([down, across])


def divergence(flow: Array) -> Array:
    """Minus the adjoint of `gradient`: (2, ..., row, column) to (..., row, column)."""
    down = jnp.diff(flow[0][..., :-1, :], axis=-2, prepend=0, append=0)
    return down + jnp.diff(flow[1][..., :-1], axis=-1, prepend=0, append=0)


def denoised(noisy: Array, weight: Array, iterations: int, joint: bool = False) -> Array:
    """`argmin |x - v|²/2 + weight TV(x)`: `x = v + div p` for the dual field p with `|p|_ij <= weight`."""
    together = tuple(range(noisy.ndim - 1)) if joint else (0,)

    def improve(carry, _):
        flow, ahead, pace = carry
        moved = ahead + gradient(noisy + divergence(ahead)) / 8
        length = jnp.sqrt(jnp.sum(moved**2, axis=together, keepdims=True))[0]
        found = moved * jnp.minimum(1, weight / jnp.maximum(length, jnp.finfo(noisy.dtype).tiny))
        faster = (1 + jnp.sqrt(1 + 4 * pace**2)) / 2
        # Momentum that points uphill is dropped, which makes the approach linear near the end.
        uphill = jnp.sum((ahead - found) * (found - flow)) > 0
        faster = jnp.where(uphill, 1, faster)
        return (found, found + jnp.where(uphill, 0, (pace - 1) / faster) * (found - flow), faster), None

    start = jnp.zeros((2, *noisy.shape), noisy.dtype)
    (flow, _, _), _ = jax.lax.scan(improve, (start, start, jnp.ones((), noisy.dtype)), None, length=iterations)
    return noisy + divergence(flow)
