"""Small worlds in which one analysis imitates another: a model, its observations, a teacher and learners."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ...assimilation.cycle import Assimilation
from ...assimilation.enkf import ETKF
from ...assimilation.error import ObservationError
from ...assimilation.inflation import Inflate
from ...assimilation.learned import Untaught
from ...assimilation.letkf import LETKF
from ...assimilation.localisation import Localisation
from ...compose import Pass
from ...core import Analysis, Fields, Model, Variable
from ...descent import Descent
from ...learners.convolution import Convolution
from ...learners.mlp import MLP
from ...learners.sklearn import Sklearn
from ...learners.whole import Whole
from ...mechanisms.flow.lorenz63 import CONVECTION, Lorenz63
from ...mechanisms.flow.shallow_water import EASTWARD, GRAVITY, HEIGHT, NORTHWARD, ShallowWater

CELLS, STATIONS = 32, 16
SVR, RIDGE = "sklearn.svm.SVR", "sklearn.kernel_ridge.KernelRidge"


class Stations(Model):
    """Every second cell along both axes is observed, in all variables."""

    inputs: ClassVar = (EASTWARD, NORTHWARD, HEIGHT)
    outputs: ClassVar = (EASTWARD, NORTHWARD, HEIGHT)

    def __call__(self, fields: Fields, *, key=None) -> Fields:
        return {v.name: fields[v.name][::2, ::2] for v in self.inputs}


@dataclass(frozen=True)
class World:
    """What assimilates, where its observations belong, who teaches, what may learn, and what an error weighs.

    An error is `sqrt(sum_i (weight_i e_i)²)`, in `units`. Observations are (variable, station); those of one station
    are missing together, with probability `missing`.
    """

    system: Assimilation
    places: np.ndarray
    teacher: Analysis
    members: int
    learners: dict[str, Untaught]
    weight: np.ndarray
    units: str
    mechanism: str
    variables: int = 1
    missing: float = 0.0
    spread: float = 1.0
    scheme: Assimilation | None = None

    @property
    def quick(self) -> Assimilation:
        """The system for the ensembles of learned gains: the same, or with a cheaper scheme in time."""
        return self.scheme or self.system

    def record(self, cycles: int, seed: int) -> tuple[np.ndarray, np.ndarray, jax.Array]:
        """A truth, its observations with gaps, and a first ensemble drawn from what the model does at other times."""
        nature, gaps, first = jax.random.split(jax.random.key(seed), 3)
        start, _ = ravel_pytree({name: jnp.asarray(value) for name, value in self.system.step.initial().items()})
        start = start + self.spread * jax.random.normal(first, start.shape)
        make = jax.jit(lambda: self.system.nature(cycles + 20 * self.members, key=nature, start=start, spin_up=200))
        truth, observed = make()
        climate, truth, observed = truth[: 20 * self.members : 20], truth[-cycles:], observed[-cycles:]
        gone = jax.random.uniform(gaps, (cycles, observed.shape[1] // self.variables)) < self.missing
        observed = jnp.where(jnp.tile(gone, (1, self.variables)), jnp.nan, observed)
        return np.asarray(truth), np.asarray(observed), climate

    def error(self, analysed, truth) -> np.ndarray:
        """The error of each cycle (..., state) in `units`."""
        return np.sqrt(np.sum(((np.asarray(analysed) - np.asarray(truth)) * self.weight) ** 2, axis=-1))


def shallow_water(epochs: int, hours: int = 12, inflation: float = 1.05) -> World:
    """Eddies on a doubly periodic plane, a quarter of the cells observed every so many hours, every tenth time not."""
    count = CELLS**2
    cell = np.stack(np.meshgrid(*[np.arange(float(CELLS))] * 2, indexing="ij"), axis=-1)
    seen = cell[::2, ::2].reshape(-1, 2)
    where = Localisation(np.tile(cell.reshape(-1, 2), (3, 1)), np.tile(seen, (3, 1)), 3.5, period=float(CELLS))
    variance = np.repeat([1.5**2, 1.5**2, 10.0**2], STATIONS**2)
    depth = float(ShallowWater().depth.value)
    how = Descent(epochs=epochs, batch_size=16, learning_rate=2e-3, patience=0)
    networks = {"convolution": (3, 3, 3), "local": (3, 1, 1), "fixed_gain": (7,)}
    learners = {n: partial(Convolution, width=32, kernels=k, block=2, descent=how) for n, k in networks.items()}
    error = ObservationError.of_variance(variance)
    quick = ShallowWater(scheme="forward_backward", time_step=1200.0, steps=3 * hours)
    return World(
        Assimilation(ShallowWater(), Stations(), error, every=2 * hours),
        np.arange(3 * count).reshape(3, CELLS, CELLS)[:, ::2, ::2].ravel(),
        Inflate(LETKF(where), inflation),
        20,
        learners,
        np.sqrt(np.repeat([1.0, 1.0, GRAVITY / depth], count) / count),
        "m s-1",
        "flow.shallow_water",
        variables=3,
        missing=0.1,
        scheme=Assimilation(quick, Stations(), error, together=1),
    )


def lorenz63(epochs: int) -> World:
    """Lorenz-63, its three numbers observed with a variance of 2 every 0.1 time units."""
    how = Descent(epochs=epochs, batch_size=64, learning_rate=5e-3, patience=0)
    whole = partial(Whole, sizes={"mode": 3})
    return World(
        Assimilation(Lorenz63(steps=10), Pass(CONVECTION), ObservationError.of_variance([2.0] * 3)),
        np.arange(3),
        Inflate(ETKF(), 1.02),
        50,
        {
            "network": partial(whole, learner=partial(MLP, width=32, depth=2, descent=how)),
            "radial_basis": partial(whole, learner=partial(scaled, estimator=RIDGE, kernel="rbf", alpha=1e-2)),
            "support_vectors": partial(whole, learner=partial(scaled, estimator=SVR, C=10.0, epsilon=0.05)),
        },
        np.full(3, 1 / np.sqrt(3)),
        "1",
        "flow.lorenz63",
    )


def scaled(inputs: Sequence[Variable], outputs: Sequence[Variable], *, estimator: str, **options: Any) -> Sklearn:
    """An estimator of scikit-learn that sees standardised inputs and gives standardised outputs."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    module, _, name = estimator.rpartition(".")
    made = getattr(importlib.import_module(module), name)(**options)
    whole = TransformedTargetRegressor(make_pipeline(StandardScaler(), made), transformer=StandardScaler())
    return Sklearn(inputs, outputs, estimator=whole)


WORLDS: dict[str, Callable[[int], World]] = {
    "shallow_water": shallow_water,
    "shallow_water_six_hours": partial(shallow_water, hours=6, inflation=1.03),
    "lorenz63": lorenz63,
}
