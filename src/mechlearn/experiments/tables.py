"""The rows of results.json: every score of every coupling, with its interval, and the ranking they make."""

from typing import Any

import numpy as np
from rich.markup import escape

from ..evaluation.scores import OF_MOMENTS, PERFECT, crps, shortfall, units_of
from ..evaluation.uncertainty import gain, interval, site_intervals
from .config import BASELINES, FLOOR
from .resolve import paradigm

OF_PROFILES = ("rmse", "nse", "mean_error")
METRICS = ("nse", "kge", "kge_correlation", "kge_variability", "kge_bias", "rmse", "bias", "nse_log", "fhv", "flv")
FOR_MANY_SITES = ("nse", "kge", "rmse")
MANY = 12


def rows_of(
    described: dict[str, Any],
    predicted: np.ndarray,
    observed: np.ndarray,
    time: np.ndarray,
    sites: tuple[str, ...],
    units: str,
    metrics: tuple[str, ...] = METRICS,
) -> list[dict[str, Any]]:
    """Score one coupling's predictions (seed, site, time) at every site and over all: rows with intervals."""
    rows = []
    for metric in metrics:
        base = {**described, "metric": metric, "units": units_of(metric, units)}
        if len(sites) <= MANY or metric in FOR_MANY_SITES:
            each = site_intervals(metric, predicted, observed, time, draws=300)
            rows += [
                row(base, site, found, predicted[:, [i]], observed[[i]])
                for i, (site, found) in enumerate(zip(sites, each, strict=True))
            ]
        # Scores that sort every day cannot be drawn again hundreds of times at hundreds of sites.
        draws = 20 if len(sites) > MANY and metric not in OF_MOMENTS else 300
        over_all = interval(metric, predicted, observed, time, draws=draws, resample_sites=len(sites) > MANY)
        rows.append(row(base, "median", over_all, predicted, observed))
    if len(predicted) > 1:
        spread = np.nanmedian(crps(predicted, observed))
        rows.append(
            row({**described, "metric": "crps", "units": units}, "median", (spread, None, None), predicted, observed)
        )
    return rows


def gain_rows(
    described: dict[str, Any],
    predicted: np.ndarray,
    references: dict[str, np.ndarray],
    observed: np.ndarray,
    time: np.ndarray,
    metric: str = "nse",
    units: str = "1",
) -> list[dict[str, Any]]:
    """By how much a coupling's median score is nearer to perfect than the better baseline's, years drawn in pairs."""

    def distance(name: str) -> float:
        return float(shortfall(metric, interval(metric, references[name], observed, time, draws=2).value))

    better = min(references, key=distance)
    found = gain(
        metric, predicted, references[better], observed, time, draws=500, resample_sites=observed.shape[0] > MANY
    )
    return [
        row(
            {**described, "metric": f"{metric}_gain", "units": units_of(metric, units), "reference": better},
            "median",
            found,
            predicted,
            observed,
        )
    ]


def ranking(
    rows: list[dict[str, Any]], metric: str = "nse", split: str = "main", part: str = "test"
) -> list[dict[str, Any]]:
    """The rows of one metric over all sites, best first."""
    chosen = [
        r for r in rows if r["metric"] == metric and r["split"] == split and r["part"] == part and r["site"] == "median"
    ]
    chosen = [r for r in chosen if r.get("fraction", 1.0) == 1.0 and not r.get("control") and r["value"] is not None]
    return sorted(
        chosen, key=lambda r: -r["value"] if metric.endswith("_gain") else abs(r["value"] - PERFECT.get(metric, 0.0))
    )


def ranks(rows: list[dict[str, Any]]) -> str:
    """The metric that ranks the couplings of a run: the one in which gains are given."""
    return next((r["metric"].removesuffix("_gain") for r in rows if r["metric"].endswith("_gain")), "nse")


def chosen_by_validation(rows: list[dict[str, Any]]) -> str | None:
    """The coupling with the best validation score: the one a user would take, chosen without the test part."""
    ranked = [r["coupling"] for r in ranking(rows, ranks(rows), part="validation")]
    ranked = [name for name in ranked if name not in (*BASELINES, *FLOOR)]
    return ranked[0] if ranked else None


