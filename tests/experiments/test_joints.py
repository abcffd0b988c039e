"""Which joint to replace: a planted wrong sub-process is found, within the time that is given."""

import json
import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import Model, Variable
from mechlearn.experiments.joints import Candidate, _advice, _Bench, _in_time, joints_of
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.variables import PRECIPITATION, RUNOFF

WATER = Variable("water_storage", "mm", (), (0, math.inf))
LOSS = Variable("loss", "mm day-1", (), (0, math.inf))
DEMAND = Variable("potential_evapotranspiration", "mm day-1", (), (0, math.inf))


class Loss(Model):
    """Half of the demand is met."""

    share: float = 0.5
    inputs: ClassVar = (DEMAND,)
    outputs: ClassVar = (LOSS,)

    def __call__(self, fields, *, key=None):
        return {"loss": self.share * fields["potential_evapotranspiration"]}


class Outlet(Model):
    """A share of the store runs out."""

    exponent: float = eqx.field(static=True, default=1.0)
    inputs: ClassVar = (WATER,)
    outputs: ClassVar = (RUNOFF,)

    def __call__(self, fields, *, key=None):
        return {"runoff": 0.1 * fields["water_storage"] ** self.exponent}


class Bucket(Model):
    """Rain fills it, two sub-processes empty it."""

    loss: Model = Loss()
    outlet: Model = Outlet()
    state: ClassVar = ("water_storage",)
    inputs: ClassVar = (PRECIPITATION, DEMAND, WATER)
    outputs: ClassVar = (RUNOFF, WATER)

    def initial(self):
        return {"water_storage": 30.0}

    def __call__(self, fields, *, key=None):
        taken = self.loss({DEMAND.name: fields[DEMAND.name]})["loss"]
        water = jnp.maximum(fields["water_storage"] + fields["precipitation"] - taken, 0.0)
        runoff = jnp.minimum(self.outlet({"water_storage": water})["runoff"], water)
        return {"runoff": runoff, "water_storage": water - runoff}


def wrong():
    """The same bucket with an outlet that drains a full store faster."""
    return Rollout(Bucket(outlet=Outlet(1.3)))


EXPERIMENT = """
[mechanism]
model = "tests_of_joints:Bucket"
training = { by = "nothing" }

[learner]
model = "polynomial"
degree = 2

[joints]
truth = { model = "tests_of_joints:wrong" }
epochs = 40
longest = 40

[training]
window = 120
warmup = 30
batch_size = 2
learning_rate = 0.1
"""


@pytest.fixture
def twin(place, monkeypatch):
    """The river with the flow of another bucket, in a folder one is in."""
    monkeypatch.setitem(sys.modules, "tests_of_joints", sys.modules[__name__])
    tiny = (place / "tiny.toml").read_text()
    (place / "twin.toml").write_text(tiny[tiny.index("[data]") : tiny.index("[mechanism]")] + EXPERIMENT)
    return place


def test_the_planted_joint_is_found_and_ranked_by_a_command_that_was_stopped(twin, mechlearn_, monkeypatch):
    words = ("compare", "--joints", "twin.toml", "--out", "found", "--budget", "300")
    measure, measured = _Bench.measure, []

    def stopped(bench, one):
        measured.append(one.name)
        if len(measured) == 2:
            raise KeyboardInterrupt
        measure(bench, one)

    monkeypatch.setattr(_Bench, "measure", stopped)
    broken_off = mechlearn_(*words)
    assert broken_off.code == 1 and "go on with --resume" in broken_off.err
    assert not (twin / "found" / "results.json").exists()
    told = mechlearn_(*words, "--resume")
    assert told.code == 0, told.err
    assert measured == ["polynomial at loss", *["polynomial at outlet"] * 2], "what was done is not done again"
    rows = json.loads((twin / "found" / "results.json").read_text())
    gains = {row["coupling"]: row["value"] for row in rows if row["metric"] == "online_gain_test"}
    assert list(gains) == ["polynomial at outlet", "polynomial at loss"]
    assert gains["polynomial at outlet"] > 0.1 > abs(gains["polynomial at loss"])
    metrics = {row["metric"] for row in rows}
    assert {"online_gain", "offline_departure", "fallback_share", "run_time", "gain_per_cost"} <= metrics
    assert "Give outlet to polynomial" in told.out and (twin / "found" / "report.html").is_file()


def test_what_the_time_does_not_reach_is_told_and_not_taught():
    one = Candidate("outlet", "mlp", None, None, seconds=8.0, epochs=4)
    bench = SimpleNamespace(place=lambda *_: Path("not_there"))
    assert not _in_time(one, 8, time.perf_counter() + 10.0, bench, print)  # twice as many epochs take 16 s
    assert _advice([]) == _advice([one]) and "leave it as it is" in _advice([one])


def test_joints_are_those_without_a_memory_of_their_own():
    assert list(joints_of(Rollout(HBV()))) == ["snow", "evaporation", "soil", "percolation", "response"]


def test_requests_that_cannot_be_carried_out(twin, refused):
    assert "--out DIR" in refused("compare", "--joints", "twin.toml")
    assert "goes with --joints" in refused("compare", "twin.toml", "--budget", "3")
    told = refused("compare", "--joints", "twin.toml", "--out", "x", "--set", 'joints.joints=["outlett"]')
    assert "did you mean 'outlet'" in told


def test_a_run_tells_how_often_a_guarded_scheme_answered(twin, mechlearn_):
    coupling = '[{name="embedded.guard.guarded", joint="outlet"}]'
    few = ("--seeds", "1", "--set", f"coupling={coupling}", "--set", "training.epochs=1")
    told = mechlearn_("run", "twin.toml", "--out", "run", *few)
    assert told.code == 0, told.err
    rows = json.loads((twin / "run" / "results.json").read_text())
    (share,) = {row["value"] for row in rows if row["metric"] == "fallback_share" and row["part"] == "test"}
    assert 0 <= share < 0.5 and "fallback share" in (twin / "run" / "report.html").read_text()
