"""Selective replacement: which sub-process of a mechanism to give to which learner, by online gain and cost."""

import re
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from rich.table import Table

from ..compose import Rollout
from ..core import Model, System, named
from ..couplings.embedded.correction import corrected
from ..couplings.embedded.guard import FALLBACK, guard
from ..couplings.embedded.replacement import listener, online
from ..couplings.series import over_further_axes
from ..data.batches import Windows
from ..data.record import Record
from ..descent import Descent
from ..evaluation.domain import trailing_mean
from ..forecast import Forecast
from ..parameters import follow, map_parameters
from ..training.offline import fit_offline
from ..training.online import fit_online
from ..training.predict import predict
from . import config, problem, storage, study
from .config import RequestError
from .resolve import hint
from .run import Run, Say
from .study import Findings, Score

DEFAULTS = {"joints": [], "learners": [], "truth": {}, "form": "corrected", "epochs": 16, "longest": 128}
FORMS = {"corrected": corrected, "replaced": online}
SECONDS = 600.0


@dataclass
class Candidate:
    """One learner at one joint: the system as it is taught so far, and what was measured of it."""

    joint: str
    learner: str
    system: System
    scheme: Model
    number: int = 0
    found: dict[str, float] = field(default_factory=dict)
    when: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    seconds: float = 0.0
    epochs: int = 0

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.learner} at {self.joint}"

    @property
    def worth(self) -> float:
        """Online gain on the validation part for the time that a run takes; a loss is not made less by slowness."""
        gain, cost = self.found.get("online_gain", -np.inf), self.found.get("run_time", 1.0)
        return gain / cost if gain > 0 else gain

    def recall(self, model: Model, kept: dict[str, np.ndarray]) -> None:
        """Become what was kept of it."""
        self.system = eqx.tree_at(lambda s: s.model, self.system, model)
        self.found = {n.removeprefix("found/"): float(v) for n, v in kept.items() if n.startswith("found/")}
        self.when, self.seconds, self.epochs = kept["when"], float(kept["seconds"]), int(kept["epochs"])

    def expected(self, epochs: int) -> float:
        """How long further epochs will take, as far as earlier ones tell."""
        return self.seconds / self.epochs * epochs if self.epochs else 0.0


def joints_of(mechanism: Model) -> dict[str, Model]:
    """The sub-processes of a mechanism that a learner can take: those without a memory of their own.

    Raises `RequestError` for a mechanism that is not carried through time.
    """
    if not isinstance(mechanism, Rollout | Forecast):
        raise RequestError(f"joints are those of a mechanism carried through time; {type(mechanism).__name__} is not")
    step = mechanism.step
    parts = {name: getattr(step, name) for name in vars(step) if isinstance(getattr(step, name), Model)}
    return {name: part for name, part in parts.items() if _takes_a_learner(part, step.state)}


def _takes_a_learner(part: Model, state: tuple[str, ...]) -> bool:
    dims = {dim for variable in part.outputs for dim in variable.dims}
    return bool(part.inputs) and len(dims) <= 1 and not set(named(part.outputs)) & set(state)


