"""Microwaves through one layer of air: closed forms, and optimal estimation around a first guess."""

import numpy as np
import pytest

from mechlearn.experiments.studies import first_guess
from mechlearn.mechanisms.microwave.one_layer import EMISSIVITIES, OneLayer, example


def seen(**changes):
    return np.array(list(OneLayer()({**example()["inputs"], **changes}).values()))


def test_a_black_surface_as_warm_as_the_air_is_seen_through_anything():
    black = {v.name: 1.0 for v in EMISSIVITIES}
    assert seen(**black, surface_temperature=275.0) == pytest.approx(np.full(7, 275.0), rel=1e-6)


def test_nothing_is_seen_through_deep_water_but_the_air():
    assert seen(atmosphere_mass_content_of_cloud_liquid_water=300.0) == pytest.approx(np.full(7, 275.0), rel=1e-5)


def test_cloud_takes_polarisation_away():
    thin, thick = (seen(atmosphere_mass_content_of_cloud_liquid_water=water) for water in (0.0, 1.0))
    assert np.all(np.abs(thick[[0, 3, 5]] - thick[[1, 4, 6]]) < np.abs(thin[[0, 3, 5]] - thin[[1, 4, 6]]))


def test_what_is_seen_makes_a_first_guess_better():
    draw = np.random.default_rng(3)
    teaching, testing = (first_guess.scenes("cloudy", count, 0.6, draw) for count in (400, 200))
    truth, guess = (first_guess.stacked(testing, names) for names in (first_guess.UNKNOWN, first_guess.GUESSES))
    found = first_guess.estimators("cloudy", teaching, 0.6)["mechanism_only, linear"](testing)
    errors = {
        name: np.sqrt(np.mean((values - truth) ** 2, axis=0)) for name, values in (("guess", guess), ("x", found))
    }
    warmth = [v.name for v in first_guess.UNKNOWN].index("surface_temperature")
    assert errors["guess"][warmth] == pytest.approx(4.0, rel=0.15)
    assert errors["x"][warmth] < 0.7 * errors["guess"][warmth]
    assert np.all(errors["x"] < 1.05 * errors["guess"])
