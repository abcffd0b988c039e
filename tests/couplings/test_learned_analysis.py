"""A mechanism steered by a learner: imitation against the Kalman filter's gain, and what is refused."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.assimilation.enkf import ETKF
from mechlearn.compose import Rollout
from mechlearn.core import Model, Variable, named
from mechlearn.couplings.embedded.adjustment import imitation, learned_analysis
from mechlearn.learners.lstm import LSTM
from mechlearn.learners.sklearn import Sklearn
from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
from mechlearn.parameters import follow

LEVEL = Variable("level", "m")
MEMORY, NOISE, ERROR = 0.9, 0.5, 0.6
line = partial(Sklearn, estimator="sklearn.linear_model.Ridge", alpha=1e-6)


class Fading(Model):
    """A level that forgets at one rate."""

    inputs: ClassVar = (LEVEL,)
    outputs: ClassVar = (LEVEL,)
    state: ClassVar[tuple[str, ...]] = ("level",)

    def initial(self):
        return {"level": 0.0}

    def __call__(self, fields, *, key=None):
        return {"level": MEMORY * fields["level"]}


def kalman_gain(error):
    """That of the filter for one number when it has settled; what errs is the level before the step."""
    variance = 1.0
    for _ in range(200):
        forecast = MEMORY**2 * (variance + NOISE**2)
        variance = forecast * error**2 / (forecast + error**2)
    return forecast / (forecast + error**2)


@pytest.fixture(scope="module")
def observed():
    """600 observations of such a level, the last of them missing."""
    draw, level, seen = np.random.default_rng(1), 0.0, []
    for _ in range(600):
        level = MEMORY * (level + NOISE * draw.normal())
        seen.append(level + ERROR * draw.normal())
    return jnp.asarray([*seen[:-1], np.nan])


def test_imitation_finds_the_kalman_gain(observed):
    share = ERROR / float(np.nanstd(observed))
    system = imitation(
        Rollout(Fading()), line, observed=("level",), scheme=ETKF(), members=200, doubt=NOISE, error=share
    )
    (lesson,) = system.lessons
    fields = {"observed_level": observed}
    said = jax.jit(lambda given: lesson.examples(system.model, given, {}))(fields)
    inputs, targets = (jax.tree.map(np.asarray, part) for part in said)
    assert set(inputs) == {"level", "level_innovation", "level_coverage"}
    late = {name: value[50:] for name, value in inputs.items()}
    taught = follow(system.model, lesson.where).fit(
        late, {n: v[50:] for n, v in targets.items()}, key=jax.random.key(0)
    )
    made = taught({"level": jnp.asarray(1.0), "level_innovation": jnp.asarray(1.0), "level_coverage": jnp.asarray(1.0)})
    assert float(made["level_increment"]) == pytest.approx(kalman_gain(ERROR), abs=0.05)
    # Nothing was seen last: nothing is added but the mean of the members' noise.
    assert abs(targets["level_increment"][-1]) < 0.1 and inputs["level_coverage"][-1] == 0


def test_the_forecast_is_given_and_the_corrected_state_goes_on():
    system = learned_analysis(Rollout(Fading(), {"level": 1.0}), line, observed=("level",))
    (lesson,) = system.lessons
    inputs, targets = lesson.examples(system.model, {"observed_level": jnp.array([2.0, jnp.nan])}, {})
    np.testing.assert_allclose(inputs["level_innovation"], [1.1, 0.0], rtol=1e-6)
    np.testing.assert_allclose(targets["level_increment"], [-0.1, -0.09], rtol=1e-5)
    assert lesson.scale_only and named(system.outputs)["level"].dims == ("time",)


def test_what_cannot_be_steered_is_refused():
    with pytest.raises(ValueError, match="carried through time"):
        learned_analysis(Fading(), line, observed=("level",))
    with pytest.raises(ValueError, match="without memory"):
        learned_analysis(Rollout(Fading()), LSTM, observed=("level",))
    with pytest.raises(ValueError, match="gives no 'runoff'"):
        learned_analysis(Rollout(Lorenz96()), line)
