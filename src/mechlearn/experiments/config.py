"""Experiment files: one TOML says the data, the split, the parts, the couplings and the expected score."""

import copy
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

TABLES = {
    "experiment": "name, title, source, protocol, target, seeds, seed, sites",
    "data": "reader and its options",
    "split": "kind and its options",
    "mechanism": "model and its parameters",
    "learner": "model and its hyper-parameters",
    "training": "window, warmup, and the options of the descent",
    "coupling": "a list of [[coupling]] tables: name, learner, training and the coupling's own options",
    "holdout": "further splits and the couplings that are taught again on them",
    "budget": "fractions of the training years and the couplings taught on each",
    "controls": "which controls to run, with which couplings",
    "audit": "the site and the probes of the physical audit",
    "expected": "the scores a faithful run should reach",
    "quick": "overrides for --quick, the same tables again",
}
EXPERIMENT_KEYS = ("name", "title", "source", "protocol", "target", "seeds", "seed", "sites")


class RequestError(ValueError):
    """A request that cannot be carried out as written: the command line answers with exit code 2."""


def library() -> dict[str, Path]:
    """The experiment files that come with the library, by name."""
    here = Path(str(resources.files("mechlearn.experiments"))) / "library"
    checkout = Path(__file__).parents[3] / "experiments"
    folders = [folder for folder in (here, checkout) if folder.is_dir()]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def load(name: str, overrides: list[str], *, quick: bool = False) -> dict[str, Any]:
    """Read an experiment by name or path, with `--quick` and `--set a.b=c` applied.

    Raises `RequestError` for a file that is not there, not TOML, or has unknown tables.
    """
    settings = _read(_locate(name))
    unknown = set(settings) - set(TABLES)
    if unknown:
        allowed = "\n".join(f"  [{table}] {meaning}" for table, meaning in TABLES.items())
        raise RequestError(f"{name}: unknown table [{sorted(unknown)[0]}]; allowed tables are\n{allowed}")
    shortened = settings.pop("quick", {})
    if quick:
        settings |= {table: {**settings.get(table, {}), **own} for table, own in shortened.items()}
    for assignment in overrides:
        settings = _assign(settings, assignment)
    return _complete(settings, name)


def _locate(name: str) -> Path:
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        if not path.is_file():
            raise RequestError(f"there is no experiment file {path}; `mechlearn init {path}` writes one to start from")
        return path
    known = library()
    if name not in known:
        raise RequestError(f"there is no experiment {name!r}; `mechlearn list` shows: {', '.join(known)}")
    return known[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from None


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _assign(settings: dict[str, Any], assignment: str) -> dict[str, Any]:
    path, equals, text = assignment.partition("=")
    if not equals:
        raise RequestError(f"--set needs a.b=value, got {assignment!r}")
    words = path.strip().split(".")
    if words[0] not in TABLES or len(words) < 2:
        raise RequestError(
            f"--set {path.strip()}: begin with one of the tables {', '.join(TABLES)}, as in training.epochs=10"
        )
    nested: Any = _value(text.strip())
    for word in reversed(words):
        nested = {word: nested}
    return _merged(settings, nested)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _complete(settings: dict[str, Any], name: str) -> dict[str, Any]:
    experiment = settings.setdefault("experiment", {})
    for key in experiment:
        if key not in EXPERIMENT_KEYS:
            raise RequestError(f"[experiment] has an unknown key {key!r}; allowed: {', '.join(EXPERIMENT_KEYS)}")
    defaults = {"name": Path(name).stem, "target": "runoff", "seeds": 3, "seed": 0, "sites": "each"}
    settings["experiment"] = {**defaults, **experiment}
    for table in ("data", "split", "mechanism", "learner"):
        first = {"data": "reader", "split": "kind"}.get(table, "model")
        if first not in settings.get(table, {}):
            raise RequestError(
                f"the experiment has no [{table}] with a key {first!r}; `mechlearn init` writes a full example"
            )
    settings.setdefault("training", {})
    settings.setdefault("coupling", [])
    return settings


def dump(settings: dict[str, Any]) -> str:
    """Write settings as TOML, so that what was run can be run again."""
    tables = {key: value for key, value in settings.items() if isinstance(value, dict)}
    lists = {key: value for key, value in settings.items() if isinstance(value, list)}
    blocks = [_table(f"[{key}]", value) for key, value in tables.items()]
    blocks += [_table(f"[[{key}]]", one) for key, value in lists.items() for one in value]
    return "\n".join(blocks)


def _table(head: str, table: dict[str, Any]) -> str:
    return "\n".join([head, *(f"{_key(key)} = {_inline(value)}" for key, value in table.items()), ""])


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
