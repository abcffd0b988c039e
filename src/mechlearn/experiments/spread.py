"""How uncertain a taught coupling is: a second learner of its errors, made to hold what it says."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..compose import Rollout
from ..core import Fields, Model, Variable, Wrapped
from ..data.record import Record
from ..descent import Descent
from ..evaluation.splits import generated_from
from ..learners.mlp import MLP
from ..training.generation import calibrated_generation
from ..training.predict import predict
from . import storage
from .judging_samples import WIDTH
from .problem import Job

if TYPE_CHECKING:
    from .run import Run

LEVEL = 0.9
HOW = Descent(epochs=60, batch_size=512, learning_rate=3e-3, patience=15)


class Spread(Wrapped):
    """The standard deviation of a coupling's error, as its inputs tell it.

    `s(x) = c q(x) / 1.645` with `q` a network of the 90 % quantile of the absolute error and `c` the factor with which
    the interval holds 90 % of the validation part, which `q` was not taught on (conformalised quantile regression;
    Romano et al. 2019, arXiv:1905.03222).
    """

    quantile: MLP
    factor: jax.Array
    wraps: ClassVar = "quantile"

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {name: self.factor * value / WIDTH for name, value in self.quantile(fields).items()}


def asked(run: "Run", job: Job) -> bool:
    """Whether the experiment wants to know how uncertain a job's coupling is; not of those taught on a few samples."""
    wanted = run.settings.get("uncertainty", {}).get("couplings", ())
    return job.label in wanted and job.fraction == 1.0 and not job.control


def named(target: str) -> str:
    """The name of the standard deviation of a target."""
    return f"{target}_standard_deviation"


def untaught(run: "Run", job: Job, system: Model, record: Record) -> list[Spread]:
    """The spreads of a job before they are taught, one a seed: the shape that saved numbers fill."""
    target = record.variables[run.target]
    wanted = Variable(named(run.target), target.units, bounds=(0, float("inf")))
    read = [replace(v, dims=()) for v in system.inputs if v.dims == ("time",)]
    keys = [run.key(f"spread/{job.label}/{seed}") for seed in range(run.seeds)]
    return [
        Spread(MLP(read, [wanted], width=32, quantile=LEVEL, descent=HOW, key=key), jnp.asarray(1.0)) for key in keys
    ]


def fitted(run: "Run", job: Job, systems: Sequence[Model], part: Record, said: np.ndarray) -> np.ndarray:
    """Teach a spread to every seed of a job, write them down and return what they say: (seed, group, sample).

    The errors of the training part teach, with those of generated samples where the job was taught on them, so that
    rare classes are seen; the validation part sets the factor, as training errors are too small.
    """
    masks = run.masks(part, job.split, job.fraction)
    teaching, said = masks.train, np.array(said)
    if job.coupling.get("training", {}).get("generated"):
        made = generated_from(part, masks.train)
        part, teaching = calibrated_generation(part, masks.train), masks.train | made
        again = (predict(system, part, (run.target,))[run.target] for system in systems)
        said = np.stack([np.where(made, new, old) for new, old in zip(again, said, strict=True)])
    taught = []
    for seed, spread in enumerate(untaught(run, job, systems[0], part)):
        error, inputs = np.abs(said[seed] - part.observed[run.target]), _samples(spread, part)
        known, judged = teaching & np.isfinite(error), masks.validation & np.isfinite(error)
        target = {named(run.target): error[known]}
        model = spread.quantile.fit(_at(inputs, known), target, key=run.key(f"spread/{seed}"))
        width = jax.vmap(model)(_at(inputs, judged))[named(run.target)]
        ratio = error[judged] / np.maximum(np.asarray(width), 1e-6)
        taught.append(Spread(model, jnp.asarray(np.quantile(ratio, LEVEL), jnp.float32)))
    storage.write_models(place(run, job), taught)
    return predicted(taught, part, run.target)


def place(run: "Run", job: Job) -> Path:
    """The file of a job's spreads."""
    return run.folder / "state" / f"{job.name}.spread.npz"


def predicted(spreads: Sequence[Spread], record: Record, target: str) -> np.ndarray:
    """What spreads say of every sample of a record: (seed, group, sample)."""
    return np.stack([predict(Rollout(one), record, (named(target),))[named(target)] for one in spreads])


def _samples(spread: Spread, record: Record) -> dict[str, np.ndarray]:
    return {v.name: record.fields[v.name] for v in spread.inputs}


def _at(fields: dict[str, np.ndarray], mask: np.ndarray) -> Fields:
    return {name: jnp.asarray(values[mask], jnp.float32) for name, values in fields.items()}
