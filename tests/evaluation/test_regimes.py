"""Error by regime."""

import numpy as np
import pytest

from mechlearn.evaluation.regimes import regime_rows, regimes
from mechlearn.evaluation.uncertainty import hydrological_year

TIME = np.arange("1990-10-01", "1996-10-01", dtype="datetime64[D]")


@pytest.fixture
def observed():
    flow = np.random.default_rng(0).gamma(0.8, 2.0, (2, TIME.size))
    return flow * np.where(hydrological_year(TIME) <= 1992, 0.3, 1.0)


def test_regimes_share_out_the_days_and_find_the_dry_years(observed):
    found = regimes(observed, TIME)
    assert (found["low flow"].sum() + found["medium flow"].sum() + found["high flow"].sum()) == observed.size
    assert found["low flow"].mean() == pytest.approx(0.3, abs=0.01)
    assert set(np.unique(hydrological_year(TIME)[found["driest years"][0]])) == {1991, 1992}


def test_errors_are_in_percent_of_the_flow_of_the_regime(observed):
    predictions = {"exact": observed, "half": np.stack([0.5 * observed, 1.5 * observed])}
    rows = {(row["regime"], row["coupling"]): row for row in regime_rows(predictions, observed, TIME)}
    assert len(rows) == 10
    assert rows["low flow", "exact"]["value"] == 0
    assert rows["wettest years", "half"]["value"] == pytest.approx(50)
    assert rows["wettest years", "half"]["low"] == pytest.approx(50)


def test_nothing_observed_gives_nan(observed):
    rows = regime_rows({"any": observed}, np.full_like(observed, np.nan), TIME)
    assert all(np.isnan(row["value"]) and row["days"] == 0 for row in rows)
