"""What an experiment file asks for, made: data, split, mechanisms, learners and couplings."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..compose import Rollout
from ..core import Model, System, Variable
from ..couplings.series import Reader
from ..couplings.teaching import learned_alone
from ..data import read, reader
from ..data.fields import Record
from ..descent import Descent
from ..evaluation import splits
from ..parameter_sets import site_by_site
from ..parameters import find, is_parameter, parameters, set_parameters
from .config import RequestError
from .resolve import hint, keyword_arguments, thing

OF_RUNS = ("training", "recorded")
OF_JOBS = ("name", "label", "training", "learner", "mechanism")
WINDOW = {"window": 365, "warmup": 365, "batch_size": 64, "unlabelled": False, "generated": 0.0}


@dataclass(frozen=True, eq=False)
class Job:
    """One coupling to be taught on one split of one group of sites with a share of the training years."""

    coupling: dict[str, Any]
    label: str
    split: str
    fraction: float
    sites: tuple[str, ...]
    control: str = ""

    @property
    def place(self) -> tuple:
        """Where a job stands: what it shares with the couplings it is compared with."""
        return self.sites, self.split, self.fraction, self.control

    @property
    def told(self) -> str:
        """What a job is called on the screen: its coupling, and how it departs from the main ones."""
        share = "" if self.fraction == 1.0 else f"{100 * self.fraction:g} % of the training part"
        further = ("" if self.split == "main" else self.split, share, self.control.replace("_", " "))
        return ", ".join([self.label, *(word for word in further if word)])

    @property
    def where(self) -> str:
        """The one site, or how many."""
        return self.sites[0] if len(self.sites) == 1 else f"{len(self.sites)} sites"

    @property
    def name(self) -> str:
        """A file name that tells this job from all others."""
        group = self.sites[0] if len(self.sites) == 1 else f"{len(self.sites)}-sites"
        parts = (group, self.split, f"{self.fraction:g}", self.control, self.label)
        return re.sub(r"[^\w.()+-]+", "_", "--".join(part for part in parts if part))


def read_data(settings: dict[str, Any]) -> Record:
    """Read the data an experiment names; the reader says what is wrong with them."""
    options = dict(settings["data"])
    name = options.pop("reader")
    keyword_arguments(reader(name), options, "data")
    record = read(name, **options)
    return record.with_fields(
        {"site_number": np.arange(len(record.sites), dtype=float)}, [Variable("site_number", "1")]
    )


def make_split(record: Record, options: dict[str, Any], fraction: float = 1.0, by: str = "years") -> splits.Split:
    """Make the split an experiment names, with a share of its training years, or of its observed dates."""
    way = getattr(splits, str(options.get("kind")), None)
    if inspect.isfunction(way):
        keyword_arguments(way, {k: v for k, v in options.items() if k != "kind"}, "split", taken=("record",))
    return splits.make(record, **{"kind": "", **options, "fraction_of_training": fraction, "by": by})


def read_by(model: Model, record: Record) -> tuple[str, ...]:
    """What of the data a model reads, with the laws it is charged for and the lessons it is taught by."""
    made, wanted = {v.name for v in model.outputs}, list(model.inputs)
    for system in systems_in(model):
        wanted += [v for term in system.terms for v in term.law.inputs if v.name not in made]
        wanted += [v for lesson in system.lessons for v in lesson.reads]
    return tuple(dict.fromkeys(v.name for v in wanted if v.name in record.fields))


def mechanism(table: dict[str, Any] | str, sites: int = 1) -> Model:
    """Build a mechanism and carry it through time: `{model = "water.hbv", field_capacity = 300}`.

    A key that is no argument of the model must be one of its parameters; `per_site = true` gives each of many
    sites its own values.
    """
    options = {"model": table} if isinstance(table, str) else {k: v for k, v in table.items() if k not in OF_RUNS}
    each = options.pop("per_site", False) and sites > 1
    make = thing("mechanisms", options.pop("model", None))
    model: Model
    if not inspect.isclass(make):
        model = make(**options) if callable(make) else make
    else:
        declared = inspect.signature(make).parameters
        arguments = [name for name, argument in declared.items() if not is_parameter(argument.default)]
        own = {key: value for key, value in options.items() if key in arguments}
        named = {key: value for key, value in own.items() if isinstance(value, str) and _is_joint(declared[key])}
        joints = {key: thing("mechanisms", value)() for key, value in named.items()}
        rest = {key: value for key, value in options.items() if key not in arguments}
        model = _with_parameters(make(**{**own, **joints}), rest, arguments)
    if each:
        return site_by_site(model, sites)
    timeless = not any("time" in variable.dims for variable in model.inputs)
    carried = model.state or timeless
    return Rollout(model, static=model.lasting) if carried and not isinstance(model, Rollout) else model


def _is_joint(argument: inspect.Parameter) -> bool:
    kind = argument.annotation
    return inspect.isclass(kind) and issubclass(kind, Model)


def mechanism_of(coupling: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The table of the mechanism that a coupling stands on: its own, or the experiment's."""
    table = coupling.get("mechanism", settings["mechanism"])
    return {"model": table} if isinstance(table, str) else table


