"""What every taught coupling of a run does when it is probed and when laws judge it."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..core import Fields, Law, Model
from ..data.fields import Record
from ..evaluation.consistency import audit
from ..evaluation.probes import probe_all
from ..laws.bounds import Bounds
from ..laws.heat_balance import HeatBalance
from ..laws.stratification import Stratification
from ..laws.water_balance import WaterBalance
from .problem import Job
from .run import Run
from .storage import NotKept

YEARS = 6
PRECIPITATION, EVAPOTRANSPIRATION = "precipitation", "evapotranspiration"


def audited(run: Run, site: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Probe and judge the first seed of every coupling taught on the main split: rows of probes and of laws."""
    found: dict[str, list[dict[str, Any]]] = {"probes": [], "audit": []}
    water = PRECIPITATION in run.record.fields and run.target == "runoff"
    for job, model in _models(run, site):
        place = site or job.sites[0]
        record = run.record.at([place])
        about = {"coupling": job.label, "site": place}
        if water:
            found["probes"] += [{**about, **asdict(probe)} for probe in _probes(model, record)]
        found["audit"] += [{**about, **row} for row in _laws(model, record, run.target, water)]
    return found


def lines(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """The rows as text, a line each."""
    for row in found["probes"]:
        verdict = {True: "passes", False: "FAILS", None: "n/a"}[row["passed"]]
        told = f"{verdict:7s} {row['value']:.4g} ({row['explanation']})"
        yield f"{row['coupling']:48s} {row['site']:12s} {row['name']:30s} {told}"
    for row in found["audit"]:
        told = f"mean {row['mean']:.3g}, largest {row['max']:.3g} {row['reason']}"
        yield f"{row['coupling']:48s} {row['site']:12s} {row['law']:30s} {told}"


def _models(run: Run, site: str | None) -> Iterator[tuple[Job, Model]]:
    for job in run.jobs():
        main = job.place[1:] == ("main", 1.0, "")
        if not main or (site is not None and site not in job.sites):
            continue
        try:
            yield job, run.taught(job)[0]
        except NotKept as reason:
            run.say(f"{job.label} is not audited: {reason}")


def _probes(model: Model, record: Record):
    held = {what: _held(model, what) for what in ("stores", "exchange")}
    return probe_all(partial(_said, model), _forcing(model, record), **held)


def _said(model: Model, fields: dict[str, Any]) -> dict[str, np.ndarray]:
    made = _run(model, {v.name: jnp.asarray(fields[v.name]) for v in model.inputs})
    return {name: np.asarray(value) for name, value in made.items()}


@eqx.filter_jit
def _run(model: Model, fields: Fields) -> Fields:
    return model(fields)


def _laws(model: Model, record: Record, target: str, water: bool) -> list[dict[str, Any]]:
    lake = _lake_laws(record) if target == "water_temperature" else {}
    fields = _forcing(model, record, [v.name for law in lake.values() for v in law.inputs])
    made = {**fields, **_said(model, fields)}
    laws = _balances(model, made, target) if water else lake
    quantity = record.variables[target]
    if quantity.bounds != (-np.inf, np.inf):
        laws[f"bounds of {target}"] = Bounds((quantity,))
    return audit(laws, made)


def _lake_laws(record: Record) -> dict[str, Law]:
    """What holds for the temperature of a lake, as far as the data have what the laws read."""
    target = "water_temperature"
    laws: dict[str, Law] = {"stratification (kg m-3)": Stratification(record.variables[target])}
    balance = HeatBalance(tolerance=0.0)
    if {v.name for v in balance.inputs} <= {*record.fields, target}:
        laws["heat balance of a day (W m-2)"] = balance
    return laws


def _balances(model: Model, made: dict[str, Any], target: str) -> dict[str, Law]:
    stores = _held(model, "stores")
    losses = tuple(name for name in (target, EVAPOTRANSPIRATION) if name in made)
    laws: dict[str, Law] = {
        "water balance of a year (mm day-1)": WaterBalance((PRECIPITATION,), losses, (), window=365)
    }
    if stores and EVAPOTRANSPIRATION in made and not _held(model, "exchange"):
        laws["water balance of a day (mm)"] = WaterBalance((PRECIPITATION,), losses, stores)
    return laws


def _forcing(model: Model, record: Record, also: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """The last years of unbroken forcing at the record's first site."""
    names = list(dict.fromkeys([*(v.name for v in model.inputs), *(name for name in also if name in record.fields)]))
    days = np.flatnonzero(record.complete(names)[0])
    last = days[-1] + 1
    first = max(last - 365 * YEARS, days[0])
    return {n: record.fields[n][0, first:last] if n in record.dynamic else record.fields[n][0] for n in names}


def _held(model: Model, what: str) -> tuple[str, ...]:
    """The stores (or exchanges) that the parts of a model declare and the whole of it still gives."""
    given = {v.name for v in model.outputs}
    parts = [getattr(node, what, ()) for node in jax.tree.leaves(model, is_leaf=lambda node: hasattr(node, what))]
    return tuple(name for names in parts for name in names if name in given)
