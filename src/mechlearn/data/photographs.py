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
    """Square pieces (piece, row, column) from anywhere, turned and mirrored at random, half of them at half scale."""
    scales = [scaled for image in images for scaled in (image, _halved(image))]
    return np.stack([_piece(scales[draw.integers(len(scales))], size, draw) for _ in range(count)])


def _piece(image: np.ndarray, size: int, draw: np.random.Generator) -> np.ndarray:
    row, column = (draw.integers(side - size + 1) for side in image.shape)
    piece = np.rot90(image[row : row + size, column : column + size], int(draw.integers(4)))
    return piece.T if draw.random() < 0.5 else piece


def _halved(image: np.ndarray) -> np.ndarray:
    rows, columns = (side // 2 for side in image.shape)
    return image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
