"""The localised iterative smoother: the global one where everything is in reach, better where members are few."""

import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.local_smoother import LocalIEnKS
from mechlearn.assimilation.localisation import Localisation
from mechlearn.assimilation.smoothers import IEnKS
from mechlearn.compose import Pass
from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96

RING = Localisation(np.arange(40.0), np.arange(40.0), 4.0, period=40.0)


def test_with_everything_in_reach_it_is_the_global_smoother(float64):
    at = jnp.asarray([0.0, 0.0, 1.0, 1.0])
    everywhere = Localisation(at, jnp.arange(4.0), radius=1e3, taper="boxcar")
    prior = 2 + jax.random.normal(jax.random.key(0), (7, 4))

    def predict(ensemble):
        return ensemble[:, ::-1] ** 2 + ensemble - 6.0

    for options in ({"certainty": 1.5}, {"inflation": 1.1, "rotate": True}):
        local, whole = (
            smoother.smooth(prior, predict, jnp.zeros(4), key=jax.random.key(1))
            for smoother in (LocalIEnKS(everywhere, **options), IEnKS(**options))
        )
        np.testing.assert_allclose(local, whole, atol=2e-6)


def test_seven_members_follow_forty_variables():
    system = Assimilation(Lorenz96(), Pass(QUANTITY), ObservationError.of_variance(jnp.ones(40)))
    truth, observed = system.nature(150, key=jax.random.key(0), spin_up=300)
    start = truth[0] + 0.3 * jax.random.normal(jax.random.key(1), (7, 40))
    smoother = LocalIEnKS(RING, lag=2, inflation=1.04, rotate=True, iterations=4)
    history = system.run(smoother, start, observed[1:], truth=truth[1:], key=jax.random.key(2))
    error, spread = float(history.analysis_rmse[50:].mean()), float(history.analysis_spread[50:].mean())
    assert error < 0.25
    assert 0.7 < spread / error < 1.4
