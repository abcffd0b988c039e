"""Gauss-Newton and optimal estimation: closed forms, order of convergence, bounds, gradients, batches, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.solvers.gauss_newton import GaussNewton, damped_step, least_squares
from mechlearn.solvers.optimal_estimation import OptimalEstimation, canonical

KEY = jax.random.key(0)
TIME = np.linspace(0, 4, 20)


def decay(seen):
    return lambda f: f["amount"] * jnp.exp(-f["rate"] * TIME) - seen


def random_linear(unknown=4, count=9):
    draw = np.random.default_rng(2)
    matrix, seen = draw.normal(size=(count, unknown)), draw.normal(size=count)
    prior, root = draw.normal(size=unknown), draw.normal(size=(unknown, unknown))
    noise = draw.normal(size=(count, count))
    return matrix, seen, prior, root @ root.T + np.eye(unknown), noise @ noise.T + np.eye(count)


def test_a_linear_problem_is_solved_as_by_numpy(float64):
    matrix, seen, prior, *_ = random_linear()
    found = GaussNewton().search(lambda f: matrix @ f["x"] - seen, {"x": jnp.asarray(prior)})
    np.testing.assert_allclose(found.fields["x"], np.linalg.lstsq(matrix, seen, rcond=None)[0], atol=1e-10)
    assert found.converged


def test_an_undamped_step_of_a_linear_problem_is_the_last(float64):
    matrix, seen, prior, *_ = random_linear()
    step, _ = damped_step(jnp.asarray(matrix @ prior - seen), jnp.asarray(matrix), jnp.asarray(0.0))
    np.testing.assert_allclose(prior + step, np.linalg.lstsq(matrix, seen, rcond=None)[0], atol=1e-12)


def test_convergence_is_quadratic_where_the_residual_vanishes(float64):
    """Gauss-Newton's error is squared at every step when the data are met exactly."""
    seen = 3.0 * np.exp(-0.7 * TIME)

    def residual(x):
        return x[0] * jnp.exp(-x[1] * TIME) - seen

    errors = [
        float(jnp.linalg.norm(least_squares(residual, jnp.array([2.7, 0.65]), n, 0.0, 0.0).point - jnp.array([3, 0.7])))
        for n in range(1, 4)
    ]
    orders = np.log(errors[1:]) / np.log(errors[:-1])
    assert errors[-1] < 1e-6 and np.all(orders > 1.7), (errors, orders)


@pytest.mark.parametrize("start", [[-1.2, 1.0], [3.0, -2.0], [0.0, 5.0]])
def test_rosenbrock_is_solved_from_afar(start, float64):
    found = least_squares(lambda x: jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]), jnp.array(start))
    np.testing.assert_allclose(found.point, [1, 1], atol=1e-7)
    assert found.converged


def test_single_precision_survives_a_badly_conditioned_problem():
    """Normal equations would square the condition 2e3 beyond what single precision can hold."""
    powers = jnp.asarray(np.vander(np.linspace(0, 1, 30), 5), jnp.float32)
    truth = jnp.asarray([1.0, -2.0, 3.0, -1.0, 0.5])
    found = GaussNewton().search(lambda f: powers @ (f["x"] - truth), {"x": jnp.zeros(5)})
    np.testing.assert_allclose(found.fields["x"], truth, atol=5e-3)


def test_bounds_hold_where_the_least_lies_beyond_them():
    found = GaussNewton(bounds={"rate": (1.0, 2.0)}).search(
        decay(3 * np.exp(-0.7 * TIME)), {"amount": jnp.asarray(1.0), "rate": jnp.asarray(1.5)}
    )
    assert 1.0 <= float(found.fields["rate"]) < 1.001
    matched = np.exp(-1.0 * TIME)
    best = 3 * np.sum(matched * np.exp(-0.7 * TIME)) / np.sum(matched**2)
    np.testing.assert_allclose(found.fields["amount"], best, rtol=1e-2)


