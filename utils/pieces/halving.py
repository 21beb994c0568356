"""Images of half the size, again and again: levels of a store, overviews of large maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["halved", "halved_to"]


def halved(page: NDArray) -> NDArray[np.float32]:
    """Means of 2x2 pixels (H, W); a last row or column without a neighbour stands for itself."""
    page = np.pad(page, [(0, side % 2) for side in page.shape], mode="edge")
    height, width = page.shape
    return page.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)


def halved_to(page: NDArray, times: int) -> NDArray:
    """`halved` so many times: means of `2^times` pixels a side."""
    for _ in range(times):
        page = halved(page)
    return page
