"""The guard: whose answer is taken where, what training may move, and what a roll-out tells of it."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Freeze
from mechlearn.core import System, Variable
from mechlearn.couplings.embedded.guard import Domain, ErrorEstimate, Guarded, guard, guarded
from mechlearn.couplings.embedded.replacement import offline
from mechlearn.data.trajectories import Trajectories
from mechlearn.descent import learnable
from mechlearn.forecast import Forecast
from mechlearn.learners.polynomial import Polynomial
from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
from mechlearn.parameters import follow
from mechlearn.training.offline import fit_offline

X, U = "atmospheric_quantity", "subgrid_flux"
KEY = jax.random.key(0)
HOST = Lorenz96(size=8, time_step=0.02)
A, B, Y = Variable("a", "1"), Variable("b", "1"), Variable("y", "1")


def line(slope):
    """y = slope * a."""
    return Polynomial([A], [Y], degree=1).fit(
        {"a": jnp.array([-1.0, 1.0])}, {"y": slope * jnp.array([-1.0, 1.0])}, key=KEY
    )


@pytest.fixture(scope="module")
def examples():
    """Runs (2, 120, 8) near the rest state of the host without a closure, and a flux of half the quantity."""
    starts = 8 + 0.5 * jax.random.normal(KEY, (2, 8))
    runs = jax.jit(jax.vmap(lambda x: Forecast(HOST, 120)({f"initial_{X}": x})[X]))(starts)
    return Trajectories({X: runs, U: 0.5 * runs}, states=(X,), length=40)


def test_a_domain_is_a_range_and_how_its_numbers_go_together():
    a = jax.random.normal(KEY, (500,))
    seen = {"a": a, "b": a + 0.01 * jax.random.normal(jax.random.key(1), (500,))}
    domain = Domain([A, B], level=1.0).fit(seen, {}, key=KEY)
    beyond, together, unknown = [a.max() + 0.1] * 2, [1.0, -1.0], [jnp.nan, 0.0]
    inside = jax.vmap(lambda pair: domain({"a": pair[0], "b": pair[1]})["in_domain"])
    known = inside(jnp.concatenate([jnp.stack([seen["a"], seen["b"]], 1), jnp.array([beyond, together, unknown])]))
    assert known[:500].all() and not known[500:].any()  # each in its range, but never seen together, is outside too
    assert not Domain([A, B])({"a": jnp.zeros(()), "b": jnp.zeros(())})["in_domain"]  # nothing was taught


def test_inside_the_learner_answers_outside_the_scheme_values_and_slopes_alike():
    domain = Domain([A]).fit({"a": jnp.linspace(-1.0, 1.0, 50)}, {}, key=KEY)
    both = Guarded(line(2.0), Freeze(line(3.0)), domain)
    values, slopes = jax.vmap(jax.value_and_grad(lambda a: both({"a": a})["y"]))(jnp.array([0.5, 4.0]))
    np.testing.assert_allclose(values, [1.0, 12.0], rtol=1e-5)
    np.testing.assert_allclose(slopes, [2.0, 3.0], rtol=1e-5)
    told = jax.vmap(lambda a: both({"a": a})["fallback"])(jnp.array([0.5, 4.0, jnp.nan]))
    np.testing.assert_array_equal(told, [0.0, 1.0, 1.0])


def test_training_moves_the_learner_alone():
    both = Guarded(line(2.0), Freeze(line(3.0)), Domain([A]))
    free = learnable(both)
    assert any(jax.tree.leaves(free.learner)) and not any(jax.tree.leaves((free.scheme, free.domain)))


def test_a_guard_in_time_and_place_counts_where_it_falls_back(examples):
    options = {"joint": "closure", "taught_by": "observations", "neighbours": (-1, 0)}
    system = guarded(Forecast(HOST, 20), partial(Polynomial, degree=1), level=1.0, **options)
    assert "closure_fallback" in {v.name for v in system.outputs}
    taught = fit_offline(system, examples, key=KEY)
    run = eqx.filter_jit(lambda model, x: model({f"initial_{X}": x}))
    there = run(taught.model, jnp.asarray(examples.series[X][0, 0]))
    assert there["closure_fallback"].shape == (20, 8) and there["closure_fallback"].mean() < 0.5
    # A sector far off is answered by the scheme, which takes nothing out, with the one that sees it; the others go on.
    start = jnp.asarray(examples.series[X][0, 20]).at[4].set(40.0)
    away = run(taught.model, start)
    np.testing.assert_array_equal(away["closure_fallback"][0, 4:6], 1.0)
    assert away["closure_fallback"][0, 0] == 0.0
    nothing = jax.jit(HOST)({X: 60 + start})[X]
    np.testing.assert_allclose(run(taught.model, 60 + start)[X][0], nothing, rtol=1e-5, atol=1e-3)


def test_what_is_taught_already_is_guarded_by_the_lesson_of_the_domain_alone(examples):
    system = offline(Forecast(HOST, 1), partial(Polynomial, degree=1), joint="closure", taught_by="observations")
    taught = fit_offline(system, examples, key=KEY)
    for domain in (Domain, partial(ErrorEstimate, learner=Polynomial)):
        safe = guard(taught, HOST.closure, joint="closure", domain=domain)
        found = fit_offline(System(safe.model, lessons=safe.lessons[-1:]), examples, key=KEY).model
        part = follow(found, "step.step.closure")
        same = follow(taught.model, "step.closure.part.coefficients")
        np.testing.assert_array_equal(part.learner.part.coefficients, same)
        inside = part({X: jnp.asarray(examples.series[X][0, 50])})["fallback"]
        assert inside.shape == (8,) and inside.mean() < 0.5
        np.testing.assert_array_equal(part({X: jnp.full(8, 90.0)})["fallback"], 1.0)


def test_a_guard_is_refused_where_there_is_nothing_to_guard():
    system = offline(Forecast(HOST, 1), partial(Polynomial, degree=1), joint="closure", taught_by="observations")
    with pytest.raises(ValueError, match="name the joint it took"):
        guard(system, HOST.closure, joint="forcing")
    with pytest.raises(ValueError, match="guard takes what"):
        guard(System(Forecast(HOST, 1)), HOST.closure, joint="closure")
    with pytest.raises(ValueError, match="no example"):
        Domain([A]).fit({"a": jnp.array([jnp.nan])}, {}, key=KEY)
