"""Ensemble Kalman inversion: the linear case, bounds, failed members, black boxes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.solvers.ensemble_kalman_inversion import EnsembleKalmanInversion, kalman_step

KEY = jax.random.key(3)
DRAW = np.random.default_rng(5)
MATRIX, SEEN = DRAW.normal(size=(6, 2)), DRAW.normal(size=6)
GUESS = {"x": np.zeros(2)}


def misfit(fields):
    return MATRIX @ fields["x"] - SEEN


def test_many_members_reach_the_linear_gaussian_posterior():
    told = EnsembleKalmanInversion({"x": 1.0}, members=4000, iterations=4).invert(misfit, GUESS, key=KEY)
    covariance = np.linalg.inv(MATRIX.T @ MATRIX + np.eye(2))
    deviation = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(told.fields["x"], covariance @ MATRIX.T @ SEEN, atol=4 * deviation.max() / np.sqrt(1000))
    np.testing.assert_allclose(np.cov(np.asarray(told.ensemble["x"]).T), covariance, atol=0.1 * deviation.max() ** 2)


def test_the_error_falls_with_the_root_of_the_members():
    exact = np.linalg.solve(MATRIX.T @ MATRIX + np.eye(2), MATRIX.T @ SEEN)

    def error(members):
        solver = EnsembleKalmanInversion({"x": 1.0}, members=members)
        found = [solver.solve(misfit, GUESS, key=jax.random.key(n))["x"] for n in range(12)]
        return np.sqrt(np.mean((np.array(found) - exact) ** 2))

    order = -np.log(error(1280) / error(20)) / np.log(64)
    assert 0.3 < order < 0.8, order


def test_untempered_steps_reach_the_least_squares():
    solver = EnsembleKalmanInversion({"x": 3.0}, members=200, iterations=400, tempered=False)
    told = solver.invert(misfit, GUESS, key=KEY)
    best = np.linalg.lstsq(MATRIX, SEEN, rcond=None)[0]
    np.testing.assert_allclose(told.fields["x"], best, atol=0.05)
    assert float(np.max(told.deviation["x"])) < 0.1


@pytest.mark.parametrize("count", [4, 9])
def test_a_step_without_noise_is_the_kalman_step_of_its_ensemble(count):
    """Fewer members than observations, and more."""
    members = np.random.default_rng(1).normal(size=(count, 2))
    seen = members @ MATRIX.T
    gain = np.cov(members.T) @ MATRIX.T @ np.linalg.inv(MATRIX @ np.cov(members.T) @ MATRIX.T + 2.0 * np.eye(6))
    moved = kalman_step(members, seen - SEEN, np.zeros((count, 6)), 2.0)
    np.testing.assert_allclose(moved, members - (seen - SEEN) @ gain.T, atol=1e-12)


def test_failed_members_are_replaced_and_counted():
    calls = []

    def moody(fields):
        calls.append(1)
        if len(calls) in (3, 45):
            raise RuntimeError("the pipe burst")
        return np.full(6, np.nan) if len(calls) == 7 else misfit(fields)

    told = EnsembleKalmanInversion({"x": 1.0}, members=40, iterations=2).invert(moody, GUESS, key=KEY)
    assert told.lost.tolist() == [2, 1]
    assert told.reasons == (
        "step 0, member 2: RuntimeError: the pipe burst",
        "step 0, member 6: its misfit is not finite",
        "step 1, member 4: RuntimeError: the pipe burst",
    )
    assert np.all(np.isfinite(told.ensemble["x"]))


def test_a_run_that_broke_off_is_lost():
    def short(fields):
        return misfit(fields)[: 6 if fields["x"][0] < 1 else 4]

    told = EnsembleKalmanInversion({"x": 1.0}, members=40, iterations=1).invert(short, GUESS, key=KEY)
    assert 0 < told.lost[0] < 20 and "its misfit has 4 of 6 values" in told.reasons[0]


def test_all_members_lost_is_an_error():
    with pytest.raises(ValueError, match="10 of 10 members were lost; the last: step 0, member 9: its misfit"):
        EnsembleKalmanInversion({"x": 1.0}, members=10).invert(lambda f: np.full(3, np.nan), GUESS, key=KEY)


def test_members_run_together_are_those_run_one_by_one():
    alone = EnsembleKalmanInversion({"x": 1.0}, members=20).invert(misfit, GUESS, key=KEY)
    together = EnsembleKalmanInversion({"x": 1.0}, members=20, batched=True).invert(misfit, GUESS, key=KEY)
    np.testing.assert_allclose(together.ensemble["x"], alone.ensemble["x"], atol=1e-4)


def test_bounded_unknowns_stay_inside():
    time = np.linspace(0, 4, 15)
    seen = 3 * np.exp(-0.7 * time)
    solver = EnsembleKalmanInversion(
        {"rate": 0.5, "amount": 1.0}, members=100, iterations=12, bounds={"rate": (0.1, 2.0), "amount": (0.0, np.inf)}
    )
    guess = {"rate": jnp.asarray(1.0), "amount": jnp.asarray(2.0)}
    told = solver.invert(lambda f: (f["amount"] * np.exp(-f["rate"] * time) - seen) / 0.02, guess, key=KEY)
    assert np.all((told.ensemble["rate"] > 0.1) & (told.ensemble["rate"] < 2.0))
    np.testing.assert_allclose([told.fields["rate"], told.fields["amount"]], [0.7, 3.0], rtol=0.05)
    assert told.cost[-1] < told.cost[0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="spread is given for"):
        EnsembleKalmanInversion({"y": 1.0}).invert(misfit, GUESS, key=KEY)
    with pytest.raises(ValueError, match="above 0"):
        EnsembleKalmanInversion({"x": 0.0})
    with pytest.raises(ValueError, match="outside the bounds"):
        EnsembleKalmanInversion({"x": 1.0}, bounds={"x": (1.0, 2.0)}).invert(misfit, GUESS, key=KEY)
    with pytest.raises(ValueError, match="3 members"):
        EnsembleKalmanInversion({"x": 1.0}, members=2)
