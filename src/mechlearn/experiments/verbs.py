"""What each verb of the command line does."""

import tomllib
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..data import registry
from ..data.check import diagnose
from ..data.fields import few
from . import config, joints, problem, storage, study, tables, twin
from .audit import audited, lines
from .config import RequestError
from .export import exported, write
from .inspection import inspected
from .outputs import applied, execute, write_predictions
from .report import write_report
from .resolve import hint, names, thing
from .run import Run
from .scenes import apply_to_scene
from .taught_on import TaughtOn

ROOMS = ("mechanisms", "learners", "laws", "solvers", "couplings")


def list_(options: Namespace, console: Console) -> None:
    """Show what there is, found by looking."""
    shelves = {
        "experiments": list(config.library()),
        **{room: names(room) for room in ROOMS},
        "data": list(registry.list_datasets()),
    }
    if options.what and options.what not in shelves:
        raise RequestError(
            f"there is no list of {options.what!r}{hint(options.what, shelves)}; there are: {', '.join(shelves)}"
        )
    for shelf in [options.what] if options.what else shelves:
        console.print(f"[bold]{shelf}[/bold]")
        for name in shelves[shelf]:
            console.print(f"  {name:55s} {_about(shelf, name)}", highlight=False, markup=False)


def init_(options: Namespace, console: Console) -> None:
    """Write an experiment file that works as it is and says what each line is for."""
    if options.file.suffix != ".toml":
        raise RequestError(f"an experiment file ends in .toml: mechlearn init {options.file}.toml")
    storage.claim_file(options.file, force=options.force)
    text = resources.files("mechlearn.experiments").joinpath("template.toml").read_text(encoding="utf-8")
    storage.write_text(options.file, text)
    console.print(f"wrote {options.file}; next: mechlearn check {options.file}", markup=False, highlight=False)


def check_(options: Namespace, console: Console) -> int:
    """Look at everything an experiment names without teaching anything."""
    settings = _settings(options, options.experiment)
    say = _teller(console)
    if "twin" in settings:
        say(f"{len(settings['filter'])} filters would be run, {settings['experiment']['seeds']} seeds each")
        return 0
    if "study" in settings:
        study.planned(settings)
        say(f"the study {settings['study']['kind']} would be run with {settings['experiment']['seeds']} seeds")
        return 0
    record = problem.read_data(settings)
    run = Run(settings, Path(), say, record)
    span = f"{len(record.time)} samples at most" if record.independent else f"{record.time[0]} to {record.time[-1]}"
    say(f"{len(record.sites)} {'groups' if record.independent else 'sites'}, {span}, from {record.source}")
    sketched = inspected(run)
    split = problem.make_split(record, settings["split"])
    for part in ("train", "validation", "test"):
        known = np.isfinite(record.masked(getattr(split, part)).observed[run.target])
        say(f"  {part:10s} {int(known.sum()):8d} observations")
    window = {"length": run.window["window"], "warmup": run.window["warmup"]}
    for finding in () if record.independent else diagnose(record, split, **window):
        say(f"  {finding}")
    for label, system in sketched:
        say(f"  {label:45s} reads {few((v.name for v in system.inputs), 8)}")
    say(f"{len(run.jobs())} systems would be taught, {run.seeds} seeds each; nothing was written")
    return 0


def run_(options: Namespace, console: Console) -> int:
    """Run an experiment from data to report."""
    settings = _settings(options, options.experiment)
    if "twin" in settings:
        storage.claim(options.out, resume=False, force=options.force)
        twin.carry_out(settings, options.out, _teller(console), options.command)
        return 0
    if "study" in settings:
        _study(settings, options, console)
        return 0
    rows = _carry_out(settings, options, console)
    tables.print_ranking(rows, console)
    console.print(f"report: {(options.out / 'report.html').resolve()}", markup=False, highlight=False)
    return 0


