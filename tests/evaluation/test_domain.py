"""The domain a model was taught on."""

from types import SimpleNamespace

import equinox as eqx
import jax
import numpy as np
import pytest

from mechlearn.evaluation.domain import Domain


@pytest.fixture
def record():
    generator = np.random.default_rng(0)
    temperature = generator.normal(10, 5, (3, 2000))
    demand = 0.2 * temperature + generator.normal(0, 0.1, temperature.shape)
    return SimpleNamespace(fields={"temperature": temperature, "demand": demand, "area": np.arange(3.0)})


def test_training_days_are_inside_and_strange_ones_are_not(record):
    domain = Domain.of(record, np.arange(2000) < 1000)
    assert domain.contains(record.fields)[:, :1000].mean() > 0.99
    assert domain.contains(record.fields)[:, 1000:].mean() > 0.9
    hot = {**record.fields, "temperature": record.fields["temperature"] + 40}
    assert not domain.contains(hot).any()
    unlike = {**record.fields, "demand": 4 - record.fields["demand"]}
    assert domain.contains(unlike).mean() < 0.5
    elsewhere = {**record.fields, "area": np.array([0.0, 1.0, 9.0])}
    assert domain.contains(elsewhere)[1].any() and not domain.contains(elsewhere)[2].any()


def test_missing_inputs_are_outside_and_missing_fields_refused(record):
    domain = Domain.of(record, np.ones(2000, bool))
    gappy = {**record.fields, "temperature": np.where(np.arange(2000) == 5, np.nan, record.fields["temperature"])}
    assert not domain.contains(gappy)[:, 5].any() and domain.contains(gappy)[:, 6].any()
    with pytest.raises(ValueError, match="demand did not come"):
        domain.contains({"temperature": record.fields["temperature"], "area": record.fields["area"]})
    with pytest.raises(ValueError, match="check the mask"):
        Domain.of(record, np.zeros(2000, bool))


def test_a_domain_survives_being_saved(record, tmp_path):
    domain = Domain.of(record, np.ones(2000, bool))
    eqx.tree_serialise_leaves(tmp_path / "domain.eqx", domain)
    blank = jax.tree.map(np.zeros_like, domain)
    again = eqx.tree_deserialise_leaves(tmp_path / "domain.eqx", blank)
    assert (again.contains(record.fields) == domain.contains(record.fields)).all()
