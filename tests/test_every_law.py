"""Every law in `mechlearn.laws`, discovered: zero where obeyed, not where broken, usable in all three ways."""

import importlib
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mechlearn.laws
from mechlearn.compose import Obey
from mechlearn.core import Law, named

FOUND = [
    module.name
    for module in pkgutil.walk_packages(mechlearn.laws.__path__, "mechlearn.laws.")
    if not module.ispkg and not module.name.rsplit(".", 1)[-1].startswith("_")
]
every_law = pytest.mark.parametrize("name", FOUND)


class Declared(dict):
    """Fields that complain when a law reads what it does not declare."""

    def __init__(self, fields, law):
        super().__init__({name: fields[name] for name in named(law.inputs)})


def example(name):
    return importlib.import_module(name).example()


def penalty(law, fields):
    return jnp.mean(law.residual(fields) ** 2)


def test_laws_are_found():
    short = {name.rsplit(".", 1)[-1] for name in FOUND}
    assert {"water_balance", "bounds", "monotone", "agreement"} <= short


@every_law
def test_residual_is_zero_only_where_obeyed(name):
    case = example(name)
    law = case["law"]
    assert isinstance(law, Law)
    assert float(jnp.max(jnp.abs(law.residual(Declared(case["obeyed"], law))))) < 1e-5
    assert float(jnp.max(jnp.abs(law.residual(Declared(case["broken"], law))))) > 1e-3


@every_law
def test_residual_is_the_same_compiled_and_batched(name):
    case = example(name)
    law, fields = case["law"], case["broken"]
    eager = law.residual(fields)
    np.testing.assert_allclose(jax.jit(lambda f: law.residual(f))(fields), eager, rtol=1e-6)
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), fields)
    np.testing.assert_allclose(jax.vmap(law.residual)(twice)[1], eager, rtol=1e-6)


@every_law
def test_penalty_has_the_slope_of_finite_differences(name, float64):
    case = example(name)
    law, fields = case["law"], {name: jnp.asarray(value, float) for name, value in case["broken"].items()}
    slope = jax.grad(lambda f: penalty(law, f))(fields)
    way = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), fields)

    def along(step):
        return penalty(law, jax.tree.map(lambda leaf, w: leaf + step * w, fields, way))

    expected = (along(1e-6) - along(-1e-6)) / 2e-6
    found = sum(jnp.sum(slope[name] * way[name]) for name in fields)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


@every_law
@pytest.mark.parametrize("which", ["obeyed", "broken"])
def test_projection_makes_the_law_hold(name, which):
    case = example(name)
    law, fields = case["law"], case[which]
    project = Obey(law, adjust=tuple(named(law.inputs)), pointwise=False, steps=5)
    after = project(fields)
    assert all(bool(jnp.all(jnp.isfinite(value))) for value in after.values())
    assert float(jnp.max(jnp.abs(law.residual({**fields, **after})))) < 1e-3
    if which == "obeyed":
        for name, value in after.items():
            np.testing.assert_allclose(value, fields[name], atol=1e-4)
