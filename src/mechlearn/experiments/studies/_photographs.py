"""The denoiser that studies of images share: taught once on photographs, its weights kept."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import platformdirs

from ...core import Fields, Variable
from ...data.photographs import dead_leaves, patches, photographs
from ...descent import Descent
from ...learners.denoiser import Denoiser

IMAGE = Variable("image", "1", ("row", "column"))
PIECES, EPOCHS, SIZE = 6400, 8, 40
DESCENT = Descent(batch_size=16, learning_rate=2e-3, patience=0)
CONTRASTS = (1.5, 150.0)  # of the images, in noise of level 1


def taught_denoiser(pieces: int = PIECES, epochs: int = EPOCHS) -> Denoiser:
    """A denoiser taught on so many images in noise of level 1: half photographs of scikit-learn, half dead leaves."""
    return kept(
        f"denoiser-{pieces}-{epochs}",
        partial(Denoiser, [IMAGE], [IMAGE]),
        examples,
        pieces,
        replace(DESCENT, epochs=epochs),
    )


def kept(
    name: str,
    build: Callable[..., Denoiser],
    examples: Callable[[int], tuple[Fields, Fields]],
    count: int,
    how: Descent,
) -> Denoiser:
    """A denoiser taught on so many examples, from a file where there is one, else taught now and kept.

    The file lies beside this one (what comes with the package was written by this function) or in the user's cache.
    """
    untaught = build(descent=how)
    here = Path(__file__).parent / f"{name}.npz"
    path = here if here.exists() else Path(platformdirs.user_cache_dir("mechlearn")) / here.name
    if not path.exists():
        found = untaught.fit(*examples(count), key=jax.random.key(0))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez_compressed(file, *(np.asarray(array, np.float16) for array in (*found.kernels, *found.biases)))
        os.replace(part, path)
    with np.load(path, allow_pickle=False) as file:
        arrays = [jax.numpy.asarray(file[f"arr_{place}"], float) for place in range(len(file.files))]
    half = len(arrays) // 2
    return eqx.tree_at(lambda d: (d.kernels, d.biases), untaught, (tuple(arrays[:half]), tuple(arrays[half:])))


def examples(pieces: int) -> tuple[Fields, Fields]:
    """Pieces of photographs and as many images of dead leaves, with and without noise (piece, row, column)."""
    draw = np.random.default_rng(0)
    half = pieces // 2
    seen = patches(list(photographs().values()), half, SIZE, draw)
    clean = np.concatenate([seen, dead_leaves(pieces - half, SIZE, draw)])
    clean *= np.exp(draw.uniform(np.log(CONTRASTS[0]), np.log(CONTRASTS[1]), (pieces, 1, 1)))
    noisy = clean + draw.normal(size=clean.shape)
    return {"image": noisy.astype(np.float32)}, {"image": clean.astype(np.float32)}
