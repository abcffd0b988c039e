"""What each verb of the command line does."""

from argparse import Namespace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..data import registry
from ..data.check import diagnose
from . import config, problem, storage, tables
from .audit import audited, lines
from .config import RequestError
from .outputs import applied, domain_of, execute, write_predictions
from .report import write_report
from .resolve import names, thing
from .run import Run

ROOMS = ("mechanisms", "learners", "laws", "couplings")


def list_(options: Namespace, console: Console) -> None:
    """Show what there is, found by looking."""
    shelves = {
        "experiments": list(config.library()),
        **{room: names(room) for room in ROOMS},
        "data": list(registry.list_datasets()),
    }
    if options.what and options.what not in shelves:
        raise RequestError(f"there is no list of {options.what!r}; there are: {', '.join(shelves)}")
    for shelf in [options.what] if options.what else shelves:
        console.print(f"[bold]{shelf}[/bold]")
        for name in shelves[shelf]:
            console.print(f"  {name:55s} {_about(shelf, name)}", highlight=False, markup=False)


def init_(options: Namespace, console: Console) -> None:
    """Write an experiment file that works as it is and says what each line is for."""
    if options.file.exists() and not options.force:
        raise RequestError(f"{options.file} already exists; replace it with --force, or choose another name")
    text = resources.files("mechlearn.experiments").joinpath("template.toml").read_text()
    storage.write_text(options.file, text)
    console.print(f"wrote {options.file}; next: mechlearn check {options.file}", markup=False)


def check_(options: Namespace, console: Console) -> int:
    """Look at everything an experiment names without teaching anything."""
    settings = _settings(options, options.experiment)
    record = problem.read_data(settings)
    console.print(
        f"{len(record.sites)} sites, {record.time[0]} to {record.time[-1]}, from {record.source}", markup=False
    )
    split = problem.make_split(record, settings["split"])
    observed = np.isfinite(record.observed[settings["experiment"]["target"]])
    for part in ("train", "validation", "test"):
        days = int((getattr(split, part) & observed).sum())
        console.print(f"  {part:10s} {days:8d} observed days", markup=False)
    findings = diagnose(record, split)
    for finding in findings:
        console.print(f"  {finding}", markup=False, highlight=False)
    run = Run(settings, Path(), console.print, record)
    for label, system in run.sketch():
        console.print(f"  {label:45s} reads {', '.join(v.name for v in system.inputs)}", markup=False, highlight=False)
    console.print(f"{len(run.jobs())} systems would be taught, {settings['experiment']['seeds']} seeds each")
    return 0


def run_(options: Namespace, console: Console) -> int:
    """Run an experiment from data to report."""
    settings = _settings(options, options.experiment)
    rows = _carry_out(settings, options, console)
    tables.print_ranking(rows, console)
    console.print(f"report: {(options.out / 'report.html').resolve()}", markup=False, highlight=False)
    return 0


def compare_(options: Namespace, console: Console) -> int:
    """Rank the couplings of finished runs, or run an experiment now and rank its couplings."""
    folders = [Path(name) for name in options.experiment if (Path(name) / "results.json").is_file()]
    if len(folders) == len(options.experiment):
        rows = [row for folder in folders for row in storage.read_json(folder / "results.json")]
    elif len(options.experiment) == 1 and options.out:
        rows = _carry_out(_settings(options, options.experiment[0]), options, console)
    else:
        missing = [name for name in options.experiment if Path(name) not in folders]
        raise RequestError(
            f"{', '.join(missing)} holds no results.json; "
            "to run an experiment and compare its couplings, give it alone with --out DIR"
        )
    known = {row["metric"] for row in rows}
    if options.metric not in known:
        raise RequestError(f"--metric {options.metric!r} was not scored; there are: {', '.join(sorted(known))}")
    for split in dict.fromkeys(row["split"] for row in rows):
        console.print(f"split: {split}", markup=False)
        tables.print_ranking(rows, console, options.metric, split)
    return 0


def apply_(options: Namespace, console: Console) -> int:
    """Predict other data with what a run has taught."""
    if options.out.exists() and not options.force:
        raise RequestError(f"{options.out} already exists; replace it with --force, or choose another name")
    taught = Run(config.load(str(_resolved(options.run)), []), options.run, console.print)
    other = problem.read_data(config.load(str(_resolved(options.run)), options.set))
    predictions = applied(taught, other, options.coupling)
    train = problem.make_split(taught.record, taught.splits["main"]).train
    write_predictions(options.out, other, taught.target, predictions, domain_of(taught.record, train, other))
    console.print(f"wrote {options.out}: {', '.join(predictions)} at {len(other.sites)} sites", markup=False)
    return 0


def audit_(options: Namespace, console: Console) -> int:
    """Put every taught coupling of a run to the physical probes and show what each passes."""
    settings = config.load(str(_resolved(options.run)), [])
    for line in lines(audited(Run(settings, options.run, console.print), options.site)):
        console.print(line, markup=False, highlight=False)
    return 0


def report_(options: Namespace, console: Console) -> int:
    """Write the report of a run again from what the run has left."""
    if not (options.run / "results.json").is_file():
        raise RequestError(f"{options.run} holds no results.json; run an experiment with --out {options.run} first")
    console.print(f"report: {write_report(options.run)}", markup=False, highlight=False)
    return 0


def data_(options: Namespace, console: Console) -> int:
    """List the data sets the library knows, fetch one, or check the files that are here."""
    if options.what == "list":
        for name in registry.list_datasets():
            console.print(f"  {name:20s} {_about('data', name)}", markup=False, highlight=False)
        return 0
    if not options.name:
        raise RequestError(
            f"mechlearn data {options.what} needs a name; there are: {', '.join(registry.list_datasets())}"
        )
    console.print(str(getattr(registry, options.what)(options.name)), markup=False, highlight=False)
    return 0


def _carry_out(settings: dict[str, Any], options: Namespace, console: Console) -> list[dict[str, Any]]:
    storage.claim(options.out, resume=options.resume, force=options.force)
    text = config.dump(settings)
    before = options.out / "experiment.resolved.toml"
    if options.resume and before.exists() and before.read_text() != text:
        raise RequestError(
            f"{options.out} was started with other settings; "
            "resume it with the same command, or start anew with --force"
        )
    run = Run(settings, options.out, console.print)
    storage.write_text(before, text)
    storage.write_json(options.out / "environment.json", {**storage.environment(), "command": options.command})
    rows = execute(run)
    write_report(options.out)
    return rows


def _settings(options: Namespace, name: str) -> dict[str, Any]:
    overrides = list(options.set)
    overrides += [
        f"experiment.{key}={getattr(options, key)}" for key in ("seed", "seeds") if getattr(options, key) is not None
    ]
    return config.load(name, overrides, quick=options.quick)


def _resolved(folder: Path) -> Path:
    path = folder / "experiment.resolved.toml"
    if not path.is_file():
        raise RequestError(f"{folder} is no run: it holds no experiment.resolved.toml")
    return path


def _about(shelf: str, name: str) -> str:
    if shelf == "experiments":
        return config.load(name, [])["experiment"].get("title", "")
    if shelf == "data":
        entry = registry.list_datasets()[name]
        return f"{entry.licence}; {entry.citation}"
    return (thing(shelf, name).__doc__ or "").strip().split("\n")[0]