def compare_(options: Namespace, console: Console) -> int:
    """Rank the couplings of finished runs, or of an experiment run now, or the joints of its mechanism."""
    if options.joints:
        return _joints(options, console)
    if options.budget is not None:
        raise RequestError("--budget goes with --joints: mechlearn compare --joints EXPERIMENT --out DIR --budget 600")
    folders = [name for name in options.experiment if (Path(name) / "results.json").is_file()]
    if len(folders) == len(options.experiment):
        several = len(folders) > 1
        read = {name: storage.read_json(Path(name) / "results.json") for name in folders}
        rows = [{**row, "run": name} if several else row for name in folders for row in read[name]]
    elif len(options.experiment) == 1 and options.out:
        rows = _carry_out(_settings(options, options.experiment[0]), options, console)
    else:
        missing = [name for name in options.experiment if name not in folders]
        raise RequestError(
            f"{', '.join(missing)} holds no results.json; "
            "to run an experiment and compare its couplings, give it alone with --out DIR"
        )
    known = dict.fromkeys(row["metric"] for row in rows)
    if options.metric and options.metric not in known:
        raise RequestError(
            f"--metric {options.metric!r} was not scored{hint(options.metric, known)}; there are: {', '.join(known)}"
        )
    if len({(row["data"], row["target"]) for row in rows}) > 1:
        console.print("note: the runs have different data or targets; their scores are not of the same problem")
    for split in dict.fromkeys(row["split"] for row in rows):
        console.print(f"split: {split}", markup=False)
        tables.print_ranking(rows, console, options.metric, split)
    return 0


def _joints(options: Namespace, console: Console) -> int:
    """Find which sub-process of an experiment's mechanism to give to which learner."""
    budget = joints.SECONDS if options.budget is None else options.budget
    if len(options.experiment) != 1 or not options.out or budget <= 0:
        raise RequestError("write mechlearn compare --joints EXPERIMENT --out DIR [--budget SECONDS], SECONDS above 0")
    settings = _settings(options, options.experiment[0])
    _claimed(settings, options)
    rows = joints.carry_out(settings, options.out, budget, _teller(console), options.command)
    console.print(joints.table_of(rows))
    for note in storage.read_json(options.out / "report.json")["notes"]:
        _teller(console)(note)
    console.print(f"report: {(options.out / 'report.html').resolve()}", markup=False, highlight=False)
    return 0


def apply_(options: Namespace, console: Console) -> int:
    """Predict another record, or every pixel of a scene, with what a run has taught."""
    if len(options.places) > 2:
        raise RequestError(f"apply takes a run, a scene and where to write; got {few(map(str, options.places))}")
    settings = config.load(str(_resolved(options.run)), [])
    *scene, options.out = options.places
    if scene:
        return apply_to_scene(options, scene[0], settings, console)
    if options.workers or options.scheduler != "threads":
        raise RequestError("--workers and --scheduler are for scenes: mechlearn apply RUN SCENE OUT.zarr")
    for assignment in options.set:
        if not assignment.startswith("data."):
            raise RequestError(f"--set {assignment}: apply changes the data alone, as in --set data.path=other.nc")
    other = problem.read_data(config.load(str(_resolved(options.run)), options.set))
    storage.claim_file(options.out, force=options.force)
    known = TaughtOn.of(options.run, settings, _teller(console))
    predictions = applied(known.run, other, options.coupling)
    write_predictions(options.out, other, known.run.target, predictions, known.forcing.contains(other.fields))
    _teller(console)(f"wrote {options.out}: {', '.join(predictions)} at {len(other.sites)} sites")
    return 0


def audit_(options: Namespace, console: Console) -> int:
    """Put every taught coupling of a run to the physical probes and show what each passes."""
    say = _teller(console)
    run = Run(config.load(str(_resolved(options.run)), []), options.run, say)
    if options.site is not None and options.site not in run.record.sites:
        raise RequestError(
            f"the run has no site {options.site!r}{hint(options.site, run.record.sites)}; "
            f"it has {few(run.record.sites)}"
        )
    for line in lines(audited(run, options.site)):
        say(line)
    return 0


