"""Photographs that arrive inside a package: what learners of images are taught on where there is nothing else."""

import numpy as np
from sklearn.datasets import load_sample_images


def photographs() -> dict[str, np.ndarray]:
    """A temple in China and a flower, in shades of grey from 0 to 1 (row, column), from the package scikit-learn.

    >>> {name: image.shape for name, image in photographs().items()}
    {'china': (427, 640), 'flower': (427, 640)}
    """
    found = load_sample_images()
    return {
        name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".jpg"): image.mean(axis=-1) / 255
        for name, image in zip(found.filenames, found.images, strict=True)
    }


def patches(images: list[np.ndarray], count: int, size: int, draw: np.random.Generator) -> np.ndarray:
    """Square pieces (piece, row, column) from anywhere, turned and mirrored at random, at scales 1, 1/2 and 1/4."""
    scales = [scaled for image in images for scaled in (image, _halved(image), _halved(_halved(image)))]
    return np.stack([_piece(scales[draw.integers(len(scales))], size, draw) for _ in range(count)])


def dead_leaves(count: int, size: int, draw: np.random.Generator, leaves: int = 100) -> np.ndarray:
    """Images (image, row, column) of discs that lie over each other: edges at all scales, as in photographs.

    Radii have the density `r^-3`, shades are even between 0 and 1. Lee et al. (2001), doi:10.1023/A:1011109015675.

        >>> dead_leaves(2, 16, np.random.default_rng(0)).shape
        (2, 16, 16)
    """
    return np.stack([_leaves(size, draw, leaves) for _ in range(count)])


def _leaves(size: int, draw: np.random.Generator, leaves: int) -> np.ndarray:
    radius = 1.5 / np.sqrt(1 - draw.random(leaves) * (1 - (1.5 / size) ** 2))
    # The last leaf lies under all others and covers everything.
    radius[-1] = 3 * size
    row, column = draw.uniform(-size / 4, 5 * size / 4, (2, leaves, 1))
    place = np.arange(size)
    inside = ((place - row) ** 2)[:, :, None] + ((place - column) ** 2)[:, None, :] < radius[:, None, None] ** 2
    return draw.random(leaves)[np.argmax(inside, axis=0)]


def _piece(image: np.ndarray, size: int, draw: np.random.Generator) -> np.ndarray:
    row, column = (draw.integers(side - size + 1) for side in image.shape)
    piece = np.rot90(image[row : row + size, column : column + size], int(draw.integers(4)))
    return piece.T if draw.random() < 0.5 else piece


def _halved(image: np.ndarray) -> np.ndarray:
    rows, columns = (side // 2 for side in image.shape)
    return image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
