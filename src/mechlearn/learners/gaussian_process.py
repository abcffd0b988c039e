"""Gaussian process regression, exact."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Variable, named, require
from .examples import instant, usable
from .scaling import Scaling, clip

Kernel = Literal["squared_exponential", "matern"]


class Process(eqx.Module):
    """One output's posterior: the points seen, the factor of their covariance, and the hyper-parameters found."""

    points: Array
    factor: Array
    weights: Array
    lengths: Array
    amplitude: Array
    noise: Array


class GaussianProcess(Learner):
    """A distribution over smooth functions, conditioned on examples: an estimate and how uncertain it is.

    `y = k(x)^T K^-1 y_seen`, `sd^2 = s^2 - k(x)^T K^-1 k(x) + n^2` with `K = k(X, X) + n^2 I` and one length for each
    input, found by the largest marginal likelihood. Each output is accompanied by `<name>_standard_deviation`. Of
    more than `most` examples a random `most` are used. Inputs without axes. Training of a whole system by gradient
    leaves a process as it is (gradients pass through to what stands before it).

    Raises `ValueError` for variables with axes or an unknown kernel.

    Source: Rasmussen & Williams (2006), ISBN 0-262-18253-X, equations 2.25, 2.26 and 5.9.

        >>> x, y = Variable("x", "1"), Variable("y", "1")
        >>> seen = {"x": jnp.linspace(0, 6, 20)}
        >>> taught = GaussianProcess([x], [y]).fit(seen, {"y": jnp.sin(seen["x"])}, key=jax.random.key(0))
        >>> round(float(taught({"x": jnp.asarray(1.5)})["y"]), 2)
        1.0
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    processes: tuple[Process, ...]
    entering: Scaling
    location: Array
    scale: Array
    kernel: Kernel = eqx.field(static=True)
    most: int = eqx.field(static=True)
    sequential: ClassVar[bool] = False
    frozen: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        kernel: Kernel = "matern",
        most: int = 1500,
        key: PRNGKeyArray | None = None,
    ):
        if kernel not in ("squared_exponential", "matern"):
            raise ValueError(f"GaussianProcess: kernel must be 'squared_exponential' or 'matern', got {kernel!r}")
        self.inputs = instant(inputs, "GaussianProcess")
        means = instant(outputs, "GaussianProcess")
        spreads = (replace(v, name=f"{v.name}_standard_deviation", bounds=(0, np.inf), standard_name="") for v in means)
        self.outputs = (*means, *spreads)
        self.entering = Scaling(self.inputs)
        middle = Scaling(means)
        self.location, self.scale = middle.location, middle.scale
        self.processes = tuple(_prior(len(self.inputs)) for _ in means)
        self.kernel, self.most = kernel, most

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "GaussianProcess")
        x = self.entering.pack(fields)
        made: Fields = {}
        means, spreads = self.outputs[: len(self.processes)], self.outputs[len(self.processes) :]
        for place, (process, mean, spread) in enumerate(zip(self.processes, means, spreads, strict=True)):
            value, deviation = _posterior(process, x, self.kernel)
            made[mean.name] = clip(self.location[place] + self.scale[place] * value, mean.bounds)
            made[spread.name] = self.scale[place] * deviation
        return made

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        middle = Scaling(self.outputs[: len(self.processes)]).seen(targets)
        scales = self.entering.seen(inputs), middle.location, middle.scale
        return eqx.tree_at(lambda m: (m.entering, m.location, m.scale), self, scales)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        samples = usable(self, inputs, targets)
        ready = self.standardise(samples.inputs, samples.targets)
        points = np.asarray(ready.entering.pack(samples.inputs), dtype=float)
        processes = list(self.processes)
        for place, name in enumerate(list(named(self.outputs))[: len(processes)]):
            if name in samples.targets:
                values = (np.asarray(samples.targets[name], float) - ready.location[place]) / ready.scale[place]
                chosen = _some(np.flatnonzero(np.isfinite(values)), self.most, key)
                processes[place] = condition(points[chosen], np.asarray(values)[chosen], self.kernel)
        return eqx.tree_at(lambda m: m.processes, ready, tuple(processes))


def condition(points: np.ndarray, values: np.ndarray, kernel: Kernel) -> Process:
    """The process of largest marginal likelihood through standardised examples, in double precision."""
    start = np.concatenate([np.log(np.full(points.shape[1], np.sqrt(points.shape[1]))), [0.0, np.log(0.2)]])
    limits = [(-3.0, 6.0)] * points.shape[1] + [(-4.0, 5.0), (np.log(1e-2), 1.0)]
    objective = (points, values, kernel)
    best = scipy.optimize.minimize(
        likelihood, start, objective, method="L-BFGS-B", jac=True, bounds=limits, options={"maxiter": 60}
    ).x
    covariance, _ = _covariance(points, best, kernel)
    factor = scipy.linalg.cholesky(covariance, lower=True)
    weights = scipy.linalg.cho_solve((factor, True), values)
    found = (points, factor, weights, np.exp(best[:-2]), np.exp(best[-2]), np.exp(best[-1]))
    return Process(*(jnp.asarray(part, dtype=jnp.result_type(float)) for part in found))


def likelihood(log: np.ndarray, points: np.ndarray, values: np.ndarray, kernel: Kernel) -> tuple[float, np.ndarray]:
    """The negative log marginal likelihood and its slope in the log of lengths, amplitude and noise.

    `dL/dt = -1/2 tr((a a^T - K^-1) dK/dt)` with `a = K^-1 y`; the slope in a length needs no matrix of its own,
    as `sum_ij A_ij (x_i - x_j)^2 = 2 (sum_i x_i^2 sum_j A_ij - x^T A x)`.
    """
    covariance, slope = _covariance(points, log, kernel)
    factor = scipy.linalg.cholesky(covariance, lower=True)
    weights = scipy.linalg.cho_solve((factor, True), values)
    inverse = scipy.linalg.cho_solve((factor, True), np.eye(len(values)))
    gap = np.outer(weights, weights) - inverse
    x, noise = points / np.exp(log[:-2]), np.exp(2 * log[-1])
    pull = gap * slope
    lengths = x.T**2 @ pull.sum(1) - np.einsum("id,id->d", x, pull @ x)
    amplitude = np.sum(gap * covariance) - np.trace(gap) * noise
    value = 0.5 * values @ weights + np.sum(np.log(np.diag(factor))) + 0.5 * len(values) * np.log(2 * np.pi)
    return float(value), -np.concatenate([lengths, [amplitude, np.trace(gap) * noise]])


def _covariance(points: np.ndarray, log: np.ndarray, kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    x = points / np.exp(log[:-2])
    squared = np.maximum(np.sum(x**2, 1)[:, None] + np.sum(x**2, 1) - 2 * x @ x.T, 0)
    np.fill_diagonal(squared, 0)
    strength = np.exp(2 * log[-2])
    if kernel == "squared_exponential":
        likeness = strength * np.exp(-0.5 * squared)
        slope = likeness
    else:
        distance = np.sqrt(5 * squared)
        likeness = strength * (1 + distance + distance**2 / 3) * np.exp(-distance)
        slope = strength * 5 / 3 * (1 + distance) * np.exp(-distance)
    return likeness + np.exp(2 * log[-1]) * np.eye(len(x)), slope


def _posterior(process: Process, x: Array, kernel: Kernel) -> tuple[Array, Array]:
    squared = jnp.sum(((process.points - x) / process.lengths) ** 2, axis=-1)
    strength = process.amplitude**2
    if kernel == "squared_exponential":
        likeness = strength * jnp.exp(-0.5 * squared)
    else:
        distance = jnp.sqrt(5 * squared + 1e-12)
        likeness = strength * (1 + distance + distance**2 / 3) * jnp.exp(-distance)
    known = jax.scipy.linalg.solve_triangular(process.factor, likeness, lower=True)
    variance = jnp.maximum(strength - known @ known, 0) + process.noise**2
    return likeness @ process.weights, jnp.sqrt(variance)


def _prior(size: int) -> Process:
    nowhere, one = jnp.zeros((1, size)), jnp.ones(())
    return Process(nowhere, jnp.full((1, 1), 1e3), jnp.zeros(1), jnp.ones(size), one, jnp.zeros(()))


def _some(places: np.ndarray, most: int, key: PRNGKeyArray) -> np.ndarray:
    if len(places) <= most:
        return places
    return np.sort(np.asarray(jax.random.choice(key, jnp.asarray(places), (most,), replace=False)))


def example() -> dict:
    """The yield of a crop that wants neither drought nor flood, measured with noise."""
    rain, yielded = Variable("rainfall", "mm"), Variable("crop_yield", "t ha-1", bounds=(0, float("inf")))
    fallen = jnp.linspace(100, 900, 80)
    noise = 0.2 * jax.random.normal(jax.random.key(0), (80,))
    learner = GaussianProcess([rain], [yielded])
    targets = {"crop_yield": 6 * jnp.exp(-(((fallen - 500) / 200) ** 2)) + 1 + noise}
    return {"learner": learner, "inputs": {"rainfall": fallen}, "targets": targets, "source": "ISBN 0-262-18253-X"}
