"""What a run was taught on, as far as applying it needs to know: kept beside its weights, in place of the data."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core import Variable
from ..data.record import Record
from ..evaluation.domain import Domain
from . import storage
from .problem import make_split
from .run import Run, Say

PROBED = 64
BEYOND_MAIN = ("holdout", "budget", "controls")
OF_DOMAIN = ("low", "high", "mean", "scale", "precision", "limit")


@dataclass(frozen=True)
class TaughtOn:
    """A finished run with a few samples in place of its data, and the domains that its training part spans."""

    run: Run
    forcing: Domain
    alone: dict[tuple[str, ...], Domain]

    @classmethod
    def of(cls, folder: Path, settings: dict[str, Any], say: Say) -> "TaughtOn":
        """Open the folder of a run; one that has kept nothing, of an earlier version, is read its data once more."""
        main = {key: value for key, value in settings.items() if key not in BEYOND_MAIN}
        path = _place(folder)
        kept = storage.read_arrays(path) if path.exists() else _read_anew(Run(main, folder, say))
        about = json.loads(str(kept["about"]))
        domains = [_domain(kept, number, *one) for number, one in enumerate(about["domains"])]
        run = Run(main, folder, say, _record(kept, about["record"]))
        return cls(run, domains[0], {one.names: one for one in domains[1:]})


def _read_anew(run: Run) -> dict[str, np.ndarray]:
    return keep(run, domain_of(run))


def keep(run: Run, forcing: Domain) -> dict[str, np.ndarray]:
    """Write down what applying a run needs of its data, and return it."""
    domains, times, taught = [forcing], {0}, training_days(run)
    for names in dict.fromkeys(_pixels(run)):
        days = taught & run.record.complete(names)
        times |= set(np.nonzero(days)[1][:PROBED].tolist())
        described = tuple(name for name in names if run.record.variables[name].dims == ("time",))
        if described and days.any():
            domains.append(Domain.of(run.record, taught, inputs=described, windows=()))
    record, about = _written(run.record, sorted(times))
    told = {"record": about, "domains": [[one.names, one.windows] for one in domains]}
    numbers = {f"{i}/{what}": np.asarray(getattr(one, what)) for i, one in enumerate(domains) for what in OF_DOMAIN}
    made = {"about": np.asarray(json.dumps(told)), **record, **numbers}
    with suppress(OSError):  # a folder that cannot be written can still be applied
        storage.write_arrays(_place(run.folder), **made)
    return made


def domain_of(run: Run) -> Domain:
    """The domain that the forcing of the training days spans, with its means over the days before."""
    record, alone = run.record, run.settings["learner"].get("days") == [1]
    inputs = tuple(name for name in record.dynamic if not record.is_profile(name) and name not in record.hidden)
    windows = () if record.independent or alone else (30, 365)
    return Domain.of(record, training_days(run), inputs=inputs, windows=windows)


def training_days(run: Run) -> np.ndarray:
    """Where (site, time) the main split teaches."""
    train = make_split(run.record, run.splits["main"]).train
    return train.reshape(*train.shape[:2], -1).any(axis=-1)


def _pixels(run: Run) -> Iterator[tuple[str, ...]]:
    """What each coupling reads that might retrieve a scene: one taught on all sites at once, without a simulation."""
    if len(run.groups()) == 1:
        for _, system in run.sketch():
            names = tuple(v.name for v in system.inputs)
            if set(names) <= set(run.record.fields):
                yield names


def _place(folder: Path) -> Path:
    return folder / "state" / "taught_on.npz"


def _written(record: Record, times: list[int]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A record at a few of its times as arrays, and in words what else it is."""
    arrays = {"time": record.time[times]}
    for kind in ("fields", "observed"):
        for name, values in getattr(record, kind).items():
            series = kind == "observed" or name in record.dynamic
            arrays[f"{kind}/{name}"] = values[:, times] if series else values
    words = {key: getattr(record, key) for key in ("sites", "source", "regions", "notes", "independent", "hidden")}
    return arrays, {**words, "variables": [asdict(variable) for variable in record.variables.values()]}


def _record(kept: dict[str, np.ndarray], about: dict[str, Any]) -> Record:
    variables = [
        Variable(**{key: tuple(value) if isinstance(value, list) else value for key, value in one.items()})
        for one in about["variables"]
    ]
    arrays = {
        kind: {name.partition("/")[2]: values for name, values in kept.items() if name.startswith(f"{kind}/")}
        for kind in ("fields", "observed")
    }
    words = {key: tuple(value) if isinstance(value, list) else value for key, value in about.items()}
    return Record(**arrays, time=kept["time"], **{**words, "variables": {v.name: v for v in variables}})


def _domain(kept: dict[str, np.ndarray], number: int, names: list[str], windows: list[int]) -> Domain:
    return Domain(tuple(names), *(kept[f"{number}/{what}"] for what in OF_DOMAIN), windows=tuple(windows))
