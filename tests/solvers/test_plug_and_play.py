"""Plug-and-play: equal to direct total variation where the denoiser is its proximal map; closed forms; refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Model, Variable
from mechlearn.solvers.magnitude import Magnitude, SoftThreshold
from mechlearn.solvers.plug_and_play import PlugAndPlay, largest_curvature
from mechlearn.solvers.total_variation import TotalVariation, divergence, gradient

IMAGE = Variable("image", "1", ("row", "column"))
SIZE = 8
KEY = jax.random.key(0)


def differences():
    """Forward differences of a square image as a matrix (2 pixels, pixels)."""
    one = np.diff(np.eye(SIZE), axis=0, append=0)
    one[-1] = 0
    return np.concatenate([np.kron(one, np.eye(SIZE)), np.kron(np.eye(SIZE), one)])


def problem():
    draw = np.random.default_rng(3)
    truth = np.zeros((SIZE, SIZE))
    truth[2:6, 1:5] = 1.0
    blur = 0.7 * np.eye(SIZE**2) + 0.3 * np.kron(np.eye(SIZE), np.roll(np.eye(SIZE), 1, axis=1))
    return blur, blur @ truth.ravel() + 0.1 * draw.normal(size=SIZE**2)


def direct_total_variation(matrix, seen, weight, steps=5000, penalty=1.0):
    """`min |Ax - y|²/2 + weight TV(x)` by splitting the gradient: Goldstein & Osher (2009), doi:10.1137/080725891."""
    slope = differences()
    inverse = np.linalg.inv(matrix.T @ matrix + penalty * slope.T @ slope)
    x, d, b = (np.zeros(size) for size in (SIZE**2, 2 * SIZE**2, 2 * SIZE**2))
    for _ in range(steps):
        x = inverse @ (matrix.T @ seen + penalty * slope.T @ (d - b))
        moved = slope @ x + b
        pairs = moved.reshape(2, -1)
        length = np.maximum(np.linalg.norm(pairs, axis=0), 1e-300)
        d = (pairs * np.maximum(1 - weight / penalty / length, 0)).ravel()
        b = moved - d
    return x.reshape(SIZE, SIZE)


def test_the_divergence_is_minus_the_adjoint_of_the_gradient():
    draw = np.random.default_rng(0)
    image, flow = draw.normal(size=(3, 5, 7)), draw.normal(size=(2, 3, 5, 7))
    left, right = np.sum(gradient(jnp.asarray(image)) * flow), -np.sum(image * divergence(jnp.asarray(flow)))
    np.testing.assert_allclose(left, right, rtol=1e-4)


@pytest.mark.parametrize("method", ["admm", "proximal_gradient"])
def test_with_the_proximal_map_of_total_variation_it_is_total_variation(method, float64):
    matrix, seen = problem()
    expected = direct_total_variation(matrix, seen, 0.1)
    guess = {"image": jnp.zeros((SIZE, SIZE))}
    share = 0.5 if method == "admm" else float(largest_curvature(lambda x: matrix @ x - seen, jnp.zeros(SIZE**2)))
    solver = PlugAndPlay(TotalVariation(IMAGE, 0.1 / share, iterations=400), 0.5, method, iterations=150)
    told = jax.jit(lambda: solver.restore(lambda f: matrix @ f["image"].ravel() - seen, guess))()
    np.testing.assert_allclose(told.fields["image"], expected, atol=1e-6)
    assert told.residuals[-1] < 1e-6 < 1e-3 < told.residuals[0]


def test_a_denoiser_that_shrinks_is_a_gaussian_prior(float64):
    """`D(v) = ρ v / (ρ + 1)` is the proximal map of |x|²/2: the answer is ridge regression."""
    matrix, seen = problem()
    penalty = 0.7

    class Ridge(Model):
        inputs = (IMAGE,)
        outputs = (IMAGE,)

        def __call__(self, fields, *, key=None):
            return {"image": fields["image"] * penalty / (penalty + 1)}

    told = PlugAndPlay(Ridge(), penalty, iterations=200).restore(
        lambda f: matrix @ f["image"].ravel() - seen, {"image": jnp.zeros((8, 8))}
    )
    expected = np.linalg.solve(matrix.T @ matrix + np.eye(SIZE**2), matrix.T @ seen)
    np.testing.assert_allclose(told.fields["image"].ravel(), expected, atol=1e-8)


def test_total_variation_keeps_the_mean_and_lowers_the_variation():
    noisy = jnp.asarray(np.random.default_rng(2).normal(size=(2, 9, 9)), jnp.float32)
    bands = Variable("bands", "1", ("band", "row", "column"))
    clean = TotalVariation(bands, jnp.array([0.1, 0.5]))({"bands": noisy})["bands"]
    np.testing.assert_allclose(clean.mean(axis=(1, 2)), noisy.mean(axis=(1, 2)), atol=1e-5)
    before, after = (jnp.sum(jnp.linalg.norm(gradient(x), axis=0), axis=(1, 2)) for x in (noisy, clean))
    assert after[0] < before[0] and after[1] < 0.6 * before[1]
    alone = TotalVariation(IMAGE, 0.5)({"image": noisy[1]})["image"]
    np.testing.assert_allclose(clean[1], alone, atol=2e-3)
    twins = TotalVariation(bands, 0.5 * 2**0.5, joint=True)({"bands": jnp.stack([noisy[1], noisy[1]])})["bands"]
    np.testing.assert_allclose(twins, jnp.stack([alone, alone]), atol=2e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="the unknowns are"):
        PlugAndPlay(TotalVariation(IMAGE)).restore(lambda f: f["x"], {"x": jnp.zeros((3, 3))})
    with pytest.raises(ValueError, match="needs an image"):
        TotalVariation(Variable("series", "1", ("time",)))
    with pytest.raises(ValueError, match="method must be"):
        PlugAndPlay(TotalVariation(IMAGE), method="magic")
    with pytest.raises(ValueError, match="two axes or more"):
        PlugAndPlay(TotalVariation(IMAGE)).restore(lambda f: f["image"], {"image": jnp.zeros(3)})
    with pytest.raises(ValueError, match="penalty must be above 0"):
        PlugAndPlay(TotalVariation(IMAGE), penalty=0.0)


def test_a_prior_on_the_magnitude_keeps_the_phase():
    parts = Variable("real", "1", ("row", "column")), Variable("imaginary", "1", ("row", "column"))
    fields = {v.name: jax.random.normal(jax.random.key(n), (3, 3)) for n, v in enumerate(parts)}
    made = Magnitude(SoftThreshold(IMAGE, 0.5), parts)(fields)
    before, after = (f["real"] + 1j * f["imaginary"] for f in (fields, made))
    np.testing.assert_allclose(jnp.abs(after), jnp.maximum(jnp.abs(before) - 0.5, 0), atol=1e-6)
    np.testing.assert_allclose((after * before.conj()).imag, 0, atol=1e-6)
