"""Files that are whole or not there: what a run writes, and finds again when it is resumed."""

import json
import os
import platform
import shutil
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .config import RequestError

OURS = (
    "results.json",
    "predictions.nc",
    "report.html",
    "report.json",
    "experiment.resolved.toml",
    "environment.json",
    "state",
)
PACKAGES = (
    "mechlearn",
    "jax",
    "jaxlib",
    "equinox",
    "optax",
    "numpy",
    "xarray",
    "scikit-learn",
    "lightgbm",
    "holmes-hydro",
)


def claim(folder: Path, *, resume: bool, force: bool) -> None:
    """Make the folder of a run, refusing to write over another run's results; nothing is removed yet.

    Raises `RequestError` when it holds a run and neither `--resume` nor `--force` was given, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RequestError(
            f"the folder {folder} cannot be written ({error.strerror}); choose another with --out"
        ) from None
    there = _ours(folder)
    if resume and force:
        raise RequestError("--resume goes on with the results in --out, --force replaces them: choose one")
    if there and not (resume or force):
        raise RequestError(
            f"{folder} already holds {', '.join(there)}; "
            "go on with --resume, replace with --force, or choose another --out"
        )


def clear(folder: Path) -> None:
    """Remove what an earlier run left in a folder, and nothing else."""
    for name in _ours(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _ours(folder: Path) -> list[str]:
    return [name for name in OURS if (folder / name).exists()]


def claim_file(path: Path, *, force: bool) -> None:
    """Refuse to write over a file, or where nothing can be written.

    Raises `RequestError` saying which, and what to do.
    """
    if path.is_dir():
        raise RequestError(f"{path} is a folder; give the name of a file")
    if path.exists() and not force:
        raise RequestError(f"{path} already exists; replace it with --force, or choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.with_name(path.name + ".part")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RequestError(f"{path} cannot be written ({error.strerror}); choose another place") from None


def write_text(path: Path, text: str) -> None:
    """Write a file whole, then put it in place."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole, with NaN as null."""
    write_text(path, json.dumps(_plain(content), indent=1, allow_nan=False))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises `RequestError` for a file that is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read as JSON ({error}); run the experiment again with --resume") from None


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays whole, then put them in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    os.replace(part, path)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays; nothing in the file is ever executed.

    Raises `RequestError` for a file that is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RequestError(f"{path} cannot be read ({error}); remove it and go on with --resume") from None


class NotKept(RequestError):
    """Models whose teaching lives in objects of Python that no file here holds."""


def write_models(path: Path, models: list[Any]) -> None:
    """Write every number of taught models, and their trees; their structure is rebuilt from the experiment file."""
    numbers = {
        f"{seed}/{place}": np.asarray(leaf)
        for seed, model in enumerate(models)
        for place, leaf in enumerate(_numbers(model))
    }
    texts = {
        f"{seed}/text/{place}": np.asarray(forest.texts)
        for seed, model in enumerate(models)
        for place, forest in enumerate(holding(model, "texts"))
    }
    write_arrays(path, **numbers, **texts)


def read_models(path: Path, models: list[Any]) -> list[Any]:
    """Put saved numbers and trees back into freshly built models.

    Raises `RequestError` when the file belongs to models of another structure, `NotKept` for estimators of
    scikit-learn, which can be kept only as what would run code when it is read.
    """
    if any(holding(model, "estimators") for model in models):
        raise NotKept(
            f"{path.name}: a taught scikit-learn estimator is not kept with a run; take boosted_trees, "
            "gaussian_process or mlp for what is to be applied, averaged or audited afterwards"
        )
    saved = read_arrays(path)
    filled = []
    for seed, model in enumerate(models):
        numbers, rest = eqx.partition(model, _is_number)
        leaves, shape = jax.tree.flatten(numbers)
        found = [saved.get(f"{seed}/{place}") for place in range(len(leaves))]
        trees = [saved.get(f"{seed}/text/{place}") for place in range(len(holding(model, "texts")))]
        if any(new is None for new in (*found, *trees)) or f"{seed}/{len(leaves)}" in saved:
            raise RequestError(f"{path} was written by another experiment or version; run it again with --force")
        whole = eqx.combine(jax.tree.unflatten(shape, [jax.numpy.asarray(new) for new in found]), rest)
        filled.append(_with_texts(whole, trees))
    return filled


def holding(model: Any, what: str) -> list[Any]:
    """The parts of a model that keep what they were taught outside of arrays: texts of trees, or estimators."""
    nodes = jax.tree.leaves(model, is_leaf=lambda node: hasattr(node, what))
    return [node for node in nodes if hasattr(node, what)]


def _with_texts(model: Any, texts: list[Any]) -> Any:
    left = iter(texts)

    def filled(node: Any) -> Any:
        return type(node)(tuple(map(str, next(left)))) if hasattr(node, "texts") else node

    return jax.tree.map(filled, model, is_leaf=lambda node: hasattr(node, "texts")) if texts else model


def environment() -> dict[str, Any]:
    """What the numbers were made with: Python, packages, machine."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "packages": found,
    }


def _numbers(model: Any) -> list[Any]:
    return jax.tree.leaves(eqx.filter(model, _is_number))


def _is_number(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, int | float)


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, np.ndarray):
        return _plain(content.tolist())
    if isinstance(content, float | np.floating):
        return float(content) if np.isfinite(content) else None
    return content.item() if isinstance(content, np.generic) else content
