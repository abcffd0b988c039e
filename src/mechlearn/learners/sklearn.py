"""Any regressor of scikit-learn, or of a package that speaks its language."""

import importlib
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from .black_box import ask, rows_of
from .examples import instant, usable


class Fitted(eqx.Module):
    """The copies of an estimator, one for each output; none before teaching."""

    estimators: tuple[Any, ...] = eqx.field(static=True)


class Sklearn(Learner):
    """A scikit-learn estimator as a learner: `y = estimator.predict(x)`, one copy of it for each output.

    `estimator` is an instance, or a dotted name whose keyword arguments follow. A copy whose `random_state` is open
    takes it from the key. Estimates are clipped to the bounds; examples with NaN are left out. Variables have no
    axes. There is no gradient.

    Raises `ValueError` for a name that leads to no estimator, `TypeError` for an object that cannot fit and predict,
    or when differentiated.

    Source: Pedregosa et al. (2011), https://jmlr.org/papers/v12/pedregosa11a.html.

        >>> x, y = Variable("x", "1"), Variable("y", "1")
        >>> line = Sklearn([x], [y], estimator="sklearn.linear_model.Ridge", alpha=1e-6)
        >>> line = line.fit({"x": np.arange(9.0)}, {"y": 2 * np.arange(9.0)}, key=jax.random.key(0))
        >>> round(float(line({"x": np.float32(10.0)})["y"]), 3)
        20.0
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    estimator: Any = eqx.field(static=True)
    options: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    fitted: Fitted
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        estimator: Any = "sklearn.ensemble.RandomForestRegressor",
        key: PRNGKeyArray | None = None,
        **options: Any,
    ):
        self.inputs, self.outputs = instant(inputs, "Sklearn"), instant(outputs, "Sklearn")
        self.estimator, self.options = estimator, tuple(sorted(options.items()))
        self.fitted = Fitted((None,) * len(self.outputs))
        _make(estimator, self.options)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Sklearn")
        fitted = self.fitted.estimators

        def predict(rows: np.ndarray) -> np.ndarray:
            return np.stack([np.zeros(len(rows)) if e is None else _predicted(e, rows) for e in fitted], axis=-1)

        return ask(predict, fields, self.inputs, self.outputs, "Sklearn")

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        samples = usable(self, inputs, targets)
        rows, fitted = rows_of(samples.inputs, self.inputs), list(self.fitted.estimators)
        for place, variable in enumerate(self.outputs):
            if variable.name in samples.targets:
                values = np.asarray(samples.targets[variable.name], float)
                known = np.isfinite(values)
                fitted[place] = _seeded(_make(self.estimator, self.options), key).fit(rows[known], values[known])
        return eqx.tree_at(lambda m: m.fitted, self, Fitted(tuple(fitted)))


def _make(estimator: Any, options: tuple[tuple[str, Any], ...]) -> Any:
    if isinstance(estimator, str):
        module, _, name = estimator.rpartition(".")
        try:
            made = getattr(importlib.import_module(module), name)(**dict(options))
        except (ImportError, AttributeError, ValueError):
            raise ValueError(
                f"Sklearn: {estimator!r} leads to no estimator; give a dotted name such as 'sklearn.linear_model.Ridge'"
            ) from None
    else:
        from sklearn.base import clone

        copied: Any = clone(estimator, safe=False)
        made = copied.set_params(**dict(options))
    if not hasattr(made, "fit") or not hasattr(made, "predict"):
        raise TypeError(f"Sklearn needs an estimator with fit and predict, got {type(made).__name__}")
    return made


def _predicted(estimator: Any, rows: np.ndarray) -> np.ndarray:
    """What an estimator says of rows; of a forest the mean of its trees, asked one after the other.

    A forest's own `predict` hands every tree to joblib, which takes much longer than the trees where rows are few.
    """
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

    if isinstance(estimator, RandomForestRegressor | ExtraTreesRegressor) and len(rows) <= 1000:
        asked = np.ascontiguousarray(rows, np.float32)
        return np.mean([tree.tree_.predict(asked)[:, 0] for tree in estimator.estimators_], axis=0)
    return estimator.predict(rows)


def _seeded(estimator: Any, key: PRNGKeyArray) -> Any:
    if estimator.get_params().get("random_state", 0) is None:
        estimator.set_params(random_state=int(jax.random.randint(key, (), 0, 2**30)))
    return estimator


def example() -> dict:
    """A slope in two variables that a forest learns from 300 examples."""
    x, y = Variable("elevation", "m"), Variable("latitude", "degree_north", bounds=(-90, 90))
    warm = Variable("air_temperature", "degC", bounds=(-80, 60))
    high = 3000 * jax.random.uniform(jax.random.key(0), (300,))
    north = 30 + 30 * jax.random.uniform(jax.random.key(1), (300,))
    learner = Sklearn([x, y], [warm], estimator="sklearn.ensemble.RandomForestRegressor", n_estimators=30)
    targets = {"air_temperature": 30 - 0.0065 * high - 0.5 * (north - 30)}
    source = "https://jmlr.org/papers/v12/pedregosa11a.html"
    return {"learner": learner, "inputs": {"elevation": high, "latitude": north}, "targets": targets, "source": source}
