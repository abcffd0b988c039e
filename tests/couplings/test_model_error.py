"""The error of a model, learned from increments, through windows and inside 4D-Var."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.cycle import Assimilation
from mechlearn.assimilation.enkf import ETKF
from mechlearn.assimilation.error import ObservationError
from mechlearn.assimilation.windows import four_d_var_windows
from mechlearn.compose import Pass
from mechlearn.core import Model
from mechlearn.couplings.embedded.model_error import (
    Corrected,
    Unmoved,
    ahead,
    corrected,
    online,
    taught_on_increments,
    taught_through_windows,
)
from mechlearn.couplings.embedded.unknown_model import alternate, interpolated
from mechlearn.descent import Descent
from mechlearn.learners.convolution import Convolution
from mechlearn.mechanisms.flow.lorenz96 import QUANTITY, Lorenz96
from mechlearn.parameters import set_parameters

SIZE, CYCLES, COUNT = 8, 4, 24
TRUE, WRONG = Lorenz96(size=SIZE), set_parameters(Lorenz96(size=SIZE), {"forcing": 5.0})
HOW = Descent(epochs=30, batch_size=8, learning_rate=1e-2)
local = partial(Convolution, width=2, kernels=(3, 1), bilinear=True, descent=HOW)


def system(step: Model) -> Assimilation:
    return Assimilation(step, Pass(QUANTITY), ObservationError.of_variance(np.full(SIZE, 0.01)))


def noisy(step: Model) -> Assimilation:
    return eqx.tree_at(lambda s: s.noise, system(step), 0.2, is_leaf=lambda x: x is None)


@pytest.fixture(scope="module")
def world():
    truth, observed = system(TRUE).nature(COUNT * CYCLES, key=jax.random.key(0), spin_up=100)
    return truth, observed[1:].reshape(COUNT, CYCLES, SIZE)


@pytest.fixture(scope="module")
def uncorrected(world):
    truth, observed = world
    return four_d_var_windows(system(WRONG), truth[0], 0.5 * jnp.eye(SIZE), observed).path


def error(path, truth):
    starts = truth[: COUNT * CYCLES].reshape(COUNT, CYCLES, SIZE)[COUNT // 2 :]
    return float(jnp.sqrt(jnp.mean((path[COUNT // 2 :, :-1] - starts) ** 2)))


def of(model: Model, truth) -> float:
    """The error of one step from the truth."""
    made = jax.vmap(lambda x: ahead(model, x, 1)[-1])(truth[:-1])
    return float(jnp.sqrt(jnp.mean((made - truth[1:]) ** 2)))


def test_increments_tell_the_forcing_that_a_model_lacks(world, uncorrected):
    truth, _ = world
    starts = uncorrected[:, 0]
    reached = jax.vmap(lambda x: ahead(WRONG, x, CYCLES)[-1])(starts[:-1])
    increments = (starts[1:] - reached) / CYCLES
    better = taught_on_increments(corrected(WRONG, local), starts[:-1], increments, key=jax.random.key(1))
    assert of(better, truth) < 0.6 * of(WRONG, truth)
    through = taught_through_windows(better, starts[:-1], starts[1:], CYCLES, key=jax.random.key(2), how=HOW)
    assert of(through, truth) < 0.5 * of(WRONG, truth)


def test_weights_are_found_inside_the_windows(world, uncorrected):
    truth, observed = world
    learned = online(system(corrected(WRONG, local)), truth[0], 0.5 * jnp.eye(SIZE), observed, doubt=0.02)
    assert of(learned.system.step, truth) < 0.6 * of(WRONG, truth)
    assert error(learned.path, truth) < 0.8 * error(uncorrected, truth)


def test_a_model_of_which_nothing_is_known_is_learned_by_turns(world):
    truth, observed = world
    series = observed.reshape(-1, SIZE)
    seen = jnp.where(jax.random.uniform(jax.random.key(3), series.shape) < 0.8, series, jnp.nan)
    untaught = corrected(Unmoved((QUANTITY,), {QUANTITY.name: jnp.zeros(SIZE)}), local)
    options = {"turns": 1, "members": 10, "key": jax.random.key(4), "spread": 0.1, "settled": 10}
    _, second = alternate(noisy, untaught, ETKF(), seen, how=HOW, **options)
    assert of(second.model, truth) < 0.8 * of(untaught.step, truth)
    assert float(jnp.std(second.mean - truth[1:])) < 0.3 * float(jnp.std(truth))
    assert second.deviation.min() > 0
    with pytest.raises(ValueError, match="observed 1 times"):
        interpolated(seen.at[1:, 2].set(jnp.nan).at[0].set(1.0))


def test_the_mechanism_stays_as_it_is_and_silence_changes_nothing(world):
    truth, _ = world
    untaught = corrected(WRONG, local)
    silent = jax.tree.map(jnp.zeros_like, untaught.learner.weights)
    quiet = eqx.tree_at(lambda c: c.learner.weights, untaught, silent)
    state = {"atmospheric_quantity": truth[3]}
    np.testing.assert_array_equal(quiet(state)["atmospheric_quantity"], WRONG(state)["atmospheric_quantity"])
    nothing = Unmoved((QUANTITY,), {"atmospheric_quantity": jnp.zeros(SIZE)})
    np.testing.assert_array_equal(ahead(nothing, truth[3], 2)[-1], truth[3])


def test_what_cannot_be_taught_says_why(world):
    truth, observed = world
    with pytest.raises(ValueError, match="correct no state"):
        Corrected(WRONG, local([QUANTITY], [QUANTITY]))
    with pytest.raises(TypeError, match="whose step is Corrected"):
        online(system(WRONG), truth[0], jnp.eye(SIZE), observed)
    with pytest.raises(TypeError, match="only a learner"):
        taught_on_increments(Corrected(WRONG, Pass()), truth, truth, key=jax.random.key(0))
