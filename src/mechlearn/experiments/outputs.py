"""What a finished run leaves behind: rows, predictions, the report."""

from pathlib import Path
from typing import Any

import numpy as np

from ..data.fields import Record, few, to_dataset, write
from ..evaluation.domain import Domain
from ..evaluation.profile_regimes import depth_rows, profile_rows
from ..evaluation.profiles import as_series, times_of
from ..evaluation.regimes import regime_rows
from ..evaluation.uncertainty import interval
from ..training.predict import predict
from . import storage, tables
from .audit import audited
from .config import BASELINES, FLOOR, RequestError
from .inspection import refuse_unfit
from .judging_samples import SampleJudge
from .judging_samples import regimes as sample_regimes
from .problem import Job, make_split
from .resolve import hint, names
from .run import Run, baselines
from .taught_on import domain_of, keep

DRAWN = ("deviation", "drawn")


def execute(run: Run) -> list[dict[str, Any]]:
    """Do every job of a run (or find it done) and write results.json, predictions.nc, report.json, what taught it."""
    done = {job: run.result(job) for job in run.jobs()}
    pool = run.settings.get("holdout", {}).get("pool")
    rows, predictions = _pooled(run, done, pool) if pool else _apart(run, done)
    storage.write_json(run.folder / "results.json", rows)
    domain = domain_of(run)
    _write_predictions(run, done, predictions, domain)
    storage.write_json(run.folder / "report.json", _extras(run, done, rows))
    keep(run, domain)
    return rows


