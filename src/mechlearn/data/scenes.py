"""Archives of scenes, read block by block, and the stores that what is retrieved from them is written to."""

import math
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..core import Variable
from .chunks import refuse_cut_off
from .fields import few, open_file
from .units import DataError, UnitError, convert

AIM, MOST = 2**18, 2**22  # pixels of a block: as many as there should be, and may be at most
KEPT_ENCODING = ("units", "calendar")

Region = tuple[slice, ...]


@dataclass(frozen=True)
class Column:
    """Where a model's input stands in a scene: under which name, in which units, along which of the scene's axes."""

    wanted: Variable
    called: str
    units: str
    axes: tuple[str, ...]
    chunks: tuple[int, ...]

    @property
    def own(self) -> tuple[str, ...]:
        """The axes that one sample of the variable has, beside the time that it stands alone in."""
        return tuple(dim for dim in self.wanted.dims if dim != "time")


@dataclass(frozen=True)
class Scene:
    """Pixels along any axes, such as (time, y, x), of which each block is read when it is its turn.

    `sizes` are the axes of a pixel, in the order of the input that has most of them; other inputs may lack some and
    are the same along these. `block` is the shape of what is read at once: whole chunks of the file, side by side.
    """

    path: Path
    sizes: dict[str, int]
    block: tuple[int, ...]
    columns: tuple[Column, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    opened: int = 0

    @classmethod
    def of(
        cls,
        path: str | Path,
        wanted: Sequence[Variable],
        *,
        names: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        aim: int | None = None,
    ) -> "Scene":
        """Find the inputs of a model in a Zarr store or NetCDF file; nothing but what describes them is read.

        `names` says what the scene calls them, `units` what they are in where the scene does not say.

        Raises `DataError` for an input the scene does not have, `UnitError` for units that are missing or of
        another kind.
        """
        path = Path(path)
        names, units = dict(names or {}), dict(units or {})
        _refuse_unknown({**names, **units}, wanted)
        with open_file(path) as dataset:
            _refuse_missing(dataset, wanted, names, path)
            columns = tuple(_column(dataset, v, names.get(v.name, v.name), units.get(v.name), path) for v in wanted)
            leading = max(columns, key=lambda one: len(one.axes))
            sizes = {dim: int(dataset.sizes[dim]) for dim in leading.axes}
            stray = sorted({dim for one in columns for dim in one.axes} - set(sizes))
            if stray:
                sizes = {dim: int(dataset.sizes[dim]) for dim in stray} | sizes
            chunks = dict.fromkeys(sizes, 1) | dict(zip(leading.axes, leading.chunks, strict=True))
            mapped = {k: v for k, v in dataset[leading.called].attrs.items() if k == "grid_mapping"}
            mapped |= {k: v for k, v in dataset[leading.called].encoding.items() if k == "grid_mapping"}
        shape = layout(tuple(sizes.values()), tuple(chunks.values()), aim or AIM)
        return cls(path, sizes, shape, columns, mapped, os.stat(path).st_mtime_ns)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many pixels there are along each axis."""
        return tuple(self.sizes.values())

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return math.prod(self._grid)

    @property
    def _grid(self) -> tuple[int, ...]:
        return tuple(-(-size // step) for size, step in zip(self.shape, self.block, strict=True))

    def region(self, number: int) -> Region:
        """Where a block lies."""
        places = np.unravel_index(number, self._grid)
        return tuple(
            slice(int(place) * step, min((int(place) + 1) * step, size))
            for place, step, size in zip(places, self.block, self.shape, strict=True)
        )

    def read(self, region: Region) -> tuple[dict[str, np.ndarray], np.ndarray, str]:
        """The inputs at the pixels of a region as (pixel, ...), where they could not be read, and why not.

        Values are float32 in the units of the model. What is unreadable is NaN, as far as the damaged chunks reach.
        """
        shape = tuple(one.stop - one.start for one in region)
        torn, trouble, fields = np.zeros(shape, bool), "", {}
        for column in self.columns:
            values, holes, said = self._values(column, dict(zip(self.sizes, region, strict=True)))
            fields[column.wanted.name] = _stretched(values, column, tuple(self.sizes), shape)
            if said:
                torn |= _placed(holes, column.axes, tuple(self.sizes), 0)
                trouble = trouble or f"{column.called}: {said}"
        return fields, torn.ravel(), trouble

    def _values(self, column: Column, region: dict[str, slice]) -> tuple[np.ndarray, np.ndarray, str]:
        """A column in a region (axes, own), where it is unreadable (axes), and what was said of that."""
        mine = [region[dim] for dim in column.axes]
        shape = tuple(one.stop - one.start for one in mine)
        values, said = self._attempt(column, mine)
        if values is not None:
            return values, np.zeros(shape, bool), ""
        own = [_dataset(self.path, self.opened).sizes[dim] for dim in column.own]
        whole, holes = np.full((*shape, *own), np.nan, np.float32), np.zeros(shape, bool)
        for piece in _pieces(mine, column.chunks):
            there = tuple(slice(p.start - m.start, p.stop - m.start) for p, m in zip(piece, mine, strict=True))
            part, _ = self._attempt(column, piece)
            whole[there] = np.nan if part is None else part
            holes[there] = part is None
        return whole, holes, said if holes.any() else ""

    def _attempt(self, column: Column, region: Sequence[slice]) -> tuple[np.ndarray | None, str]:
        array = _dataset(self.path, self.opened)[column.called]
        try:
            if not column.own:
                refuse_cut_off(self.path, column.called, region, self.opened)
            part = array.isel(dict(zip(column.axes, region, strict=True))).compute()
            values = part.transpose(*column.axes, *column.own).values
            converted = convert(values.astype(np.float64), column.units, column.wanted.units, column.wanted.name)
            return converted.astype(np.float32), ""
        except MemoryError:
            raise
        except Exception as trouble:  # every back end fails in its own way on a damaged chunk
            return None, f"{type(trouble).__name__}: {(str(trouble).splitlines() or [''])[0][:160]}"


@lru_cache(maxsize=8)
def _dataset(path: Path, opened: int) -> xr.Dataset:
    """The scene, opened once a process."""
    return open_file(path)


def _refuse_unknown(told: Mapping[str, str], wanted: Sequence[Variable]) -> None:
    known = [v.name for v in wanted]
    stray = [name for name in told if name not in known]
    if stray:
        raise DataError(f"names and units are given for {few(stray)}, which is not read; read are {few(known, 20)}")


def _refuse_missing(dataset: xr.Dataset, wanted: Sequence[Variable], names: Mapping[str, str], path: Path) -> None:
    missing = [v for v in wanted if names.get(v.name, v.name) not in dataset.variables]
    if not missing:
        return
    known = [f"{name} ({dataset[name].attrs.get('units', 'no units')})" for name in dataset.data_vars]
    lacking = few((f"{names.get(v.name, v.name)} ({v.units})" for v in missing), 20)
    raise DataError(
        f"{path} has no {lacking}, which the coupling reads; it has {few(known, 20)}. Add it to the scene (a single "
        "number or a map will do where it does not change), or say what the scene calls it: "
        f"--set data.names.{missing[0].name}=NAME"
    )


def _column(dataset: xr.Dataset, wanted: Variable, called: str, units: str | None, path: Path) -> Column:
    array = dataset[called]
    given = units or array.attrs.get("units", "")
    _refuse_units(wanted, called, given, path)
    own = [dim for dim in wanted.dims if dim != "time"]
    lost = [dim for dim in own if dim not in array.dims]
    if lost:
        raise DataError(f"{path}: {called!r} has the axes {array.dims}, and lacks {few(lost)}, which the model needs")
    axes = tuple(str(dim) for dim in array.dims if dim not in own)
    chunked = array.encoding.get("preferred_chunks", {})
    return Column(wanted, called, given, axes, tuple(int(chunked.get(dim, 1)) for dim in axes))


def _refuse_units(wanted: Variable, called: str, given: str, path: Path) -> None:
    if not str(given).strip():
        raise UnitError(
            f"{path}: {called!r} states no units; expected {wanted.units!r} or what converts to it. "
            f"Write them into the scene (the attribute units), or state them: "
            f"--set data.units.{wanted.name}={wanted.units!r}"
        )
    try:
        convert(np.zeros(1), given, wanted.units, wanted.name)
    except UnitError:
        raise UnitError(
            f"{path}: {called!r} is in {given!r}, but {wanted.name} is needed in {wanted.units!r} or what converts to "
            "it: this is another physical quantity. Convert the scene first (a radiance becomes a brightness "
            "temperature by the inverse Planck function of its band), name another variable of the scene "
            f"(--set data.names.{wanted.name}=NAME), or, if it is mislabelled, state the true units "
            f"(--set data.units.{wanted.name}={wanted.units!r})"
        ) from None


def layout(sizes: Sequence[int], chunks: Sequence[int], aim: int = AIM) -> tuple[int, ...]:
    """The shape of a block: whole chunks, joined along the last two axes first, then along those before.

    >>> layout((30, 1000, 1000), (1, 250, 250))
    (1, 500, 500)
    >>> layout((10**6,), (1,), aim=1000)
    (512,)
    """
    shape = [min(chunk, size) for chunk, size in zip(chunks, sizes, strict=True)]
    while True:
        able = [n for n, size in enumerate(sizes) if shape[n] < size]
        near = [n for n in able if n >= len(sizes) - 2] or able
        if not near or math.prod(shape) * 2 > aim:
            break
        grown = min(near, key=lambda n: (n < len(sizes) - 2, shape[n]))
        shape[grown] = min(2 * shape[grown], sizes[grown])
    while math.prod(shape) > MOST:
        longest = max(range(len(shape)), key=lambda n: shape[n])
        shape[longest] = -(-shape[longest] // 2)
    return tuple(shape)


def _pieces(region: Sequence[slice], chunks: Sequence[int]) -> Iterator[list[slice]]:
    """The parts of a region that lie in one chunk each; where the file has no chunks, along the first axis."""
    if all(chunk == 1 for chunk in chunks):
        chunks = [1, *(one.stop for one in region[1:])]
    edges = [
        sorted({one.start, one.stop, *range(-(-one.start // chunk) * chunk, one.stop, chunk)})
        for one, chunk in zip(region, chunks, strict=True)
    ]
    for cut in product(*(list(pairwise(edge)) for edge in edges)):
        yield [slice(*pair) for pair in cut]


def _placed(values: np.ndarray, axes: Sequence[str], dims: Sequence[str], own: int) -> np.ndarray:
    """Values along some axes as an array along all of them, of length 1 where they do not vary."""
    order = [axes.index(dim) for dim in dims if dim in axes]
    turned = values.transpose(*order, *range(len(axes), len(axes) + own))
    sizes = iter(turned.shape)
    return turned.reshape([next(sizes) if dim in axes else 1 for dim in dims] + list(turned.shape[len(axes) :]))


def _stretched(values: np.ndarray, column: Column, dims: Sequence[str], shape: tuple[int, ...]) -> np.ndarray:
    own = values.shape[len(column.axes) :]
    placed = _placed(values, column.axes, dims, len(own))
    return np.ascontiguousarray(np.broadcast_to(placed, (*shape, *own))).reshape(math.prod(shape), *own)


@dataclass(frozen=True)
class Layer:
    """One variable of a store: its name, kind of number, what stands where nothing has been written, and meaning."""

    name: str
    dtype: str
    fill: float
    attributes: dict[str, Any]


def create(path: Path, scene: Scene, layers: Sequence[Layer], about: Mapping[str, Any], origin: str) -> None:
    """Make an empty Zarr store with a scene's coordinates, one chunk a block: whole, or not there.

    Raises `DataError` when zarr is not installed or the store cannot be written.
    """
    zarr, part = _zarr(), path.with_name(f"{path.name}.new")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Zarr 3 warns that not every reader knows of consolidated metadata
            _laid_out(zarr, part, scene, layers, about, origin)
        os.replace(part, path)
    except OSError as trouble:
        raise DataError(f"{path} cannot be written ({trouble}); choose a folder you may write to") from trouble


def _laid_out(zarr: Any, path: Path, scene: Scene, layers: Sequence[Layer], about, origin: str) -> None:
    with open_file(scene.path, chunks={}) as dataset:
        _coordinates(dataset, scene, origin).assign_attrs(about).to_zarr(path, mode="w", consolidated=False)
    group = zarr.open_group(str(path), mode="a")
    for layer in layers:
        group.create_array(
            layer.name,
            shape=scene.shape,
            chunks=scene.block,
            dtype=layer.dtype,
            fill_value=layer.fill,
            dimension_names=list(scene.sizes),
            attributes={**layer.attributes, **scene.attributes},
        )
    zarr.consolidate_metadata(str(path))


def swept(path: Path) -> None:
    """Remove from a store what was being written when it was broken off."""
    for stray in path.rglob("*.partial"):
        stray.unlink(missing_ok=True)


def _coordinates(dataset: xr.Dataset, scene: Scene, origin: str) -> xr.Dataset:
    """What says where and when the pixels are, and nothing else."""
    mapped = [name for name in scene.attributes.values() if name in dataset.data_vars]
    read = [one.called for one in scene.columns]
    stray = [n for n in dataset.coords if n in read or not set(dataset[n].dims) <= set(scene.sizes)]
    kept = dataset[mapped].drop_vars(stray, errors="ignore").drop_attrs(deep=False)
    kept = kept.assign_coords({n: dataset[n].variable for n in dataset.coords if n not in stray})
    for name in kept.variables:
        kept[name].encoding = {k: v for k, v in kept[name].encoding.items() if k in KEPT_ENCODING}
        kept[name].encoding["_FillValue"] = None
        kept[name].attrs.setdefault("provenance", origin)
    return kept


def written(path: Path, region: Region, values: Mapping[str, np.ndarray], opened: str) -> None:
    """Fill one block of a store: a chunk of each variable, whole or not there."""
    shape = tuple(one.stop - one.start for one in region)
    for name, flat in values.items():
        _group(path, opened)[name][region] = flat.reshape(shape)


@lru_cache(maxsize=8)
def _group(path: Path, opened: str) -> Any:
    return _zarr().open_group(str(path), mode="r+")


def glance(path: Path, name: str, leading: tuple[int, ...], most: int = 400) -> np.ndarray:
    """A small picture of one variable of a store: every n-th pixel along its last two axes, read strip by strip."""
    array = _zarr().open_group(str(path), mode="r")[name]
    rows, columns = array.shape[-2:]
    step, deep = -(-max(rows, columns) // most), array.chunks[-2]
    strips = [
        array[(*leading, slice(top, min(top + deep, rows)))][-top % step :: step, ::step]
        for top in range(0, rows, deep)
    ]
    return np.concatenate(strips)


def removed(path: Path) -> None:
    """Remove a Zarr store.

    Raises `DataError` for a folder that is none, which is left as it is.
    """
    if path.exists() and not (path / "zarr.json").is_file():
        raise DataError(f"{path} is no Zarr store, so it is not replaced; choose another name")
    shutil.rmtree(path, ignore_errors=True)


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as trouble:
        raise DataError("retrieving from scenes writes Zarr: pip install 'mechlearn[scale]'") from trouble
    return zarr
