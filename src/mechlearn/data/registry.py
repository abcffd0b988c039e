"""The data files the readers know: where they are, and whether they are the right ones."""

import hashlib
import importlib.util
import os
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pooch

from .fields import DataError, few


@dataclass(frozen=True)
class Entry:
    """One data file: its place, public address, checksum, licence and citation."""

    name: str
    file: str
    sha256: str
    bytes: int
    licence: str
    citation: str
    how: str = ""
    url: str = ""
    package: str = ""


def list_datasets() -> dict[str, Entry]:
    """All data files known, by name.

    >>> list_datasets()["camels_us"].licence
    'CC-BY-4.0'
    """
    text = (resources.files(__package__) / "registry.toml").read_text(encoding="utf-8")
    return {name: Entry(name, **about) for name, about in tomllib.loads(text).items()}


def locate(name: str) -> Path | None:
    """Where a data file lies on this machine, if it does: $MECHLEARN_DATA first, then the cache."""
    entry = _entry(name)
    folder = _folder()
    places = [_cache() / entry.file] if folder is None else [folder / entry.file, _cache() / entry.file]
    places = [_inside(entry)] if entry.package else places
    return next((place for place in places if place is not None and place.exists()), None)


def fetch(name: str) -> Path:
    """The path of a data file, downloaded and verified if it is not on this machine yet.

    Raises `DataError` when it has no public address, or the download fails, saying what to do.
    """
    entry, found = _entry(name), locate(name)
    if found is not None:
        return found
    if not entry.url:
        where = f"MECHLEARN_DATA is {_folder()}" if _folder() else "MECHLEARN_DATA is not set"
        raise DataError(f"data {name!r} is not on this machine ({where}) and cannot be downloaded. {entry.how}")
    try:
        target = _cache() / entry.file
        return Path(pooch.retrieve(entry.url, f"sha256:{entry.sha256}", fname=target.name, path=target.parent))
    except Exception as trouble:  # network, disk and checksum fail in many ways; all mean the file is not there
        raise DataError(f"data {name!r} could not be fetched from {entry.url}: {trouble}") from trouble


def verify(name: str) -> Path:
    """The path of a data file on this machine whose checksum is the pinned one.

    Raises `DataError` when the file is missing or is another one.
    """
    entry, found = _entry(name), locate(name)
    if found is None:
        raise DataError(f"data {name!r} is not on this machine. {entry.how or f'mechlearn data fetch {name}'}")
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    if digest != entry.sha256:
        raise DataError(
            f"{found} is not the published file: sha256 {digest}, expected {entry.sha256}; remove it and fetch it again"
        )
    return found


def _entry(name: str) -> Entry:
    entries = list_datasets()
    if name not in entries:
        raise DataError(f"no data set {name!r}; there are {few(entries, 20)}")
    return entries[name]


def _folder() -> Path | None:
    return Path(os.environ["MECHLEARN_DATA"]) if os.environ.get("MECHLEARN_DATA") else None


def _cache() -> Path:
    return Path(pooch.os_cache("mechlearn"))


def _inside(entry: Entry) -> Path | None:
    spec = importlib.util.find_spec(entry.package)
    return (
        Path(next(iter(spec.submodule_search_locations))) / entry.file
        if spec and spec.submodule_search_locations
        else None
    )
