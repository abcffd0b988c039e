"""Controls change what they say and nothing else."""

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import numpy as np
import pytest

from mechlearn.evaluation.controls import attributes_shuffled, forcing_scrambled, physics_scrambled
from mechlearn.parameters import Parameter


@dataclass(frozen=True)
class Sample:
    fields: dict
    time: np.ndarray

    def with_fields(self, fields):
        return replace(self, fields={**self.fields, **fields})


class Soil(eqx.Module):
    depth: Parameter = Parameter(200.0, "mm", (50, 700))
    floor: Parameter = Parameter(1.0, "mm", (0, 2), fixed=True)


@pytest.fixture
def record():
    time = np.arange("1999-10-01", "2004-12-01", dtype="datetime64[D]")
    rain = np.random.default_rng(0).random((4, time.size))
    return Sample({"precipitation": rain, "area": np.arange(4.0), "slope": 10 * np.arange(4.0)}, time)


def test_no_site_keeps_its_attributes_and_they_stay_together(record):
    made = attributes_shuffled(record, jax.random.key(0)).fields
    assert sorted(made["area"]) == [0, 1, 2, 3] and (made["area"] != record.fields["area"]).all()
    assert (made["slope"] == 10 * made["area"]).all()
    assert made["precipitation"] is record.fields["precipitation"]
    with pytest.raises(ValueError, match="two sites"):
        attributes_shuffled(Sample({"area": np.ones(1)}, record.time), jax.random.key(0))


def test_complete_years_of_forcing_move_and_incomplete_ones_stay(record):
    made = forcing_scrambled(record, jax.random.key(0)).fields["precipitation"]
    rain = record.fields["precipitation"]
    moved = made != rain
    assert moved[:, :365].all() and not moved[:, -50:].any()
    assert np.sort(made[0]) == pytest.approx(np.sort(rain[0]))
    short = Sample({"precipitation": rain[:, :400]}, record.time[:400])
    with pytest.raises(ValueError, match="two complete"):
        forcing_scrambled(short, jax.random.key(0))


def test_scrambled_physics_is_within_bounds_and_held(record):
    made = physics_scrambled(Soil(), jax.random.key(1))
    assert made.depth.fixed and 50 <= made.depth.value <= 700 and made.depth.value != 200
    assert made.floor.value == 1.0
    with pytest.raises(ValueError, match="no physical parameters"):
        physics_scrambled(eqx.nn.Identity(), jax.random.key(1))