def print_ranking(rows: list[dict[str, Any]], console: Any, metric: str = "", split: str | None = None) -> None:
    """Show the ranking as a table with intervals, and each coupling's gain over the better baseline.

    Rows of several runs carry the run's folder as "run".
    """
    from rich import box
    from rich.table import Table

    metric = metric or ranks(rows)
    runs = list(dict.fromkeys(r.get("run", "") for r in rows))
    best = {run: chosen_by_validation([r for r in rows if r.get("run", "") == run]) for run in runs}
    split = split or rows[0]["split"]
    gains = {(r.get("run", ""), r["coupling"]): r for r in ranking(rows, f"{ranks(rows)}_gain", split)}
    units = next((r["units"] for r in rows if r["metric"] == metric), "1")
    title = metric.upper() + ("" if units == "1" else f" ({units})")
    over = "over all samples" if any(r["metric"] == "mean_absolute_error" for r in rows) else "median over sites"
    table = Table(title=f"{title}, test part, {over}, 90 % interval", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", no_wrap=True)
    if len(runs) > 1:
        table.add_column("run", overflow="fold")
    table.add_column("coupling", overflow="fold")
    for head in (metric, "interval", f"gain in {ranks(rows).upper()}"):
        table.add_column(head, justify="right", no_wrap=True)
    for place, row in enumerate(ranking(rows, metric, split), 1):
        run = row.get("run", "")
        name = row["coupling"] + (" *" if row["coupling"] == best[run] else "")
        cells = [_number(row["value"]), _span(row), _span(gains.get((run, row["coupling"])), signed=True)]
        table.add_row(str(place), *([run] if len(runs) > 1 else []), escape(name), *map(escape, cells))
    console.print(table)
    console.print(
        "* best on the validation part; gain: over the better of mechanism_only and learner_only, with its interval",
        markup=False,
    )


def fallback_rows(base: dict[str, Any], share: np.ndarray | None, observed: np.ndarray) -> list[dict[str, Any]]:
    """How often the original scheme answered in place of a guarded learner, while there was something to judge."""
    if share is None:
        return []
    found = float(np.nanmean(share[:, np.isfinite(observed)]))
    return [row({**base, "metric": "fallback_share", "units": "1"}, "median", (found, None, None), share, observed)]


def describe(settings: dict[str, Any], table: dict[str, Any], label: str) -> dict[str, Any]:
    """The columns of a row that say what was run."""
    name = table.get("name", label)
    mechanism = settings["mechanism"]["model"] if label != "learner_only" and label not in FLOOR else ""
    learner = (
        table.get("learner", settings["learner"])["model"] if label != "mechanism_only" and label not in FLOOR else ""
    )
    return {
        "experiment": settings["experiment"]["name"],
        "coupling": label,
        "paradigm": paradigm(name) if not name.startswith("hybrid") else "hybrid",
        "learner": learner,
        "mechanism": mechanism,
        "data": settings["data"]["reader"],
        "target": settings["experiment"]["target"],
    }


def row(base: dict[str, Any], site: str, found: Any, predicted: np.ndarray, observed: np.ndarray) -> dict[str, Any]:
    """One row of results.json: a value with its bounds, and how many observations it rests on."""
    value, low, high = found
    both = np.isfinite(predicted).all(axis=0) & np.isfinite(observed)
    return {
        **base,
        "site": site,
        "value": _known(value),
        "low": _known(low),
        "high": _known(high),
        "n": int(both.sum()),
        "seeds": len(predicted),
    }


def _known(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _number(value: float | None, *, signed: bool = False) -> str:
    return "" if value is None else f"{value:+.3f}" if signed else f"{value:.3f}"


def _span(row: dict[str, Any] | None, *, signed: bool = False) -> str:
    if row is None or row["value"] is None:
        return ""
    bounds = (
        "" if row["low"] is None else f"[{_number(row['low'], signed=signed)}, {_number(row['high'], signed=signed)}]"
    )
    return f"{_number(row['value'], signed=True)} {bounds}" if signed else bounds
