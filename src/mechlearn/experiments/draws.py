"""What taught systems predict, and how uncertain they are where they draw at random (dropout)."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..core import Model
from ..couplings.embedded.guard import FALLBACK
from ..data.record import Record
from ..evaluation.profiles import inversions
from ..training.predict import predict
from .problem import Job

if TYPE_CHECKING:
    from .run import Run

NORMAL = 1.6448536  # half the width of the 90 % interval of a normal distribution, in standard deviations


def foretold(run: "Run", job: Job, systems: list[Model], part: Record) -> dict[str, np.ndarray]:
    """What the systems of a job (one a seed) predict for its part of the record: `prediction` (seed, site, time, ...).

    Where the experiment asks for draws of the job's coupling, the prediction is their mean; `deviation` is its
    standard deviation, calibrated on the validation part, `drawn` that of the draws alone, and `inverted` (seed, draw)
    the share of inverted pairs of each draw on the test part (%). `fallback` is, where a guard tells it, the share of
    calls that the original scheme answered.
    """
    target, asked = run.target, run.settings.get("draws", {})
    if job.label not in asked.get("couplings", ()):
        switched = tuple(v.name for v in systems[0].outputs if v.name.endswith(f"_{FALLBACK.name}"))
        said = [predict(system, part, (target, *switched)) for system in systems]
        made = {"prediction": np.stack([one[target] for one in said]).astype(np.float32)}
        return made | ({"fallback": _share(said, switched, made["prediction"])} if switched else {})
    number = int(asked.get("number", 50))
    split = run.masks(part, job.split, job.fraction)
    judged = np.isfinite(part.masked(split.test).observed[target])
    made: dict[str, list[Any]] = {"prediction": [], "drawn": [], "deviation": [], "inverted": []}
    for seed, system in enumerate(systems):
        keys = jax.random.split(run.key(f"draws/{job.name}/{seed}"), number)
        draws = predict(system, part, (target,), keys=keys)[target]
        mean, spread = draws.mean(axis=0), draws.std(axis=0)
        made["prediction"].append(mean)
        made["drawn"].append(spread)
        made["deviation"].append(widened(spread, mean, part.masked(split.validation).observed[target]))
        made["inverted"].append(_inverted(draws, judged) if judged.ndim == 3 else np.zeros(number))
    return {name: np.stack(values).astype(np.float32) for name, values in made.items()}


def _share(said: list[dict[str, np.ndarray]], switched: tuple[str, ...], like: np.ndarray) -> np.ndarray:
    """The mean over guarded joints and their places, (seed, site, time), with the axes of what is predicted."""
    each = [np.mean([one[n].reshape(*one[n].shape[:2], -1).mean(-1) for n in switched], axis=0) for one in said]
    return np.broadcast_to(np.stack(each).reshape(*like.shape[:3], *[1] * (like.ndim - 3)), like.shape)


def widened(spread: np.ndarray, mean: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """A standard deviation whose 90 % interval holds 90 % of the validation part.

    `s^2 = spread^2 + max(0, mean(error^2 - spread^2))`, what draws leave out added, then `s` scaled by the ratio of the
    90 % quantile of `|error| / s` to a normal distribution's (split conformal; Vovk et al. 2005). Unchanged where
    nothing validates.
    """
    known = np.isfinite(observed) & np.isfinite(mean)
    if not known.any():
        return spread
    error = (mean - observed)[known]
    left = max(0.0, float(np.mean(error**2 - spread[known] ** 2)))
    whole = np.sqrt(spread**2 + left)
    return whole * (float(np.quantile(np.abs(error) / whole[known], 0.9)) / NORMAL)


def _inverted(draws: np.ndarray, known: np.ndarray) -> np.ndarray:
    counts = [inversions(draw, known) for draw in draws]
    return np.array([100 * wrong.sum() / max(pairs.sum(), 1) for wrong, pairs in counts])
