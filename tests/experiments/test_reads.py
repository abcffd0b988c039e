"""A learner alone reads what its coupling names, in place of the mechanism's forcing."""

import jax
import numpy as np
import pytest

from mechlearn.core import Variable
from mechlearn.data.fields import Record
from mechlearn.experiments.config import RequestError
from mechlearn.experiments.problem import couple, mechanism

SETTINGS = {
    "experiment": {"target": "surface_temperature"},
    "training": {},
    "learner": {"model": "mlp", "width": 4, "days": [1], "also": ["air_temperature"]},
}


@pytest.fixture(scope="module")
def record():
    split = mechanism({"model": "radiation.split_window", "second": "modis32"})
    further = [Variable("air_temperature", "degC", ("time",)), Variable("true_water", "kg m-2", ("time",))]
    variables = {v.name: v for v in (*split.inputs, *further, *split.outputs)}
    fields = {name: np.ones((1, 2)) for name in variables if name != "surface_temperature"}
    observed = {"surface_temperature": np.ones((1, 2))}
    return Record(fields, observed, np.arange(2), ("a",), variables, independent=True, hidden=("true_water",))


def alone(record, **options):
    split = mechanism({"model": "radiation.split_window", "second": "modis32"})
    system = couple({"name": "learner_only", **options}, split, {}, SETTINGS, record, jax.random.key(0))
    return [v.name for v in system.inputs]


def test_a_learner_alone_reads_the_forcing_or_what_is_named(record):
    assert "brightness_temperature_modis32" in alone(record) and "air_temperature" in alone(record)
    two = ["brightness_temperature", "brightness_temperature_modis32"]
    assert alone(record, reads=two) == two


@pytest.mark.parametrize(
    ("reads", "told"),
    [
        ([], "must be a list of fields"),
        ("brightness_temperature", "must be a list of fields"),
        (["brightnes_temperature"], "did you mean 'brightness_temperature'"),
        (["true_water"], "nobody knows who predicts"),
    ],
)
def test_reads_that_cannot_be_are_refused(record, reads, told):
    with pytest.raises(RequestError, match=told):
        alone(record, reads=reads)