def test_a_batch_equals_a_loop(float64):
    amounts = np.array([1.0, 3.0, 8.0])
    seen = jnp.asarray(amounts[:, None] * np.exp(-np.array([[0.3], [0.7], [1.5]]) * TIME))
    guess = {"amount": jnp.asarray(2.0), "rate": jnp.asarray(1.0)}

    def one(y):
        return GaussNewton(bounds={"rate": (0.01, 5.0)}).search(decay(y), guess)

    together = jax.jit(jax.vmap(one))(seen)
    for place in range(3):
        alone = one(seen[place])
        np.testing.assert_allclose(together.fields["rate"][place], alone.fields["rate"], rtol=1e-8)
        assert together.steps[place] == alone.steps
    np.testing.assert_allclose(together.fields["amount"], amounts, rtol=1e-7)


@pytest.mark.parametrize("differentiate", [jax.jacrev, jax.jacfwd])
def test_the_gradient_of_the_answer_is_that_of_finite_differences(differentiate, float64):
    noisy = jnp.asarray(3 * np.exp(-0.7 * TIME) + 0.1 * np.cos(9 * TIME))

    def rate(shift):
        guess = {"amount": jnp.asarray(2.0), "rate": jnp.asarray(1.0)}
        return GaussNewton(bounds={"rate": (0.01, 5.0)}).search(decay(noisy * (1 + shift * TIME)), guess).fields["rate"]

    expected = (rate(1e-5) - rate(-1e-5)) / 2e-5
    np.testing.assert_allclose(differentiate(rate)(0.0), expected, rtol=1e-5)


def test_an_observation_whose_residual_is_zero_is_not_there(float64):
    seen = 3 * np.exp(-0.7 * TIME)
    seen[4] = np.nan
    misfit = decay(jnp.asarray(seen))
    guess = {"amount": jnp.asarray(1.0), "rate": jnp.asarray(1.0)}
    found = GaussNewton().solve(lambda f: jnp.where(np.isnan(seen), 0.0, misfit(f)), guess, key=KEY)
    np.testing.assert_allclose([found["amount"], found["rate"]], [3, 0.7], rtol=1e-6)


def test_an_unknown_that_nothing_depends_on_stays():
    found = GaussNewton().search(lambda f: f["x"] - 2.0, {"x": jnp.asarray(0.0), "idle": jnp.asarray(4.0)})
    assert found.converged and float(found.fields["idle"]) == 4.0
    np.testing.assert_allclose(found.fields["x"], 2.0, atol=1e-5)


def test_too_few_steps_are_reported():
    guess = {"x": jnp.array([-1.2, 1.0])}
    residual = lambda f: jnp.array([10 * (f["x"][1] - f["x"][0] ** 2), 1 - f["x"][0]])  # noqa: E731
    assert not GaussNewton(iterations=3).search(residual, guess).converged


def test_optimal_estimation_is_the_linear_gaussian_closed_form(float64):
    matrix, seen, prior, background, noise = random_linear()
    told = OptimalEstimation({"x": prior}, background, noise).retrieve(lambda f: matrix @ f["x"] - seen)
    gain = background @ matrix.T @ np.linalg.inv(matrix @ background @ matrix.T + noise)
    covariance = background - gain @ matrix @ background
    np.testing.assert_allclose(told.fields["x"], prior + gain @ (seen - matrix @ prior), atol=1e-10)
    np.testing.assert_allclose(told.covariance, covariance, atol=1e-10)
    np.testing.assert_allclose(told.averaging_kernel, gain @ matrix, atol=1e-10)
    np.testing.assert_allclose(told.degrees_of_freedom, np.trace(gain @ matrix), atol=1e-10)
    expected = 0.5 * np.linalg.slogdet(background)[1] - 0.5 * np.linalg.slogdet(covariance)[1]
    np.testing.assert_allclose(told.information, expected, atol=1e-10)
    np.testing.assert_allclose(told.deviation["x"], np.sqrt(np.diag(covariance)), atol=1e-10)
    misfit = seen - matrix @ prior
    cost = misfit @ np.linalg.inv(matrix @ background @ matrix.T + noise) @ misfit
    np.testing.assert_allclose(told.cost, cost, atol=1e-10)


