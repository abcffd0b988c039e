"""Scaling: NaN-aware, safe for constants, within bounds, one replica a seed."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Variable
from mechlearn.descent import learnable, stack
from mechlearn.learners.scaling import Scaling

FREE, POSITIVE = Variable("free", "1"), Variable("positive", "1", bounds=(0, math.inf))
NEGATIVE, SHARE = Variable("negative", "1", bounds=(-math.inf, 0)), Variable("share", "1", bounds=(0.2, 0.8))
ALL = (FREE, POSITIVE, NEGATIVE, SHARE)
SEEN = {
    "free": jnp.asarray([-1.0, 3.0, jnp.nan]),
    "positive": jnp.asarray([1.0, 5.0, jnp.nan]),
    "negative": jnp.asarray([-7.0, -3.0, jnp.nan]),
    "share": jnp.asarray([0.3, 0.5, jnp.nan]),
}


def test_zero_is_the_mean_of_what_was_seen():
    made = Scaling(ALL).seen(SEEN).unpack(jnp.zeros(4))
    for name, mean in {"free": 1, "positive": 3, "negative": -5, "share": 0.4}.items():
        np.testing.assert_allclose(made[name], mean, rtol=1e-5)


@pytest.mark.parametrize("reach", [-30.0, 30.0])
def test_outputs_rise_with_the_vector_and_never_leave_their_bounds(reach):
    scaling = Scaling(ALL).seen(SEEN)
    for variable in ALL:
        value = scaling.unpack(jnp.full(4, reach))[variable.name]
        assert variable.bounds[0] <= value <= variable.bounds[1]
        assert (value > scaling.unpack(jnp.zeros(4))[variable.name]) == (reach > 0)


def test_a_constant_keeps_the_scale_one_and_an_unknown_its_default():
    scaling = Scaling((FREE, POSITIVE)).seen({"free": jnp.full(9, 1234.567), "positive": jnp.full(3, jnp.nan)})
    np.testing.assert_array_equal(scaling.scale, 1)
    np.testing.assert_allclose(scaling.pack({"free": 1234.567, "positive": 1.0})[0], 0, atol=1e-3)
    assert np.all(np.isfinite(scaling.location))


def test_replicas_and_single_precision():
    replicas = stack([Scaling(ALL).seen(SEEN), Scaling(ALL)])
    made = eqx.filter_vmap(lambda s: s.unpack(jnp.zeros(4, jnp.float32)))(replicas)
    assert made["share"].shape == (2,) and made["share"].dtype == jnp.float32


def test_training_leaves_it_alone():
    assert not any(jax.tree.leaves(learnable(Scaling(ALL))))
