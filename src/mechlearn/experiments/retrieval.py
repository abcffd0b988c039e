"""One coupling at many pixels: value, standard deviation, whether in the domain taught on, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from ..core import Fields, Model, Variable
from ..data.scenes import Scene, written
from ..evaluation.domain import Domain

AT_ONCE = 16384  # pixels that the compiled function takes; the last of a block are filled up to as many
FLAGS = {
    -1: "not_processed",
    0: "retrieved",
    1: "no_input",
    2: "impossible_input",
    3: "unreadable_input",
    4: "no_finite_result",
}
RETRIEVED, NO_INPUT, IMPOSSIBLE, UNREADABLE, NOT_FINITE = range(5)


@dataclass(frozen=True)
class Retrieval:
    """What a worker needs to do any block: the models (one a seed), the scene, the domain, and where to write.

    `spreads` are what was learned of the errors of each seed, if that was.
    Equal when of the same `token`, so that a process keeps the first copy it is sent and compiles once.
    """

    models: tuple[Model, ...] = field(compare=False)
    spreads: tuple[Model, ...] = field(compare=False)
    target: Variable = field(compare=False)
    domain: Domain | None = field(compare=False)
    scene: Scene = field(compare=False)
    out: Path = field(compare=False)
    token: str

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """What the models read."""
        return self.models[0].inputs

    @property
    def deviation(self) -> str:
        """What the standard deviation is called, as an output of the models too where they give one."""
        return f"{self.target.name}_standard_deviation"


@lru_cache(maxsize=4)
def _first(retrieval: Retrieval) -> Retrieval:
    return retrieval


def retrieved(given: Retrieval, number: int) -> dict[str, Any]:
    """Do one block of a retrieval, write it into the store, and return what there is to say of it.

    Doing a block twice writes the same bytes, so a block that was broken off is simply done again.
    """
    retrieval = _first(given)
    region = retrieval.scene.region(number)
    fields, torn, trouble = retrieval.scene.read(region)
    status = status_of(retrieval.inputs, fields, torn)
    layers = _everywhere(retrieval, fields, status)
    written(retrieval.out, region, layers, retrieval.token)
    return {"block": number, **_counts(retrieval, layers, region), "trouble": trouble}


def status_of(inputs: tuple[Variable, ...], fields: Mapping[str, np.ndarray], torn: np.ndarray) -> np.ndarray:
    """Why each pixel can be retrieved or not, before any model is asked: a flag of `FLAGS`."""
    status = np.zeros(len(torn), np.int8)
    for variable in inputs:
        values = fields[variable.name].reshape(len(torn), -1)
        low, high = variable.bounds
        status[((values < low) | (values > high)).any(axis=1)] = IMPOSSIBLE
    for variable in inputs:
        status[~np.isfinite(fields[variable.name].reshape(len(torn), -1)).all(axis=1)] = NO_INPUT
    status[torn] = UNREADABLE
    return status


def _everywhere(retrieval: Retrieval, fields: dict[str, np.ndarray], status: np.ndarray) -> dict[str, np.ndarray]:
    """The variables of the store at the pixels of a block; the models see those with all their inputs alone."""
    value = np.full(len(status), np.nan, np.float32)
    deviation, inside = np.full_like(value, np.nan), np.zeros(len(status), np.int8)
    usable = np.flatnonzero(status == RETRIEVED)
    for start in range(0, len(usable), AT_ONCE):
        some = usable[start : start + AT_ONCE]
        there = {name: values[some] for name, values in fields.items()}
        value[some], deviation[some] = _ensemble(retrieval, there, len(some))
        if retrieval.domain is not None:
            inside[some] = retrieval.domain.contains({n: there[n][None] for n in retrieval.domain.names})[0]
    status[usable[~np.isfinite(value[usable])]] = NOT_FINITE
    failed = status != RETRIEVED
    value[failed], deviation[failed], inside[failed] = np.nan, np.nan, 0
    return {retrieval.target.name: value, retrieval.deviation: deviation, "in_domain": inside, "status": status}


def _ensemble(retrieval: Retrieval, fields: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean over seeds and its standard deviation: of the errors where they were learned, else of the seeds.

    Where the models give a deviation of their own it is that of their mixture, `s^2 = mean(s_i^2) + var(y_i)`
    (Lakshminarayanan et al. 2017, arXiv:1612.01474). A single seed without any has none.
    """
    full, wanted = {name: _filled_up(values, AT_ONCE) for name, values in fields.items()}, retrieval.deviation

    def said(models: tuple[Model, ...]) -> dict[str, np.ndarray]:
        each = [pixel_by_pixel(model, full, (retrieval.target.name, wanted)) for model in models]
        return {name: np.stack([np.asarray(one[name])[:count] for one in each]) for name in (each[0] if each else ())}

    predicted, widths = said(retrieval.models), said(retrieval.spreads)
    value = predicted[retrieval.target.name]
    if widths:
        return value.mean(axis=0), np.sqrt(np.mean(widths[wanted] ** 2, axis=0))
    if wanted in predicted:
        return value.mean(axis=0), np.sqrt(value.var(axis=0) + np.mean(predicted[wanted] ** 2, axis=0))
    return value.mean(axis=0), value.std(axis=0) if len(value) > 1 else np.full_like(value[0], np.nan)


