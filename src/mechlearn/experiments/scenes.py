"""A taught coupling over an archive of scenes: blocks in any order, on any workers, gone on with when stopped."""

import hashlib
import math
import time
from argparse import Namespace
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import equinox as eqx
import jax
import numpy as np
from rich.console import Console

from ..core import Model, System, Variable
from ..data.scenes import Scene, create
from ..evaluation.domain import Domain
from . import problem, spread, storage
from .config import RequestError
from .journal import Journal
from .resolve import hint
from .retrieval import FLAGS, IMPOSSIBLE, NOT_FINITE, UNREADABLE, Retrieval, stands_alone
from .run import Run
from .scene_layers import about, layers_of
from .scene_report import write_scene_report
from .taught_on import PROBED, TaughtOn
from .workers import carry_out

LOOKED_AT = 8


def apply_to_scene(options: Namespace, path: Path, settings: dict[str, Any], console: Console) -> int:
    """Retrieve a run's target at every pixel of a scene; 1 when some of its blocks could not be read.

    Raises `RequestError` for a coupling that cannot stand alone at a pixel, or a store that is there already.
    """
    say = partial(console.print, markup=False, highlight=False)
    if options.workers is not None and options.workers < 1:
        raise RequestError(f"--workers {options.workers}: there must be at least one")
    if options.out.suffix != ".zarr":
        raise RequestError(
            f"{options.out}: what is retrieved from a scene is a Zarr store; give a name ending in .zarr"
        )
    known = TaughtOn.of(options.run, settings, say)
    run = known.run
    label = _coupling(run, options.coupling)
    models, spreads = taught_alone(run, label)
    domain = known.alone.get(tuple(v.name for v in models[0].inputs if v.dims == ("time",)))
    names, units = renamed(options.set)
    # Workers of a cluster are somewhere else.
    path, out = path.absolute(), options.out.absolute()
    scene = Scene.of(path, models[0].inputs, names=names, units=units)
    request = _request(run, label, (*models, *spreads), scene)
    retrieval = Retrieval(models, spreads, run.record.variables[run.target], domain, scene, out, uuid4().hex)
    journal = Journal(out)
    new = journal.claim(request, blocks=scene.blocks, force=options.force)
    notes = _look(retrieval)
    for note in notes:
        say(f"note: {note}")
    if new:
        storage.claim_file(out, force=False)
        journal.begin(request)  # before the store is there, for a store without a journal is somebody else's
        create(out, scene, layers_of(retrieval, request), about(run, request), f"scene {scene.path.name}")
    began, there = time.perf_counter(), len(journal.done)
    say(_beginning(scene, label, there))
    carry_out(retrieval, journal, options.scheduler, options.workers, console)
    seconds = time.perf_counter() - began
    return _ended(retrieval, journal, say, {**request, "command": options.command}, notes, seconds, there)


def _coupling(run: Run, asked: list[str] | None) -> str:
    known = list(dict.fromkeys(job.label for job in run.jobs()))
    if not asked:
        path = run.folder / "report.json"
        asked = [storage.read_json(path).get("chosen") or ""] if path.is_file() else [""]
        if not asked[0]:
            raise RequestError(f"the run has chosen no coupling; name one with --coupling: {', '.join(known)}")
    if len(asked) > 1:
        raise RequestError("a scene is retrieved by one coupling at a time; give --coupling once")
    if asked[0] not in known:
        raise RequestError(f"the run has no coupling {asked[0]!r}{hint(asked[0], known)}; it has: {', '.join(known)}")
    return asked[0]


