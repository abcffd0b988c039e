"""The denoiser that studies of images share: taught once on photographs, its weights kept in the cache."""

import os
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import platformdirs

from ...core import Variable
from ...data.photographs import patches, photographs
from ...descent import Descent
from ...learners.denoiser import Denoiser

IMAGE = Variable("image", "1", ("row", "column"))
SIZE = 40
CONTRASTS = (5.0, 100.0)  # of the photographs, in noise of level 1


def taught_denoiser(pieces: int, epochs: int, lipschitz: float | None = None) -> Denoiser:
    """A denoiser taught on so many pieces of the two photographs of scikit-learn, with noise of level 1 added."""
    descent = Descent(epochs=epochs, batch_size=16, learning_rate=3e-3, patience=0)
    untaught = Denoiser([IMAGE], [IMAGE], lipschitz=lipschitz, descent=descent)
    path = Path(platformdirs.user_cache_dir("mechlearn")) / f"denoiser-{pieces}-{epochs}-{lipschitz}.npz"
    if not path.exists():
        noisy, clean = examples(pieces)
        found = untaught.fit({"image": noisy}, {"image": clean}, key=jax.random.key(0))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(file, *found.kernels, *found.biases)
        os.replace(part, path)
    with np.load(path, allow_pickle=False) as kept:
        arrays = [jax.numpy.asarray(kept[f"arr_{place}"]) for place in range(len(kept.files))]
    half = len(arrays) // 2
    return eqx.tree_at(lambda d: (d.kernels, d.biases), untaught, (tuple(arrays[:half]), tuple(arrays[half:])))


def examples(pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of photographs with and without noise (piece, row, column)."""
    draw = np.random.default_rng(0)
    clean = patches(list(photographs().values()), pieces, SIZE, draw)
    clean *= np.exp(draw.uniform(np.log(CONTRASTS[0]), np.log(CONTRASTS[1]), (pieces, 1, 1)))
    return (clean + draw.normal(size=clean.shape)).astype(np.float32), clean.astype(np.float32)
