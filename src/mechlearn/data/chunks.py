"""Whether the chunks of a Zarr array are whole, where its compressor does not see to that itself."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from .units import DataError

HEADER = 16  # bytes with which a chunk of Blosc begins; the last four say how many there are in all


def refuse_cut_off(path: Path, name: str, region: Sequence[slice], opened: int) -> None:
    """Refuse chunks of Blosc that are shorter than they say, of which its decoder makes numbers out of nothing.

    Raises `DataError` naming the chunk. Arrays that are packed otherwise, or are no folder here, are left to their
    decoders, which notice.
    """
    array = _blosc(path, name, opened)
    if array is None:
        return
    places = (range(r.start // c, -(-r.stop // c)) for r, c in zip(region, array.chunks, strict=True))
    for place in product(*places):
        chunk = path / name / array.metadata.encode_chunk_key(place)
        if chunk.is_file() and chunk.stat().st_size < _declared(chunk):
            raise DataError(f"the chunk {'.'.join(map(str, place))} is cut off")


def _declared(chunk: Path) -> int:
    with chunk.open("rb") as file:
        header = file.read(HEADER)
    return int.from_bytes(header[12:], "little") if len(header) == HEADER else HEADER


@lru_cache(maxsize=32)
def _blosc(path: Path, name: str, opened: int) -> Any:
    """The array, where Blosc is the last to pack its chunks, each into a file of its own."""
    if not path.is_dir():
        return None
    import zarr

    array = zarr.open_array(str(path / name), mode="r")
    packed = array.shards is None and "blosc" in [type(one).__name__.lower()[:5] for one in array.compressors][-1:]
    return array if packed else None
