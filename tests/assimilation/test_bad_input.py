"""What is refused, and how."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.enkf import ETKF
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.inflation import AdaptiveInflate, Inflate, Rotate
from mechlearn.assimilation.letkf import LETKF
from mechlearn.assimilation.localisation import Localisation
from mechlearn.assimilation.operators import ObservedAs
from mechlearn.assimilation.smoothers import IEnKS
from mechlearn.compose import Pass
from mechlearn.core import Variable
from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96


def test_errors_that_are_no_covariance():
    for make in (ObservationError.of_covariance, ObservationError.of_inverse):
        with pytest.raises(ValueError, match="not positive definite"):
            make(np.array([[1.0, 2.0], [2.0, 1.0]]))
        with pytest.raises(ValueError, match="symmetric"):
            make(np.array([[1.0, 2.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"must be finite, but 2"):
        ObservationError.of_covariance([[1.0, np.nan], [np.nan, 1.0]])
    with pytest.raises(ValueError, match="variances alone go to of_variance"):
        ObservationError.of_covariance([1.0, 2.0])
    with pytest.raises(ValueError, match=r"that of observation 1 is 0\.0"):
        ObservationError.of_variance([1.0, 0.0])
    with pytest.raises(ValueError, match="to of_covariance"):
        ObservationError.of_variance(1.0)


def test_an_observation_outside_the_domain():
    with pytest.raises(ValueError, match="outside the domain"):
        Localisation(jnp.arange(10.0), jnp.array([3.0, 15.0]), radius=2.0)
    with pytest.raises(ValueError, match="outside the domain"):
        Localisation(jnp.arange(10.0), jnp.array([3.0, 15.0]), radius=2.0, period=10.0)


def test_units_that_do_not_match():
    with pytest.raises(ValueError, match="needed in 'm s-1' but given in '1'"):
        Assimilation(
            Lorenz96(),
            Pass(Variable("atmospheric_quantity", "m s-1", ("sector",))),
            ObservationError.of_variance(jnp.ones(40)),
        )


def test_an_operator_that_does_not_fit():
    temperature = Variable("temperature", "K", ("sector",))
    eight = ObservationError.of_variance(np.ones(8))
    start, seen = jnp.zeros((4, 8)), jnp.zeros((3, 8))
    with pytest.raises(ValueError, match=r"operator Pass reads \['temperature'\], which Lorenz96 does not give"):
        Assimilation(Lorenz96(size=8), Pass(temperature), eight).run(ETKF(), start, seen, key=jax.random.key(0))
    every_second = Assimilation(Lorenz96(size=8), ObservedAs(QUANTITY, lambda x: x[::2]), eight)
    with pytest.raises(ValueError, match="gives 4 numbers, but the observation error is that of 8"):
        every_second.run(ETKF(), start, seen, key=jax.random.key(0))


def test_an_analysis_that_does_not_fit():
    system = Assimilation(Lorenz96(size=8), Pass(QUANTITY), ObservationError.of_variance(np.ones(8)), noise=0.1)
    start, seen, key = jax.random.normal(jax.random.key(0), (4, 8)), jnp.zeros((3, 8)), jax.random.key(0)
    local = LETKF(Localisation(np.arange(8.0), np.arange(4.0), 2.0))
    with pytest.raises(ValueError, match="8 numbers of the state and 4 observations, but there are 8 and 8"):
        system.run(local, start, seen, key=key)
    with pytest.raises(ValueError, match="two members at least, got 1"):
        system.run(ETKF(), start[:1], seen, key=key)
    with pytest.raises(ValueError, match="takes the model as perfect, but it has noise"):
        system.run(IEnKS(), start, seen, key=key)
    with pytest.raises(TypeError, match="Inflate goes around a filter, got IEnKS"):
        Inflate(IEnKS(), 1.1)
    with pytest.raises(TypeError, match=r"outermost: AdaptiveInflate\(Rotate"):
        Rotate(AdaptiveInflate(ETKF()))
    with pytest.raises(ValueError, match=r"noise must be a number, \(8,\) or a root"):
        Assimilation(Lorenz96(size=8), Pass(QUANTITY), system.error, noise=np.ones(5))


def test_all_members_lost():
    system = Assimilation(Lorenz96(size=8), Pass(QUANTITY), ObservationError.of_variance(jnp.ones(8)))
    start = jnp.full((4, 8), 1e30) * jnp.arange(8.0)
    with pytest.raises(ValueError, match="all 4 members were lost in cycle 0"):
        system.run(ETKF(), start, jnp.zeros((3, 8)), key=jax.random.key(0))


def test_a_few_members_lost_are_counted():
    system = Assimilation(Lorenz96(size=8), Pass(QUANTITY), ObservationError.of_variance(jnp.ones(8)))
    start = 8 + jax.random.normal(jax.random.key(0), (10, 8))
    start = start.at[2:4].set(jnp.nan)
    history = system.run(ETKF(), start, jnp.zeros((5, 8)), key=jax.random.key(0))
    assert history.lost.tolist() == [2, 0, 0, 0, 0]
    assert bool(jnp.all(jnp.isfinite(history.ensemble)))


def test_shapes_that_do_not_fit():
    system = Assimilation(Lorenz96(size=8), Pass(QUANTITY), ObservationError.of_variance(jnp.ones(8)))
    with pytest.raises(ValueError, match=r"\(member, 8\)"):
        system.run(ETKF(), jnp.zeros((4, 7)), jnp.zeros((3, 8)), key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"\(cycle, 8\)"):
        system.run(ETKF(), jnp.zeros((4, 8)), jnp.zeros((3, 7)), key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"truth must be \(3, 8\)"):
        system.run(ETKF(), jnp.zeros((4, 8)), jnp.zeros((3, 8)), truth=jnp.zeros((2, 8)), key=jax.random.key(0))


def test_a_gross_error_is_left_out():
    variance = ObservationError.of_variance(jnp.ones(40))
    system = Assimilation(Lorenz96(), Pass(QUANTITY), variance, reject=6.0)
    truth, observed = system.nature(60, key=jax.random.key(0), spin_up=300)
    spoilt = observed[1:].at[30, 5].add(60.0)
    start = truth[0] + 0.3 * jax.random.normal(jax.random.key(1), (30, 40))
    history = system.run(ETKF(), start, spoilt, truth=truth[1:], key=jax.random.key(2))
    assert int(history.rejected[30]) == 1
    assert int(history.rejected.sum()) == 1