def _apart(run: Run, done: dict[Job, dict[str, np.ndarray]]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Every split scored by itself, the main one first, whose predictions are written."""
    rows: list[dict[str, Any]] = []
    predictions: dict[str, np.ndarray] = {}
    for split, fraction in sorted(
        {(job.split, job.fraction) for job in done}, key=lambda pair: (pair[0] != "main", pair[0], -pair[1])
    ):
        part = {job: result for job, result in done.items() if job.place[1:] == (split, fraction, "")}
        scored, series = _score(run, part, split, fraction)
        rows += scored
        if (split, fraction) == ("main", 1.0):
            predictions = series
    return rows, predictions


def applied(run: Run, record: Record, labels: list[str] | None) -> dict[str, dict[str, np.ndarray]]:
    """Predict another record with what a run has taught: the mean and the spread over seeds.

    A run taught on all sites at once predicts any site; one taught site by site only the sites it knows, and so do
    couplings whose parameters are each site's own.

    Raises `RequestError` for a coupling the run does not have, or sites it was not taught on.
    """
    jobs = [job for job in run.jobs() if job.place[1:] == ("main", 1.0, "")]
    known = list(dict.fromkeys(job.label for job in jobs))
    for label in labels or ():
        if label not in known:
            raise RequestError(f"the run has no coupling {label!r}{hint(label, known)}; it has: {', '.join(known)}")
    together = run.settings["experiment"]["sites"] == "together"
    strangers = [site for site in record.sites if site not in run.record.sites]
    if strangers and not together:
        raise RequestError(
            f"the run was taught site by site and does not know {few(strangers)}; it knows {few(run.record.sites)}. "
            'Teach one with [experiment] sites = "together"'
        )
    record = _numbered(run, record)
    made: dict[str, dict[str, np.ndarray]] = {}
    for label in labels or known:
        mine = [job for job in jobs if job.label == label and (together or job.sites[0] in record.sites)]
        taught = [(_as_met(run, job, record, together), run.taught(job, record)) for job in mine]
        if strangers and any(v.name == "site_number" for v in taught[0][1][0].inputs):
            _skip(run, label, strangers, named=bool(labels))
            continue
        refuse_unfit(label, taught[0][1][0].inputs, taught[0][0])
        said = [np.stack([predict(m, part, (run.target,))[run.target] for m in models]) for part, models in taught]
        order = [site for part, _ in taught for site in part.sites]
        places = [order.index(site) for site in record.sites]
        whole = np.concatenate(said, axis=1)[:, places]
        found = (run.spread_of(job, part) for job, (part, _) in zip(mine, taught, strict=True))
        widths = [width for width in found if width is not None]
        foretold = np.concatenate(widths, axis=1)[:, places] if len(widths) == len(mine) else None
        made[label] = {"value": whole.mean(axis=0), "standard_deviation": deviation(whole, foretold)}
    if not made:
        raise RequestError(f"no coupling of the run can predict {few(strangers)}")
    return made


def _as_met(run: Run, job: Job, record: Record, together: bool) -> Record:
    """The part of a record that a job's systems predict, with the simulation they build upon."""
    return run.simulated(job, record if together else record.at(job.sites))


def _numbered(run: Run, record: Record) -> Record:
    """The record with the number each site has in the run, NaN for sites the run does not know."""
    numbers = {site: float(place) for place, site in enumerate(run.record.sites)}
    place = np.array([numbers.get(site, np.nan) for site in record.sites])
    return record.with_fields({"site_number": place}, [run.record.variables["site_number"]])


def _skip(run: Run, label: str, strangers: list[str], *, named: bool) -> None:
    told = f"{label} has parameters of its own for each site it was taught on and does not know {few(strangers)}"
    if named:
        raise RequestError(f"{told}; choose another --coupling")
    run.say(f"left out: {told}")


def _score(run: Run, part: dict[Job, dict[str, np.ndarray]], split: str, fraction: float):
    record, target = run.record, run.target
    masks = run.masks(record, split, fraction)
    judges = {name: run.judge(getattr(masks, name)) for name in ("test", "validation")}
    series = {**_gathered(run, part), **(baselines(record, target, masks.train) if fraction == 1.0 else {})}
    rows: list[dict[str, Any]] = []
    for label, predicted in series.items():
        jobs = [job for job in part if job.label == label]
        cost = {
            "seconds": float(sum(part[j]["seconds"] for j in jobs)),
            "peak_mb": float(max((part[j]["peak_mb"] for j in jobs), default=0.0)),
        }
        told = tables.describe(run.settings, jobs[0].coupling if jobs else {}, label)
        drawn = [what for what in DRAWN if jobs and all(what in part[j] for j in jobs)]
        for name, judge in judges.items():
            if not judge.idle and (name == "test" or fraction == 1.0):
                about = {**told, "split": split, "part": name, "fraction": fraction, **cost}
                rows += judge.rows(about, predicted)
                rows += judge.spread_rows(about, predicted, {what: _gathered(run, part, what)[label] for what in drawn})
                rows += tables.fallback_rows(about, _gathered(run, part, "fallback").get(label), judge.observed)
    references = {name: series[name] for name in BASELINES if name in series}
    for label in (n for n in series if n not in (*BASELINES, *FLOOR)):
        told = tables.describe(run.settings, next(j.coupling for j in part if j.label == label), label)
        about = {**told, "split": split, "part": "test", "fraction": fraction}
        rows += judges["test"].gains(about, series[label], references)
    return rows, series


def _pooled(
    run: Run, done: dict[Job, dict[str, np.ndarray]], name: str
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Folds taken together: every site judged by the systems that were not taught on it."""
    judged, pooled = np.zeros(run.record.observed[run.target].shape, bool), {}
    for split in run.splits:
        test = make_split(run.record, run.splits[split]).test
        judged[test] = True
        part = {job: result for job, result in done.items() if job.place[1:] == (split, 1.0, "")}
        for label, series in _gathered(run, part).items():
            pooled.setdefault(label, np.full_like(series, np.nan))[:, test] = series[:, test]
    judge, coupling = run.judge(judged), {job.label: job.coupling for job in done}
    seconds = {n: float(sum(r["seconds"] for j, r in done.items() if j.label == n)) for n in pooled}
    about = {
        n: {**tables.describe(run.settings, coupling[n], n), "split": name, "part": "test", "fraction": 1.0}
        | {"seconds": seconds[n]}
        for n in pooled
    }
    rows = [row for n in pooled for row in judge.rows(about[n], pooled[n])]
    references = {n: pooled[n] for n in BASELINES if n in pooled}
    others = [n for n in pooled if n not in BASELINES]
    rows += [row for n in others for row in judge.gains(about[n], pooled[n], references)]
    return rows, pooled


def _gathered(run: Run, part: dict[Job, dict[str, np.ndarray]], what: str = "prediction") -> dict[str, np.ndarray]:
    """Every coupling's predictions on all sites (seed, site, time), put together from its groups."""
    place = {site: i for i, site in enumerate(run.record.sites)}
    made: dict[str, np.ndarray] = {}
    for job, result in part.items():
        if what not in result:
            continue
        shape = (run.seeds, *run.record.observed[run.target].shape)
        whole = made.setdefault(job.label, np.full(shape, np.nan, np.float32))
        whole[:, [place[site] for site in job.sites]] = result[what]
    return made


def deviation(predicted: np.ndarray, widths: np.ndarray | None) -> np.ndarray:
    """The standard deviation of a prediction: of its errors where they were learned, else of the seeds."""
    return predicted.std(axis=0) if widths is None else np.sqrt(np.mean(widths**2, axis=0))


def write_predictions(
    path: Path, record: Record, target: str, made: dict[str, dict[str, np.ndarray]], domain: np.ndarray | None
) -> None:
    """Write predictions of several couplings as one CF file: value, spread over seeds, in_domain, observed."""
    value, deviation = (np.stack([one[what] for one in made.values()]) for what in ("value", "standard_deviation"))
    axis = {"coupling": list(made)}
    write(to_dataset(record, {target: value}, spread={target: deviation}, in_domain=domain, leading=axis), path)


def _write_predictions(
    run: Run, done: dict[Job, dict[str, np.ndarray]], predictions: dict[str, np.ndarray], domain: Domain
) -> None:
    part = {job: result for job, result in done.items() if job.place[1:] == ("main", 1.0, "")}
    widths = _gathered(run, part, "deviation")
    made = {
        name: {"value": p.mean(axis=0), "standard_deviation": deviation(p, widths.get(name))}
        for name, p in predictions.items()
    }
    write_predictions(run.folder / "predictions.nc", run.record, run.target, made, domain.contains(run.record.fields))


def _extras(run: Run, done: dict[Job, dict[str, np.ndarray]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": run.settings["experiment"].get("title", run.settings["experiment"]["name"]),
        "source": run.settings["experiment"].get("source", ""),
        "protocol": run.settings["experiment"].get("protocol", ""),
        "metric": run.settings["experiment"]["metric"],
        "chosen": tables.chosen_by_validation(rows),
        "test": _judged(run),
        **_regimes(run, done),
        **audited(run),
        "independent": run.record.independent,
        "reliability": _reliability(run, done),
        "worst_draw": _worst_draws(done),
        "budget": _budget(rows),
        "budget_dates": _budget_dates(run),
        "controls": _controls(run, done),
        "learning_curves": _curves(done),
        "expected": run.settings.get("expected", {}),
        "environment": storage.environment(),
        "available": {room: names(room) for room in ("mechanisms", "learners", "couplings", "laws", "solvers")},
    }


def _regimes(run: Run, done: dict[Job, dict[str, np.ndarray]]) -> dict[str, list[dict[str, Any]]]:
    """Errors in each regime of the target; of profiles also by depth."""
    part = {job: result for job, result in done.items() if job.place[1:] == ("main", 1.0, "")}
    judge, made = run.judge(make_split(run.record, run.splits["main"]).test), _gathered(run, part)
    if isinstance(judge, SampleJudge):
        asked = run.settings.get("regimes", {})
        return {"regimes": sample_regimes(judge, run.record, asked, made, _gathered(run, part, "deviation"))}
    if not judge.profile:
        return {"regimes": regime_rows(made, judge.observed, run.record.time)}
    depth = run.record.fields["depth"][0]
    rows = profile_rows(made, judge.observed, run.record.time, depth, judge.units)
    return {"regimes": rows, "by_depth": depth_rows(made, judge.observed, depth)}


def _reliability(run: Run, done: dict[Job, dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """How often the intervals of couplings that predict with draws hold the observation, for every probability."""
    part = {job: result for job, result in done.items() if job.place[1:] == ("main", 1.0, "")}
    judge = run.judge(make_split(run.record, run.splits["main"]).test)
    deviations, said = _gathered(run, part, "deviation"), _gathered(run, part)
    return [{"coupling": n, **judge.reliability(said[n], one)} for n, one in deviations.items()]


def _worst_draws(done: dict[Job, dict[str, np.ndarray]]) -> dict[str, float]:
    """The largest share of inverted pairs (%) in any one draw of any seed, by coupling."""
    return {
        job.label: float(result["inverted"].max())
        for job, result in done.items()
        if "inverted" in result and job.place[1:] == ("main", 1.0, "")
    }


def _controls(run: Run, done: dict[Job, dict[str, np.ndarray]]) -> list[dict[str, Any]]:
    """The test score of each coupling whose knowledge was taken from it."""
    observed = run.judge(make_split(run.record, run.splits["main"]).test).observed
    metric, time = run.settings["experiment"]["metric"], times_of(run.record.time, observed)
    rows = []
    for kind in dict.fromkeys(job.control for job in done if job.control):
        part = {job: result for job, result in done.items() if job.control == kind}
        for label, predicted in _gathered(run, part).items():
            flat = as_series(predicted, observed), as_series(observed, observed)
            found = interval(metric, flat[0], flat[1], time, draws=200)
            rows.append({"control": kind, "coupling": label, "metric": metric, **found._asdict()})
    return rows


def _judged(run: Run) -> list[str]:
    if run.record.independent:
        return []
    judged = make_split(run.record, run.splits["main"]).test
    days = run.record.time[judged.reshape(*judged.shape[:2], -1).any(axis=(0, 2))]
    return [str(days[0]), str(days[-1])]


def _budget(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = [r for r in rows if r["metric"] == tables.ranks(rows) and r["part"] == "test" and r["split"] == "main"]
    curve = {r["coupling"] for r in wanted if r["fraction"] < 1}
    return [
        {k: r[k] for k in ("fraction", "coupling", "site", "value", "low", "high")}
        for r in wanted
        if r["coupling"] in curve
    ]


def _budget_dates(run: Run) -> list[dict[str, float]]:
    """How many observed dates each share of a budget of dates is, and all of them."""
    budget = run.settings.get("budget", {})
    asked = budget.get("dates") or budget.get("samples")
    counted = {share: round(share * run.whole()) for share in (*run.shares(), 1.0)} if asked else {}
    return [{"fraction": share, "dates": dates} for share, dates in counted.items()]


def _curves(done: dict[Job, dict[str, np.ndarray]]) -> dict[str, Any]:
    curves: dict[str, Any] = {}
    for job, result in done.items():
        if job.place[1:] == ("main", 1.0, "") and len(result["training"]):
            curves.setdefault(
                job.label,
                {
                    "train": np.nanmean(result["training"], axis=1),
                    "validation": np.nanmean(result["validation"], axis=1),
                },
            )
    return curves