def recorded(target: str, record: Record) -> Model:
    """The mechanism that says what has been simulated of the target beforehand."""
    variable = record.variables[target]
    return thing("mechanisms", "external.recorded")(target, variable.dims, variable.units)


def systems_in(model: Model) -> list[System]:
    """A model and all that is nested in it, as far as they are systems."""
    if isinstance(model, System):
        return [model, *systems_in(model.model)]
    nodes = jax.tree.leaves(model, is_leaf=_is_system)
    return [deeper for node in nodes if _is_system(node) for deeper in systems_in(node)]


def _is_system(node: Any) -> bool:
    return isinstance(node, System)


def _with_parameters(model: Model, values: dict[str, Any], arguments: Sequence[str]) -> Model:
    known = parameters(model)
    words = list(dict.fromkeys((*arguments, *(path.rsplit(".", 1)[-1] for path in known))))
    for key, value in values.items():
        if key not in known and key not in words:
            raise RequestError(f"[mechanism] has an unknown key {key!r}{hint(key, words)}; allowed: {', '.join(words)}")
        low, high = known[find(model, key)].bounds
        if not isinstance(value, int | float) or not low <= value <= high:
            raise RequestError(f"[mechanism] {key} = {value!r} must be a number from {low:g} to {high:g}")
    return set_parameters(model, values)


def learner(table: dict[str, Any], key: PRNGKeyArray, how: Descent) -> Callable:
    """A factory of untaught learners: `{model = "lstm", hidden = 64}`.

    Three keys are not the learner's own: `also`, the fields of the data that it reads in every coupling beside the
    mechanism's forcing, `days`, over how many days a learner without memory sees the means of each series, and
    `alone`, a table of how to descend where it is taught alone, by a lesson, and not with the whole system.
    """
    options = {key: value for key, value in table.items() if key != "also"}
    make = thing("learners", options.pop("model", None))
    windows, alone = options.pop("days", None), options.pop("alone", {})
    keyword_arguments(Descent, alone, "learner alone")
    keyword_arguments(make, options, "learner", taken=("inputs", "outputs", "key", "descent"))
    allowed = inspect.signature(make).parameters
    # A learner that sees single days has hundreds for every window of a series.
    usual = how.batch_size if getattr(make, "sequential", False) else max(how.batch_size, 512)
    many = replace(how, **{"batch_size": usual, **alone})
    given = {"key": key, "descent": many}
    made = partial(make, **options, **{name: value for name, value in given.items() if name in allowed})
    return made if windows is None else Reader(made, tuple(windows))


def descent(*tables: dict[str, Any]) -> Descent:
    """How to descend, from the [training] table and a coupling's own."""
    merged = {
        key: value for table in tables for key, value in table.items() if key not in WINDOW or key == "batch_size"
    }
    known = list(dict.fromkeys([*inspect.signature(Descent).parameters, *WINDOW]))
    for key in merged:
        if key not in known:
            raise RequestError(f"[training] has an unknown key {key!r}{hint(key, known)}; allowed: {', '.join(known)}")
    keyword_arguments(Descent, merged, "training")
    return Descent(**merged)


