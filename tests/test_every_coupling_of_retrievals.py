"""Every coupling of thermal retrievals, discovered: taught on a few samples, and held to what all of them promise."""

import inspect
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import Learner, Variable, named
from mechlearn.couplings.cascade.refinement import residual
from mechlearn.couplings.embedded.retrieval import optimal_estimation
from mechlearn.couplings.infused.structure_constraint import transfer_equation
from mechlearn.couplings.radiative import AIR, CorrectAir
from mechlearn.couplings.series import Reader
from mechlearn.data.batches import Windows
from mechlearn.data.thermal_retrieval import read
from mechlearn.descent import Descent
from mechlearn.evaluation.splits import generated_from, make
from mechlearn.experiments.resolve import names, thing
from mechlearn.learners.mlp import MLP
from mechlearn.mechanisms.radiation.generalised_single_channel import GeneralisedSingleChannel
from mechlearn.mechanisms.radiation.standard_retrieval import StandardRetrieval
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.training.generation import calibrated_generation, changes
from mechlearn.training.predict import predict
from mechlearn.training.teach import fit

TARGET = "surface_temperature"
HOW = Descent(epochs=1, batch_size=64, learning_rate=1e-3, patience=0)
mlp = Reader(partial(MLP, width=8, depth=1, descent=Descent(epochs=0), key=jax.random.key(1)), (1,))


def of_retrievals(name):
    """Whether a coupling speaks of surfaces seen through the air."""
    target = inspect.signature(thing("couplings", name)).parameters.get("target")
    return target is not None and target.default == TARGET


FOUND = [name for name in names("couplings") if of_retrievals(name)]
ALSO = ["cascade.refinement.residual"]


class Zero(Learner):
    """A learner that says nothing."""

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)

    def __call__(self, fields, *, key=None):
        return {v.name: jnp.zeros(()) for v in self.outputs}

    def fit(self, inputs, targets, *, key):
        return self


@pytest.fixture(scope="module")
def record():
    """Samples through a hundred and twenty columns generated around RFMIP's."""
    return read(sets=("rfmip",), number=120, surfaces=2, generated=1, noise=0.0)


@pytest.fixture(scope="module")
def mechanism():
    return Rollout(StandardRetrieval())


@pytest.fixture(scope="module")
def taught(record, mechanism):
    """Each coupling after teaching, once, with what it says of every sample."""
    split = make(record, "by_fold")

    @cache
    def both(name):
        system = build(name, mechanism)
        reads = {v.name for v in system.inputs} | {v.name for lesson in system.lessons for v in lesson.reads}
        reads |= {v.name for term in system.terms for v in term.law.inputs} & set(record.fields)
        windows = Windows(record, split.train, 1, 0, inputs=sorted(reads))
        done = fit([system], windows, key=jax.random.key(0), how=HOW)[0][0]
        return done, predict(done, record, (TARGET,))[TARGET]

    return both


def build(name, mechanism):
    function = thing("couplings", name)
    chosen = Rollout(GeneralisedSingleChannel()) if name.endswith("refit") else mechanism
    options = {"target": TARGET} if "target" in inspect.signature(function).parameters else {}
    return function(chosen, *([mlp] if "learner" in inspect.signature(function).parameters else []), **options)


@pytest.mark.data
@pytest.mark.parametrize("name", FOUND + ALSO)
def test_it_is_taught_and_gives_a_finite_temperature_of_every_sample(taught, record, name):
    system, said = taught(name)
    there = np.isfinite(record.observed[TARGET])
    assert TARGET in named(system.outputs) and not system.stages
    assert np.isfinite(said[there]).all() and np.isnan(said[~there]).all()
    assert said[there].min() > 150 and said[there].max() < 500


@pytest.mark.data
def test_a_learner_that_says_nothing_leaves_the_mechanism(record, mechanism):
    zero = Reader(lambda inputs, outputs: Zero(tuple(inputs), tuple(outputs)), (1,))
    alone = predict(mechanism, record, (TARGET,))[TARGET]
    for coupling in (residual, transfer_equation):
        said = predict(coupling(mechanism, zero, target=TARGET).model, record, (TARGET,))[TARGET]
        assert np.nanmax(np.abs(said - alone)) < 2e-3


@pytest.mark.data
def test_generation_finds_the_continuum_of_the_truth(record):
    """The record's truth absorbs 1.05 and 0.85 times as much as the mechanism that generates; no noise hides it."""
    mask = make(record, "by_fold").train
    assert changes(record, mask, "brightness_temperature") == pytest.approx([0.05, -0.15], abs=0.05)
    moved = calibrated_generation(record, mask)
    made = np.isfinite(record.fields["generated_from"])
    before, after = (one.fields["brightness_temperature"] for one in (record, moved))
    assert np.array_equal(before[~made], after[~made], equal_nan=True) and np.nanmax(np.abs(after - before)[made]) > 0.1


@pytest.mark.data
def test_what_is_generated_is_of_training_samples_alone(record):
    split = make(record, "by_fold")
    made = generated_from(record, split.train)
    assert made.any() and not (made & (split.train | split.validation | split.test)).any()
    assert not (made.any(axis=1) & split.test.any(axis=1)).any()


def test_corrections_are_those_that_turn_one_air_into_another():
    right = CorrectAir("landsat8_tirs10")
    given, wanted = ({v.name: jnp.asarray(x) for v, x in zip(AIR, values, strict=True)} for values in (A, B))
    made = right({**given, **right.needed(given, wanted)})
    assert all(float(made[name]) == pytest.approx(float(wanted[name]), rel=1e-4) for name in wanted)


A, B = (0.70, 2.3, 3.5), (0.62, 2.9, 4.2)


@pytest.mark.data
def test_the_posterior_is_wider_where_the_air_is_moister(record, mechanism):
    model = optimal_estimation(mechanism).model
    seen = {v.name: jnp.full(2, 290.0) for v in model.inputs}
    seen |= {"surface_emissivity": jnp.full(2, 0.97), "air_temperature": jnp.full(2, 20.0)}
    seen |= {"surface_air_pressure": jnp.full(2, 1e5), "view_zenith_angle": jnp.zeros(2)}
    said = model({**seen, "atmosphere_mass_content_of_water_vapor": jnp.asarray([5.0, 45.0])})
    dry, wet = said["surface_temperature_standard_deviation"]
    assert 0.3 < dry < wet < 10


def test_other_mechanisms_are_refused():
    with pytest.raises(ValueError, match=r"needs the mechanism radiation\.standard_retrieval"):
        transfer_equation(Rollout(GeneralisedSingleChannel()), mlp)
    with pytest.raises(ValueError, match="gives no 'surface_temperature'"):
        thing("couplings", "cascade.initialization.refit")(Rollout(HBV()))