def export_(options: Namespace, console: Console) -> None:
    """Write a network that a run has taught for models in other languages."""
    say = _teller(console)
    run = Run(config.load(str(_resolved(options.run)), []), options.run, say)
    chosen = {key: getattr(options, key) for key in ("coupling", "seed", "learner", "site")}
    found = exported(run, **chosen)
    name = options.name or (options.coupling or "network").replace(".", "_").lower()
    for path in write(found, options.to, options.out, name, force=options.force):
        say(f"wrote {path}")
    say("reads " + ", ".join(f"{v.name} ({v.units})" for v in found.inputs))
    say("gives " + ", ".join(f"{v.name} ({v.units})" for v in found.outputs))


def report_(options: Namespace, console: Console) -> int:
    """Write the report of a run again from what the run has left."""
    if not (options.run / "results.json").is_file():
        raise RequestError(
            f"{options.run} holds no results.json; finish a run first: mechlearn run NAME --out {options.run}"
        )
    console.print(f"report: {write_report(options.run)}", markup=False, highlight=False)
    return 0


def data_(options: Namespace, console: Console) -> int:
    """List the data sets the library knows, fetch one, or check the files that are here."""
    say, known = _teller(console), registry.list_datasets()
    if options.what == "list":
        for name in known:
            place = registry.locate(name)
            say(f"  {name:20s} {_about('data', name)}; {place or 'not on this machine'}")
    elif options.name:
        say(f"{options.name}: {getattr(registry, options.what)(options.name)}")
    elif options.what == "fetch":
        raise RequestError(f"mechlearn data fetch needs a name; there are: {', '.join(known)}")
    else:
        for name in known:
            say(f"  {name:20s} " + (f"as published: {registry.verify(name)}" if registry.locate(name) else "not here"))
    return 0


def _teller(console: Console) -> Callable[[str], None]:
    """Print lines as they are, brackets and numbers included."""
    return partial(console.print, markup=False, highlight=False)


def _study(settings: dict[str, Any], options: Namespace, console: Console) -> None:
    study.planned(settings)
    _claimed(settings, options)
    study.carry_out(settings, options.out, _teller(console), options.command)


def _claimed(settings: dict[str, Any], options: Namespace) -> None:
    """The folder of a run, empty, or with what the same settings have left there."""
    storage.claim(options.out, resume=options.resume, force=options.force)
    before = options.out / "experiment.resolved.toml"
    if options.resume and before.exists():
        _refuse_other_settings(before, settings)
    if options.force:
        storage.clear(options.out)


def _carry_out(settings: dict[str, Any], options: Namespace, console: Console) -> list[dict[str, Any]]:
    storage.claim(options.out, resume=options.resume, force=options.force)
    before = options.out / "experiment.resolved.toml"
    if options.resume and before.exists():
        _refuse_other_settings(before, settings)
    run = Run(settings, options.out, _teller(console))
    inspected(run)
    if options.force:
        storage.clear(options.out)
    if options.resume:
        run.say(f"{run.finished()} of {len(run.jobs())} systems are there already")
    storage.write_text(before, config.dump(settings))
    storage.write_json(options.out / "environment.json", {**storage.environment(), "command": options.command})
    rows = execute(run)
    write_report(options.out)
    return rows


def _refuse_other_settings(before: Path, settings: dict[str, Any]) -> None:
    old, new = (tomllib.loads(text) for text in (before.read_text(encoding="utf-8"), config.dump(settings)))
    changed = config.differences(old, new)
    if changed:
        raise RequestError(
            f"{before.parent} was started with other settings: {'; '.join(changed[:4])}. "
            "Resume it with the same command, or start anew with --force or another --out"
        )


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
    try:
        return _first_line(shelf, name)
    except ValueError as error:
        return f"!! {error}"


def _first_line(shelf: str, name: str) -> str:
    if shelf == "experiments":
        return config.load(name, [])["experiment"].get("title", "")
    if shelf == "data":
        entry = registry.list_datasets()[name]
        return f"{entry.licence}; {entry.citation}"
    return (thing(shelf, name).__doc__ or "").strip().split("\n")[0]
