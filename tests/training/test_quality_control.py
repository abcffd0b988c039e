"""Filling the gaps of a forcing series, from windows to prediction."""

from functools import partial

import jax
import numpy as np
import pytest

from mechlearn.compose import Add, Chain, Freeze, Mean, Rename, Rollout
from mechlearn.core import System, Variable
from mechlearn.couplings.cascade.initialization import quality_control
from mechlearn.couplings.cascade.refinement import residual
from mechlearn.couplings.hybrid import compose
from mechlearn.data.batches import Windows
from mechlearn.data.fields import DataError
from mechlearn.descent import Descent
from mechlearn.learners.lstm import LSTM
from mechlearn.learners.mlp import MLP
from mechlearn.learners.sklearn import Sklearn
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.parameters import set_parameters
from mechlearn.training.predict import predict, stretches
from mechlearn.training.teach import fit

KEY = jax.random.key(1)
ALL = np.ones((2, 1095), bool)
HOW = Descent(epochs=40, batch_size=64, learning_rate=5e-3)
FILLERS = {
    "mlp": partial(MLP, width=16, depth=1, key=KEY, descent=HOW),
    "robust regression": partial(Sklearn, estimator="sklearn.linear_model.HuberRegressor", max_iter=2000),
}
lstm = partial(LSTM, hidden=4, key=KEY, descent=Descent(epochs=1))


@pytest.fixture(scope="module")
def truth():
    return Rollout(set_parameters(HBV(), {"field_capacity": 180.0, "recharge_exponent": 3.0}))


@pytest.fixture(scope="module")
def corrupted(catchments):
    """The catchments with 1 % of spikes in the air temperature and 20 % of it missing."""
    draw = np.random.default_rng(4)
    warmth = np.array(catchments.fields["air_temperature"], copy=True)
    spikes = draw.random(warmth.shape) < 0.01
    warmth[spikes] += draw.choice([-60.0, 60.0], spikes.sum())
    warmth[draw.random(warmth.shape) < 0.2] = np.nan
    return catchments.with_fields({"air_temperature": warmth})


def runoff(model, record):
    return predict(model, record, ("runoff",))["runoff"]


@pytest.mark.parametrize("filler", FILLERS)
def test_a_cleaned_series_halves_the_error_that_it_caused(filler, truth, catchments, corrupted):
    system = quality_control(truth, FILLERS[filler], also=(Variable("elevation", "m"),))
    windows = Windows(corrupted, ALL, 200, 100, inputs=[v.name for v in system.inputs], gaps=system.tolerates)
    cleaned = fit([system], windows, key=KEY)[0][0]
    seen = corrupted.fields["air_temperature"]
    filled = np.where(np.isnan(seen), np.nanmean(seen, axis=1, keepdims=True), seen)
    clear, raw = runoff(truth, catchments), runoff(truth, corrupted.with_fields({"air_temperature": filled}))
    made = runoff(cleaned, corrupted)
    assert np.isfinite(made).all()

    def error(other):
        return np.sqrt(np.mean((other[:, 100:] - clear[:, 100:]) ** 2))

    assert error(made) <= 0.6 * error(raw)
    inside = predict(cleaned, corrupted, ("air_temperature",))["air_temperature"]
    good = np.isfinite(seen) & (np.abs(seen - catchments.fields["air_temperature"]) < 1e-6)
    assert np.mean(np.isclose(inside[good], seen[good], atol=1e-4)) > 0.99


def test_gaps_are_tolerated_only_where_every_reader_does(truth):
    cleaned = quality_control(truth, lstm)
    name = ("air_temperature",)
    assert truth.tolerates == () and cleaned.tolerates == name
    assert (
        System(Freeze(cleaned)).tolerates == Rename(cleaned, {}).tolerates == Mean(cleaned, cleaned).tolerates == name
    )
    assert Mean(cleaned, truth).tolerates == Add(truth, cleaned).tolerates == Chain(truth, cleaned).tolerates == ()
    # What stands behind the cleaned series reads it clean.
    assert compose(truth, lstm, methods=(quality_control, residual)).tolerates == name


def test_windows_refuse_gaps_that_nobody_tolerates(truth, corrupted):
    names = [v.name for v in truth.inputs]
    with pytest.raises(DataError, match="longest unbroken forcing"):
        Windows(corrupted, ALL, 200, 100, inputs=names)
    with_gaps = Windows(corrupted, ALL, 200, 100, inputs=names, gaps=("air_temperature",))
    fields, _, _ = with_gaps.take(np.arange(len(with_gaps)))
    assert np.isnan(fields["air_temperature"]).any() and np.isfinite(fields["precipitation"]).all()
    assert stretches(truth, corrupted) != stretches(quality_control(truth, lstm), corrupted) == {(0, 1095): [0, 1]}


def test_a_gap_in_another_series_still_ends_a_run(truth, corrupted):
    rain = np.array(corrupted.fields["precipitation"], copy=True)
    rain[0, 500:510] = np.nan
    made = runoff(quality_control(truth, lstm), corrupted.with_fields({"precipitation": rain}))
    assert np.isnan(made[0, 500:510]).all() and np.isfinite(np.delete(made[0], np.s_[500:510])).all()
