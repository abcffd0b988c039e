"""Scores against hand-computed values, gaps and degenerate series."""

import doctest

import numpy as np
import pytest

from mechlearn.evaluation import scores


@pytest.fixture
def series():
    generator = np.random.default_rng(3)
    observed = generator.gamma(0.8, 2.0, (4, 900))
    return observed * generator.uniform(0.7, 1.4, observed.shape) + 0.05, observed


def test_docstrings_run():
    assert doctest.testmod(scores).failed == 0


def test_moment_scores_equal_their_textbook_form(series):
    p, o = (one[0] for one in series)
    r, a, b = np.corrcoef(p, o)[0, 1], p.std() / o.std(), p.mean() / o.mean()
    assert scores.nse(p, o) == pytest.approx(1 - np.sum((p - o) ** 2) / np.sum((o - o.mean()) ** 2))
    assert scores.kge(p, o) == pytest.approx(1 - np.sqrt((r - 1) ** 2 + (a - 1) ** 2 + (b - 1) ** 2))
    assert scores.rmse(p, o) == pytest.approx(np.sqrt(np.mean((p - o) ** 2)))
    assert scores.bias(p, o) == pytest.approx(100 * (p.sum() / o.sum() - 1))
    e = o.mean() / 100
    lp, lo = np.log(p + e), np.log(o + e)
    assert scores.nse_log(p, o) == pytest.approx(1 - np.sum((lp - lo) ** 2) / np.sum((lo - lo.mean()) ** 2))


def test_flow_duration_scores_equal_their_textbook_form(series):
    p, o = (np.sort(one[0])[::-1] for one in series)
    h, low = round(0.02 * p.size), round(0.3 * p.size)
    assert scores.fhv(*(one[0] for one in series)) == pytest.approx(100 * (p[:h] - o[:h]).sum() / o[:h].sum())
    lp, lo = np.log(np.maximum(p[-low:], 1e-6)), np.log(np.maximum(o[-low:], 1e-6))
    sp, so = (lp - lp[-1]).sum(), (lo - lo[-1]).sum()
    assert scores.flv(*(one[0] for one in series)) == pytest.approx(-100 * (sp - so) / so)


@pytest.mark.parametrize("metric", [m for m in scores.PERFECT if m not in ("crps", "coverage")])
def test_every_score_skips_gaps_is_perfect_when_exact_and_keeps_leading_axes(metric, series):
    p, o = series
    function = scores.score(metric)
    gappy, holed = p.copy(), o.copy()
    gappy[:, -40:], holed[:, -70:-40] = np.nan, np.nan
    assert function(gappy, holed) == pytest.approx(function(p[:, :-70], o[:, :-70]))
    assert function(p, o).shape == (4,)
    assert function(o, o) == pytest.approx(scores.PERFECT[metric])
    assert np.isnan(function(np.full(5, np.nan), np.ones(5)))


def test_a_constant_observation_has_no_efficiency():
    assert np.isnan(scores.nse(np.ones(9), np.full(9, 0.3)))


def test_a_shifted_peak_is_forgiven_one_day():
    flow = np.ones(100)
    flow[50] = 8.0
    assert scores.peak_error(np.roll(flow, 1), flow) == 0
    assert scores.peak_error(np.roll(flow, 3), flow) == pytest.approx(100 * 7 / 8)


def test_ensemble_crps_tends_to_the_gaussian_one_and_is_fair_in_size():
    generator = np.random.default_rng(0)
    closed = scores.crps_gaussian(np.zeros(1), np.ones(1), np.array([0.7]))
    assert scores.crps(generator.standard_normal((20_000, 1)), np.array([0.7])) == pytest.approx(closed, abs=0.01)
    pairs = generator.standard_normal((2, 40_000))
    assert scores.crps(pairs, np.full(40_000, 0.7)) == pytest.approx(closed, abs=0.01)
    assert scores.crps(pairs, np.full(40_000, 0.7), fair=False) > closed + 0.1


def test_bad_requests_say_what_to_write():
    with pytest.raises(ValueError, match="write one of nse"):
        scores.score("nash")
    with pytest.raises(ValueError, match="last axis"):
        scores.nse(np.ones(3), np.ones(4))
