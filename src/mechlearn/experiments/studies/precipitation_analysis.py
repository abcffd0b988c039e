"""Forecasts of precipitation by several models brought together by a network and by similar cases."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...core import Variable
from ...data.precipitation_forecasts import Forecasts, precipitation_forecasts
from ...descent import Descent
from ...learners.mlp import MLP
from ...learners.sklearn import Sklearn
from ..study import Findings, Score


def study(*, neighbours: list[int] | None = None, epochs: int = 60, blocks: int = 5, seed: int) -> Findings:
    """Bring together what nine models forecast, as Lu (2018) does with a network and case-based reasoning.

    The first half of the days teaches, the next fifth is for the choice of how many cases, the rest is the test. A
    case is what the nine models said; similar cases are those whose forecasts were nearest (after a square root, as
    precipitation is skewed), and their answer is the mean of what was observed. The network reads the forecasts and the
    answer of similar cases, which in teaching come from other blocks of days than the sample's own.
    """
    data = precipitation_forecasts()
    days = np.unique(data.day)
    first, second = days[len(days) // 2], days[int(0.7 * len(days))]
    train, valid, test = data.day < first, (data.day >= first) & (data.day < second), data.day >= second
    options = neighbours or [5, 10, 20, 40, 80]
    tried = {k: _rmse(_similar(data, train, k)(data.forecast[valid]), data.observed[valid]) for k in options}
    count = min(tried, key=lambda k: tried[k])
    cases = _similar(data, train, count)
    said = {
        "mean_of_models": data.forecast[test].mean(axis=1),
        "best_model": data.forecast[test][:, np.argmin(_of_models(data, train))],
        "similar_cases": cases(data.forecast[test]),
        "network": _network(data, train, None, epochs, seed)(data.forecast[test], None),
    }
    answers = _answers_of_others(data, train, count, blocks)
    said["network_with_similar_cases"] = _network(data, train, answers, epochs, seed)(
        data.forecast[test], said["similar_cases"]
    )
    scores, mean = [], _rmse(said["mean_of_models"], data.observed[test])
    for name, values in said.items():
        rmse, n = _rmse(values, data.observed[test]), int(test.sum())
        scores.append(Score(name, "rmse", rmse, "mm day-1", target="precipitation", n=n))
        scores.append(Score(name, "over_mean_of_models", rmse / mean, target="precipitation", n=n))
    note = f"{count} similar cases, chosen on the validation part among {options}; test from {second} to {days[-1]}"
    return Findings(scores, notes=[note])


def _similar(data: Forecasts, known: np.ndarray, count: int):
    """What was observed in the `count` most similar cases, in the mean."""
    names = [Variable(name.replace("/", "_"), "1") for name in data.models]
    target = Variable("precipitation", "mm day-1")
    found = Sklearn(names, [target], estimator="sklearn.neighbors.KNeighborsRegressor", n_neighbors=count)
    found = found.fit(
        _named(names, data.forecast[known]), {"precipitation": data.observed[known]}, key=jax.random.key(0)
    )

    def answer(forecast: np.ndarray) -> np.ndarray:
        return np.asarray(jax.vmap(lambda sample: found(sample)["precipitation"])(_named(names, forecast)))

    return answer


def _answers_of_others(data: Forecasts, known: np.ndarray, count: int, blocks: int) -> np.ndarray:
    """For every sample the answer of similar cases of other blocks of days."""
    days = np.unique(data.day[known])
    block = np.minimum(np.searchsorted(days, data.day) * blocks // len(days), blocks - 1)
    answers = np.zeros(len(data.day))
    for number in range(blocks):
        own = known & (block == number)
        answers[own] = _similar(data, known & ~own, count)(data.forecast[own])
    return answers


def _network(data: Forecasts, known: np.ndarray, answers: np.ndarray | None, epochs: int, seed: int):
    names = [Variable(name.replace("/", "_"), "1") for name in data.models]
    names += [] if answers is None else [Variable("similar_cases", "1")]
    target = Variable("precipitation", "mm day-1", bounds=(0, np.inf))
    make = partial(MLP, width=16, depth=1, descent=Descent(epochs=epochs, learning_rate=3e-3, weight_decay=1e-2))
    network = make(names, [target], key=jax.random.key(seed))
    inputs = _named(names, _joined(data.forecast, answers)[known])
    taught = network.fit(inputs, {"precipitation": jnp.asarray(data.observed[known])}, key=jax.random.key(seed))

    def answer(forecast: np.ndarray, similar: np.ndarray | None) -> np.ndarray:
        return np.asarray(jax.vmap(lambda s: taught(s)["precipitation"])(_named(names, _joined(forecast, similar))))

    return answer


def _joined(forecast: np.ndarray, similar: np.ndarray | None) -> np.ndarray:
    return forecast if similar is None else np.column_stack([forecast, similar])


def _named(names: list[Variable], values: np.ndarray) -> dict[str, jax.Array]:
    """Each column by its name, after a square root."""
    return {v.name: jnp.sqrt(jnp.asarray(values[:, place])) for place, v in enumerate(names)}


def _of_models(data: Forecasts, known: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean((data.forecast[known] - data.observed[known, None]) ** 2, axis=0))


def _rmse(values: np.ndarray, observed: np.ndarray) -> float:
    return float(np.sqrt(np.mean((values - observed) ** 2)))
