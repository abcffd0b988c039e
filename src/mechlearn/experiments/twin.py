"""Twin experiments: filters compared on a truth that the model itself made."""

import html
import importlib
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..assimilation.cycle import Assimilation, Smoother
from ..assimilation.error import ObservationError
from ..assimilation.inflation import AdaptiveInflate, Inflate, Recover, Relax, Rotate
from ..assimilation.letkf import LETKF, LocalEAKF
from ..assimilation.local_smoother import LocalIEnKS
from ..assimilation.localisation import Localisation
from ..compose import Pass
from ..core import named
from . import config, storage
from .config import RequestError
from .resolve import hint, thing

TWIN = {"cycles": 5000, "burn_in": 400, "every": 1, "error_variance": 1.0, "initial_spread": 0.03, "spin_up": 500}
WRAPPED = {"inflation": Inflate, "relaxation": Relax}
FLAGS = {"adaptive": AdaptiveInflate, "rotation": Rotate, "recover": Recover}
LOCAL = (LETKF, LocalEAKF, LocalIEnKS)
OWN = ("label", "method", "members", "expected", "radius", "taper", *WRAPPED, *FLAGS)


def carry_out(settings: dict[str, Any], folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run every filter of a twin experiment on the same truths and write rows, settings and report.

    Raises `RequestError` for a filter or key that is not there.
    """
    system = _system(settings)
    analyses = {_label(table): _analysis(table, system) for table in settings["filter"]}
    storage.write_text(folder / "experiment.resolved.toml", config.dump(settings))
    storage.write_json(folder / "environment.json", storage.environment())
    rows: list[dict[str, Any]] = []
    for table in settings["filter"]:
        rows += _rows(settings, system, analyses[_label(table)], table)
        main = rows[-3]
        say(
            f"{main['coupling']:40s} {main['metric']} {main['value']:.3f} ({main['low']:.3f} to {main['high']:.3f}), "
            f"expected {table.get('expected', float('nan')):.2f}, {main['seconds']:.0f} s"
        )
    storage.write_json(folder / "results.json", rows)
    storage.write_json(folder / "report.json", _told(settings))
    storage.write_text(folder / "report.html", _page(settings, rows))
    return rows


def _system(settings: dict[str, Any]) -> Assimilation:
    twin = {**TWIN, **settings["twin"]}
    known = (*TWIN, "target")
    for key in twin:
        if key not in known:
            raise RequestError(f"[twin] has an unknown key {key!r}{hint(key, known)}; allowed: {', '.join(known)}")
    table = dict(settings["mechanism"])
    step = thing("mechanisms", table.pop("model"))(**table)
    target = named(step.outputs)[twin.get("target", step.state[0])]
    variance = np.full(np.size(step.initial()[target.name]), float(twin["error_variance"]))
    return Assimilation(step, Pass(target), ObservationError.of_variance(variance), every=twin["every"])


def _label(table: dict[str, Any]) -> str:
    return table.get("label", f"{table['method']} N={table['members']}")


def _analysis(table: dict[str, Any], system: Assimilation):
    """The analysis that one [[filter]] table names: file and class of `mechlearn.assimilation`, then its wrappers."""
    file, _, name = str(table.get("method", "")).partition(".")
    try:
        found = getattr(importlib.import_module(f"mechlearn.assimilation.{file}"), name)
    except (ImportError, AttributeError, ValueError):
        raise RequestError(
            f"there is no method {table.get('method')!r}; write file.Class of mechlearn.assimilation, as enkf.ETKF"
        ) from None
    options = {key: value for key, value in table.items() if key not in OWN}
    if found in LOCAL:
        ring = np.arange(float(system.size))
        options["localisation"] = Localisation(
            ring, ring, table["radius"], period=float(system.size), taper=table.get("taper", "gaspari_cohn")
        )
    if issubclass(found, Smoother):
        options |= {"inflation": table.get("inflation", 1.0), "rotate": table.get("rotation", False)}
        return found(**options)
    unknown = set(options) - set(inspect.signature(found).parameters)
    if unknown:
        raise RequestError(f"{_label(table)} has unknown keys {sorted(unknown)}; allowed: {', '.join(OWN)}")
    analysis = found(**options)
    for key, wrapper in WRAPPED.items():
        analysis = wrapper(analysis, table[key]) if key in table else analysis
    for key, wrapper in FLAGS.items():
        analysis = wrapper(analysis) if table.get(key) else analysis
    return analysis


def _rows(settings: dict[str, Any], system: Assimilation, analysis, table: dict[str, Any]) -> list[dict[str, Any]]:
    twin, experiment = {**TWIN, **settings["twin"]}, settings["experiment"]
    seeds = range(experiment["seed"], experiment["seed"] + experiment["seeds"])
    start = time.perf_counter()
    scores = _scores(system, analysis, table["members"], twin, jnp.array(seeds))
    seconds = time.perf_counter() - start
    rows = []
    for metric, each in scores.items():
        value = float(np.mean(each))
        low, high = float(np.min(each)), float(np.max(each))
        rows.append(
            {"experiment": experiment["name"], "coupling": _label(table), "paradigm": "embedded", "learner": ""}
            | {"mechanism": settings["mechanism"]["model"], "data": "twin", "split": "main", "part": "test"}
            | {"target": twin.get("target", system.step.state[0]), "metric": metric, "units": "1", "site": "median"}
            | {"value": value, "low": low, "high": high, "n": int(twin["cycles"]), "seeds": len(each)}
            | {"each_seed": [round(float(x), 4) for x in each], "seconds": seconds}
            | {"expected": table.get("expected") if metric == "analysis_rmse" else None, "fraction": 1.0}
        )
    return rows


def _scores(system: Assimilation, analysis, members: int, twin: dict[str, Any], seeds) -> dict[str, np.ndarray]:
    """Time means after the burn-in, one a seed; a truth depends on its seed alone, so that filters share it."""
    spread, burn = twin["initial_spread"], twin["burn_in"]
    rest = jnp.concatenate([jnp.ravel(jnp.asarray(v, float)) for v in system.step.initial().values()])

    def one(seed):
        nature, first, guess, draws = jax.random.split(jax.random.key(seed), 4)
        begin = rest + jax.random.normal(first, rest.shape)
        cycles = burn + twin["cycles"]
        truth, observed = system.nature(cycles, key=nature, start=begin, spin_up=twin["spin_up"])
        ensemble = truth[0] + spread * jax.random.normal(guess, (members, len(rest)))
        found = system.cycle(analysis, ensemble, observed[1:], draws, truth=truth[1:])
        kept = {"analysis_rmse": found.analysis_rmse, "forecast_rmse": found.forecast_rmse}
        return {name: series[burn:].mean() for name, series in (kept | {"spread": found.analysis_spread}).items()}

    return {name: np.asarray(value, float) for name, value in jax.jit(jax.vmap(one))(seeds).items()}


def _told(settings: dict[str, Any]) -> dict[str, Any]:
    """What is said of a run beside its rows; the parts of other experiments that a twin has not are empty."""
    told = {key: settings["experiment"].get(key, "") for key in ("title", "source", "protocol")}
    expected = {_label(table): table["expected"] for table in settings["filter"] if "expected" in table}
    return {**told, "chosen": None, "expected": expected, "probes": [], "audit": [], "controls": []}


def _page(settings: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """One self-contained page: the table of filters beside what was expected of them."""
    told = settings["experiment"]
    scored = [row for row in rows if row["metric"] == "analysis_rmse"]
    body = "".join(
        f"<tr><td>{html.escape(row['coupling'])}<td>{row['value']:.3f}<td>{row['low']:.3f} to {row['high']:.3f}"
        f"<td>{row['expected'] if row['expected'] is not None else ''}<td>{row['seconds']:.0f}"
        for row in scored
    )
    words = "".join(f"<p>{html.escape(str(told.get(key, '')))}</p>" for key in ("protocol", "source"))
    head = "<tr><th>filter<th>analysis RMSE<th>seeds<th>expected<th>seconds"
    title = html.escape(told.get("title", told["name"]))
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{words}'
        f"<table>{head}{body}</table><pre>{html.escape(config.dump(settings))}</pre>\n"
    )
