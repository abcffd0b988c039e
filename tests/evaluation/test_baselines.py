"""Baselines know only what they may."""

import numpy as np
import pytest

from mechlearn.evaluation.baselines import climatology, persistence

TIME = np.arange("2000-01-01", "2004-01-01", dtype="datetime64[D]")


def test_climatology_reads_training_days_only_and_follows_the_season():
    season = np.sin(2 * np.pi * np.arange(TIME.size) / 365.25)
    train = np.datetime64("2002-01-01") > TIME
    observed = np.where(train, season, 99.0)[None]
    made = climatology(observed, TIME, train)
    assert made.shape == (1, TIME.size)
    assert made[0] == pytest.approx(season, abs=0.02)


def test_climatology_fills_gaps_and_gives_nan_where_nothing_is_known():
    observed = np.full((2, TIME.size), np.nan)
    observed[0, :30] = 3.0
    made = climatology(observed, TIME, np.ones(TIME.size, bool))
    assert (made[0] == 3).all() and np.isnan(made[1]).all()
    with pytest.raises(ValueError, match="odd"):
        climatology(observed, TIME, np.ones(TIME.size, bool), window=14)


def test_persistence_is_yesterday():
    made = persistence(np.arange(6.0).reshape(2, 3))
    assert np.isnan(made[:, 0]).all() and made[:, 1:].tolist() == [[0, 1], [3, 4]]
    with pytest.raises(ValueError, match="at least one day"):
        persistence(np.ones((1, 3)), lead=0)
