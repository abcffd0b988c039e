"""Compound terms: nothing learned is the scheme, what is learned is what the scheme misses."""

import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.couplings.embedded.correction import Compound, corrected
from mechlearn.couplings.embedded.replacement import Answer, offline
from mechlearn.data.trajectories import Trajectories
from mechlearn.forecast import Forecast
from mechlearn.learners.mlp import MLP
from mechlearn.learners.polynomial import Polynomial
from mechlearn.mechanisms.flow.lorenz96 import SUBGRID_FLUX, Lorenz96
from mechlearn.parameters import follow, replace_at
from mechlearn.training.offline import fit_offline

X, U, KEY = "atmospheric_quantity", "subgrid_flux", jax.random.key(0)
LINE = partial(Polynomial, degree=1)
BARE = Forecast(Lorenz96(size=8, time_step=0.02), 1)
HOST = replace_at(offline(BARE, LINE, joint="closure").model.step, "closure.part.constant", jnp.array([3.0]))


def test_an_untaught_correction_leaves_the_mechanism_as_it_is():
    start = {f"initial_{X}": jnp.arange(8.0)}
    for learner in (MLP, Polynomial):
        system = corrected(Forecast(HOST, 3), learner, joint="closure", neighbours=(-1, 0))
        np.testing.assert_allclose(system(start)[X], Forecast(HOST, 3)(start)[X], rtol=1e-6)


@pytest.mark.parametrize("neighbours", [(0,), (0, 1)])
def test_a_correction_learns_what_the_scheme_misses(neighbours):
    """Observed is U = 1 + 2 x, the scheme says 3: what is left is 2 x - 2."""
    states = 3 * jax.random.normal(KEY, (2, 60, 8))
    pieces = Trajectories({X: states, U: 1 + 2 * states}, states=(X,), length=20)
    options = {"joint": "closure", "taught_by": "observations", "neighbours": neighbours}
    taught = fit_offline(corrected(Forecast(HOST, 1), LINE, **options), pieces, key=KEY).model
    both = follow(taught, "step.closure")
    x = jnp.linspace(-4.0, 4.0, 8)
    np.testing.assert_allclose(both({X: x})[U], 1 + 2 * x, atol=1e-4)
    np.testing.assert_allclose(both.correction({X: x})[U], 2 * x - 2, atol=1e-4)


def test_the_bounds_of_the_answer_hold_whatever_is_added():
    positive = Answer((), (replace(SUBGRID_FLUX, bounds=(0.0, math.inf)),), {U: jnp.full(8, 3.0)})
    added = Answer((), (SUBGRID_FLUX,), {U: jnp.linspace(-9.0, 9.0, 8)})
    assert float(Compound(positive, added)({X: jnp.zeros(8)})[U].min()) == 0.0
