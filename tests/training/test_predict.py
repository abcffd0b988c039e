"""Predicting whole records, stretch by stretch."""

import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import named
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.training import predict as prediction
from mechlearn.training.predict import predict, stretches


@pytest.fixture(scope="module")
def model():
    return Rollout(HBV())


@pytest.fixture(scope="module")
def whole(model, catchments):
    return predict(model, catchments, ("runoff",))["runoff"]


def with_gap(record, site, first, last, name="precipitation"):
    series = np.array(record.fields[name], copy=True)
    series[site, first:last] = np.nan
    return record.with_fields({name: series})


def alone(model, record, site, first, last):
    sample = {name: jnp.asarray(record.fields[name][site, first:last], jnp.float32) for name in named(model.inputs)}
    return model(sample)["runoff"]


def test_many_sites_are_each_site_alone(model, catchments, whole):
    assert whole.shape == (2, 1095) and np.isfinite(whole).all()
    for site in range(2):
        one = predict(model, catchments.at([site]), ("runoff",))["runoff"]
        np.testing.assert_allclose(one[0], whole[site], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(alone(model, catchments, site, 0, 1095), whole[site], rtol=1e-4, atol=1e-5)


def test_a_few_sites_at_once_are_all_of_them(model, catchments, whole, monkeypatch):
    monkeypatch.setattr(prediction, "SITES_AT_ONCE", 1)
    made = predict(model, catchments, ("runoff",))["runoff"]
    np.testing.assert_allclose(made, whole, rtol=1e-5, atol=1e-6)


def test_a_gap_splits_the_record_into_stretches(model, catchments):
    broken = with_gap(with_gap(catchments, 0, 300, 310), 0, 0, 5)
    assert stretches(model, broken) == {(5, 300): [0], (310, 1095): [0], (0, 1095): [1]}
    assert stretches(model, catchments) == {(0, 1095): [0, 1]}


def test_each_stretch_starts_anew_and_the_gap_stays_empty(model, catchments, whole):
    broken = with_gap(catchments, 0, 300, 310)
    made = predict(model, broken, ("runoff",))["runoff"]
    np.testing.assert_allclose(made[1], whole[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made[0, :300], whole[0, :300], rtol=1e-5, atol=1e-6)
    assert np.isnan(made[0, 300:310]).all()
    np.testing.assert_allclose(made[0, 310:], alone(model, broken, 0, 310, 1095), rtol=1e-4, atol=1e-5)


def test_a_site_without_forcing_is_predicted_nowhere(model, catchments, whole):
    made = predict(model, with_gap(catchments, 1, 0, 1095), ("runoff",))["runoff"]
    assert np.isnan(made[1]).all()
    np.testing.assert_allclose(made[0], whole[0], rtol=1e-5, atol=1e-6)


def test_all_series_are_given_unless_some_are_named(catchments):
    kept = Rollout(HBV(), keep=("runoff", "routing_buffer"))
    assert predict(kept, catchments).keys() == {"runoff"}
