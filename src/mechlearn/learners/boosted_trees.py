"""Gradient-boosted decision trees (LightGBM)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Self

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from .black_box import ask, rows_of
from .examples import instant, usable


class Forest(eqx.Module):
    """The trees of each output in LightGBM's text format; empty before teaching."""

    texts: tuple[str, ...] = eqx.field(static=True)


class BoostedTrees(Learner):
    """A sum of many small decision trees, each fitted to what the ones before it left over.

    `y = sum_m rate * tree_m(x)`, one sum for each output; inputs may have gaps (NaN), estimates are clipped to the
    bounds. Variables have no axes. There is no gradient. The taught trees are LightGBM's text format.

    Raises `ValueError` for variables with axes, `TypeError` when differentiated, `ImportError` without LightGBM.

    Source: Ke et al. (2017), LightGBM, https://papers.nips.cc/paper/6907; Friedman (2001), doi:10.1214/aos/1013203451.

        >>> x, y = Variable("x", "1"), Variable("y", "1")
        >>> float(BoostedTrees([x], [y])({"x": np.float32(1.0)})["y"])
        0.0
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    forest: Forest
    rounds: int = eqx.field(static=True)
    leaves: int = eqx.field(static=True)
    learning_rate: float = eqx.field(static=True)
    smallest_leaf: int = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        rounds: int = 300,
        leaves: int = 31,
        learning_rate: float = 0.05,
        smallest_leaf: int = 20,
        key: PRNGKeyArray | None = None,
    ):
        self.inputs, self.outputs = instant(inputs, "BoostedTrees"), instant(outputs, "BoostedTrees")
        self.forest = Forest(("",) * len(self.outputs))
        self.rounds, self.leaves, self.learning_rate = rounds, leaves, learning_rate
        self.smallest_leaf = smallest_leaf

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "BoostedTrees")
        trees = self.forest.texts

        def predict(rows: np.ndarray) -> np.ndarray:
            return np.stack([_estimate(text, rows) for text in trees], axis=-1)

        return ask(predict, fields, self.inputs, self.outputs, "BoostedTrees")

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        samples = usable(self, inputs, targets, gaps=True)
        rows = rows_of(samples.inputs, self.inputs)
        seed = int(jax.random.randint(key, (), 0, 2**30))
        trees = list(self.forest.texts)
        for place, variable in enumerate(self.outputs):
            if variable.name in samples.targets:
                trees[place] = self._grow(rows, np.asarray(samples.targets[variable.name], float), seed)
        return eqx.tree_at(lambda m: m.forest, self, Forest(tuple(trees)))

    def _grow(self, rows: np.ndarray, values: np.ndarray, seed: int) -> str:
        lightgbm = _lightgbm()
        known = np.isfinite(values)
        first = int(0.8 * known.sum()) if known.sum() >= 50 else int(known.sum())
        rows, values = rows[known], values[known]
        options = {
            "objective": "regression", "num_leaves": self.leaves, "learning_rate": self.learning_rate,
            "min_data_in_leaf": min(self.smallest_leaf, max(1, first // 20)), "seed": seed, "num_threads": 1,
            "deterministic": True, "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        seen = lightgbm.Dataset(rows[:first], values[:first])
        held_out = [seen.create_valid(rows[first:], values[first:])] if first < len(rows) else []
        stop = [lightgbm.early_stopping(30, verbose=False)] if held_out else []
        grown = lightgbm.train(options, seen, self.rounds, valid_sets=held_out, callbacks=stop)
        return grown.model_to_string(num_iteration=grown.best_iteration)


def _estimate(text: str, rows: np.ndarray) -> np.ndarray:
    return np.asarray(_booster(text).predict(rows, num_threads=1)) if text else np.zeros(len(rows))


@lru_cache(maxsize=64)
def _booster(text: str):
    return _lightgbm().Booster(model_str=text)


def _lightgbm():
    try:
        import lightgbm
    except ImportError:
        raise ImportError("BoostedTrees needs LightGBM: pip install 'mechlearn[trees]'") from None
    return lightgbm


def example() -> dict:
    """A threshold that a network smooths over: snow below freezing, rain above."""
    warm = Variable("air_temperature", "degC")
    fallen = Variable("precipitation", "mm day-1", bounds=(0, float("inf")))
    snow = Variable("snowfall", "mm day-1", bounds=(0, float("inf")))
    temperature = 20 * jax.random.uniform(jax.random.key(0), (400,)) - 10
    rain = 10 * jax.random.uniform(jax.random.key(1), (400,))
    learner = BoostedTrees([warm, fallen], [snow], rounds=100)
    inputs = {"air_temperature": temperature, "precipitation": rain}
    targets = {"snowfall": rain * (temperature < 0)}
    return {"learner": learner, "inputs": inputs, "targets": targets, "source": "doi:10.1214/aos/1013203451"}
