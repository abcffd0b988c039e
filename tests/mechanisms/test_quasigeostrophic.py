"""Two-layer quasi-geostrophic flow: its waves, its budgets, its order, and what a closure does to it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Model
from mechlearn.couplings.embedded.replacement import Answer
from mechlearn.mechanisms.flow.hyperviscosity import Hyperviscosity
from mechlearn.mechanisms.flow.quasigeostrophic import POTENTIAL_VORTICITY, SUBGRID_FORCING, Quasigeostrophic
from mechlearn.mechanisms.flow.smagorinsky import Smagorinsky
from mechlearn.parameters import set_parameters

Q = "potential_vorticity"
SIZE = 16
QUIET = {"shear": 0.0, "drag": 0.0}


def smooth(seed=0, strength=2e-6):
    """Vorticity of the longest waves alone, so that products of two fields are resolved."""
    draw = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(SIZE) / SIZE
    y, x = angle[:, None], angle[None, :]
    waves = [(m, n) for m in range(3) for n in range(-2, 3) if (m, n) > (0, 0)]
    layers = [sum(draw.normal() * np.cos(m * x + n * y + draw.uniform(0, 6)) for m, n in waves) for _ in range(2)]
    return jnp.asarray(strength * np.stack(layers))


@pytest.mark.parametrize(("signs", "stretched"), [((1, 1), False), ((1, -0.25), True)])
def test_rossby_waves_travel_as_they_disperse(signs, stretched, float64):
    """Barotropic `omega = -beta k / K²`, baroclinic `-beta k / (K² + rd^-2)`; one wave alone is exact."""
    model = set_parameters(Quasigeostrophic(size=SIZE, steps=50), QUIET)
    unit = 2 * np.pi / model.length
    k, m, seconds = 2 * unit, 1 * unit, 50 * model.time_step
    omega = -1.5e-11 * k / (k**2 + m**2 + (1 / 15000.0**2 if stretched else 0.0))
    place = np.arange(SIZE) * model.length / SIZE

    def wave(time):
        one = np.cos(k * place[None, :] + m * place[:, None] - omega * time)
        return jnp.asarray(1e-6 * np.stack([sign * one for sign in signs]))

    made = jax.jit(lambda q: model({Q: q})[Q])(wave(0.0))
    np.testing.assert_allclose(made, wave(seconds), atol=1e-12 if stretched else 2e-10)
    assert np.max(np.abs(made - wave(0.0))) > (1e-9 if stretched else 3e-7)


def test_energy_and_enstrophy_change_by_what_is_made_and_drained(float64):
    """Advection, of either layer by either, makes none: the budgets hold at an instant to rounding, with a closure."""
    drain = set_parameters(Hyperviscosity(), {"rate": 20.0})
    model = replace(Quasigeostrophic(size=SIZE, time_step=1.0), filtered=False, closure=drain)
    state = smooth()
    ahead, behind = jax.jit(lambda q: [model.budget(step(model, sign, q)) for sign in (1.0, -1.0)])(state)
    told = jax.jit(model.budget)(state)
    for name, prefix in (("energy", ""), ("enstrophy", "enstrophy_")):
        change = (ahead[name] - behind[name]) / 2
        terms = [told[prefix + term] for term in ("generation", "drag", "closure", "filter")]
        assert all(abs(float(term)) > 1e3 * abs(float(change - sum(terms))) for term in terms[:3]) and terms[3] == 0
        np.testing.assert_allclose(change, sum(terms), rtol=1e-5)
    parts = told["potential"] + 0.2 * told["kinetic"][0] + 0.8 * told["kinetic"][1]
    np.testing.assert_allclose(told["energy"], parts, rtol=1e-10)


def step(model, seconds, state):
    return replace(model, time_step=seconds)({Q: state})[Q]


def test_the_filter_takes_out_what_the_budget_says(float64):
    rough = jnp.asarray(np.random.default_rng(1).normal(size=(2, SIZE, SIZE)) * 1e-6)
    model = Quasigeostrophic(size=SIZE, time_step=1.0)
    bare = replace(model, filtered=False)
    told = model.budget(rough)
    for name, term in (("energy", "filter"), ("enstrophy", "enstrophy_filter")):
        taken = model.budget(step(model, 1.0, rough))[name] - bare.budget(step(bare, 1.0, rough))[name]
        np.testing.assert_allclose(told[term], taken, rtol=1e-3)
        assert told[term] < 0


@pytest.mark.parametrize("asked", ["stage", "step"])
def test_a_closure_that_says_nothing_leaves_the_host_as_it_is(asked):
    quiet = Answer((), (SUBGRID_FORCING,), {"subgrid_forcing": jnp.zeros((2, SIZE, SIZE))})
    host = Quasigeostrophic(size=SIZE)
    np.testing.assert_allclose(
        replace(host, closure=quiet, asked=asked)({Q: smooth()})[Q], host({Q: smooth()})[Q], rtol=0, atol=1e-12
    )


def test_biharmonic_viscosity_returns_the_energy_it_takes(float64):
    """And a viscosity drains both energy and enstrophy."""
    host = Quasigeostrophic(size=SIZE)
    state = smooth()
    for closure, returned in ((Smagorinsky(), False), (Hyperviscosity(), False), (Hyperviscosity(), True)):
        closed = set_parameters(closure, {"returned": 1.0}) if returned else closure
        told = replace(host, closure=closed).budget(state)
        assert told["enstrophy_closure"] < 0
        assert abs(told["closure"]) < 1e-20 if returned else told["closure"] < -1e-15, told


def test_without_shear_and_friction_energy_and_enstrophy_stay(float64):
    model = set_parameters(replace(Quasigeostrophic(size=SIZE, time_step=1800.0, steps=40), filtered=False), QUIET)
    before, after = model.budget(smooth()), model.budget(model({Q: smooth()})[Q])
    for name in ("energy", "enstrophy"):
        np.testing.assert_allclose(after[name], before[name], rtol=2e-4, err_msg=name)


def test_the_step_is_of_fourth_order(float64):
    model = replace(Quasigeostrophic(size=SIZE), filtered=False)
    span, state = 4 * 86400.0, {Q: smooth(strength=1e-5)}
    ends = [replace(model, time_step=span / steps, steps=steps)(state)[Q] for steps in (16, 32, 256)]
    errors = [float(jnp.max(jnp.abs(end - ends[-1]))) for end in ends[:2]]
    assert 3.5 < np.log2(errors[0] / errors[1]) < 4.6


def test_a_sheared_flow_grows_waves_as_its_linear_theory_says(float64):
    """A wave that varies eastward alone meets no other: two layers, two equations, solved by their exponential."""
    model = replace(Quasigeostrophic(size=SIZE, length=4e5, steps=120), filtered=False)
    k = 2 * np.pi * 4 / model.length
    upper = 1 / (15000.0**2 * 1.25)
    lower, shear, drag, beta = 0.25 * upper, 0.025, 0.05 / 86400, 1.5e-11
    inverse = np.linalg.inv([[-(k**2) - upper, upper], [lower, -(k**2) - lower]])
    gradients = np.diag([beta + upper * shear, beta - lower * shear])
    matrix = -1j * k * (np.diag([shear, 0.0]) + gradients @ inverse) + np.diag([0.0, drag * k**2]) @ inverse
    place = np.arange(SIZE) * model.length / SIZE

    def wave(amplitude):
        rows = np.real(amplitude[:, None] * np.exp(1j * k * place))
        return jnp.asarray(np.broadcast_to(rows[:, None, :], (2, SIZE, SIZE)))

    start = np.array([1e-6, 3e-7j])
    values, vectors = np.linalg.eig(matrix)
    later = vectors @ np.diag(np.exp(values * 120 * model.time_step)) @ np.linalg.inv(vectors) @ start
    assert values.real.max() > 0 > values.real.min()
    run = jax.jit(lambda u, q: set_parameters(model, {"shear": u})({Q: q})[Q])
    np.testing.assert_allclose(run(shear, wave(start)), wave(later), atol=1e-4 * abs(later).max())
    slope = jax.jit(jax.grad(lambda u: 1e12 * jnp.sum(run(u, wave(start)) ** 2)))(shear)
    ends = [1e12 * float(jnp.sum(run(shear + by, wave(start)) ** 2)) for by in (1e-6, -1e-6)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-4)


def test_a_closure_drains_what_the_grid_does_not_hold(float64):
    class Damping(Model):
        inputs = (POTENTIAL_VORTICITY,)
        outputs = (SUBGRID_FORCING,)

        def __call__(self, fields, *, key=None):
            return {"subgrid_forcing": -1e-6 * fields[Q]}

    bare = set_parameters(Quasigeostrophic(size=SIZE, time_step=3600.0), {**QUIET, "beta": 0.0})
    zonal = jnp.broadcast_to(jnp.cos(2 * jnp.pi * jnp.arange(SIZE) / SIZE)[:, None], (2, SIZE, SIZE)) * 1e-6
    made = replace(bare, closure=Damping())({Q: zonal})[Q]
    np.testing.assert_allclose(bare({Q: zonal})[Q], zonal, atol=1e-15)
    np.testing.assert_allclose(made, zonal * np.exp(-3600e-6), rtol=1e-8, atol=1e-18)


def test_an_odd_grid_is_refused():
    with pytest.raises(ValueError, match="even number"):
        Quasigeostrophic(size=15)
    with pytest.raises(ValueError, match="every 'stage'"):
        Quasigeostrophic(size=16, asked="day")  # pyright: ignore[reportArgumentType]
