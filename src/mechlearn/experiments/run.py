"""Running an experiment: every coupling taught on every group of sites, predicted, scored and written down."""

import resource
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..compose import Mean
from ..core import Model, System
from ..data.batches import Windows
from ..data.fields import Record
from ..evaluation import controls, splits
from ..evaluation.baselines import climatology, persistence
from ..evaluation.profiles import each_depth
from ..evaluation.splits import Split
from ..training.generation import calibrated_generation
from ..training.predict import predict
from ..training.teach import fit
from . import config, problem, spread, storage
from .calibration import calibrate
from .draws import foretold
from .judging import Judge
from .judging_samples import SampleJudge
from .problem import Job

Say = Callable[[str], None]
KEPT = 6  # jobs over which what was compiled is kept for those that come after


class Run:
    """One experiment on its way: the record, the jobs, and what is already known."""

    def __init__(self, settings: dict[str, Any], folder: Path, say: Say, record: Record | None = None):
        self.settings, self.folder, self.say = settings, folder, say
        self.record = problem.read_data(settings) if record is None else record
        self.target = settings["experiment"]["target"]
        self.seeds = int(settings["experiment"]["seeds"])
        self.window = {**problem.WINDOW, **{k: v for k, v in settings["training"].items() if k in problem.WINDOW}}
        self.splits = {"main": settings["split"], **settings.get("holdout", {}).get("splits", {})}
        self._calibrated: dict[tuple, list[Model]] = {}
        self._taught = 0

    def groups(self) -> list[tuple[str, ...]]:
        """The sites that are taught together: each alone, or all at once."""
        each = self.settings["experiment"]["sites"] == "each"
        return [(site,) for site in self.record.sites] if each else [tuple(self.record.sites)]

    def jobs(self) -> list[Job]:
        """Everything there is to teach, in order: the main split, further splits, smaller budgets, controls."""
        named = [(table, label_of(table)) for table in self._tables()]
        wanted = {table: self._wanted(table) for table in ("holdout", "budget", "controls")}
        main = [Job(table, label, "main", 1.0, group) for group in self.groups() for table, label in named]
        places = [("holdout", split, 1.0, "") for split in self.splits if split != "main"]
        places += [("budget", "main", share, "") for share in self.shares() if share < 1]
        places += [("controls", "main", 1.0, kind) for kind in self.settings.get("controls", {}).get("kinds", [])]
        further = (
            Job(table, label, split, share, group, control)
            for why, split, share, control in places
            for group in self.groups()
            for table, label in named
            if label in wanted[why]
        )
        return main + list(further)

    def _wanted(self, table: str) -> tuple[str, ...]:
        """The couplings a further table asks for; the baselines go with all but the controls."""
        asked = tuple(self.settings.get(table, {}).get("couplings", ()))
        return asked if table == "controls" else (*config.BASELINES, *asked)

    def _tables(self) -> list[dict[str, Any]]:
        given = self.settings["coupling"]
        labels = [label_of(table) for table in given]
        tables = [{"name": name} for name in config.BASELINES if name not in labels] + given
        only = self.settings["experiment"].get("couplings")
        if only is None:
            return tables
        known = [label_of(table) for table in tables]
        unknown = [label for label in only if label not in known]
        if unknown:
            raise config.RequestError(f"[experiment] couplings: there is no {unknown}; there are: {', '.join(known)}")
        return [table for table in tables if label_of(table) in (*config.BASELINES, *only)]

    def result(self, job: Job) -> dict[str, np.ndarray]:
        """What a job predicts: read back if it has been done, else done now and written down."""
        path = self.folder / "state" / f"{job.name}.npz"
        if path.exists():
            return storage.read_arrays(path)
        began = time.perf_counter()
        part = self.simulated(job, self.data_of(job))
        systems, losses = self.teach(job, part)
        said = foretold(self, job, systems, part)
        if spread.asked(self, job):
            said["deviation"] = spread.fitted(self, job, systems, part, said["prediction"])
        seconds = time.perf_counter() - began
        history = losses if losses is not None else (None, np.zeros((0, 1)), np.zeros((0, 1)))
        result = {
            **said,
            "seconds": np.array(seconds),
            "training": history[1],
            "validation": history[2],
            "peak_mb": np.array(peak_mb()),
        }
        storage.write_models(path.with_suffix(".weights.npz"), [system.model for system in systems])
        storage.write_arrays(path, **result)
        self._tell(job, seconds)
        # Every system compiles functions of its own, and a long run would fill the address space with them.
        self._taught += 1
        if self._taught % KEPT == 0:
            jax.clear_caches()
        return result

    def finished(self) -> int:
        """How many jobs have been done already, by this command or an earlier one."""
        return sum((self.folder / "state" / f"{job.name}.npz").exists() for job in self.jobs())

    def _tell(self, job: Job, seconds: float) -> None:
        """One line on a finished job: "[12/39] Leaf  cascade.refinement.residual  4.1 s"."""
        jobs = self.jobs()
        number = f"[{[other.name for other in jobs].index(job.name) + 1}/{len(jobs)}]"
        self.told(number, job.where, job.told, seconds)

    def told(self, number: str, where: str, told: str, seconds: float) -> None:
        """One line on something finished, in columns."""
        jobs = self.jobs()
        widths = [max(map(len, words)) for words in ([j.where for j in jobs], [j.told for j in jobs])]
        beginning = number.rjust(2 * len(str(len(jobs))) + 3)
        self.say(f"{beginning} {where:{widths[0]}s}  {told:{widths[1]}s} {seconds:7.1f} s")

    def data_of(self, job: Job) -> Record:
        """The record of a job's sites, spoilt where the job is a control of the data."""
        part = self.record.at(job.sites)
        if job.control in ("", "physics_scrambled"):
            return part
        spoilt = getattr(controls, job.control)(part, self.key(job.name))
        return spoilt.with_fields({"site_number": part.fields["site_number"]})

    def teach(self, job: Job, part: Record) -> tuple[list[System], Any]:
        """Build one system a seed and teach them on the record of the job's sites, simulation and all."""
        systems = self.build(job)
        windows, validation = self.windows(job, job.coupling, systems[0], part)
        checkpoint = self.folder / "state" / f"{job.name}.checkpoint.npz"
        how = problem.descent(self.settings["training"], job.coupling.get("training", {}))
        taught = fit(
            systems,
            windows,
            validation=validation,
            key=self.key(job.name),
            how=how,
            checkpoint=checkpoint,
            label=f"{job.where}  {job.told}",
        )
        for left in checkpoint.parent.glob(f"{checkpoint.stem}*"):
            left.unlink()
        return taught

    def build(self, job: Job) -> list[System]:
        """The untaught systems of a job, one a seed, around calibrated mechanisms."""
        if "members" in job.coupling:
            return self._averaged(job)
        part = self.foreseen(self.data_of(job))
        own, names = problem.mechanism_of(job.coupling, self.settings), job.coupling.get("mechanisms", [])
        recorded = [problem.recorded(self.target, self.record)] * self.seeds if own.get("recorded") else None
        calibrated = [recorded or self.calibrated(job, own), *(self.calibrated(job, table) for table in names)]
        systems = []
        for seed in range(self.seeds):
            others = {name: models[seed] for name, models in zip(names, calibrated[1:], strict=True)}
            key = self.key(f"{job.label}/{seed}")
            systems.append(
                problem.couple(self._settled(job.coupling), calibrated[0][seed], others, self.settings, part, key)
            )
        return systems

    def _averaged(self, job: Job, record: Record | None = None) -> list[System]:
        """The mean of couplings that this experiment has taught already, one a seed."""
        taught = []
        for other in self._members(job):
            if not (self.folder / "state" / f"{other.name}.weights.npz").exists():
                self.result(other)
            taught.append(self.taught(other, record))
        return [System(Mean(*models), stages=()) for models in zip(*taught, strict=True)]

    def _members(self, job: Job) -> list[Job]:
        beside = {other.label: other for other in self.jobs() if other.place == job.place}
        unknown = [label for label in job.coupling["members"] if label not in beside or label == job.label]
        if unknown:
            raise config.RequestError(
                f"{job.label}: members {unknown} are no couplings taught beside it; there are: {', '.join(beside)}"
            )
        return [beside[label] for label in job.coupling["members"]]

    def sketch(self) -> Iterator[tuple[str, System]]:
        """Every coupling built once around uncalibrated mechanisms, to see whether its parts fit."""
        for job in self.jobs():
            if job.place == (self.groups()[0], "main", 1.0, ""):
                yield job.label, self._fitted_together(job)

    def _fitted_together(self, job: Job) -> System:
        try:
            return self._sketched(job)
        except (ValueError, TypeError) as error:
            told = str(error)
            raise config.RequestError(told if told.startswith("[") else f"{job.label}: {told}") from error

    def _sketched(self, job: Job) -> System:
        if "members" not in job.coupling:
            return self.untaught(job)[0]
        return System(Mean(*(self._sketched(other).model for other in self._members(job))), stages=())

    def untaught(self, job: Job, record: Record | None = None) -> list[System]:
        """The systems of a job around mechanisms as they come, one a seed: the shape that saved numbers fill."""
        if "members" in job.coupling:
            return self._averaged(job, record)
        part = self.foreseen(self.data_of(job) if record is None else record)
        others = {name: problem.mechanism(name, len(job.sites)) for name in job.coupling.get("mechanisms", [])}
        table = problem.mechanism_of(job.coupling, self.settings)
        recorded = table.get("recorded")
        own = problem.recorded(self.target, part) if recorded else problem.mechanism(table, len(job.sites))
        keys = [self.key(f"{job.label}/{seed}") for seed in range(self.seeds)]
        return [problem.couple(self._settled(job.coupling), own, others, self.settings, part, key) for key in keys]

    def taught(self, job: Job, record: Record | None = None) -> list[Model]:
        """The models a job has taught, read back from the run's folder."""
        path = self.folder / "state" / f"{job.name}.weights.npz"
        if not path.is_file():
            raise config.RequestError(
                f"{self.folder} holds no taught {job.label} for {', '.join(job.sites)[:60]}; "
                "finish the run with --resume"
            )
        return storage.read_models(path, [system.model for system in self.untaught(job, record)])

    def spread_of(self, job: Job, record: Record) -> np.ndarray | None:
        """The standard deviations of a job's errors on a record (seed, site, time), where it has learned them."""
        if not spread.asked(self, job):
            return None
        systems = self.untaught(job, record)
        fresh = spread.untaught(self, job, systems[0], self.record)
        return spread.predicted(storage.read_models(spread.place(self, job), fresh), record, self.target)

    def _settled(self, table: dict[str, Any]) -> dict[str, Any]:
        return {**table, "stages": ()} if table["name"] == "mechanism_only" else table

    def masks(self, record: Record, split: str = "main", fraction: float = 1.0) -> Split:
        """The parts of a record on one of the splits, with a share of what there is to train on."""
        by = next((what for what in ("dates", "samples") if self.settings.get("budget", {}).get(what)), "years")
        return problem.make_split(record, self.splits[split], fraction, by)

    def judge(self, mask: np.ndarray) -> Judge | SampleJudge:
        """The judge of the target where a mask holds."""
        kind = SampleJudge if self.record.independent else Judge
        return kind.of(self.record, self.target, mask, self.settings["experiment"]["metric"])

    def shares(self) -> list[float]:
        """The shares of the training part that the budget asks for; numbers of dates or samples as shares of all."""
        budget = self.settings.get("budget", {})
        asked = next((what for what in ("dates", "samples") if what in budget), None)
        if asked is None:
            return [float(share) for share in budget.get("fractions", [])]
        return [min(number / float(self.whole()), 1.0) for number in budget[asked]]

    def whole(self) -> int:
        """How many dates of a site, or independent samples in all, teach and select where none is left out."""
        split = self.masks(self.record)
        counted = self.record.masked(split.train | split.validation).measured().sum(axis=1)
        return int(counted.sum() if self.record.independent else counted.max())

    def windows(self, job: Job, table: dict[str, Any], model: Model, part: Record) -> tuple[Windows, Windows | None]:
        """The training and validation windows of a job, with what its model reads."""
        split = self.masks(part, job.split, job.fraction)
        size = {**self.window, **{k: v for k, v in table.get("training", {}).items() if k in self.window}}
        reads = {"inputs": [*problem.read_by(model, part)], "gaps": model.tolerates, "targets": (self.target,)}
        unlabelled = bool(size.get("unlabelled"))
        teaching, weights = split.train, None
        if size["generated"]:
            made = splits.generated_from(part, split.train)
            part = calibrated_generation(part, split.train)
            teaching, weights = teaching | made, np.where(made, float(size["generated"]), 1.0)
        train = Windows(part, teaching, size["window"], size["warmup"], **reads, unlabelled=unlabelled, weights=weights)
        if not np.isfinite(part.masked(split.validation).observed[self.target]).any():
            return train, None
        return train, Windows(part, split.validation, size["window"], size["warmup"], **reads, scales=train.scales)

    def calibrated(self, job: Job, table: dict[str, Any] | str) -> list[Model]:
        """The mechanism calibrated on a job's training part, one a seed."""
        options = {"model": table} if isinstance(table, str) else dict(table)
        own = options if options != problem.mechanism_of({}, self.settings) else {}
        told = f"-{zlib.crc32(repr(sorted(own.items())).encode()):08x}" if set(own) - {"model"} else ""
        name = f"calibrated--{options['model']}{told}--{Job({}, '', job.split, job.fraction, job.sites).name}"
        if name not in self._calibrated:
            self._calibrated[name] = calibrate(self, job, options, name)
        return self._calibrated[name]

    def simulated(self, job: Job, record: Record) -> Record:
        """The record with what the job's calibrated mechanism says of the target, where it is run once and for all."""
        table = self.stands_on(job)
        if not table.get("recorded"):
            return record
        return self._with_simulation(
            record, predict(self.calibrated(job, table)[0], record, (self.target,))[self.target]
        )

    def stands_on(self, job: Job) -> dict[str, Any]:
        """The table of the mechanism a job stands on; of an average, the one its members share.

        Raises `RequestError` when members stand on different simulations, of which a record can hold one.
        """
        if "members" not in job.coupling:
            return problem.mechanism_of(job.coupling, self.settings)
        tables = [self.stands_on(other) for other in self._members(job)]
        recorded = [table for table in tables if table.get("recorded")]
        if any(table != recorded[0] for table in recorded):
            raise config.RequestError(
                f"{job.label} averages couplings that stand on different recorded mechanisms; average those of one"
            )
        return recorded[0] if recorded else tables[0]

    def foreseen(self, record: Record | None = None) -> Record:
        """A record (or this run's) as the couplings will find it, zeros in place of what is still to be simulated."""
        record = self.record if record is None else record
        tables = (self.stands_on(job) for job in self.jobs())
        if not any(table.get("recorded") for table in tables):
            return record
        depths = (len(record.depths),) if record.is_profile(self.target) else ()
        return self._with_simulation(record, np.zeros((len(record.sites), len(record.time), *depths)))

    def _with_simulation(self, record: Record, said: np.ndarray) -> Record:
        variable = replace(record.variables[self.target], name=f"simulated_{self.target}")
        return record.with_fields({variable.name: said}, [variable])

    def key(self, name: str):
        """A key that depends on the experiment's seed and on what it is for, so that order does not matter."""
        return jax.random.fold_in(jax.random.key(int(self.settings["experiment"]["seed"])), zlib.crc32(name.encode()))


def label_of(table: dict[str, Any]) -> str:
    """What a coupling is called in tables: its label, else its name."""
    return table.get("label", table["name"])


def peak_mb() -> float:
    """The most memory the process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def baselines(record: Record, target: str, train: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions that cost nothing: the day's climatology and yesterday's flow."""
    if record.independent:
        return {}
    known = record.masked(train).observed[target]
    return {
        "climatology": each_depth(lambda o: climatology(o, record.time, np.ones_like(o, bool)), known)[None],
        "persistence": each_depth(persistence, record.observed[target])[None],
    }
