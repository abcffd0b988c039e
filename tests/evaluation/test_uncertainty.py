"""Intervals hold the truth as often as they claim, and pair what is compared."""

import numpy as np
import pytest

from mechlearn.evaluation import scores
from mechlearn.evaluation.uncertainty import gain, hydrological_year, interval, resampled, site_intervals

TIME = np.arange("1990-10-01", "2000-10-01", dtype="datetime64[D]")


@pytest.fixture
def flows():
    generator = np.random.default_rng(1)
    observed = generator.gamma(0.8, 2.0, (3, TIME.size))
    predicted = observed + generator.normal(0, 0.8, (2, *observed.shape))
    return predicted, observed


def test_years_start_in_october():
    assert set(np.unique(hydrological_year(TIME))) == set(range(1991, 2001))
    assert hydrological_year(np.array(["2001-01-01"], "datetime64[D]"), first_month=1) == 2001


@pytest.mark.parametrize("metric", ["nse", "nse_log", "kge", "bias"])
def test_sums_of_years_give_the_same_draws_as_the_series_itself(metric, flows, monkeypatch):
    predicted, observed = flows
    observed = np.where(np.random.default_rng(2).random(observed.shape) < 0.1, np.nan, observed)
    _, quick = resampled(metric, predicted, observed, TIME, draws=7)
    monkeypatch.delitem(scores.OF_MOMENTS, metric)
    point, slow = resampled(metric, predicted, observed, TIME, draws=35)  # a fifth of them, the first
    tolerance = 0.03 if metric == "nse_log" else 1e-9  # the small constant is that of the whole record
    assert quick == pytest.approx(slow, abs=tolerance)
    assert point == pytest.approx(scores.score(metric)(predicted, observed).mean(axis=0))


def test_an_interval_surrounds_its_value_and_repeats_with_its_seed(flows):
    predicted, observed = flows
    first, again = (interval("nse", predicted, observed, TIME, draws=200, seed=5) for _ in range(2))
    assert first == again
    assert first.low < first.value < first.high
    assert len(site_intervals("fhv", predicted, observed, TIME, draws=20)) == 3


def test_a_90_percent_interval_holds_the_truth_about_as_often():
    held, generator = 0, np.random.default_rng(7)
    for trial in range(60):
        yearly = generator.normal(0, 0.3, 10)[hydrological_year(TIME) - 1991]
        observed = 5 + generator.normal(0, 1, TIME.size)
        low, high = interval("bias", observed + yearly, observed, TIME, draws=200, seed=trial)[1:]
        held += low <= 0 <= high
    assert 45 <= held <= 60


def test_a_gain_is_paired_and_positive_where_the_prediction_is_better(flows):
    predicted, observed = flows
    worse = predicted + 0.2
    assert gain("nse", predicted, worse, observed, TIME, draws=200).low > 0
    assert gain("rmse", worse, predicted, observed, TIME, draws=200).high < 0
    same = gain("bias", predicted[0], predicted[0], observed, TIME, draws=50)
    assert tuple(same) == (0, 0, 0)


def test_seeds_and_sites_widen_the_interval(flows):
    predicted, observed = flows
    spread = np.stack([predicted[0], predicted[0] + 2.0])
    narrow, wide = (interval("rmse", one, observed, TIME, draws=300) for one in (predicted, spread))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    scale = np.array([0.1, 1.0, 3.0])[:, None]
    fixed, drawn = (
        interval("rmse", observed + scale, observed, TIME, draws=300, resample_sites=sites) for sites in (False, True)
    )
    assert drawn.high - drawn.low > fixed.high - fixed.low


def test_one_year_gives_no_interval_and_unobserved_years_are_not_drawn(flows):
    predicted, observed = flows
    one_year = np.where(hydrological_year(TIME) == 1995, observed, np.nan)
    value, low, high = interval("nse", predicted, one_year, TIME, draws=50)
    assert np.isfinite(value) and np.isnan(low) and np.isnan(high)
    two = np.where(hydrological_year(TIME) <= 1992, observed, np.nan)
    assert np.isfinite(resampled("nse", predicted, two, TIME, draws=50)[1]).all()


def test_shapes_that_do_not_agree_are_refused(flows):
    with pytest.raises(ValueError, match="same sites and days"):
        interval("nse", flows[0][..., 1:], flows[1], TIME)