def taught_alone(run: Run, label: str) -> tuple[tuple[Model, ...], tuple[Model, ...]]:
    """The models of a coupling, one a seed, that retrieve samples one by one, and their spreads.

    Raises `RequestError` for couplings that need more than a pixel: a memory, a site, a profile, a simulation.
    """
    jobs = [job for job in run.jobs() if job.place[1:] == ("main", 1.0, "") and job.label == label]
    if len(jobs) != 1:
        raise RequestError(
            f'{label} was taught on each of {len(jobs)} sites by itself; teach one with [experiment] sites = "together"'
        )
    if run.stands_on(jobs[0]).get("recorded"):
        raise RequestError(f"{label} builds upon a simulation of the whole record, which a scene does not have")
    models = tuple(_bare(model) for model in run.taught(jobs[0]))
    target = run.record.variables[run.target]
    if target.dims != ("time",):
        raise RequestError(f"{label} predicts {target.name} with the axes {target.dims}; a pixel holds one value")
    if any(v.name == "site_number" for v in models[0].inputs):
        raise RequestError(f"{label} has parameters of its own for each site, and a pixel is none; choose another")
    _refuse_memory(run, label, models[0])
    return models, _spreads(run, jobs[0], models[0])


def _spreads(run: Run, job: problem.Job, model: Model) -> tuple[Model, ...]:
    """What was learned of the errors of each seed, where that was asked for."""
    if not spread.asked(run, job):
        return ()
    return tuple(storage.read_models(spread.place(run, job), spread.untaught(run, job, model, run.record)))


def _bare(model: Model) -> Model:
    """A model without what it was taught by, which a worker has no need of."""
    while isinstance(model, System):
        model = model.model
    return model


def _refuse_memory(run: Run, label: str, model: Model) -> None:
    """Refuse a model that says other things of a series of samples than of each."""
    names = [v.name for v in model.inputs]
    site, times = (where[:PROBED] for where in np.nonzero(run.record.complete(names)))
    if not len(site):
        raise RequestError(f"{label}: no training sample has all of {', '.join(names)}")
    record = run.record
    fields = {n: record.fields[n][site, times] if n in record.dynamic else record.fields[n][site[0]] for n in names}
    fields = {n: np.asarray(values, np.float32) for n, values in fields.items()}
    if not stands_alone(model, fields, run.target):
        raise RequestError(
            f"{label} looks at more than the sample itself (it has a state, or reads the means of days before), so it "
            "cannot retrieve pixels one by one. Teach a coupling of a mechanism without state with "
            "[learner] days = [1], or choose another --coupling"
        )


