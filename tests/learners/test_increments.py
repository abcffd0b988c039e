"""Increments: what is taught of what changes, families and what is conserved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Variable
from mechlearn.learners.increments import Increments
from mechlearn.learners.polynomial import Polynomial

A, B, C = GASES = [Variable(name, "1e-9", bounds=(0, float("inf"))) for name in "abc"]
DRAW = {name: jax.random.uniform(jax.random.key(n), (64,)) + 0.1 for n, name in enumerate("abc")}


def line(inputs, outputs):
    return Polynomial(inputs, outputs, degree=1)


def test_what_hardly_changes_is_taught_by_its_change():
    """Of 1e4 parts one in 1e4 goes: a line finds the change, where the whole leaves rounding alone."""
    before = {"a": 1e4 + DRAW["a"], "b": DRAW["b"]}
    after = {"a": before["a"] - before["b"]}
    taught = Increments([A, B], [A], learner=line, changing=["a"]).fit(before, after, key=jax.random.key(0))
    change = jax.vmap(taught.learner)(before)["change_of_a"]
    np.testing.assert_allclose(change, -before["b"], atol=2e-3)


def test_a_family_is_shared_out_and_atoms_are_kept():
    """Two of a and one of c hold what is conserved; whatever is learned, none of it is lost."""
    total = DRAW["a"] + DRAW["b"]
    after = {"a": 0.3 * total, "b": 0.7 * total, "c": DRAW["c"]}
    made = Increments(GASES, GASES, learner=line, families=[["a", "b"]], conserved=[{"a": 2, "c": 1}])
    taught = made.fit(DRAW, after, key=jax.random.key(0))
    found = jax.vmap(taught)(DRAW)
    np.testing.assert_allclose(2 * found["a"] + found["c"], 2 * DRAW["a"] + DRAW["c"], rtol=1e-6)
    alone = Increments(GASES, GASES, learner=line, families=[["a", "b"]]).fit(DRAW, after, key=jax.random.key(0))
    parted = jax.vmap(alone)(DRAW)
    np.testing.assert_allclose(parted["a"] / parted["b"], 3 / 7, rtol=1e-4)
    np.testing.assert_allclose(parted["a"] + parted["b"], DRAW["a"] + DRAW["b"], rtol=1e-4)


def test_what_a_sum_is_parted_into_does_not_change_the_sum():
    """The share of b is as wrong as noise makes it; a gives what b takes, so that a + b is as learned."""
    after = {"a": DRAW["a"] + 0.5 * DRAW["c"] - 0.1, "b": 0.1 + 0.5 * DRAW["c"], "c": 0.5 * DRAW["c"]}
    after["a"] = DRAW["a"] + DRAW["b"] - after["b"]
    made = Increments(GASES, GASES, learner=line, families=[["b", "c"]], sums=[["a", "b"]], steady=True)
    found = jax.vmap(made.fit(DRAW, after, key=jax.random.key(0)))(DRAW)
    assert np.std(found["b"] - after["b"]) > 1e-3
    np.testing.assert_allclose(found["a"] + found["b"], DRAW["a"] + DRAW["b"], rtol=1e-4)
    with pytest.raises(ValueError, match="in no family"):
        Increments(GASES, GASES, learner=line, families=[["a", "b"]], sums=[["a", "c"]])


def test_an_answer_stays_within_its_bounds():
    taught = Increments([A], [A], learner=line, changing=["a"])
    taught = taught.fit({"a": DRAW["a"]}, {"a": jnp.zeros(64)}, key=jax.random.key(0))
    assert float(taught({"a": jnp.asarray(0.01)})["a"]) >= 0


@pytest.mark.parametrize(
    "options", [{"changing": ["d"]}, {"families": [["a", "b"], ["b", "c"]]}, {"conserved": [{"d": 1}]}]
)
def test_what_is_not_there_before_and_after_is_refused(options):
    with pytest.raises(ValueError, match="inputs and outputs"):
        Increments(GASES, GASES, learner=line, **options)
