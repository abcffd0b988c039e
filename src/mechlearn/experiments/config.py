"""Experiment files: one TOML says the data, the split, the parts, the couplings and the expected score."""

import copy
import json
import math
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ..evaluation.scores import OF_MOMENTS
from .resolve import hint

TABLES = {
    "experiment": "name, title, source, protocol, target, metric, seeds, seed, sites, couplings (only these)",
    "data": "reader and its options",
    "split": "kind and its options",
    "mechanism": "model and its parameters",
    "learner": "model and its hyper-parameters",
    "training": "window, warmup, and the options of the descent",
    "coupling": "a list of [[coupling]] tables: name, learner, training and the coupling's own options",
    "holdout": "further splits and the couplings that are taught again on them",
    "budget": "fractions of the training years, or numbers of dates or samples, and the couplings taught on each",
    "regimes": "the fields of independent samples in whose classes errors are told, with their edges; region = true",
    "uncertainty": "the couplings whose errors a second learner is to foretell: couplings",
    "draws": "how many draws at random (dropout) each named coupling predicts with",
    "controls": "kinds of control, and the couplings that are taught again under each",
    "expected": "the scores a faithful run should reach",
    "joints": "of compare --joints: joints, learners, truth (a twin), form, epochs, longest",
    "twin": "cycles, burn_in, every, error_variance, initial_spread, spin_up, target, observed, error_correlation, "
    "missing, noise, reject, perturbation: assimilation of a made truth",
    "study": "kind (a file of experiments/studies) and its options",
    "filter": "a list of [[filter]] tables of a twin experiment: label, method, members, inflation, expected, ...",
    "quick": "overrides for --quick, the same tables again",
}
KEYS = {
    "holdout": ("splits", "couplings", "pool"),
    "budget": ("fractions", "dates", "samples", "couplings"),
    "uncertainty": ("couplings",),
    "draws": ("number", "couplings"),
    "controls": ("kinds", "couplings"),
}
WHOLE = {"window": 1, "warmup": 0, "batch_size": 1, "epochs": 1, "starts": 1}
BASELINES = ("mechanism_only", "learner_only")
FLOOR = ("climatology", "persistence")
EXAMPLES = {
    "data": "holmes",
    "split": "last_third",
    "mechanism": "water.hbv",
    "learner": "lstm",
    "coupling": "cascade.refinement.residual",
}
EXPERIMENT_KEYS = ("name", "title", "source", "protocol", "target", "metric", "seeds", "seed", "sites", "couplings")


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

    Raises `RequestError` for a file that is not there, not TOML, or has unknown tables or keys.
    """
    path = _locate(name)
    settings = _read(path)
    for table in settings:
        if table not in TABLES:
            allowed = "\n".join(f"  [{table}] {meaning}" for table, meaning in TABLES.items())
            raise RequestError(f"{name}: unknown table [{table}]{hint(table, TABLES)}; allowed tables are\n{allowed}")
    shortened = settings.pop("quick", {})
    if quick and not shortened:
        raise RequestError(f"{name} has no short form; give it a table [quick.training], say, or leave out --quick")
    if quick:
        settings |= {table: _shortened(settings.get(table, {}), own) for table, own in shortened.items()}
        # What is shortened is short for every filter, whatever a filter asks for itself.
        for table in settings.get("filter", ()):
            table["twin"] = {**table.get("twin", {}), **shortened.get("twin", {})}
    for assignment in overrides:
        settings = _assign(settings, assignment)
    if "twin" in settings or "study" in settings:
        defaults = {"name": path.stem, "seeds": 5, "seed": 0}
        settings["experiment"] = {**defaults, **settings.get("experiment", {})}
        _check_experiment({"sites": "each", "metric": "rmse", **settings["experiment"]})
        return settings
    return _anchored(_complete(settings, name), path.parent)


def _locate(name: str) -> Path:
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        if not path.is_file():
            raise RequestError(f"there is no experiment file {path}; `mechlearn init {path}` writes one to start from")
        return path
    known = library()
    if name not in known:
        raise RequestError(
            f"there is no experiment {name!r}{hint(name, known)}; there are: {', '.join(known)}, or give a .toml file"
        )
    return known[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is not valid TOML: {error}; text stands in quotes, a table in [brackets]") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from None


def _shortened(under: Any, over: Any) -> Any:
    """A table with whole keys replaced; a list of tables is replaced as a whole."""
    return {**under, **over} if isinstance(under, dict) and isinstance(over, dict) else over


def _assign(settings: dict[str, Any], assignment: str) -> dict[str, Any]:
    path, equals, text = assignment.partition("=")
    words = path.strip().split(".")
    if not equals or not all(words):
        raise RequestError(f"--set needs a.b=value, as in training.epochs=10; got {assignment!r}")
    if words[0] not in TABLES:
        raise RequestError(
            f"--set {path.strip()}: there is no table {words[0]!r}{hint(words[0], TABLES)}; "
            f"begin with one of {', '.join(TABLES)}, as in training.epochs=10"
        )
    changed = copy.deepcopy(settings)
    node: Any = changed
    for word in words[:-1]:
        node = _inside(node, word, path)
    if isinstance(node, list):
        _inside(node, words[-1], path)
        node[int(words[-1])] = _value(text.strip(), path)
    else:
        node[words[-1]] = _value(text.strip(), path)
    return changed


def _inside(node: Any, word: str, path: str) -> Any:
    """What a word of a dotted path leads to: a table (made when it is not there), or a place in a list."""
    if isinstance(node, list):
        if not word.isdigit() or int(word) >= len(node):
            raise RequestError(f"--set {path}: {word!r} is no place in a list of {len(node)}, counted from 0")
        return node[int(word)]
    inner = node.setdefault(word, {})
    if not isinstance(inner, dict | list):
        raise RequestError(f"--set {path}: {word} = {inner!r} is no table, nothing can be set inside it")
    return inner


def _value(text: str, path: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if text.startswith(("[", "{", '"', "'")):
            raise RequestError(f"--set {path}={text}: not valid TOML ({error}); put it in single quotes") from None
        return text


def _complete(settings: dict[str, Any], name: str) -> dict[str, Any]:
    for table, content in settings.items():
        if not isinstance(content, list if table == "coupling" else dict):
            brackets = f"[[{table}]]" if table == "coupling" else f"[{table}]"
            raise RequestError(f"{table!r} must be a table of keys, under a line {brackets}; got {content!r}")
    experiment = settings.get("experiment", {})
    _known_keys("experiment", experiment, EXPERIMENT_KEYS)
    defaults = {"name": Path(name).stem, "target": "runoff", "metric": "nse", "seeds": 3, "seed": 0, "sites": "each"}
    settings = {**settings, "experiment": {**defaults, **experiment}}
    for table in ("data", "split", "mechanism", "learner"):
        first = {"data": "reader", "split": "kind"}.get(table, "model")
        if not isinstance(settings.get(table, {}).get(first), str):
            raise RequestError(
                f"the experiment has no [{table}] with a key {first!r}, as in {first} = {EXAMPLES[table]!r}; "
                "`mechlearn init my.toml` writes a full example"
            )
    settings.setdefault("training", {})
    settings.setdefault("coupling", [])
    _check_experiment(settings["experiment"])
    _check_couplings(settings)
    return settings


def _known_keys(table: str, given: dict[str, Any], allowed: Sequence[str]) -> None:
    for key in given:
        if key not in allowed:
            raise RequestError(
                f"[{table}] has an unknown key {key!r}{hint(key, allowed)}; allowed: {', '.join(allowed)}"
            )


def _check_experiment(experiment: dict[str, Any]) -> None:
    for key, least in (("seeds", 1), ("seed", 0)):
        value = experiment[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RequestError(f"[experiment] {key} = {value!r} must be a whole number, {least} or more")
    if experiment["metric"] not in OF_MOMENTS:
        raise RequestError(
            f"[experiment] metric = {experiment['metric']!r} is none of the scores that rank"
            f"{hint(str(experiment['metric']), OF_MOMENTS)}; write one of {', '.join(OF_MOMENTS)}"
        )
    if experiment["sites"] not in ("each", "together"):
        raise RequestError(
            f'[experiment] sites = {experiment["sites"]!r} must be "each" (taught site by site) or "together"'
        )


def _check_training(where: str, table: Any) -> None:
    if not isinstance(table, dict):
        raise RequestError(f"[{where}] must be a table, as in training = {{ epochs = 10 }}; got {table!r}")
    for key, least in WHOLE.items():
        value = table.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RequestError(f"[{where}] {key} = {value!r} must be a whole number, {least} or more")


def _check_couplings(settings: dict[str, Any]) -> None:
    labels: list[str] = []
    _check_training("training", settings["training"])
    for place, table in enumerate(settings["coupling"], 1):
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            raise RequestError(
                f"[[coupling]] number {place} has no name, as in name = {EXAMPLES['coupling']!r}; "
                "`mechlearn list couplings` shows them"
            )
        label = table.get("label", table["name"])
        _check_training(f"coupling {label}, training", table.get("training", {}))
        if label in labels:
            raise RequestError(f'two couplings are called {label!r}; give one of them another: label = "..."')
        labels.append(label)
    for table, keys in KEYS.items():
        _known_keys(table, settings.get(table, {}), keys)
        for label in settings.get(table, {}).get("couplings", []):
            if label not in (*labels, *BASELINES):
                raise RequestError(
                    f"[{table}] names the coupling {label!r}{hint(label, labels)}, which the experiment does not have; "
                    f"it has: {', '.join(labels)}"
                )


def _anchored(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Files of data are looked for beside the experiment file, then in the folder one is in; written down whole."""
    data = dict(settings["data"])
    for key in ("path", "attributes", "drivers"):
        if isinstance(data.get(key), str):
            given = Path(data[key]).expanduser()
            beside = folder / given
            data[key] = str(beside.resolve() if beside.exists() else given.resolve())
    tables = [
        {**t, "mechanism": _beside(t["mechanism"], folder)} if "mechanism" in t else t for t in settings["coupling"]
    ]
    return {**settings, "data": data, "mechanism": _beside(settings["mechanism"], folder), "coupling": tables}


def _beside(mechanism: Any, folder: Path) -> Any:
    """A mechanism's table with the file of its settings found beside the experiment."""
    given = mechanism.get("settings") if isinstance(mechanism, dict) else None
    if not isinstance(given, str) or not (folder / given).exists():
        return mechanism
    return {**mechanism, "settings": str((folder / given).resolve())}


def differences(before: dict[str, Any], now: dict[str, Any], path: str = "") -> list[str]:
    """The keys in which two sets of settings differ, with both values."""
    found = []
    for key in dict.fromkeys((*before, *now)):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{path}{key}.")
        elif old != new:
            found.append(f"{path}{key} was {_shown(old)}, is {_shown(new)}")
    return found


def _shown(value: Any) -> str:
    text = "not given" if value is None else _inline(value)
    return text if len(text) < 80 else text[:77] + "..."


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
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