@pytest.mark.parametrize("count", [2, 6])
def test_canonical_directions_part_the_prior_and_the_posterior(count):
    matrix, _, _, prior, _ = random_linear(count=count)
    turn, known = canonical(prior, matrix)
    np.testing.assert_allclose(turn @ turn.T, prior, atol=1e-9)
    np.testing.assert_allclose(
        (turn * known**2) @ turn.T, np.linalg.inv(matrix.T @ matrix + np.linalg.inv(prior)), atol=1e-9
    )
    assert np.all(np.diff(known) >= 0)


def test_the_posterior_is_calibrated_where_truths_come_from_the_prior(float64):
    """Chi-square of the error under the posterior has the mean n over many draws of truth and noise."""
    matrix, _, prior, background, noise = random_linear()
    draw = np.random.default_rng(4)
    truths = draw.multivariate_normal(prior, background, 2000)
    seen = truths @ matrix.T + draw.multivariate_normal(np.zeros(9), noise, 2000)
    solver = OptimalEstimation({"x": prior}, background, noise)
    told = jax.jit(jax.vmap(lambda y: solver.retrieve(lambda f: matrix @ f["x"] - y)))(seen)
    error = np.asarray(told.fields["x"]) - truths
    square = np.einsum("ki,ij,kj->k", error, np.linalg.inv(told.covariance[0]), error)
    assert abs(square.mean() - 4) < 4 * np.sqrt(8 / 2000)


def test_perfect_and_useless_observations_have_all_and_no_freedom(float64):
    def told(variance):
        solver = OptimalEstimation({"x": np.zeros(3)}, np.ones(3), np.full(3, variance))
        return solver.retrieve(lambda f: f["x"] - 1.0)

    np.testing.assert_allclose([told(1e-12).degrees_of_freedom, told(1e12).degrees_of_freedom], [3, 0], atol=1e-10)
    np.testing.assert_allclose([told(1e-12).fields["x"][0], told(1e12).fields["x"][0]], [1, 0], atol=1e-10)


@pytest.mark.parametrize(
    ("covariance", "error", "words"),
    [
        (np.array([[1.0, 2.0], [2.0, 1.0]]), [1.0], "prior covariance is not positive definite"),
        (np.eye(2), [-1.0], "R is not positive definite"),
        (np.eye(3), [1.0], "with n = 2"),
        ({"y": 1.0}, [1.0], "standard deviations are of"),
        ({"x": -1.0}, [1.0], "must be above 0"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), [1.0], "symmetric"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance, error, words):
    with pytest.raises(ValueError, match=words):
        OptimalEstimation({"x": jnp.zeros(2)}, covariance, error)


def test_what_does_not_fit_is_refused():
    solver = OptimalEstimation({"x": jnp.zeros(2)}, np.eye(2), [1.0])
    with pytest.raises(ValueError, match="R is of 1 observations, the residual has 2"):
        solver.retrieve(lambda f: f["x"])
    with pytest.raises(ValueError, match="the prior is of"):
        solver.retrieve(lambda f: f["x"][:1], {"y": jnp.zeros(2)})
    with pytest.raises(ValueError, match=r"bounds are given for \['rate'\]"):
        GaussNewton(bounds={"rate": (0, 1)}).search(lambda f: f["x"], {"x": jnp.zeros(2)})
    with pytest.raises(ValueError, match="1 of 2 residuals are not finite"):
        GaussNewton().search(lambda f: jnp.log(f["x"]), {"x": jnp.array([1.0, -1.0])})
    with pytest.raises(ValueError, match="start at 3, outside the bounds"):
        GaussNewton(bounds={"x": (0, 1)}).search(lambda f: f["x"], {"x": jnp.array([0.5, 3.0])})
    with pytest.raises(TypeError, match="fields by name"):
        GaussNewton().search(lambda f: f[0], [1.0])  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="one array"):
        GaussNewton().search(lambda f: f, {"x": jnp.zeros(2)})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="lower < upper"):
        GaussNewton(bounds={"x": (1, 0)}).search(lambda f: f["x"], {"x": jnp.zeros(2)})
