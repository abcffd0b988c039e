"""Coarse-graining of a fine run of a periodic flow: what a coarser grid holds of it, and what it misses."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..core import Fields
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


def refined(field: Array, size: int) -> Array:
    """The same waves on a finer grid: a field (..., n, n) at `size` by `size` points, to begin a fine run from.

    Raises `ValueError` for a grid that is odd or no finer.

        >>> wave = jnp.cos(2 * jnp.pi * jnp.arange(16) / 16)[None, :] + 0 * jnp.arange(16)[:, None]
        >>> bool(jnp.allclose(coarse_grained(refined(wave, 32), 16, by="truncated"), wave, atol=1e-6))
        True
    """
    coarse = field.shape[-1]
    if size % 2 or size <= coarse:
        raise ValueError(f"a field is refined to more, even points; got {coarse} to {size}")
    half = coarse // 2
    transformed = jnp.fft.rfft2(field)[..., :half] * (size / coarse) ** 2
    gap = jnp.zeros((*field.shape[:-2], size - coarse + 1, half), transformed.dtype)
    rows = jnp.concatenate([transformed[..., :half, :], gap, transformed[..., half + 1 :, :]], axis=-2)
    return jnp.fft.irfft2(rows, (size, size))


def seen_coarsely(
    fine: Quasigeostrophic, host: Quasigeostrophic, start: Array, length: int, *, by: Filter = "sharp"
) -> tuple[Array, Fields]:
    """Run a fine model from `start` (2, n, n) and keep what a coarse host sees and misses of it: pseudo-observations.

    Returns where the fine run ended, and `length` states `potential_vorticity` and `subgrid_forcing` (time, 2, size,
    size), the first of them the start, one every call of `fine`.
    """

    def advance(vorticity, _):
        held = coarse_grained(vorticity, host.size, by=by)
        missed = subgrid_forcing(fine, host, vorticity, by=by)
        moved = fine({"potential_vorticity": vorticity})["potential_vorticity"]
        return moved, {"potential_vorticity": held, "subgrid_forcing": missed}

    return jax.lax.scan(advance, start, length=length)


def spared(field: Array, times: int = 4) -> Array:
    """What a coarse host's own filter leaves of a field (..., n, n) that it passes over a number of `times`.

    A closure is taught this much of the forcing, and a roll-out judged by this much of its error: what the host takes
    out again at every step teaches nothing but to work against it.

        >>> wave = jnp.cos(2 * jnp.pi * jnp.arange(16) / 16)[None, :] + 0 * jnp.arange(16)[:, None]
        >>> bool(jnp.allclose(spared(wave), wave, atol=1e-6))
        True
    """
    size = field.shape[-1]
    return jnp.fft.irfft2(jnp.fft.rfft2(field) * waves(size, 1.0).kept ** times, (size, size))


def _filter(size: int, by: Filter) -> np.ndarray:
    number = waves(size, 2 * math.pi)
    # The shortest wave has one phase only on the coarse grid: it cannot move, and is left out.
    held = (np.abs(number.east) < size // 2) & (np.abs(number.north) < size // 2)
    spacing = 2 * math.pi / size
    shapes = {"truncated": 1.0, "sharp": number.kept, "gaussian": np.exp(-4 * number.squared * spacing**2 / 24)}
    return held * shapes[by]
