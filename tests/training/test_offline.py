"""Teaching learners alone: which examples they get, and in which shape."""

import equinox as eqx
import jax
import numpy as np
import pytest

from mechlearn.compose import Chain, Rollout
from mechlearn.core import Learner, Lesson, System, Variable
from mechlearn.data.batches import Windows
from mechlearn.training import offline
from mechlearn.training.offline import fit_offline
from mechlearn.variables import PRECIPITATION, RUNOFF

ELEVATION = Variable("elevation", "m")
LENGTH, WARMUP = 60, 40


class Pupil(Learner):
    """A learner that writes down what it is shown and answers with the rain."""

    series: bool = eqx.field(static=True)
    seen: list = eqx.field(static=True, default_factory=list)

    @property
    def sequential(self):
        return self.series

    @property
    def inputs(self):
        return (PRECIPITATION.over("time") if self.series else PRECIPITATION, ELEVATION)

    @property
    def outputs(self):
        return (RUNOFF.over("time") if self.series else RUNOFF,)

    def __call__(self, fields, *, key=None):
        return {"runoff": fields["precipitation"]}

    def standardise(self, inputs, targets):
        self.seen.append(("scales", inputs, targets))
        return self

    def fit(self, inputs, targets, *, key):
        self.seen.append(("all", inputs, targets))
        return self


def examples(model, fields, observed):
    return {name: fields[name] for name in ("precipitation", "elevation")}, observed


@pytest.fixture
def windows(catchments):
    return Windows(catchments, np.ones((2, 1095), bool), LENGTH, WARMUP)


def shown(pupil, windows, where="", model=None, **options):
    fit_offline(System(model or pupil, lessons=(Lesson(where, examples, **options),)), windows, key=jax.random.key(0))
    return pupil.seen


def test_a_learner_of_series_sees_whole_windows_and_no_target_in_the_warm_up(windows, monkeypatch):
    monkeypatch.setattr(offline, "BLOCK", 7)
    (_, _, _), (_, inputs, targets) = shown(Pupil(True), windows)
    assert inputs["precipitation"].shape == targets["runoff"].shape == (len(windows), WARMUP + LENGTH)
    assert inputs["elevation"].shape == (len(windows),)
    assert np.isnan(targets["runoff"][:, :WARMUP]).all()
    assert np.isfinite(targets["runoff"][:, WARMUP:]).any(axis=1).all()


def test_a_learner_of_days_sees_days_after_the_warm_up_with_their_site(windows, catchments):
    pupil = Pupil(False)
    rollout = Rollout(pupil, static=("elevation",))
    (_, _, _), (_, inputs, targets) = shown(pupil, windows, "step", rollout)
    days = len(windows) * LENGTH
    assert {value.shape for value in (*inputs.values(), *targets.values())} == {(days,)}
    fields, observed, _ = windows.take(np.arange(len(windows)))
    np.testing.assert_array_equal(inputs["precipitation"], np.ravel(fields["precipitation"][:, WARMUP:]))
    np.testing.assert_array_equal(targets["runoff"], np.ravel(observed["runoff"][:, WARMUP:]))
    np.testing.assert_array_equal(inputs["elevation"], np.repeat(fields["elevation"], LENGTH))


def test_every_observed_day_is_shown_once(windows, catchments):
    pupil = Pupil(False)
    (_, _, _), (_, _, targets) = shown(pupil, windows, "step", Rollout(pupil, static=("elevation",)))
    known = targets["runoff"][np.isfinite(targets["runoff"])]
    late = catchments.observed["runoff"][:, WARMUP:].astype(np.float32)
    np.testing.assert_array_equal(np.sort(known), np.sort(late.ravel()))


def test_a_lesson_for_scales_teaches_no_more(windows):
    assert [what for what, _, _ in shown(Pupil(True), windows, scale_only=True)] == ["scales"]


def test_lessons_are_taught_in_turn_each_at_its_place(windows):
    first, second = Pupil(True), Pupil(True)
    lessons = Lesson("parts.0", examples, scale_only=True), Lesson("parts.1", examples, scale_only=True)
    system = fit_offline(System(Chain(first, second), lessons=lessons), windows, key=jax.random.key(0))
    assert len(first.seen) == len(second.seen) == 1
    assert isinstance(system, System) and system.stages == ("offline", "online")