def _filled_up(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([values, np.repeat(values[-1:], length - len(values), axis=0)])


@eqx.filter_jit
def pixel_by_pixel(model: Model, fields: Fields, wanted: tuple[str, ...]) -> dict[str, Array]:
    """What a model says of each sample by itself, a record of one day: outputs (pixel,), those there are."""
    series = {v.name for v in model.inputs if v.dims[:1] == ("time",)}
    known = {v.name: v.dims for v in model.outputs if v.name in wanted}

    def one(sample: Fields) -> dict[str, Array]:
        made = model({name: value[None] if name in series else value for name, value in sample.items()})
        return {name: made[name][0] if dims[:1] == ("time",) else made[name] for name, dims in known.items()}

    return jax.vmap(one)({v.name: fields[v.name] for v in model.inputs})


def stands_alone(model: Model, fields: Fields, target: str) -> bool:
    """Whether a series of samples gives what its samples give one by one: the model looks at none but the sample.

    `fields` are series (sample, ...) and what is fixed, as the model reads them.
    """
    length = next(len(fields[v.name]) for v in model.inputs if v.dims[:1] == ("time",))
    each = {
        v.name: fields[v.name] if v.dims[:1] == ("time",) else np.repeat(fields[v.name][None], length, axis=0)
        for v in model.inputs
    }
    together = np.asarray(eqx.filter_jit(lambda m, f: m(f)[target])(model, fields))
    alone = np.asarray(pixel_by_pixel(model, each, (target,))[target])
    return bool(np.allclose(together, alone, rtol=1e-4, atol=1e-3 * float(np.std(alone)) + 1e-6))


def _counts(retrieval: Retrieval, layers: dict[str, np.ndarray], region: tuple[slice, ...]) -> dict[str, Any]:
    """How many pixels became what, and how many were retrieved at each place before the last two axes."""
    status, value = layers["status"], layers[retrieval.target.name]
    counts, first = np.bincount(status, minlength=5), [one.start for one in region[:-2]]
    shape = [one.stop - one.start for one in region]
    clear = (status == RETRIEVED).reshape(*shape[: len(first)], -1).sum(axis=-1)
    return {
        **{FLAGS[flag]: int(counts[flag]) for flag in range(5)},
        "in_domain": int(layers["in_domain"].sum()),
        "sum": float(np.nansum(value, dtype=np.float64)),
        "clear": [[*np.add(first, place).tolist(), int(n)] for place, n in np.ndenumerate(clear)] if first else [],
    }
