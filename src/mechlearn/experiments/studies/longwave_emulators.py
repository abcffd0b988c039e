"""Emulators of clear-sky long-wave radiation, taught by a correlated-k scheme and tried on other columns."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...core import Fields, Model
from ...couplings.embedded.dense_longwave import dense
from ...couplings.embedded.emulated_longwave import (
    WELL_MIXED,
    answered,
    learned_k,
    ready,
    scores,
    teach,
)
from ...data import gas_optics, longwave_columns
from ...descent import Descent
from ...learners.mlp import MLP
from ...longwave import HEAT_CAPACITY, SECONDS
from ...mechanisms.radiation.longwave import Longwave
from ...soundings import GRAVITY
from ..study import Findings, Score

OTHERS = ("+4K, const. RH", "8xCO2", "LGM", "PI all")
SCHEME = "mechanism_only"
Runs = Callable[[Model, Fields], Fields]


def study(
    *,
    optics: Literal["rrtmgp", "ecckd"] = "rrtmgp",
    teaching: int = 4000,
    levels: int = 60,
    epochs: int = 40,
    dense_epochs: int = 80,
    width: int = 48,
    points: int = 16,
    batch: int = 64,
    tested: int = 100,
    seed: int,
) -> Findings:
    """Teach emulators by the scheme on columns drawn around ERA5, IFS and AFGL; try them on those of RFMIP.

    Rows: the scheme itself and ecCKD's, against the reference fluxes; `embedded.replacement` emulators: a dense network
    that tells heating, one that tells fluxes, and learned gas optics before the exact solution; the last also as it
    comes with the package, taught longer. Errors are against the reference (RTE+RRTMGP's own fluxes) on RFMIP's columns
    of the present day and of four other states ("split"), and against the scheme on half as many levels. Speed is the
    time a column takes, one thread, in batches, side by side in this run, best of seven.
    Chevallier et al. (1998), doi:10.1175/1520-0450(1998)037<1385:ANNAFA>2.0.CO;2.
    """
    tables = gas_optics.rrtmgp() if optics == "rrtmgp" else Longwave().optics
    scheme = Longwave(optics=tables, given=WELL_MIXED, half_levels="given")
    taught = answered(scheme, longwave_columns.teaching(teaching, levels=levels, seed=seed + 1))
    judged = answered(scheme, longwave_columns.teaching(max(teaching // 20, 8), levels=levels, seed=seed + 10001))
    models: dict[str, Model] = {SCHEME: scheme, "other k-distribution": Longwave(given=WELL_MIXED, half_levels="given")}
    how = partial(Descent, batch_size=48, final=0.005, clip=10.0, patience=0)
    untaught = {
        "dense network, heating": (dense(scheme, tells="heating"), how(epochs=dense_epochs, learning_rate=2e-3)),
        "dense network, fluxes": (dense(scheme, tells="fluxes"), how(epochs=dense_epochs, learning_rate=2e-3)),
        "learned correlated k": (
            learned_k(scheme, partial(MLP, width=width, depth=2), points=points),
            how(epochs=epochs, learning_rate=6e-3),
        ),
    }
    for name, (system, descent) in untaught.items():
        models[name] = teach(system, taught, judged, how=descent, key=jax.random.key(seed))[0].model
    models["learned correlated k, shipped"] = Longwave(optics=ready(), given=WELL_MIXED, half_levels="given")
    found = [score for name, model in models.items() for score in errors(name, model, scheme, batch, tested)]
    return Findings([*found, *speeds(models, batch)], notes=notes(batch, optics))


def errors(name: str, model: Model, scheme: Model, batch: int, tested: int) -> list[Score]:
    """What a model is off by, on every part of the test."""
    run = running(batch)
    made = []
    for state in ("Present day (PD)", *OTHERS):
        columns, answer = longwave_columns.rfmip(state), longwave_columns.rfmip_reference(state)
        given = reduced(columns, model, tested)
        said = run(model, given)
        split = "main" if state.startswith("Present") else state
        errs = scores(said, {k: v[:tested] for k, v in answer.items()}, given["air_pressure"])
        made += [told(name, metric, value, split, tested) for metric, value in errs.items()]
        if split == "main":
            made.append(told(name, "energy_imbalance", imbalance(said, given), "main", tested))
    coarse = thinned(longwave_columns.rfmip())
    said, answer = (run(one, reduced(coarse, one, tested)) for one in (model, scheme))
    errs = scores(said, answer, coarse["air_pressure"][:tested])
    few = {"flux_rmse", "heating_rmse", "heating_rmse_below_1hPa"}
    return [*made, *(told(name, m, v, "half as many levels", tested) for m, v in errs.items() if m in few)]


def told(name: str, metric: str, value: float, split: str, count: int) -> Score:
    """A score under the name of its coupling."""
    emulates = name != SCHEME and "other" not in name
    coupling = f"embedded.replacement ({name})" if emulates else name
    units = "K day-1" if "heating" in metric else "W m-2"
    learner = "mlp" if emulates else ""
    return Score(coupling, metric, value, units, "embedded", learner, "radiation.longwave", "fluxes", split, count)


def reduced(columns: Fields, model: Model, tested: int) -> Fields:
    """What a model reads of the first columns."""
    return {v.name: jnp.asarray(columns[v.name][:tested], jnp.float32) for v in model.inputs}


def thinned(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same columns with two layers made one."""
    half = columns["air_pressure_at_half_levels"]
    mass = -np.diff(half, axis=1).reshape(len(half), -1, 2)
    layered = columns["air_pressure"].shape

    def thin(values: np.ndarray) -> np.ndarray:
        if values.shape == half.shape:
            return values[:, ::2]
        if values.shape != layered:
            return values
        return (values.reshape(mass.shape) * mass).sum(axis=2) / mass.sum(axis=2)

    return {name: thin(values) for name, values in columns.items()}


def imbalance(made: Fields, given: Fields) -> float:
    """By how much the heating of a column and the flux it keeps differ at most, W m-2."""
    deep = -np.diff(np.asarray(given["air_pressure_at_half_levels"], float))
    warming = np.asarray(made["tendency_of_air_temperature_due_to_longwave_heating"], float)
    net = np.asarray(made["net_downward_longwave_flux_in_air"], float)
    heated = (warming * deep).sum(axis=1) * HEAT_CAPACITY / GRAVITY / SECONDS
    return float(np.max(np.abs(heated - (net[:, -1] - net[:, 0]))))


def running(batch: int) -> Runs:
    """A model over many columns, compiled."""
    return eqx.filter_jit(lambda model, given: jax.lax.map(model, given, batch_size=batch))


def speeds(models: dict[str, Model], batch: int) -> list[Score]:
    """The time of a column, and how many times faster than the scheme each is; the scheme in its own best batch."""
    columns = longwave_columns.rfmip()
    best = {name: min(seconds(model, columns, size) for size in {8, batch}) for name, model in models.items()}
    times = [replace(told(name, "time_a_column", 1e6 * value, "main", 1), units="us") for name, value in best.items()]
    ratios = {name: best[SCHEME] / value for name, value in best.items()}
    faster = [replace(told(name, "speed_ratio", ratio, "main", 1), units="1") for name, ratio in ratios.items()]
    return [*times, *faster]


def seconds(model: Model, columns: Fields, batch: int, repeats: int = 7) -> float:
    """The processor's time for one column, best of several runs over four times the columns of RFMIP."""
    run = running(batch)
    given = {
        name: jnp.tile(value, (4,) + (1,) * (value.ndim - 1)) for name, value in reduced(columns, model, 100).items()
    }
    jax.block_until_ready(run(model, given))
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        jax.block_until_ready(run(model, given))
        taken.append(time.process_time() - begin)
    return min(taken) / len(given["surface_temperature"])


def notes(batch: int, optics: str) -> list[str]:
    """What a reader must know."""
    return [
        "The reference fluxes of RFMIP are RTE+RRTMGP's, not line-by-line: they say how well the equations are solved.",
        f"Time is the processor's, one column of 60 levels in batches of 8 or {batch}, the better of both, best of 7.",
        f"Emulators were taught by {optics} on columns drawn around ERA5 (1959), IFS and AFGL; none is of RFMIP.",
        "Emulators see carbon dioxide, methane and nitrous oxide; other gases are those of 2014 to them.",
    ]
