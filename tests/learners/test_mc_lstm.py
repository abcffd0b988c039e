"""The mass-conserving LSTM closes the water balance with any weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Variable
from mechlearn.learners.mc_lstm import MCLSTM, example

RAIN = Variable("precipitation", "mm day-1", ("time",), bounds=(0, float("inf")))
WARM = Variable("air_temperature", "degC", ("time",))
SLOPE = Variable("slope", "1")
RUNOFF = Variable("runoff", "mm day-1", ("time",), bounds=(0, float("inf")))


def imbalance(learner, fields):
    made = learner(fields)
    store = jnp.concatenate([jnp.zeros(1, made["storage"].dtype), made["storage"]])
    gone = made["runoff"] + made["evapotranspiration"] + jnp.diff(store)
    return float(jnp.max(jnp.abs(jnp.cumsum(fields["precipitation"] - gone))) / jnp.sum(fields["precipitation"]))


def shaken(size, kind, seed=3):
    """A learner with random weights, on random weather."""
    keys = jax.random.split(jax.random.key(seed), 4)
    learner = MCLSTM([RAIN, WARM, SLOPE], [RUNOFF], hidden=8, key=keys[0])
    learner = jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.5 * jax.random.normal(keys[3], leaf.shape), kind), learner)
    rain = jnp.maximum(0, 10 * jax.random.normal(keys[1], (size,), kind))
    fields = {"precipitation": rain, "air_temperature": 10 * jax.random.normal(keys[2], (size,), kind)}
    return learner, {**fields, "slope": jnp.asarray(0.3, kind)}


def test_conserves_mass_in_single_precision():
    assert imbalance(*shaken(730, jnp.float32)) < 1e-5


@pytest.mark.usefixtures("float64")
def test_conserves_mass_in_double_precision():
    assert imbalance(*shaken(730, jnp.float64)) < 1e-10


def test_conserves_mass_when_taught():
    case = example()
    learner = case["learner"].fit(case["inputs"], case["targets"], key=jax.random.key(0))
    assert imbalance(learner, {name: values[0] for name, values in case["inputs"].items()}) < 1e-5


def test_the_balance_test_catches_a_leak():
    learner, fields = shaken(100, jnp.float32)

    def leaking(fields):
        made = learner(fields)
        return {**made, "runoff": 0.99 * made["runoff"]}

    assert imbalance(leaking, fields) > 1e-3


def test_no_rain_makes_no_water():
    learner, fields = shaken(100, jnp.float32)
    made = learner({**fields, "precipitation": jnp.zeros(100)})
    assert all(np.all(values == 0) for values in made.values())


def test_reads_rain_alone():
    made = MCLSTM([RAIN], [RUNOFF])({"precipitation": jnp.ones(20)})
    assert set(made) == {"runoff", "evapotranspiration", "storage"}


def test_refuses_what_it_cannot_balance():
    with pytest.raises(ValueError, match="must be a series among the inputs"):
        MCLSTM([WARM], [RUNOFF])
    with pytest.raises(ValueError, match="must share the units"):
        MCLSTM([RAIN], [Variable("discharge", "m3 s-1", ("time",))])
    with pytest.raises(ValueError, match="no 'nitrate'"):
        MCLSTM([RAIN], [RUNOFF, Variable("nitrate", "mg l-1", ("time",))])
