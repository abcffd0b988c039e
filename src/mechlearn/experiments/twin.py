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
from ..assimilation.operators import ObservedAs
from ..compose import Pass
from ..core import named
from . import config, storage
from .config import RequestError
from .resolve import hint, thing

TWIN = {"cycles": 5000, "burn_in": 400, "every": 1, "error_variance": 1.0, "initial_spread": 0.03}
TWIN |= {"spin_up": 500, "perturbation": 1.0}
NETWORK = {"observed": ":", "error_correlation": 0.0, "missing": 0.0, "noise": 0.0, "reject": 0.0}
TOGETHER = 1000
WRAPPED = {"inflation": Inflate, "relaxation": Relax}
FLAGS = {"rotation": Rotate, "recover": Recover, "adaptive": AdaptiveInflate}
LOCAL = (LETKF, LocalEAKF, LocalIEnKS)
PLACED = {"radius": None, "taper": "gaspari_cohn", "period": None}
BACKGROUND = {"background": 1.0, "background_covariance": "climatology"}
OWN = ("label", "method", "members", "expected", "twin", "mechanism", *BACKGROUND, *PLACED, *WRAPPED, *FLAGS)


def carry_out(
    settings: dict[str, Any], folder: Path, say: Callable[[str], None], command: str = ""
) -> list[dict[str, Any]]:
    """Run every filter of a twin experiment on the same truths and write rows, settings and report.

    Raises `RequestError` for a filter or key that is not there.
    """
    each = [_of_row(settings, table) for table in settings["filter"]]
    systems = [_system(own) for own in each]
    analyses = [_analysis(table, *made) for table, made in zip(settings["filter"], systems, strict=True)]
    for (system, _), analysis in zip(systems, analyses, strict=True):
        system.check(analysis)
    storage.write_text(folder / "experiment.resolved.toml", config.dump(settings))
    storage.write_json(folder / "environment.json", {**storage.environment(), "command": command})
    rows: list[dict[str, Any]] = []
    for table, own, (system, _), analysis in zip(settings["filter"], each, systems, analyses, strict=True):
        rows += _rows(own, system, analysis, table)
        say(_line(rows[-3], table))
    storage.write_json(folder / "results.json", rows)
    storage.write_json(folder / "report.json", _told(settings))
    storage.write_text(folder / "report.html", _page(settings, rows))
    return rows


def _line(main: dict[str, Any], table: dict[str, Any]) -> str:
    each = main["each_seed"]
    gone = sum(not np.isfinite(value) for value in each)
    lost = (
        f"\n  all {table['members']} members were lost in {gone} of {len(each)} runs: the forecast is not finite; "
        "shorten the model's time_step, inflate less or take more members"
    )
    return (
        f"{main['coupling']:40s} {main['metric']} {main['value']:.3f} ({main['low']:.3f} to {main['high']:.3f}, "
        f"median {np.median(each):.3f}), expected {table.get('expected', float('nan')):.2f}, {main['seconds']:.0f} s"
    ) + (lost if gone else "")


