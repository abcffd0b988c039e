"""Scores of independent samples: closed forms, groups drawn in pairs, classes; splits by fold, region and range."""

import jax
import numpy as np
import pytest

from mechlearn.core import Variable, named
from mechlearn.data.batches import Windows
from mechlearn.data.record import Record
from mechlearn.descent import Descent
from mechlearn.evaluation import samples
from mechlearn.evaluation.splits import make
from mechlearn.learners.mlp import MLP

WATER = Variable("water", "kg m-2", ("time",))
HEAT = Variable("surface_temperature", "K", ("time",))


@pytest.fixture(scope="module")
def record() -> Record:
    """Sixty groups of four samples, the last of every other group missing."""
    generator = np.random.default_rng(0)
    water = generator.uniform(0, 60, (60, 4))
    heat = 280 + 0.3 * water + generator.normal(0, 1, water.shape)
    water[::2, 3], heat[::2, 3] = np.nan, np.nan
    sites = tuple(f"group {n}" for n in range(60))
    regions = {site: "tropics" if n % 3 else "poles" for n, site in enumerate(sites)}
    fields = {"water": water, "fold": np.arange(60) % 10}
    variables = named([WATER, HEAT, Variable("fold", "1")])
    return Record(fields, {HEAT.name: heat}, np.arange(4), sites, variables, regions=regions, independent=True)


def test_the_score_is_that_of_all_samples_together(record):
    observed = record.observed[HEAT.name]
    predicted = np.stack([observed + 1.0, observed - 3.0])
    value, low, high = samples.interval("rmse", predicted, observed)
    assert (value, low) == pytest.approx((2.0, 1.0)) and high == pytest.approx(3.0)
    assert samples.interval("mean_error", predicted, observed).value == pytest.approx(-1.0)
    assert samples.interval("mean_absolute_error", predicted, observed).value == pytest.approx(2.0)


def test_a_gain_is_surer_than_the_difference_of_two_intervals(record):
    observed = record.observed[HEAT.name]
    noise = np.random.default_rng(1).standard_t(3, observed.shape)
    better, worse = (observed + factor * noise for factor in (1.0, 1.1))
    value, low, high = samples.gain("rmse", better[None], worse[None], observed)
    apart = samples.interval("rmse", worse[None], observed)
    assert 0 < low < value < high and high - low < 0.5 * (apart.high - apart.low)


def test_a_normal_interval_holds_what_it_says():
    error = np.random.default_rng(2).normal(0, 2, (400, 5))
    value, low, high = samples.share_inside(error[None], np.full((1, 400, 5), 2.0), np.zeros((400, 5)), 1.645)
    assert low < 0.9 < high and abs(value - 0.9) < 0.02


def test_classes_part_the_samples(record):
    inside = samples.classes(record.fields["water"], (0, 20, 40, 60), "water", "kg m-2")
    observed = record.observed[HEAT.name]
    rows = samples.class_rows({"one": observed[None] + 1}, observed, inside, "K")
    counted = [row["days"] for row in rows if row["metric"] == "rmse"]
    assert sum(counted) == np.isfinite(observed).sum() and all(r["value"] == pytest.approx(1) for r in rows)


@pytest.mark.parametrize(
    "options", [{}, {"region": "tropics"}, {"field": "water", "below": 40.0}], ids=["folds", "region", "range"]
)
def test_no_group_that_tests_has_taught(record, options):
    split = make(record, "by_fold", **options)
    taught, tested = split.train | split.validation, split.test
    assert (
        not (taught.any(axis=1) & tested.any(axis=1)).any() and not tested[~np.isfinite(record.fields["water"])].any()
    )
    if "field" in options:
        assert record.fields["water"][taught].max() < 40 <= record.fields["water"][tested].min()


def test_a_budget_of_samples_counts_them(record):
    whole = make(record, "by_fold")
    few = make(record, "by_fold", fraction_of_training=0.25, by="samples")
    asked = round(0.25 * (whole.train | whole.validation).sum())
    assert (few.train | few.validation).sum() == asked and (few.test == whole.test).all()
    assert not (few.train & ~whole.train).any()


@pytest.mark.parametrize(
    ("options", "told"), [({"region": "moon"}, "the record has"), ({"field": "wate"}, "no field 'wate'")]
)
def test_what_is_not_there_is_named(record, options, told):
    with pytest.raises(ValueError, match=told):
        make(record, "by_fold", **options)


def test_windows_of_single_samples_share_one_spread(record):
    split = make(record, "by_fold")
    windows = Windows(record, split.train, 1, 0, inputs=["water"])
    assert len(windows) == split.train.sum()
    assert float(windows.scales[HEAT.name].std()) < 1e-5


def test_a_quantile_is_learned():
    key = jax.random.key(0)
    x = jax.random.uniform(key, (2000,))
    y = x * jax.random.normal(jax.random.key(1), (2000,))
    given, wanted = Variable("x", "1"), Variable("y", "1")
    network = MLP([given], [wanted], width=8, quantile=0.9, descent=Descent(epochs=30, learning_rate=2e-2))
    taught = network.fit({"x": x}, {"y": y}, key=key)
    assert 0.87 < float(np.mean(y <= jax.vmap(taught)({"x": x})["y"])) < 0.93
    with pytest.raises(ValueError, match="between 0 and 1"):
        MLP([given], [wanted], quantile=90)
