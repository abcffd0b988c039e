"""Coarse-graining of a fine run of a periodic flow: what a coarser grid holds of it, and what it misses."""

import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..mechanisms.flow.quasigeostrophic import Quasigeostrophic, waves

Filter = Literal["truncated", "sharp", "gaussian"]


def coarse_grained(field: Array, size: int, *, by: Filter = "sharp") -> Array:
    """What a grid of `size` by `size` points holds of a field (..., n, n) on a doubly periodic square.

    Waves shorter than two coarse cells are cut off; "sharp" then damps the shortest fifth or so of those left by the
    filter of pyqg, `exp(-23.6 (|k| dx - 0.65 pi)^4)`, "gaussian" all of them by `exp(-(2 |k| dx)² / 24)`. All three
    commute with derivatives and keep the mean.

    Raises `ValueError` for a grid that is odd, or no coarser than the field's.

    Source: operators 1 and 2 of Ross et al. (2023), doi:10.1029/2022MS003258.

        >>> wave = jnp.cos(2 * jnp.pi * jnp.arange(16) / 16)[None, :] + 0 * jnp.arange(16)[:, None]
        >>> bool(jnp.allclose(coarse_grained(wave, 8), wave[::2, ::2], atol=1e-6))
        True
    """
    fine = field.shape[-1]
    if field.shape[-2] != fine or size % 2 or not 2 <= size < fine:
        raise ValueError(f"a field on a square grid is coarse-grained to fewer, even points; {field.shape} to {size}")
    half = size // 2
    transformed = jnp.fft.rfft2(field)[..., : half + 1]
    rows = jnp.concatenate([transformed[..., :half, :], transformed[..., -half:, :]], axis=-2)
    return jnp.fft.irfft2(rows * (_filter(size, by) * (size / fine) ** 2), (size, size))


def subgrid_forcing(fine: Quasigeostrophic, coarse: Quasigeostrophic, vorticity: Array, *, by: Filter = "sharp"):
    """What a coarse host misses of a fine flow: `S = bar(dq/dt) - (dq/dt of the host at bar q)`, s-2.

    Of two models that differ in the grid alone this is `J(bar p, bar q) - bar(J(p, q))`, with the aliasing of the
    host's own products in it. Its mean vanishes.

    Source: Bolton & Zanna (2019), doi:10.1029/2018MS001472; Ross et al. (2023), doi:10.1029/2022MS003258.
    """
    held = coarse_grained(vorticity, coarse.size, by=by)
    return coarse_grained(fine.tendency(vorticity), coarse.size, by=by) - coarse.tendency(held)


def _filter(size: int, by: Filter) -> np.ndarray:
    number = waves(size, 2 * math.pi)
    # The shortest wave has one phase only on the coarse grid: it cannot move, and is left out.
    held = (np.abs(number.east) < size // 2) & (np.abs(number.north) < size // 2)
    spacing = 2 * math.pi / size
    shapes = {"truncated": 1.0, "sharp": number.kept, "gaussian": np.exp(-4 * number.squared * spacing**2 / 24)}
    return held * shapes[by]
