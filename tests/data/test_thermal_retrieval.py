"""Samples of thermal retrievals: surfaces grey or natural, and what is told of each band."""

import numpy as np
import pytest

from mechlearn.data.fields import DataError
from mechlearn.data.natural_surfaces import natural_emissivities
from mechlearn.data.thermal_retrieval import _surfaces, _with_noise, read

BANDS = ("modis31", "modis29", "modis32")
ERRORS = (0.1, 0.01, (0.1, 0.5), 1.5)


class Columns:
    """Air near the ground, which is all that surfaces look at."""

    temperature = np.linspace(270, 300, 6)[:, None] * np.ones((6, 3))

    def __len__(self):
        return len(self.temperature)


def samples(draw, bands):
    temperature, emissivity = _surfaces(Columns(), 4, draw, bands)
    water = np.full(temperature.shape, 20.0)
    seen = np.repeat(temperature[..., None], 3, axis=-1)
    rest = {"true_atmosphere_mass_content_of_water_vapor": water, "air_temperature": temperature - 273.15}
    return {"brightness": seen, "surface_temperature": temperature, "true_emissivity": emissivity, **rest}


def test_grey_samples_are_drawn_as_they_were_before_there_were_others():
    made = _with_noise(drawn := samples(np.random.default_rng(4), ()), draw := np.random.default_rng(5), *ERRORS)
    first, second = np.random.default_rng(4), np.random.default_rng(5)
    np.testing.assert_array_equal(
        drawn["surface_temperature"], Columns.temperature[:, :1] + first.uniform(-8, 20, (6, 4))
    )
    emissivity = np.maximum(1 - first.gamma(2.2, 0.012, (6, 4)), 0.8)
    np.testing.assert_array_equal(drawn["true_emissivity"], emissivity)
    said = np.clip(emissivity + second.normal(0, 0.01, (6, 4)), 0.7, 1.0)
    np.testing.assert_array_equal(made["surface_emissivity"], said)
    np.testing.assert_array_equal(made["brightness"], drawn["brightness"] + second.normal(0, 0.1, (6, 4, 3)))
    second.normal(size=(2, 6, 4))
    assert draw.bit_generator.state == second.bit_generator.state


def test_natural_samples_have_an_emissivity_for_each_band():
    made = _with_noise(samples(np.random.default_rng(4), BANDS), np.random.default_rng(5), *ERRORS)
    assert made["surface_emissivity"].shape == (6, 4, 3)
    missed = np.abs(made["surface_emissivity"] - made["true_emissivity"])[..., 0]
    np.testing.assert_array_equal(made["emissivity_error"], missed)


def test_natural_surfaces_are_alike_near_12_micrometres_and_differ_where_quartz_shines():
    drawn = natural_emissivities(BANDS, (4000,), np.random.default_rng(0))
    together = np.corrcoef(drawn.T)
    assert 0.55 < together[0, 2] < 0.95 and together[0, 1] > 0.4
    assert drawn.min() >= 0.6 and drawn.max() < 1
    assert drawn[:, 1].std() > 3 * drawn[:, 0].std()


def test_another_kind_of_surface_is_refused():
    with pytest.raises(DataError, match='"grey" or "natural"'):
        read(emissivities="uniform")  # pyright: ignore[reportArgumentType]
