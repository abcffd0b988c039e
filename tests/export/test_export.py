"""Networks written for other languages: compiled where there is a compiler, and the same to the last digits."""

import math
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import System, Variable
from mechlearn.couplings.embedded.replacement import offline
from mechlearn.export import c, fortran
from mechlearn.export.network import network, networks_in
from mechlearn.learners.mlp import MLP
from mechlearn.mechanisms.water.hbv import HBV

READS = (Variable("depth", "m", bounds=(0, 100)), Variable("warmth", "degC"), Variable("light", "W m-2"))
GIVES = (
    Variable("free", "1"),
    Variable("above", "mm", bounds=(-3.0, math.inf)),
    Variable("below", "K", bounds=(-math.inf, 5.0)),
    Variable("between", "percent", bounds=(0.0, 100.0)),
)


@pytest.fixture(scope="module")
def seen():
    draw = np.random.default_rng(0)
    scales = {"depth": (50.0, 10.0), "warmth": (12.0, 8.0), "light": (200.0, 90.0)}
    return {name: draw.normal(middle, spread, 200) for name, (middle, spread) in scales.items()}


@pytest.fixture(scope="module")
def learner(seen):
    """A network with every kind of bound, its weights as drawn, its scales as seen."""
    targets = {"free": 3 * seen["depth"], "above": seen["light"], "below": -seen["warmth"], "between": seen["depth"]}
    given = {name: jnp.asarray(values) for name, values in seen.items()}
    wide = MLP(READS, GIVES, width=70, depth=2, key=jax.random.key(1))
    return wide.standardise(given, {name: jnp.asarray(values) for name, values in targets.items()})


@pytest.fixture(scope="module")
def found(learner, seen):
    return network(learner, seen=seen)


def test_plain_numbers_say_what_the_learner_says(learner, found, float64):
    points = found.cases(20)
    double = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), learner)
    told = jax.vmap(lambda x: double({v.name: x[i] for i, v in enumerate(READS)}))(jnp.asarray(points))
    made = np.stack([told[v.name] for v in GIVES], axis=-1)
    np.testing.assert_allclose(found(points), made, rtol=1e-9, atol=1e-9)
    assert np.all(made[:, 1] > -3) and np.all(made[:, 2] < 5)


def test_the_domain_is_what_was_seen(found, seen):
    inside = np.array([np.median(values) for values in seen.values()])
    assert found.outside(inside) == 0
    assert found.outside([inside[0], inside[1], seen["light"].max() + 1]) == 3
    assert found.outside([np.nan, inside[1], inside[2]]) == 1


def built(folder, files, command):
    """Compile the files alone in a clean folder and run the driver; what it printed."""
    for name, text in files.items():
        (folder / name).write_text(text)
    compiler = command[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} on this machine")
    subprocess.run([*command, "-o", "driver"], cwd=folder, check=True, capture_output=True, text=True, timeout=120)
    ran = subprocess.run([str(folder / "driver")], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_c_compiles_from_a_clean_folder_and_agrees(found, tmp_path):
    strict = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "net.c", "net_test.c", "-lm"]
    told = built(tmp_path, c.write(found, "net"), strict)
    assert float(told.split()[2].rstrip(",")) < 1e-12
    assert "flag outside 3" in told


def test_fortran_compiles_from_a_clean_folder_and_agrees(found, tmp_path):
    strict = ["gfortran", "-std=f2008", "-Wall", "-Wextra", "-Werror", "-O1", "net.f90", "net_test.f90"]
    told = built(tmp_path, fortran.write(found, "net"), strict)
    assert float(told.split()[2].rstrip(",")) < 1e-12
    assert "flag outside 3" in told


def test_a_driver_fails_where_the_numbers_differ(found, tmp_path):
    files = c.write(found, "net")
    files["net.c"] = files["net.c"].replace("0.044715", "0.044")
    with pytest.raises(AssertionError, match="largest difference"):
        built(tmp_path, files, ["gcc", "net.c", "net_test.c", "-lm"])


def test_an_onnx_graph_agrees(found):
    onnx = pytest.importorskip("mechlearn.export.onnx")
    reference = pytest.importorskip("onnx.reference")
    told = reference.ReferenceEvaluator(onnx.graph(found, "net"))
    points = np.vstack([found.cases(5), found.upper + 1.0])
    made, outside = told.run(None, {"x": points})
    np.testing.assert_allclose(made, found(points), rtol=1e-12)
    assert outside[:, 0].tolist() == [0] * 5 + [3]


def test_the_learner_inside_a_system_is_found_by_its_path():
    system = offline(Rollout(HBV()), lambda inputs, outputs: MLP(inputs, outputs, width=3))
    assert list(networks_in(system)) == ["model.step.evaporation"]
    inside = network(system, "model.step.evaporation")
    assert [v.name for v in inside.inputs] == [v.name for v in HBV().evaporation.inputs]
    np.testing.assert_array_equal(inside.upper - inside.location, 4 * inside.scale)
    assert network(system).kind == inside.kind


def test_what_cannot_be_exported_is_refused():
    with pytest.raises(ValueError, match="there are none"):
        network(System(Rollout(HBV())))
    with pytest.raises(ValueError, match="choose one of"):
        network(offline(Rollout(HBV()), MLP), "model.step.snow")
    with pytest.raises(ValueError, match="too long"):
        fortran.write(network(MLP(READS, GIVES)), "a" * 60)
