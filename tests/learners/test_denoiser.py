"""The denoiser: a constant passes through, a bound on its stretch holds, levels scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.core import Variable
from mechlearn.learners.denoiser import Denoiser

IMAGE = Variable("image", "1", ("row", "column"))


def test_a_constant_passes_and_levels_scale_and_a_bound_holds():
    image = jax.random.normal(jax.random.key(0), (2, 10, 10))
    free = Denoiser([IMAGE], [IMAGE], width=4, depth=3, key=jax.random.key(2))
    bands = Variable("bands", "1", ("band", "row", "column"))
    many = free.facing(bands, jnp.array([1.0, 2.0]))({"bands": image + 5.0})["bands"]
    np.testing.assert_allclose(many[0], free({"image": image[0]})["image"] + 5.0, atol=1e-4)
    np.testing.assert_allclose(many[1] / 2, free({"image": image[1] / 2})["image"] + 2.5, atol=1e-4)
    wild = Denoiser([IMAGE], [IMAGE], width=4, depth=3, lipschitz=0.5)
    change = jnp.linalg.norm(wild.noise(image[0]) - wild.noise(image[1]))
    assert change <= 0.5 * 1.5 * jnp.linalg.norm(image[0] - image[1])  # repeated edges stretch a little more


def test_a_band_looks_at_the_first_others_whatever_their_units():
    bands = Variable("bands", "1", ("band", "row", "column"))
    image = jax.random.normal(jax.random.key(1), (4, 8, 8))
    guided = Denoiser([bands], [bands], width=4, depth=3, guides=2)

    def clean(scene):
        return guided({"bands": scene})["bands"]

    made = clean(image)
    np.testing.assert_allclose(clean(image.at[0].multiply(7.0).at[0].add(3.0))[1:], made[1:], atol=1e-5)
    np.testing.assert_allclose(clean(image.at[3].add(image[2]))[:3], made[:3], atol=1e-6)
    assert float(jnp.max(abs(clean(image.at[1].add(image[2]))[3] - made[3]))) > 1e-4
    np.testing.assert_allclose(clean(image + 2.0), made + 2.0, atol=1e-5)


def test_what_a_guided_denoiser_cannot_keep_is_refused():
    bands = Variable("bands", "1", ("band", "row", "column"))
    with pytest.raises(ValueError, match="at least 3 axes"):
        Denoiser([IMAGE], [IMAGE], guides=1)
    with pytest.raises(ValueError, match="does not hold"):
        Denoiser([bands], [bands], guides=1, lipschitz=0.5)
