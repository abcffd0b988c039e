"""Windows of a record: the samples that models are taught and scored on."""

from collections.abc import Callable, Iterator, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..core import Fields
from .fields import DataError, Record


class Windows(eqx.Module):
    """Windows of one site each: a warm-up without observations, then the days that count.

    Every observed day under the mask counts in exactly one window, as far as `warmup + length`
    days of unbroken forcing allow; forcing inside a window is never missing, but for the inputs
    named in `gaps` (what a model `tolerates`). The warm-up may reach back before the mask: it is
    forcing only. With `stride` shorter than `length` windows
    overlap and days count more than once. With `unlabelled` the windows tile all complete forcing, observed or not,
    for what is charged without labels. `weights` (site, time) say how much a window counts by its first scored day:
    its spread is widened by the root of it.

    `take(indices)` gives `fields` {name: (batch, warmup + length, ...) or (batch, ...)}, `observed` with NaN
    where nothing counts, and `spread` (batch,), the standard deviation of each site's target.

    Raises `DataError` when not one window fits, with the reason.
    """

    fields: dict[str, Array]
    observed: dict[str, Array]
    scales: dict[str, Array]
    site: Array
    start: Array
    first: Array
    weight: Array
    dynamic: tuple[str, ...] = eqx.field(static=True)
    length: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True)

    def __init__(
        self,
        record: Record,
        mask: np.ndarray,
        length: int = 365,
        warmup: int = 365,
        *,
        inputs: Sequence[str] | None = None,
        gaps: Sequence[str] = (),
        targets: Sequence[str] | None = None,
        stride: int | None = None,
        scales: dict[str, np.ndarray] | None = None,
        unlabelled: bool = False,
        weights: np.ndarray | None = None,
    ):
        names = tuple(record.fields) if inputs is None else tuple(inputs)
        goals = tuple(record.observed) if targets is None else tuple(targets)
        shown = record.masked(mask)
        hidden = {name: shown.observed[name] for name in goals}
        counts = np.any([_any_depth(np.isfinite(values)) | unlabelled for values in hidden.values()], axis=0)
        complete = record.complete([name for name in names if name not in gaps])
        places = _places(counts, complete, length, warmup, stride)
        if not places:
            raise DataError(_nothing(counts, complete, length, warmup))
        self.dynamic = tuple(name for name in names if name in record.dynamic)
        self.fields = {name: jnp.asarray(record.fields[name], jnp.float32) for name in names}
        self.observed = {name: jnp.asarray(values, jnp.float32) for name, values in hidden.items()}
        scales = spread(shown) if scales is None else scales
        self.scales = {name: jnp.asarray(scales[name], jnp.float32) for name in goals}
        self.site, self.start, self.first = (jnp.asarray(column, jnp.int32) for column in np.array(places).T)
        self.length, self.warmup = length, warmup
        each = 1.0 if weights is None else weights[np.array(self.site), np.array(self.start) + warmup]
        self.weight = jnp.broadcast_to(jnp.asarray(each, jnp.float32), self.site.shape)

    def __len__(self) -> int:
        return self.site.shape[0]

    def take(self, indices: Array) -> tuple[Fields, Fields, Fields]:
        """The windows of these indices as (fields, observed, spread), with a leading batch axis."""
        return jax.vmap(self._one)(jnp.asarray(indices))

    def _one(self, index: Array) -> tuple[Fields, Fields, Fields]:
        site, start = self.site[index], self.start[index]
        span = self.warmup + self.length

        def cut(series: Array) -> Array:
            further = series.shape[2:]
            return jax.lax.dynamic_slice(series, (site, start, *[0] * len(further)), (1, span, *further))[0]

        fields = {name: cut(values) if name in self.dynamic else values[site] for name, values in self.fields.items()}
        counts = jnp.arange(span) >= self.first[index]
        observed = {
            name: jnp.where(counts.reshape(-1, *[1] * (values.ndim - 2)), cut(values), jnp.nan)
            for name, values in self.observed.items()
        }
        wider = jax.lax.rsqrt(self.weight[index])
        return fields, observed, {name: values[site] * wider for name, values in self.scales.items()}


def _any_depth(cells: np.ndarray) -> np.ndarray:
    return cells.reshape(*cells.shape[:2], -1).any(axis=-1)


def spread(record: Record) -> dict[str, np.ndarray]:
    """The standard deviation of each target at each site over the observed days.

    A site with fewer than two observed days, such as an ungauged one, gets the median of the others. Independent
    samples have one spread in common.
    """
    if record.independent:
        return {name: np.full(len(values), np.nanstd(values)) for name, values in record.observed.items()}
    return {name: _deviation(values.reshape(len(values), -1)) for name, values in record.observed.items()}


def _deviation(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    filled = np.where(known, values, 0.0).astype(np.float64)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    deviation = np.sqrt(np.where(known, (filled - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(count, 1))
    usable = (count > 1) & (deviation > 0)
    return np.where(usable, deviation, np.median(deviation[usable]) if usable.any() else 1.0)


def blocks(read: Callable[..., Record], sites: Sequence[str], sites_per_block: int, **options) -> Iterator[Record]:
    """Read a record too large for memory a few sites at a time.

    `read` is a reader's function; each block is read when it is asked for.
    """
    for begin in range(0, len(sites), sites_per_block):
        yield read(sites=tuple(sites[begin : begin + sites_per_block]), **options)


def runs(row: np.ndarray) -> list[tuple[int, int]]:
    """First and one-past-last index of each unbroken stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _places(counts, complete, length: int, warmup: int, stride: int | None) -> list[tuple[int, int, int]]:
    places = []
    for site, row in enumerate(complete):
        for begin, end in runs(row):
            places += [(site, *place) for place in _tile(counts[site], begin, end, length, warmup, stride)]
    return places


def _tile(counts: np.ndarray, begin: int, end: int, length: int, warmup: int, stride: int | None):
    """Tile one unbroken stretch of forcing; each tile is (start, first day of it that counts)."""
    tiles = []
    wanted = np.flatnonzero(counts[begin:end]) + begin
    wanted = wanted[wanted >= begin + warmup]
    cursor = begin + warmup
    while end - begin >= warmup + length and (place := np.searchsorted(wanted, cursor)) < len(wanted):
        day = int(wanted[place])
        scored = min(day, end - length)  # the last tile is moved back, and counts only what is left
        tiles.append((scored - warmup, warmup + (day - scored if stride is None else 0)))
        cursor = scored + length if stride is None or scored < day else day + stride
    return tiles


def _nothing(counts: np.ndarray, complete: np.ndarray, length: int, warmup: int) -> str:
    longest = max((b - a for row in complete for a, b in runs(row)), default=0)
    return (
        f"no window of {warmup} + {length} days fits: {int(counts.sum())} observed days under the mask, "
        f"longest unbroken forcing {longest} days; shorten length or warmup, fill gaps in the forcing, "
        "or choose other dates"
    )