def couple(
    table: dict[str, Any],
    mechanism_: Model,
    others: dict[str, Model],
    settings: dict[str, Any],
    record: Record,
    key: PRNGKeyArray,
) -> System:
    """Build the system that one [[coupling]] table describes, around calibrated mechanisms."""
    options = {k: v for k, v in table.items() if k not in OF_JOBS}
    how = descent(settings["training"], table.get("training", {}))
    make = learner({**table.get("learner", settings["learner"])}, key, how)
    if table["name"] == "mechanism_only":
        return System(mechanism_, stages=tuple(options.get("stages", ("online",))))
    everywhere = settings["learner"].get("also", [])
    if table["name"] == "learner_only":
        reads = _read(options["reads"], record) if "reads" in options else None
        also = _variables(options.get("also", everywhere if reads is None else []), record)
        return learned_alone(mechanism_, make, target=settings["experiment"]["target"], also=also, reads=reads)
    function = thing("couplings", table["name"])
    keyword_arguments(function, options, f"coupling {table['name']}", taken=("mechanism", "learner"))
    signature = inspect.signature(function).parameters
    if everywhere and "also" in signature:
        options.setdefault("also", everywhere)
    chosen = {k: _argument(k, v, others, settings, record, key) for k, v in options.items()}
    if "target" in signature:
        chosen.setdefault("target", settings["experiment"]["target"])
    positional = [chosen.pop("mechanisms")] if "mechanisms" in signature else [mechanism_]
    return function(*positional, *([make] if "learner" in signature else []), **chosen)


def _argument(
    name: str, value: Any, others: dict[str, Model], settings: dict[str, Any], record: Record, key: PRNGKeyArray
) -> Any:
    if name in ("also", "attributes"):
        return _variables(value, record)
    if name == "mechanisms":
        return [others[one] for one in value]
    if name == "members":
        raise RequestError("members name couplings of the same experiment and go with hybrid.average alone")
    if name == "methods":
        return [
            _method(one, others, settings, record, jax.random.fold_in(key, place)) for place, one in enumerate(value)
        ]
    if name == "regionaliser":
        return learner(value, jax.random.fold_in(key, 99), descent(settings["training"]))
    return tuple(value) if isinstance(value, list) else value


def _method(table: dict[str, Any] | str, others, settings, record, key) -> Callable[[Model, Any], System]:
    options = {"name": table} if isinstance(table, str) else table
    return lambda inner, _: couple(options, inner, others, settings, record, key)


def _read(names: Any, record: Record) -> tuple[Variable, ...]:
    """What a learner alone is to read in place of the mechanism's forcing: fields known to whoever predicts."""
    if not isinstance(names, list) or not names:
        raise RequestError(f'reads = {names!r} must be a list of fields, as in reads = ["brightness_temperature"]')
    hidden = [name for name in names if name in record.hidden]
    if hidden:
        raise RequestError(f"reads names {hidden[0]!r}, which nobody knows who predicts; leave it out")
    return _variables(names, record)


def _variables(names: Sequence[str] | str, record: Record) -> tuple[Variable, ...]:
    """Named fields of the data; "statics" stands for every attribute of the sites, "everything" for all fields."""
    statics = tuple(name for name in record.statics if name != "site_number")
    known = {"statics": statics, "everything": (*record.dynamic, *statics)}
    chosen = (
        known.get(names, (names,)) if isinstance(names, str) else [one for n in names for one in known.get(n, (n,))]
    )
    unknown = [name for name in chosen if name not in record.fields]
    if unknown:
        there = [name for name in record.fields if name != "site_number"]
        raise RequestError(
            f"the data have no field {unknown[0]!r}{hint(unknown[0], there)}; they have: {', '.join(there)}, "
            'and "statics" or "everything" stand for several'
        )
    return tuple(record.variables[name] for name in chosen)
