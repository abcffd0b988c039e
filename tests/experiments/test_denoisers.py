"""The lessons of the denoisers that studies share, in a tiny form; what lies in the package is small."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import platformdirs

from mechlearn.experiments.studies import _materials, _photographs


def test_a_guided_denoiser_is_taught_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    first = _materials.taught_guided(8, 1)
    (kept,) = (tmp_path / "mechlearn").iterdir()
    scene = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 8)), jnp.float32)
    np.testing.assert_array_equal(
        first({"bands": scene})["bands"], _materials.taught_guided(8, 1)({"bands": scene})["bands"]
    )
    assert kept.name == "guided-8-1.npz"


def test_scenes_of_materials_share_their_edges_and_have_noise_of_level_1():
    noisy, clean = (part["bands"] for part in _materials.examples(10))
    assert noisy.shape == (10, 3, 40, 40) and abs(np.std(noisy - clean) - 1) < 0.02
    contrast = clean.std(axis=(2, 3))
    assert np.all(np.diff(contrast[1::2], axis=1) < 0) and contrast[1::2].min() > 0.4 and contrast.max() < 31
    edges = np.abs(np.diff(clean, axis=-1)).reshape(10, 3, -1)
    assert np.mean([np.corrcoef(scene)[0, 2] for scene in edges]) > 0.3


def test_what_is_kept_in_the_package_is_small():
    kept = list(Path(_photographs.__file__).parent.glob("*.npz"))
    assert kept and all(file.stat().st_size < 100_000 for file in kept)