def renamed(assignments: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What the scene calls the inputs and their units: `--set data.names.X=Y`, `--set data.units.X=K`.

    Raises `RequestError` for any other setting.
    """
    told: dict[str, dict[str, str]] = {"names": {}, "units": {}}
    for assignment in assignments:
        path, _, value = assignment.partition("=")
        words = path.strip().split(".")
        if len(words) != 3 or words[0] != "data" or words[1] not in told or not value:
            raise RequestError(
                f"--set {assignment}: of a scene, say data.names.INPUT=NAME or data.units.INPUT=UNITS and no more"
            )
        told[words[1]][words[2]] = value.strip().strip("'\"")
    return told["names"], told["units"]


def _request(run: Run, label: str, models: tuple[Model, ...], scene: Scene) -> dict[str, Any]:
    """What makes one retrieval another than the next, as far as its numbers go."""
    numbers = hashlib.sha256()
    for leaf in jax.tree.leaves(eqx.filter(models, eqx.is_array)):
        numbers.update(np.asarray(leaf).tobytes())
    for forest in storage.holding(models, "texts"):
        numbers.update("".join(forest.texts).encode())
    read = [[one.wanted.name, one.called, one.units, one.wanted.units, one.axes] for one in scene.columns]
    return {
        "run": run.settings["experiment"]["name"],
        "coupling": label,
        "scene": str(scene.path),
        "weights": numbers.hexdigest()[:16],
        "inputs": [[*one[:4], list(one[4])] for one in read],
        "sizes": scene.sizes,
        "block": list(scene.block),
        "seeds": run.seeds,
        "mechlearn": storage.environment()["packages"].get("mechlearn", ""),
    }


def _look(retrieval: Retrieval) -> list[str]:
    """Look into some blocks before all are done: inputs that make no sense are refused, strange ones noted.

    Raises `RequestError` for an input most of whose values lie outside the bounds of what it is said to be.
    """
    scene, seen = retrieval.scene, {v.name: [] for v in retrieval.inputs}
    chosen = np.linspace(0, scene.blocks - 1, min(LOOKED_AT, scene.blocks)).astype(int)
    for number in dict.fromkeys(chosen.tolist()):
        fields, *_ = scene.read(tuple(slice(r.start, min(r.stop, r.start + 64)) for r in scene.region(number)))
        for name, values in fields.items():
            seen[name].append(values[np.isfinite(values)])
    notes = []
    for variable in retrieval.inputs:
        values = np.concatenate(seen[variable.name]) if seen[variable.name] else np.zeros(0)
        if len(values):
            notes += _doubts(variable, values, retrieval.domain)
    return notes


def _doubts(variable: Variable, values: np.ndarray, domain: Domain | None) -> list[str]:
    low, high = variable.bounds
    if np.mean((values < low) | (values > high)) > 0.5:
        raise RequestError(
            f"{variable.name}: the scene's values, {values.min():.4g} to {values.max():.4g} {variable.units}, are "
            f"mostly outside what it can be, {low:g} to {high:g} {variable.units}. Is it another quantity (a radiance "
            "in place of a brightness temperature) or in other units than it says? Correct it, or state the units: "
            f"--set data.units.{variable.name}=UNITS"
        )
    if domain is None or variable.name not in domain.names:
        return []
    place = domain.names.index(variable.name)
    taught = float(domain.low[place]), float(domain.high[place])
    if values.max() < taught[0] or values.min() > taught[1]:
        return [
            f"{variable.name}: all values looked at, {values.min():.4g} to {values.max():.4g} {variable.units}, lie "
            f"outside what was taught on, {taught[0]:.4g} to {taught[1]:.4g}; is it the right variable?"
        ]
    return []


def _beginning(scene: Scene, label: str, there: int) -> str:
    pixels = " x ".join(f"{size} {dim}" for dim, size in scene.sizes.items())
    done = f", of which {there} are done already" if there else ""
    return f"{label} at {pixels} ({math.prod(scene.shape):,} pixels) in {scene.blocks} blocks{done}"


def _ended(
    retrieval: Retrieval, journal: Journal, say, request: dict[str, Any], notes: list[str], seconds: float, there: int
) -> int:
    """Write the report, say what came of it, and give the exit code."""
    told = [journal.done[number] for number in sorted(journal.done)]
    totals = {flag: sum(one[flag] for one in told) for flag in (*list(FLAGS.values())[1:], "in_domain")}
    pixels, done = math.prod(retrieval.scene.shape), (len(told) - there) / max(len(told), 1)
    say(f"{totals['retrieved']:,} of {pixels:,} pixels retrieved in {seconds:.1f} s ({pixels * done / seconds:,.0f}/s)")
    for flag, meaning in ((IMPOSSIBLE, "impossible inputs"), (NOT_FINITE, "no finite result")):
        if totals[FLAGS[flag]]:
            say(f"{totals[FLAGS[flag]]:,} pixels have {meaning} (status {flag})")
    torn = [one for one in told if one["trouble"]]
    report = write_scene_report(retrieval, told, totals, request, notes, seconds)
    say(f"wrote {retrieval.out}; report: {report.resolve()}")
    if torn:
        say(f"{len(torn)} of {len(told)} blocks hold pixels that could not be read (status {UNREADABLE}):")
    for one in torn:
        where = ", ".join(
            f"{dim} {part.start}:{part.stop}"
            for dim, part in zip(retrieval.scene.sizes, retrieval.scene.region(one["block"]), strict=True)
        )
        say(f"  block {one['block']} ({where}): {one['unreadable_input']:,} pixels; {one['trouble']}")
    if torn:
        say("the same command tries these blocks again, once the scene is mended")
    return 1 if torn else 0
