"""Studies: experiments that are no couplings on a record, each a function that scores itself once a seed."""

import importlib
import math
import pkgutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from . import config, report_study, storage
from .config import RequestError
from .figures import svg
from .resolve import hint, keyword_arguments, thing

Say = Callable[[str], None]


@dataclass(frozen=True)
class Score:
    """One number that a study found: of which coupling or method, in which metric, on how many samples."""

    coupling: str
    metric: str
    value: float
    units: str = "1"
    paradigm: str = ""
    learner: str = ""
    mechanism: str = ""
    target: str = ""
    split: str = "main"
    n: int = 1
    seconds: float = math.nan

    @property
    def name(self) -> str:
        """How the table [expected] calls it: "coupling metric", with the split where it is not the main one."""
        return f"{self.coupling} {self.metric}" + ("" if self.split == "main" else f" {self.split}")


@dataclass(frozen=True)
class Findings:
    """What a study found with one seed: scores, figures to be drawn on axes, and words to be read."""

    scores: list[Score]
    figures: dict[str, Callable[[Axes], None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def found(kind: Any) -> Callable[..., Findings]:
    """The study that `[study] kind` names: the function `study` of a file of `experiments/studies/`.

    One's own is written "module:function".

    Raises `RequestError` listing those there are.
    """
    if ":" in str(kind):
        return thing("studies", kind)
    rooms = importlib.import_module("mechlearn.experiments.studies")
    known = [info.name for info in pkgutil.iter_modules(rooms.__path__) if not info.name.startswith("_")]
    if kind not in known:
        raise RequestError(f"[study] kind = {kind!r}{hint(str(kind), known)}; there are: {', '.join(known)}")
    return importlib.import_module(f"{rooms.__name__}.{kind}").study


def planned(settings: dict[str, Any]) -> Callable[[int], Findings]:
    """The study with its options, waiting for a seed.

    Raises `RequestError` or `ValueError` for an option that it does not take.
    """
    options = dict(settings["study"])
    function = found(options.pop("kind", None))
    keyword_arguments(function, options, "study", taken=("seed",))
    return lambda seed: function(**options, seed=seed)


def carry_out(settings: dict[str, Any], folder: Path, say: Say, command: str = "") -> list[dict[str, Any]]:
    """Carry a study out once a seed, those done before read back, and write rows, settings and report."""
    study, experiment = planned(settings), settings["experiment"]
    storage.write_text(folder / "experiment.resolved.toml", config.dump(settings))
    storage.write_json(folder / "environment.json", {**storage.environment(), "command": command})
    (folder / "state").mkdir(exist_ok=True)
    each = []
    for seed in range(experiment["seed"], experiment["seed"] + experiment["seeds"]):
        path = folder / "state" / f"seed-{seed}.json"
        if not path.exists():
            storage.write_json(path, _one(study, seed, drawn=not each))
            jax.clear_caches()
        each.append(storage.read_json(path))
        say(f"seed {seed}: {each[-1]['seconds']:.1f} s")
    rows = written(settings, folder, each)
    for row in rows:
        say(_line(row))
    return rows


def written(settings: dict[str, Any], folder: Path, each: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write what was kept of every seed as results.json, report.json and report.html; returns the rows."""
    experiment, rows = settings["experiment"], list(_rows(settings, each))
    storage.write_json(folder / "results.json", rows)
    told = {key: experiment.get(key, "") for key in ("title", "source", "protocol")}
    expected = {**settings.get("expected", {})}
    storage.write_json(
        folder / "report.json", {**told, "chosen": None, "expected": expected, "notes": each[0]["notes"]}
    )
    storage.write_text(folder / "report.html", report_study.page_of(settings, rows, each[0]))
    return rows


def _one(study: Callable[[int], Findings], seed: int, *, drawn: bool) -> dict[str, Any]:
    began = time.perf_counter()
    findings = study(seed)
    return kept(findings, time.perf_counter() - began, drawn=drawn)


def kept(findings: Findings, seconds: float, *, drawn: bool = True) -> dict[str, Any]:
    """Findings as they are kept in a file."""
    return {
        "scores": [asdict(score) | {"name": score.name} for score in findings.scores],
        "notes": findings.notes,
        "figures": {title: _drawn(draw, title) for title, draw in findings.figures.items()} if drawn else {},
        "seconds": seconds,
    }


def _drawn(draw: Callable[[Axes], None], title: str) -> str:
    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    try:
        draw(axes)
        return svg(figure, title)
    finally:
        plt.close(figure)


def _rows(settings: dict[str, Any], each: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """One row a score: the mean over seeds, and the least and the most of them."""
    experiment, expected = settings["experiment"], settings.get("expected", {})
    for place, score in enumerate(each[0]["scores"]):
        values = [_value(one["scores"][place]["value"]) for one in each]
        mean = float(np.mean(values))
        low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
        shared = {key: value for key, value in score.items() if key not in ("name", "value")}
        yield {
            "experiment": experiment["name"],
            **shared,
            "data": settings["study"]["kind"] if "study" in settings else settings["data"]["reader"],
            "part": "test",
            "site": "median",
            "fraction": 1.0,
            "value": mean,
            "low": low,
            "high": high,
            "seeds": len(values),
            "each_seed": values,
            "expected": expected.get(score["name"]),
        }


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _line(row: dict[str, Any]) -> str:
    wanted = f", expected {row['expected']}" if row["expected"] is not None else ""
    split = "" if row["split"] == "main" else f" ({row['split']})"
    return f"{row['coupling'] + split:50s} {row['metric']:24s} {row['value']:.4g} {row['units']}{wanted}"
