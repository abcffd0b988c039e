"""Weights taught by an ensemble of runs of a host that is never differentiated."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Pass
from mechlearn.core import System
from mechlearn.couplings.embedded.replacement import offline
from mechlearn.data.trajectories import Trajectories
from mechlearn.forecast import Forecast
from mechlearn.learners.polynomial import Polynomial
from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from mechlearn.parameters import Parameter, follow, replace_at
from mechlearn.training.ensemble_kalman import fit_ensemble_kalman

X, KEY = "atmospheric_quantity", jax.random.key(0)
HOST = Lorenz96(Parameter(8.0, "1", (-20.0, 40.0), fixed=True), size=8, time_step=0.02)


@pytest.fixture(scope="module")
def twin():
    """A system with a linear closure that knows nothing, and runs of the same with U = 1 + 0.5 x."""
    line = partial(Polynomial, degree=1)
    system = offline(Forecast(HOST, 19), line, joint="closure", taught_by="observations")
    truth = replace_at(system.model, "step.closure.part.coefficients", jnp.array([[0.5]]))
    truth = replace_at(truth, "step.closure.part.constant", jnp.array([1.0]))
    runs = jax.jit(jax.vmap(lambda x: Forecast(truth.step, 20)({f"initial_{X}": x})[X]))(
        3 + 3 * jax.random.normal(KEY, (6, 8))
    )
    return system, Trajectories({X: runs}, states=(X,), length=19)


def test_a_closure_is_found_from_forecasts_and_from_time_averages(twin):
    system, pieces = twin
    for statistic in (None, lambda series: jnp.stack([series.mean(0), series.std(0)])):
        options = {"error": 0.02, "spread": 1.0, "members": 40, "tempered": False, "statistic": statistic}
        taught, found = fit_ensemble_kalman(system, pieces, key=KEY, **options)
        closure = follow(taught.model, "step.closure.part")
        np.testing.assert_allclose(closure.coefficients, 0.5, atol=0.02)
        np.testing.assert_allclose(closure.constant, 1.0, atol=0.05)
        assert found.cost[-1] < 0.05 * found.cost[0] and not found.lost.sum()


def test_a_host_with_nothing_to_learn_is_refused(twin):
    with pytest.raises(ValueError, match="nothing to learn"):
        fit_ensemble_kalman(System(Pass(QUANTITY)), twin[1], key=KEY)