def _of_row(settings: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """The settings of one filter: its own [twin] keys and mechanism before those of the file."""
    twin = {**TWIN, **NETWORK, **settings["twin"], **table.get("twin", {})}
    known = (*TWIN, *NETWORK, "target")
    for key in twin:
        if key not in known:
            raise RequestError(f"[twin] has an unknown key {key!r}{hint(key, known)}; allowed: {', '.join(known)}")
    return {**settings, "twin": twin, "mechanism": table.get("mechanism", settings["mechanism"])}


def _system(settings: dict[str, Any]) -> tuple[Assimilation, np.ndarray]:
    """Model and observations, and which numbers of the target are observed."""
    twin, table = settings["twin"], dict(settings["mechanism"])
    step = thing("mechanisms", table.pop("model"))(**table)
    target = named(step.outputs).get(twin.get("target", step.state[0]))
    if target is None or target.name not in step.state:
        raise RequestError(
            f"[twin] target = {twin['target']!r} is no state of {settings['mechanism']['model']}; its state is "
            f"{', '.join(step.state)}"
        )
    size = int(np.size(step.initial()[target.name]))
    places = _places(twin["observed"], size)
    operator = Pass(target) if len(places) == size else ObservedAs(target, lambda x: jnp.ravel(x)[places])
    error = _error(twin, places, size)
    noise, reject = twin["noise"] or None, twin["reject"] or None
    return Assimilation(step, operator, error, noise=noise, every=twin["every"], reject=reject), places


def _places(observed: str | list[int], size: int) -> np.ndarray:
    """Which numbers are observed: a list of them, or start:stop:step as in Python."""
    try:
        if not isinstance(observed, str):
            return np.arange(size)[np.asarray(observed, int)]
        return np.arange(size)[slice(*(int(part) if part else None for part in observed.split(":")))]
    except (ValueError, IndexError, TypeError):
        raise RequestError(
            f"[twin] observed = {observed!r}: the target has the numbers 0 to {size - 1}; "
            "give a list of them, or start:stop:step as '::2'"
        ) from None


def _error(twin: dict[str, Any], places: np.ndarray, size: int) -> ObservationError:
    """Errors of one variance or one each; correlated as `exp(-distance / length)` around the circle of places."""
    given = np.asarray(twin["error_variance"], float)
    if given.shape not in ((), places.shape):
        raise RequestError(f"[twin] error_variance is one number or one for each of {len(places)}, got {given.size}")
    try:
        variance = np.broadcast_to(given, places.shape)
        if not twin["error_correlation"]:
            return ObservationError.of_variance(variance)
        apart = np.abs(places[:, None] - places)
        correlation = np.exp(-np.minimum(apart, size - apart) / twin["error_correlation"])
        return ObservationError.of_covariance(correlation * np.sqrt(np.outer(variance, variance)))
    except ValueError as refused:
        raise RequestError(f"[twin] error_variance for {len(places)} observations: {refused}") from None


def _label(table: dict[str, Any]) -> str:
    return table.get("label", f"{table['method']} N={table['members']}")


def _analysis(table: dict[str, Any], system: Assimilation, places: np.ndarray):
    """The analysis that one [[filter]] table names: file and class of `mechlearn.assimilation`, then its wrappers."""
    if not isinstance(table.get("members"), int):
        raise RequestError(f"[[filter]] {table.get('label', '')!r} needs members, a whole number")
    file, _, name = str(table.get("method", "")).partition(".")
    try:
        found = getattr(importlib.import_module(f"mechlearn.assimilation.{file}"), name)
    except (ImportError, AttributeError, ValueError):
        raise RequestError(
            f"there is no method {table.get('method')!r}; write file.Class of mechlearn.assimilation, as enkf.ETKF"
        ) from None
    options = {key: value for key, value in table.items() if key not in OWN}
    takes = inspect.signature(found).parameters
    unknown = set(options) - set(takes)
    if unknown:
        raise RequestError(f"{_label(table)} has unknown keys {sorted(unknown)}; allowed: {', '.join((*OWN, *takes))}")
    if found in LOCAL:
        options["localisation"] = _localisation(table, system.size, places)
    if "root" in takes:
        options["root"] = _background(system, **{key: table.get(key, usual) for key, usual in BACKGROUND.items()})
    if issubclass(found, Smoother):
        own = {"inflation": table.get("inflation", 1.0), "rotate": table.get("rotation", False)}
        return found(**options, **{key: value for key, value in own.items() if key in takes})
    analysis = found(**options)
    for key, wrapper in WRAPPED.items():
        analysis = wrapper(analysis, table[key]) if key in table else analysis
    for key, wrapper in FLAGS.items():
        analysis = wrapper(analysis) if table.get(key) else analysis
    return analysis


def _localisation(table: dict[str, Any], size: int, places: np.ndarray) -> Localisation:
    """On a circle of as many places as the state has numbers, or on a line with `period = 0`."""
    if "radius" not in table:
        raise RequestError(f"{_label(table)} is local: give it a radius, in numbers of the state")
    ring = np.arange(float(size))
    period, taper = float(table.get("period", size)), table.get("taper", PLACED["taper"])
    try:
        return Localisation(ring, ring[places], table["radius"], period=period, taper=taper)
    except ValueError as refused:
        raise RequestError(f"{_label(table)}: {refused}") from None


def _background(system: Assimilation, background: float, background_covariance: str) -> jax.Array:
    """A root of so many times the identity, or the covariance that the state has over a long run of the model."""
    if background_covariance == "identity":
        return np.sqrt(background) * jnp.eye(system.size)
    if background_covariance != "climatology":
        raise RequestError(f"background_covariance is climatology or identity, got {background_covariance!r}")
    truth, _ = system.nature(4000, key=jax.random.key(0), spin_up=500)
    values, axes = np.linalg.eigh(background * np.cov(np.asarray(truth, float).T))
    return jnp.asarray(axes * np.sqrt(np.maximum(values, 0)), truth.dtype)


def _rows(settings: dict[str, Any], system: Assimilation, analysis, table: dict[str, Any]) -> list[dict[str, Any]]:
    twin, experiment = settings["twin"], settings["experiment"]
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
        begin = rest + twin["perturbation"] * jax.random.normal(first, rest.shape)
        cycles = burn + twin["cycles"]
        truth, observed = system.nature(cycles, key=nature, start=begin, spin_up=twin["spin_up"])
        if twin["missing"]:
            observed = jnp.where(jax.random.uniform(first, observed.shape) < twin["missing"], jnp.nan, observed)
        ensemble = truth[0] + spread * jax.random.normal(guess, (members, len(rest)))
        found = system.cycle(analysis, ensemble, observed[1:], draws, truth=truth[1:])
        kept = {"analysis_rmse": found.analysis_rmse, "forecast_rmse": found.forecast_rmse}
        means = {name: series[burn:].mean() for name, series in (kept | {"spread": found.analysis_spread}).items()}
        # A run whose members are all lost has no number, not the one that it had before.
        return {name: jnp.where(jnp.any(found.lost == members), jnp.nan, mean) for name, mean in means.items()}

    # Small models are quicker together, large ones one after the other.
    together = len(seeds) if system.size <= TOGETHER else 1
    found = jax.jit(lambda all_seeds: jax.lax.map(one, all_seeds, batch_size=together))(seeds)
    return {name: np.asarray(value, float) for name, value in found.items()}


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
        f"<td>{np.median(row['each_seed']):.3f}"
        f"<td>{row['expected'] if row['expected'] is not None else ''}<td>{row['seconds']:.0f}"
        for row in scored
    )
    words = "".join(f"<p>{html.escape(str(told.get(key, '')))}</p>" for key in ("protocol", "source"))
    head = "<tr><th>filter<th>analysis RMSE<th>seeds<th>median<th>expected<th>seconds"
    title = html.escape(told.get("title", told["name"]))
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{words}'
        f"<table>{head}{body}</table><pre>{html.escape(config.dump(settings))}</pre>\n"
    )
