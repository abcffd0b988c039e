"""Laws as metrics."""

import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Law, Variable
from mechlearn.evaluation.consistency import audit, audit_sites


class Positive(Law):
    inputs: tuple[Variable, ...] = (Variable("runoff", "mm day-1", ("time",)),)

    def residual(self, fields):
        return jnp.minimum(fields["runoff"], 0.0)


def test_a_law_is_judged_by_its_mean_its_worst_and_how_often_it_breaks():
    row = audit({"positive": Positive()}, {"runoff": jnp.array([1.0, -2.0, 0.0, -0.5])}, tolerance=0.6)[0]
    assert row["mean"] == pytest.approx(0.625) and row["max"] == 2.0 and row["broken"] == 0.25 and row["n"] == 4


def test_what_cannot_be_judged_is_said():
    missing = audit({"positive": Positive()}, {"snow": jnp.ones(2)})[0]
    assert np.isnan(missing["mean"]) and "needs runoff" in missing["reason"]
    gappy = audit_sites({"positive": Positive()}, {"a": {"runoff": jnp.array([1.0, jnp.nan])}})[0]
    assert gappy["site"] == "a" and gappy["broken"] == 0.5 and "not finite" in gappy["reason"]
