"""How predictions of independent samples become rows: all samples together, by group and by class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from ..data.record import Record
from ..evaluation import samples
from . import tables
from .judging import LEVEL, Rows

WIDTH = float(norm.ppf(0.5 + 0.5 * LEVEL))


@dataclass(frozen=True)
class SampleJudge:
    """What is observed of a target in the samples of a mask, and the scores of predictions there."""

    observed: np.ndarray
    units: str
    metric: str
    profile: bool = False

    @classmethod
    def of(cls, record: Record, target: str, mask: np.ndarray, metric: str) -> "SampleJudge":
        """The judge of a record's target where the mask holds."""
        return cls(record.masked(mask).observed[target], record.variables[target].units, metric)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to judge."""
        return not np.isfinite(self.observed).any()

    def rows(self, about: dict[str, Any], predicted: np.ndarray) -> Rows:
        """Every score of predictions (seed, group, sample) with its interval."""
        return [
            self._row({**about, "metric": metric, "units": self.units}, predicted, samples.interval)
            for metric in dict.fromkeys((self.metric, *samples.METRICS))
        ]

    def gains(self, about: dict[str, Any], predicted: np.ndarray, references: dict[str, np.ndarray]) -> Rows:
        """By how much predictions are better than the better of the references, and than each of them."""
        value = {
            name: samples.interval(self.metric, one, self.observed, draws=2).value for name, one in references.items()
        }
        rows = []
        for name in sorted(value, key=value.__getitem__):
            metric = f"{self.metric}_gain" if not rows else f"{self.metric}_gain_over_{name}"
            found = samples.gain(self.metric, predicted, references[name], self.observed)
            base = {**about, "metric": metric, "units": self.units, "reference": name}
            rows.append(tables.row(base, "median", found, predicted, self.observed))
        return rows

    def spread_rows(self, about: dict[str, Any], predicted: np.ndarray, spread: dict[str, np.ndarray]) -> Rows:
        """How often the 90 % interval of predictions holds the observation."""
        rows = []
        for deviation in (spread[what] for what in spread if what == "deviation"):
            found = samples.share_inside(predicted, deviation, self.observed, WIDTH)
            base = {**about, "metric": "coverage", "units": "1", "level": LEVEL}
            rows.append(tables.row(base, "median", found, predicted, self.observed))
        return rows

    def reliability(self, predicted: np.ndarray, deviation: np.ndarray) -> dict[str, list[float]]:
        """The share of observations that normal intervals of many probabilities hold."""
        claimed = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
        widths = [float(norm.ppf(0.5 + 0.5 * level)) for level in claimed]
        found = [samples.share_inside(predicted, deviation, self.observed, w, draws=2).value for w in widths]
        return {"claimed": claimed, "found": found}

    def _row(self, base: dict[str, Any], predicted: np.ndarray, found) -> dict[str, Any]:
        return tables.row(base, "median", found(base["metric"], predicted, self.observed), predicted, self.observed)


def regimes(
    judge: SampleJudge,
    record: Record,
    asked: dict[str, Any],
    made: dict[str, np.ndarray],
    deviations: dict[str, np.ndarray],
) -> list[dict[str, Any]]:
    """Errors in the classes that an experiment asks for: of a field between edges, and of each region."""
    inside: dict[str, np.ndarray] = {}
    shape = judge.observed.shape
    for name, edges in asked.items():
        if name == "region":
            labels = np.array([record.regions.get(site, "") for site in record.sites])
            inside |= {one: np.broadcast_to((labels == one)[:, None], shape) for one in dict.fromkeys(labels) if one}
        else:
            values = record.fields[name]
            values = np.broadcast_to(values if values.ndim == 2 else values[:, None], shape)
            spoken = name.removeprefix("true_").replace("_", " ")
            inside |= samples.classes(values, tuple(edges), spoken, record.variables[name].units)
    return samples.class_rows(made, judge.observed, inside, judge.units, deviations, WIDTH)
