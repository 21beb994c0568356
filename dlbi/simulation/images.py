"""Structures from a folder of grey-scale images: their edges, detected by Laplace filters."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from scipy.ndimage import gaussian_laplace, zoom
from torch import Tensor

from bayesdl_sim.utils.errors import InputError, require_folder

__all__ = ["image_density", "list_images"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
KEPT = 0.85  # quantile of the filtered image below which there is no structure
SCALE = 1.5  # pixels of the Laplacian of Gaussian


def list_images(folder: str | Path) -> list[Path]:
    """Images of a folder in the order of their names; `InputError` where there are none."""
    folder = require_folder(folder, "folder of images")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(
            f"{folder}: no image there (expected files ending in {', '.join(SUFFIXES)})"
        )
    return paths


def image_density(path: str | Path, shape: tuple[int, int]) -> Tensor:
    """Density of fluorophores (rows, columns) along the edges of an image.

    The image is made grey, scaled to fill the shape, and filtered by a Laplacian of Gaussian; the
    strongest 15 % of the response is the structure.

    Raises:
        InputError: a file that is not an image, or one without any edge.
    """
    try:
        image = np.asarray(iio.imread(path), np.float64)
    except Exception as error:  # decoders fail in their own ways
        raise InputError(f"{path} cannot be read as an image ({error})") from None
    if image.ndim == 3:
        image = image[..., :3].mean(axis=2) if image.shape[2] <= 4 else image[0]
    factor = max(want / have for want, have in zip(shape, image.shape, strict=True))
    image = zoom(image, factor, order=1)
    image = np.pad(
        image, [(0, max(0, n - m)) for n, m in zip(shape, image.shape, strict=True)], mode="edge"
    )
    top, left = ((m - n) // 2 for n, m in zip(shape, image.shape, strict=True))
    image = image[top : top + shape[0], left : left + shape[1]]
    edges = np.abs(gaussian_laplace(image, SCALE))
    edges = np.maximum(edges - np.quantile(edges, KEPT), 0)
    if not edges.max() > 1e-6 * max(float(np.abs(image).max()), 1e-12):
        raise InputError(f"{path} has no edges to draw a structure from: choose another image")
    return torch.from_numpy((edges / edges.max()).astype(np.float32))