def compared(settings: dict[str, Any], folder: Path, budget: float, say: Say) -> Findings:
    """Teach every learner at every joint within `budget` seconds, and tell what each gained online and costs.

    Each candidate is a correction of the sub-process (or, `form = "replaced"`, an emulator of it that goes on
    learning), the parameters of the calibrated mechanism held, and measured with the original scheme as its guard
    outside of what it met in teaching. All are taught through
    the time loop for a few epochs; the better half, by gain on the validation part for the time a run takes, goes on
    for twice as many, and so on until the time is up (successive halving; Jamieson & Talwalkar 2016,
    arXiv:1502.07943). What an earlier command has taught into the folder is read back and takes no time of this one.

    Raises `RequestError` for a joint, form or key that is not there.
    """
    began = time.perf_counter()
    options = _options(settings)
    run = _with_truth(Run(settings, folder, say), options["truth"])
    job = run.jobs()[0]
    part = run.data_of(job)
    mechanism = _held(run.calibrated(job, settings["mechanism"])[0])
    bench = _Bench(run, mechanism, part)
    waiting = list(_candidates(settings, options, mechanism, run))
    say(f"{len(waiting)} candidates: {', '.join(one.name for one in waiting)}")
    epochs, alive = options["epochs"], waiting
    while alive and epochs <= options["longest"]:
        alive = [one for one in alive if _in_time(one, epochs, began + budget, bench, say)]
        alive = sorted(alive, key=lambda one: -one.worth)[: max(1, len(alive) // 2)]
        epochs *= 2
    measured = sorted((one for one in waiting if one.found), key=lambda one: -one.worth)
    return _findings(settings, measured, waiting, bench, time.perf_counter() - began)


def _options(settings: dict[str, Any]) -> dict[str, Any]:
    given = settings.get("joints", {})
    for key in given:
        if key not in DEFAULTS:
            raise RequestError(f"[joints] has an unknown key {key!r}{hint(key, DEFAULTS)}; allowed: {list(DEFAULTS)}")
    options = {**DEFAULTS, **given}
    if options["form"] not in FORMS:
        raise RequestError(f"[joints] form = {options['form']!r} must be one of {', '.join(FORMS)}")
    options["learners"] = options["learners"] or [settings["learner"]]
    return options


def _with_truth(run: Run, truth: dict[str, Any]) -> Run:
    """A twin, where a truth is told: the target is what that mechanism says of the data's forcing."""
    if not truth:
        return run
    made = predict(problem.mechanism(truth), run.record, (run.target,))[run.target]
    known = replace(run.record, observed={**run.record.observed, run.target: made})
    return Run(run.settings, run.folder, run.say, known)


def _held(mechanism: Model) -> Model:
    """The mechanism with all its parameters fixed, so that a gain is the learner's."""
    return map_parameters(lambda p: replace(p, fixed=True), mechanism)


def _candidates(settings: dict[str, Any], options: dict[str, Any], mechanism: Model, run: Run):
    there = joints_of(mechanism)
    for joint in options["joints"] or there:
        if joint not in there:
            raise RequestError(
                f"[joints] there is no joint {joint!r}{hint(joint, there)}; there are: {', '.join(there)}"
            )
        for number, table in enumerate(options["learners"]):
            key = run.key(f"{joint}/{table}")
            learner = problem.learner(table, key, problem.descent(settings["training"]))
            system = FORMS[options["form"]](mechanism, learner, joint=joint)
            yield Candidate(joint, table["model"], system, there[joint], number)


class _Bench:
    """Where every candidate is taught and measured: the same windows, parts and clock."""

    def __init__(self, run: Run, mechanism: Model, part: Record):
        self.run, self.mechanism, self.part, self.job = run, mechanism, part, run.jobs()[0]
        self.masks = run.masks(part)
        self.how = problem.descent(run.settings["training"])
        self.train, self.validation = run.windows(self.job, {}, mechanism, part)
        self.reference = self.errors(mechanism)[0]
        self.pace = _pace(mechanism, self.train)

    def place(self, one: Candidate, epochs: int) -> Path:
        """The file of a candidate taught for so many epochs."""
        name = re.sub(r"[^\w.-]+", "_", f"{one.joint}--{one.learner}-{one.number}--{epochs}")
        return self.run.folder / "state" / f"joint--{name}.npz"

    def teach(self, one: Candidate, epochs: int) -> None:
        """Teach a candidate for so many further epochs and measure it; read back where that has been done before."""
        path, weights = (self.place(one, one.epochs + epochs).with_suffix(end) for end in (".npz", ".weights.npz"))
        if path.exists():
            (model,) = storage.read_models(weights, [one.system.model])
            one.recall(model, storage.read_arrays(path))
            return
        self._taught(one, epochs)
        if not storage.holding(one.system.model, "estimators"):  # what no file keeps is taught again
            storage.write_models(weights, [one.system.model])
            numbers = {"when": one.when, "seconds": np.array(one.seconds), "epochs": np.array(one.epochs)}
            storage.write_arrays(path, **numbers, **{f"found/{name}": np.array(v) for name, v in one.found.items()})

    def _taught(self, one: Candidate, epochs: int) -> None:
        began, key = time.perf_counter(), self.run.key(f"{one.name}/{one.epochs}")
        if not one.epochs:
            one.system = fit_offline(one.system, self.train, key=key)
        how: Descent = replace(self.how, epochs=epochs, patience=0)
        (one.system,), _ = fit_online([one.system], self.train, key=key, validation=self.validation, how=how)
        one.epochs += epochs
        one.seconds += time.perf_counter() - began
        self.measure(one)

    def measure(self, one: Candidate) -> None:
        """Gain online, departure offline, fall-backs and run time, each over or beside those of the mechanism."""
        safe = guard(one.system, one.scheme, joint=one.joint, met="own_run")
        safe = fit_offline(System(safe.model, lessons=safe.lessons[-1:]), self.train, key=self.run.key(one.name))
        errors, made = self.errors(safe.model, f"{one.joint}_{FALLBACK.name}")
        one.when = made.reshape(*made.shape[:2], -1).mean(axis=-1)
        gains = {part: 1 - errors[part] / self.reference[part] for part in errors}
        one.found = {
            "online_gain": gains["validation"],
            "online_gain_test": gains["test"],
            "offline_departure": self.departure(one),
            "fallback_share": float(np.nanmean(made)),
            "run_time": _pace(safe.model, self.train) / self.pace,
        }

    def errors(self, model: Model, further: str = "") -> tuple[dict[str, float], np.ndarray]:
        """The RMSE of the target on the validation and the test part, and a further output."""
        names = (self.run.target, *([further] if further else []))
        told = predict(model, self.part, names)
        missed = (told[self.run.target] - self.part.observed[self.run.target]) ** 2
        parts = {name: getattr(self.masks, name) for name in ("validation", "test")}
        return {name: float(np.sqrt(np.nanmean(missed[mask]))) for name, mask in parts.items()}, told[names[-1]]

    def departure(self, one: Candidate) -> float:
        """How far the learned part is from the scheme on the mechanism's own states, in spreads of its answer."""
        heard = listener(self.mechanism, one.joint, "mechanism")  # pyright: ignore[reportArgumentType]
        place = follow(one.system.model, f"step.{one.joint}")

        @eqx.filter_jit
        def both(place, fields, observed):
            given, answered = jax.vmap(heard)(fields, observed)
            return answered, jax.vmap(lambda g, a: over_further_axes(place, g, a))(given, answered)

        fields, observed, _ = self.train.take(np.arange(len(self.train)))
        scheme, learned = both(place, fields, observed)
        each = [np.std(scheme[n] - learned[n]) / max(float(np.std(scheme[n])), 1e-9) for n in learned if n in scheme]
        return float(np.sqrt(np.mean(np.square(each))))


def _pace(model: Model, windows: Windows) -> float:
    """Seconds of the processor that a compiled model takes for all windows: the best of three."""
    fields = windows.take(np.arange(len(windows)))[0]
    given = {v.name: fields[v.name] for v in model.inputs}
    run = eqx.filter_jit(lambda one, sample: jax.vmap(one)(sample))
    jax.block_until_ready(run(model, given))
    best = np.inf
    for _ in range(3):
        began = time.process_time()
        jax.block_until_ready(run(model, given))
        best = min(best, time.process_time() - began)
    return best


def _in_time(one: Candidate, epochs: int, end: float, bench: _Bench, say: Say) -> bool:
    """Teach a candidate where the time that is left will do; what was done before takes none."""
    done = bench.place(one, one.epochs + epochs).exists()
    if not done and time.perf_counter() + one.expected(epochs) > end:
        return False
    bench.teach(one, epochs)
    gain = 100 * one.found["online_gain"]
    say(f"  {one.name:40s} {one.epochs:4d} epochs {one.seconds:7.1f} s  online gain {gain:+.1f} %")
    return True


def _findings(settings, measured: list[Candidate], waiting: list[Candidate], bench: _Bench, seconds: float) -> Findings:
    score = partial(Score, target=bench.run.target, mechanism=settings["mechanism"]["model"], paradigm="embedded")
    scores = [
        score(one.name, metric, value, learner=one.learner, seconds=one.seconds, n=one.epochs)
        for one in measured
        for metric, value in {"gain_per_cost": one.worth, **one.found}.items()
    ]
    notes = [f"{len(measured)} of {len(waiting)} candidates were measured in {seconds:.0f} s."]
    left = [one.name for one in waiting if not one.found]
    notes += [f"The time did not reach: {', '.join(left)}."] if left else []
    notes.append(_advice(measured))
    drawn = {f"When the scheme answers: {one.name}": partial(_switched, one, bench.part) for one in measured[:2]}
    return Findings(scores, drawn, notes)


def _switched(one: Candidate, part: Record, axes) -> None:
    """The share of a month's calls that the original scheme answered, site by site."""
    for site, share in zip(part.sites, one.when, strict=True):
        axes.plot(part.time, trailing_mean(share[None], 30)[0], label=site, linewidth=0.8)
    axes.set(ylabel="share answered by the scheme, 30 days", ylim=(-0.02, 1.02))
    if len(part.sites) <= 6:
        axes.legend(frameon=False)


def _advice(measured: list[Candidate]) -> str:
    if not measured or measured[0].worth <= 0:
        return "No learner at any joint does better online than the mechanism: leave it as it is."
    best, found = measured[0], measured[0].found
    return (
        f"Give {best.joint} to {best.learner}: {100 * found['online_gain']:.0f} % less RMSE on the validation part, "
        f"{100 * found['online_gain_test']:.0f} % on the test part, in {found['run_time']:.2f} times the run time; "
        f"the original scheme answers {100 * found['fallback_share']:.1f} % of the calls."
    )


def carry_out(settings: dict[str, Any], folder: Path, budget: float, say: Say, command: str) -> list[dict[str, Any]]:
    """Compare the joints of an experiment and write rows, settings and report."""
    if not {"data", "mechanism", "learner"} <= set(settings):
        raise RequestError("--joints needs an experiment with [data], [split], [mechanism] and [learner]")
    storage.write_text(folder / "experiment.resolved.toml", config.dump(settings))
    storage.write_json(folder / "environment.json", {**storage.environment(), "command": command})
    began = time.perf_counter()
    findings = compared(settings, folder, budget, say)
    one = study.kept(findings, time.perf_counter() - began)
    return study.written(settings, folder, [one])


def table_of(rows: list[dict[str, Any]]) -> Table:
    """Candidates in order of their online gain for its cost, with offline and online scores side by side."""
    heads = ("gain_per_cost", "online_gain", "online_gain_test", "offline_departure", "fallback_share", "run_time")
    table = Table(title="joints, by online gain for the time of a run")
    for head in ("learner at joint", *(head.replace("_", " ") for head in heads), "seconds"):
        table.add_column(head)
    for name in dict.fromkeys(row["coupling"] for row in rows):
        own = {row["metric"]: row for row in rows if row["coupling"] == name}
        table.add_row(name, *(f"{own[head]['value']:.3f}" for head in heads), f"{own['run_time']['seconds']:.0f}")
    return table
