"""The denoiser that looks at other bands: taught on scenes made of materials, as multispectral images are."""

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

from ...core import Fields, Variable
from ...data.photographs import dead_leaves
from ...descent import Descent
from ...learners.denoiser import Denoiser
from ._photographs import SIZE, kept

BANDS = Variable("bands", "1", ("band", "row", "column"))
GUIDES, SCENES, EPOCHS = 2, 2000, 4
DESCENT = Descent(batch_size=4, learning_rate=3e-3, patience=0)
CONTRASTS = (0.5, 30.0)  # of the bands, in noise of level 1
BLURS = (0.7, 2.5)  # points
SHARPNESS = (0.03, 0.3)  # how far apart in colour a material ends and another begins


def taught_guided(scenes: int = SCENES, epochs: int = EPOCHS) -> Denoiser:
    """A denoiser whose bands look at the two that are known best, taught on so many scenes of three bands."""
    build = partial(Denoiser, [BANDS], [BANDS], guides=GUIDES, depth=5)
    return kept(f"guided-{scenes}-{epochs}", build, examples, scenes, replace(DESCENT, epochs=epochs))


def examples(scenes: int) -> tuple[Fields, Fields]:
    """Scenes of three bands (scene, band, row, column) with errors of level 1, the best known first, and without.

    The error is noise; in the last band of every other scene it is in part what a blur has taken away.
    """
    draw = np.random.default_rng(1)
    half = scenes // 2
    clean = np.concatenate([mixed(coloured(half, draw), draw), mixed(leaves(scenes - half, draw), draw)])
    clean = clean[draw.permutation(scenes)]
    low, high = np.log(CONTRASTS)
    contrast = np.exp(draw.uniform(low, high, (scenes, GUIDES + 1, 1, 1)))
    clean *= -np.sort(-contrast, axis=1)
    error = draw.normal(size=clean.shape)
    for scene in range(0, scenes, 2):
        clean[scene, -1], error[scene, -1] = blurred(clean[scene, -1], error[scene, -1], draw)
    return {"bands": (clean + error).astype(np.float32)}, {"bands": clean.astype(np.float32)}


def blurred(clean: np.ndarray, noise: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image scaled so that the detail which a blur takes away makes an error of level 1 with some of the noise."""
    lost = gaussian_filter(clean, draw.uniform(*BLURS), mode="nearest") - clean
    share = draw.uniform(0.1, 0.9)
    scale = share / max(float(np.std(lost)), 1e-9 * float(np.std(clean)), 1e-12)
    return clean * scale, lost * scale + noise * (1 - share**2) ** 0.5


def mixed(colours: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Bands of unit spread of scenes (scene, row, column, colour) whose colours stand for mixtures of materials.

    Materials are the colours of a few points; each point is the more of one the nearer it is to its colour. What
    a material looks like in each band is drawn at random.
    """
    return np.stack([_mixture(scene, draw) for scene in colours])


def _mixture(scene: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    points = scene.reshape(-1, scene.shape[-1])
    materials = points[draw.integers(len(points), size=draw.integers(3, 8))]
    far = ((points[:, None] - materials) ** 2).sum(-1) / (2 * np.exp(draw.uniform(*np.log(SHARPNESS))) ** 2)
    share = np.exp(far.min(1, keepdims=True) - far)
    bands = (share / share.sum(1, keepdims=True)) @ draw.normal(size=(len(materials), GUIDES + 1))
    # Light and shade within a material.
    bands += points @ draw.normal(size=(scene.shape[-1], GUIDES + 1)) * draw.uniform(0, 2)
    bands = (bands - bands.mean(0)) / np.maximum(bands.std(0), 1e-6)
    return bands.T.reshape(GUIDES + 1, *scene.shape[:2])


def leaves(count: int, draw: np.random.Generator) -> np.ndarray:
    """Random discs over each other, each of one colour (scene, row, column, 1)."""
    return dead_leaves(count, SIZE, draw)[..., None]


def coloured(count: int, draw: np.random.Generator) -> np.ndarray:
    """Pieces of the colour photographs of scikit-learn at three scales, turned at random (scene, row, column, 3)."""
    images = [image / 255 for image in load_sample_images().images]
    images = [
        image[:424, :640].reshape(424 // n, n, 640 // n, n, 3).mean((1, 3)) for image in images for n in (1, 2, 4)
    ]
    return np.stack([_piece(images[draw.integers(len(images))], draw) for _ in range(count)])


def _piece(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    row, column = (draw.integers(side - SIZE + 1) for side in image.shape[:2])
    piece = np.rot90(image[row : row + SIZE, column : column + SIZE], int(draw.integers(4)))
    return piece.swapaxes(0, 1) if draw.random() < 0.5 else piece
