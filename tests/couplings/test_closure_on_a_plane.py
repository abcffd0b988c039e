"""Closures on a plane: what a coarse grid misses, and a network of fields in the place of a closure."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.couplings.coarse_graining import coarse_grained, refined, seen_coarsely, subgrid_forcing
from mechlearn.couplings.embedded.replacement import online
from mechlearn.data.trajectories import Trajectories
from mechlearn.forecast import Forecast
from mechlearn.learners.convolution import Convolution
from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
from mechlearn.mechanisms.flow.quasigeostrophic import Quasigeostrophic, waves
from mechlearn.parameters import follow, replace_at

Q, S, U, V = "potential_vorticity", "subgrid_forcing", "eastward_velocity", "northward_velocity"
FINE = Quasigeostrophic(size=32, length=5e5, time_step=3600.0, steps=2)
HOST = Quasigeostrophic(size=16, length=5e5, time_step=7200.0, asked="step")


def turbulent(size, seed=0):
    """Vorticity of all waves, the longer the stronger."""
    number = waves(size, 2 * np.pi)
    noise = np.fft.rfft2(np.random.default_rng(seed).normal(size=(2, size, size)))
    made = np.fft.irfft2(noise * np.exp(-number.squared / 30.0), s=(size, size))
    return jnp.asarray(2e-5 * (made - made.mean(axis=(1, 2), keepdims=True)))


@pytest.fixture(scope="module")
def seen():
    """Twenty-four states of a fine run on the host's grid, with what the host misses and what it reads."""
    made = jax.jit(lambda q: seen_coarsely(FINE, HOST, q, 24)[1])(jnp.asarray(turbulent(32), jnp.float32))
    told = jax.vmap(HOST.told)(made[Q])
    return {name: values[None] for name, values in {**made, U: told[U], V: told[V]}.items()}


def test_a_coarse_grid_keeps_the_mean_and_long_waves_and_damps_short_ones():
    field = turbulent(32) + 3e-6
    for by in ("truncated", "sharp", "gaussian"):
        held = coarse_grained(field, 16, by=by)
        np.testing.assert_allclose(held.mean(axis=(1, 2)), field.mean(axis=(1, 2)), rtol=1e-5)
    wave = np.cos(2 * np.pi * 5 * np.arange(32) / 32)[None, :] + np.zeros((32, 1))
    shares = [float(jnp.max(coarse_grained(wave, 16, by=by))) for by in ("truncated", "sharp", "gaussian")]
    expected = [1.0, 1.0, np.exp(-((2 * 2 * np.pi * 5 / 16) ** 2) / 24)]
    np.testing.assert_allclose(shares, expected, rtol=1e-4)
    short = np.cos(2 * np.pi * 7 * np.arange(32) / 32)[None, :] + np.zeros((32, 1))
    kept = np.exp(-23.6 * (2 * np.pi * 7 / 16 - 0.65 * np.pi) ** 4)
    np.testing.assert_allclose(np.max(coarse_grained(short, 16)), kept * np.max(short[0, ::2]), rtol=1e-3)
    held = coarse_grained(field, 16, by="truncated")
    np.testing.assert_allclose(coarse_grained(refined(held, 32), 16, by="truncated"), held, atol=1e-11)


def test_nothing_is_missed_of_waves_whose_products_the_coarse_grid_holds(float64):
    angle = 2 * np.pi * np.arange(32) / 32
    long = jnp.asarray(
        1e-5 * np.stack([np.cos(2 * angle[None, :] + angle[:, None]), np.sin(angle[None, :] - 3 * angle[:, None])])
    )
    missed = subgrid_forcing(FINE, HOST, long, by="truncated")
    assert float(jnp.max(jnp.abs(missed))) < 1e-10 * float(jnp.max(jnp.abs(HOST.tendency(long[:, ::2, ::2]))))
    missed = subgrid_forcing(FINE, HOST, turbulent(32))
    size = float(jnp.std(missed))
    assert size > 1e-3 * float(jnp.std(HOST.tendency(coarse_grained(turbulent(32), 16))))
    assert float(jnp.max(jnp.abs(missed.mean(axis=(1, 2))))) < 1e-12 * size


def test_a_network_on_the_plane_is_taught_each_layer_apart_and_through_the_solver(seen):
    system = online(
        Forecast(HOST, 1), partial(Convolution, width=4, kernels=(3, 1)), joint="closure", taught_by="observations"
    )
    (lesson,) = system.lessons
    assert lesson.where == "step.closure.parts.1" and system.stages == ("offline", "online")
    fields, observed, _ = Trajectories(seen, states=(Q,), length=4).take(jnp.arange(2))
    inputs, targets = jax.vmap(lambda f, o: lesson.examples(system.model, f, o))(fields, observed)
    assert set(inputs) == {f"{name}_{layer}" for name in (Q, U, V) for layer in (0, 1)}
    for layer in (0, 1):
        np.testing.assert_array_equal(inputs[f"{Q}_{layer}"].reshape(8, 16, 16), seen[Q][0, :8, layer])
        np.testing.assert_array_equal(targets[f"{S}_{layer}"].reshape(8, 16, 16), seen[S][0, :8, layer])
    network = follow(system.model, lesson.where).standardise(inputs, targets)
    slopes = eqx.filter_jit(eqx.filter_grad(through))(network, system.model.step, seen[Q][0])
    assert all(float(jnp.max(jnp.abs(weight))) > 0 and np.isfinite(weight).all() for weight in slopes.weights)


def through(network, step, states):
    """How far two steps with a network in the place of the closure lead from where the fine run went."""
    ahead = Forecast(replace_at(step, "closure.parts.1", network), 2, remat=False)({f"initial_{Q}": states[0]})[Q]
    return jnp.mean((1e6 * (ahead[-1] - states[2])) ** 2)


def test_conservation_is_by_structure(float64):
    """Whatever the weights: to rounding in double precision, of a forcing of order one."""
    system = online(Forecast(HOST, 1), partial(Convolution, width=4, kernels=(3, 1)), joint="closure", conserving=True)
    closure = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), follow(system.model, "step.closure"))
    said = closure({name: 1e5 * values for name, values in HOST.told(turbulent(16)).items()})[S]
    assert float(jnp.max(jnp.abs(said.mean(axis=(1, 2))))) <= 1e-12 * max(1.0, float(said.std()))
    loose = replace(closure.parts[2], conserving=False)(closure.parts[1](closure.parts[0](HOST.told(turbulent(16)))))[S]
    assert float(jnp.max(jnp.abs(loose.mean(axis=(1, 2))))) > 1e-6


def test_what_a_plane_does_not_take_is_refused():
    host, network = Forecast(HOST, 1), partial(Convolution, kernels=(3, 1))
    with pytest.raises(ValueError, match="how far it sees"):
        online(host, network, joint="closure", neighbours=(-1, 0, 1))
    with pytest.raises(ValueError, match="mean over a plane"):
        online(Forecast(Lorenz96(size=8), 1), network, joint="closure", conserving=True)
    with pytest.raises(ValueError, match="fewer, even points"):
        coarse_grained(jnp.zeros((16, 16)), 16)
    with pytest.raises(ValueError, match="more, even points"):
        refined(jnp.zeros((16, 16)), 8)
