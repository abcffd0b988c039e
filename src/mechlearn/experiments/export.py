"""What a run has taught, written for models in other languages."""

import importlib
import re
from pathlib import Path

from ..core import Fields, System
from ..export.network import Network, network, networks_in
from ..parameters import follow
from ..training.offline import lesson_examples
from . import storage
from .config import RequestError
from .problem import Job
from .resolve import hint
from .run import Run

TARGETS = ("fortran", "c", "onnx")


def exported(run: Run, *, coupling: str | None, seed: int, learner: str | None, site: str | None) -> Network:
    """The network that one coupling of a run has taught, with the domain of the inputs it was taught on.

    Raises `RequestError` for a coupling, seed, site or learner that is not there, with those that are.
    """
    job = _job(run, coupling, site)
    models = run.taught(job)
    if not 0 <= seed < len(models):
        raise RequestError(f"--seed {seed}: the run has the seeds 0 to {len(models) - 1} (in order of teaching)")
    there = networks_in(models[seed])
    if learner is None and len(there) == 1:
        learner = next(iter(there))
    if learner not in there:
        told = ", ".join(map(repr, there)) or "none (export writes learners of kind mlp)"
        raise RequestError(f"{job.label}: which learner? --learner is one of: {told}")
    system = run.untaught(job)[0]
    return network(models[seed], learner, _seen(run, job, system, learner))


def write(found: Network, to: str, folder: Path, name: str, *, force: bool) -> list[Path]:
    """Write the files of a network for another language.

    Raises `RequestError` for a name that no language takes, or files that are there already.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise RequestError(f"--name {name!r} must begin with a letter and hold letters, digits and _ alone")
    files = importlib.import_module(f"mechlearn.export.{to}").write(found, name)
    paths = [folder / file for file in files]
    for path in paths:
        storage.claim_file(path, force=force)
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return paths


def _job(run: Run, coupling: str | None, site: str | None) -> Job:
    jobs = [job for job in run.jobs() if job.place[1:] == ("main", 1.0, "")]
    labels = list(dict.fromkeys(job.label for job in jobs))
    wanted = coupling or (labels[-1] if len(labels) == 1 else "")
    if wanted not in labels:
        raise RequestError(f"--coupling {wanted!r}{hint(wanted, labels)} is one of: {', '.join(labels)}")
    mine = [job for job in jobs if job.label == wanted]
    sites = [name for job in mine for name in job.sites]
    if len(mine) > 1 and site is None:
        raise RequestError(f"the run was taught site by site: --site is one of: {', '.join(sites)[:200]}")
    found = [job for job in mine if site is None or site in job.sites]
    if not found:
        raise RequestError(f"the run has no site {site!r}{hint(str(site), sites)}; it has {', '.join(sites)[:200]}")
    return found[0]


def _seen(run: Run, job: Job, system: System, learner: str) -> Fields | None:
    """The inputs a learner was taught on, where it has a lesson of its own."""
    lessons = [lesson for lesson in system.lessons if lesson.where == learner]
    if not lessons:
        return None
    windows, _ = run.windows(job, job.coupling, system, run.simulated(job, run.data_of(job)))
    return lesson_examples(follow(system.model, learner), lessons[0], system, windows)[0]
