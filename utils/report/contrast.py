"""The values at the ends of the colours of an image; needs no plotting library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["display_limits"]

_SHOWN = (0.1, 99.9)  # percentiles at the ends of the colours, so that one hot pixel dims nothing
_ENOUGH = 250_000  # pixels; 250 of them lie beyond each end


def display_limits(image: NDArray) -> tuple[float, float]:
    """The values at the two ends of the colours, never equal: percentiles, so that one hot pixel
    dims nothing."""
    some = image.reshape(-1)[:: max(1, image.size // _ENOUGH)]
    low, high = (float(limit) for limit in np.nanpercentile(some, _SHOWN))
    return (low, high) if high > low else (low, low + 1.0)
