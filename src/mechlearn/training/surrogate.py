"""Calibrating a model without gradients on a Gaussian process of its misfit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray
from scipy.stats import norm, qmc
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from ..core import System
from ..data.batches import Windows
from ..parameters import bounded, parameters, set_parameters, unbounded
from .losses import objective

FAILED = 1e6


def fit_surrogate(system: System, windows: Windows, *, key: PRNGKeyArray, runs: int = 120) -> System:
    """Find parameters by running the model where a Gaussian process of its misfit expects the most.

    A Latin hypercube starts the search; every further run maximises the expected improvement
    `E[max(J_best - J, 0)]` of the log misfit (Jones et al. 1998, doi:10.1023/A:1008306431147). A run that fails
    or returns NaN counts as very bad, and the search goes on.
    """
    free = {path: p for path, p in parameters(system.model).items() if not p.fixed}
    seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
    misfit = _misfit(system, windows)
    tried = qmc.LatinHypercube(len(free), rng=seed).random(max(8 * len(free), runs // 3))
    cost = np.array([_cost(misfit, _placed(system, free, point)) for point in tried])
    draw = np.random.default_rng(seed)
    while len(tried) < runs:
        point = _most_promising(tried, np.log(cost), draw)
        tried = np.vstack([tried, point])
        cost = np.append(cost, _cost(misfit, _placed(system, free, point)))
    return _placed(system, free, tried[np.argmin(cost)])


def _placed(system: System, free, point: np.ndarray) -> System:
    values = {path: jnp.asarray(_physical(u, p.bounds)) for (path, p), u in zip(free.items(), point, strict=True)}
    return eqx.tree_at(lambda s: s.model, system, set_parameters(system.model, values))


def _physical(unit: float, bounds: tuple[float, float]) -> float:
    if np.all(np.isfinite(bounds)):
        return bounds[0] + unit * (bounds[1] - bounds[0])
    return float(bounded(norm.ppf(np.clip(unit, 1e-3, 1 - 1e-3)) + unbounded(bounds[0] + 1.0, bounds), bounds))


def _misfit(system: System, windows: Windows):
    size = len(windows) * windows.length
    loss, batch = objective(system.terms, windows.warmup, size), windows.take(jnp.arange(len(windows)))
    return eqx.filter_jit(lambda model: loss(model, batch, None))


def _cost(misfit, system: System) -> float:
    value = float(misfit(system.model))
    return value if np.isfinite(value) else FAILED


def _most_promising(tried: np.ndarray, cost: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    kernel = ConstantKernel(1.0) * Matern(np.full(tried.shape[1], 0.5), (0.05, 20.0), nu=2.5) + WhiteKernel(1e-4)
    process = GaussianProcessRegressor(kernel, normalize_y=True).fit(tried, np.minimum(cost, np.median(cost) + 3.0))
    best = tried[np.argmin(cost)]
    near = np.clip(best + draw.normal(0, 0.08, (512, len(best))), 0, 1)
    candidates = np.vstack([draw.random((1024, len(best))), near])
    mean, deviation = process.predict(candidates, return_std=True)
    gain = cost.min() - mean
    z = gain / np.maximum(deviation, 1e-9)
    return candidates[np.argmax(gain * norm.cdf(z) + deviation * norm.pdf(z))]
