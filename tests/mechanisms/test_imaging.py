"""Cameras, tomographs and radars against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.mechanisms.imaging.camera import Camera, point_spread
from mechlearn.mechanisms.imaging.phase_history import PhaseHistory
from mechlearn.mechanisms.imaging.tomograph import Tomograph, parallel_rays


def test_the_projections_of_a_disc_are_its_chords_from_every_side():
    size, radius = 33, 10.0
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    disc = np.clip(radius + 0.5 - np.hypot(row, column), 0, 1)
    rays = parallel_rays(size, [0.0, 0.6, 2.0])
    seen = np.asarray(Tomograph(rays)({"image": jnp.asarray(disc)})["projections"])
    offset = np.arange(seen.shape[1]) - seen.shape[1] // 2
    chords = 2 * np.sqrt(np.maximum(radius**2 - offset**2, 0))
    inside = abs(offset) < 9
    assert np.abs(seen - chords)[:, inside].max() < 0.6 and np.abs(seen - chords).mean() < 0.3
    np.testing.assert_allclose(seen.sum(axis=1), disc.sum(), rtol=0.01)


def test_a_phase_history_keeps_the_energy_of_its_scene():
    parts = {name: jax.random.normal(jax.random.key(n), (8, 8)) for n, name in enumerate(("real", "imaginary"))}
    made = PhaseHistory(jnp.ones((8, 8)))({f"reflectivity_{name}": part for name, part in parts.items()})
    energy = sum(jnp.sum(part**2) for part in parts.values())
    np.testing.assert_allclose(sum(jnp.sum(part**2) for part in made.values()), energy, rtol=1e-5)


def test_a_scene_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="sees 3 bands of 8 by 8"):
        Camera(jnp.ones((1, 3)), point_spread(8, 4))({"radiance": jnp.ones((2, 8, 8))})
    with pytest.raises(ValueError, match="the rays cross 16 pixels"):
        Tomograph(parallel_rays(4, [0.0]))({"image": jnp.ones((5, 5))})
