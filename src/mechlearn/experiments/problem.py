"""What an experiment file asks for, made: data, split, mechanisms, learners and couplings."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..compose import Rollout
from ..core import Model, System, Variable
from ..couplings.teaching import learned_alone
from ..data import read
from ..data.fields import Record
from ..descent import Descent
from ..evaluation import splits
from ..parameter_sets import site_by_site
from ..parameters import set_parameters
from .config import RequestError
from .resolve import keyword_arguments, thing

BASELINES = ("mechanism_only", "learner_only")
WINDOW = {"window": 365, "warmup": 365, "batch_size": 64}


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
    def name(self) -> str:
        """A file name that tells this job from all others."""
        group = self.sites[0] if len(self.sites) == 1 else f"{len(self.sites)}-sites"
        parts = (group, self.split, f"{self.fraction:g}", self.control, self.label)
        return "--".join(part for part in parts if part).replace(" ", "_").replace("/", "_")


def read_data(settings: dict[str, Any]) -> Record:
    """Read the data an experiment names; the reader says what is wrong with them."""
    options = dict(settings["data"])
    record = read(options.pop("reader"), **options)
    return record.with_fields(
        {"site_number": np.arange(len(record.sites), dtype=float)}, [Variable("site_number", "1")]
    )


def make_split(record: Record, options: dict[str, Any], fraction: float = 1.0) -> splits.Split:
    """Make the split an experiment names, with a share of its training years."""
    return splits.make(record, **{**options, "fraction_of_training": fraction})


def mechanism(table: dict[str, Any] | str, sites: int = 1) -> Model:
    """Build a mechanism and carry it through time: `{model = "water.hbv", field_capacity = 300}`.

    A key that is no argument of the model must be one of its parameters; `per_site = true` gives each of many
    sites its own values.
    """
    options = {"model": table} if isinstance(table, str) else {k: v for k, v in table.items() if k != "training"}
    each = options.pop("per_site", False) and sites > 1
    make = thing("mechanisms", options.pop("model"))
    model: Model
    if not inspect.isclass(make):
        model = make(**options) if callable(make) else make
    else:
        arguments = inspect.signature(make).parameters
        own = {key: value for key, value in options.items() if key in arguments}
        joints = {
            key: thing("mechanisms", value)() for key, value in own.items() if isinstance(value, str) and "." in value
        }
        rest = {key: value for key, value in options.items() if key not in arguments}
        model = set_parameters(make(**{**own, **joints}), rest)
    if each:
        return site_by_site(model, sites)
    return Rollout(model) if model.state and not isinstance(model, Rollout) else model


def learner(table: dict[str, Any], key: PRNGKeyArray, how: Descent) -> Callable:
    """A factory of untaught learners: `{model = "lstm", hidden = 64}`."""
    options = dict(table)
    make = thing("learners", options.pop("model"))
    keyword_arguments(make, options, "learner", taken=("inputs", "outputs", "key", "descent"))
    allowed = inspect.signature(make).parameters
    # A learner that sees single days has hundreds for every window of a series.
    many = how if getattr(make, "sequential", False) else replace(how, batch_size=max(how.batch_size, 512))
    given = {"key": key, "descent": many}
    return partial(make, **options, **{name: value for name, value in given.items() if name in allowed})


def descent(*tables: dict[str, Any]) -> Descent:
    """How to descend, from the [training] table and a coupling's own."""
    merged = {
        key: value for table in tables for key, value in table.items() if key not in WINDOW or key == "batch_size"
    }
    known = [field.name for field in fields(Descent)]
    for key in merged:
        if key not in known:
            raise RequestError(f"[training] has an unknown key {key!r}; allowed: {', '.join([*known, *WINDOW])}")
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
    options = {k: v for k, v in table.items() if k not in ("name", "label", "training", "learner")}
    how = descent(settings["training"], table.get("training", {}))
    make = learner({**table.get("learner", settings["learner"])}, key, how)
    if table["name"] == "mechanism_only":
        return System(mechanism_, stages=tuple(options.get("stages", ("online",))))
    if table["name"] == "learner_only":
        return learned_alone(
            mechanism_, make, target=settings["experiment"]["target"], also=_variables(options.get("also", []), record)
        )
    function = thing("couplings", table["name"])
    keyword_arguments(function, options, f"coupling {table['name']}", taken=("mechanism", "learner"))
    signature = inspect.signature(function).parameters
    chosen = {k: _argument(k, v, others, settings, record, key) for k, v in options.items()}
    if "target" in signature:
        chosen.setdefault("target", settings["experiment"]["target"])
    positional = [mechanism_] if "mechanism" in signature else [chosen.pop("mechanisms")]
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


def _variables(names: Sequence[str] | str, record: Record) -> tuple[Variable, ...]:
    """Named fields of the data; "statics" stands for every attribute of the sites, "everything" for all fields."""
    statics = tuple(name for name in record.statics if name != "site_number")
    known = {"statics": statics, "everything": (*record.dynamic, *statics)}
    chosen = (
        known.get(names, (names,)) if isinstance(names, str) else [one for n in names for one in known.get(n, (n,))]
    )
    unknown = [name for name in chosen if name not in record.fields]
    if unknown:
        raise RequestError(f"the data have no {unknown}; they have: {', '.join(record.fields)}")
    return tuple(record.variables[name] for name in chosen)
