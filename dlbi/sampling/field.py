"""The residual of the movie, light not yet explained, over its noise, around each emitter."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bayesdl_sim.dlbi.conventions import FINE
from bayesdl_sim.dlbi.inference.spots import gaussian

__all__ = ["SMALLEST_VARIANCE", "Field", "View", "camera_position", "pixel_width"]

REACH = 3.0  # widths at which a spot is cut off; its height is 1 % of the maximum there
ROOM = 1  # camera pixels by which an emitter may leave the centre of its patch
# Blur, in camera pixels, of the frames from which the variance of the shot noise is estimated, and
# its lower limit as a share of the background.
VARIANCE_BLUR = 0.7
LEAST_VARIANCE = 0.7
# Electrons squared, of a pixel without any light: the variance of rounding to whole electrons.
SMALLEST_VARIANCE = 1 / 12


class View(NamedTuple):
    """Patches around a class of emitters."""

    pixels: NDArray[np.int64]  # (B, Q), flat indices
    anchors: NDArray[np.int64]  # (B, 2), camera pixels of their centres
    weighted: NDArray[np.float32]  # (B, Q, T), unexplained light over its variance
    weights: NDArray[np.float32]  # (B, Q, T), one over the variance


def camera_position(fine: NDArray) -> NDArray[np.float64]:
    """Camera coordinates of the centres of fine pixels: (i + 1/2) / 8 - 1/2."""
    return (fine + 0.5) / FINE - 0.5


def pixel_width(sigma_px: float) -> float:
    """Width of the Gaussian that, sampled at pixel centres, is closest to one integrated over them.

    A pixel adds the variance 1/12 of its own to that of the spot.
    """
    return float(np.sqrt(sigma_px**2 + 1 / 12))


class Field:
    """Unexplained light of a movie, with a variance for each pixel of each frame.

    Args:
        movie: (T, H, W) in electrons, variance and mean of which are equal.
        background: electrons per pixel and frame, of the whole field or (H, W).
        width: width of the spots sampled at pixel centres, in camera pixels.
        noise: standard deviation of further noise, electrons.
        silent: (T,), true for frames that are left out of the likelihood.
    """

    def __init__(
        self,
        movie: NDArray,
        background: float | NDArray,
        width: float,
        noise: float = 0.0,
        silent: NDArray[np.bool_] | None = None,
    ):
        self.frames, *shape = movie.shape
        self.shape = (shape[0], shape[1])
        self.width = width
        self.radius = int(np.ceil(REACH * width - 0.5)) + ROOM
        self.side = 2 * self.radius + 1
        variance = gaussian_filter(movie, (0, VARIANCE_BLUR, VARIANCE_BLUR))
        variance = np.maximum(variance, LEAST_VARIANCE * background) + noise**2
        variance = np.maximum(variance, SMALLEST_VARIANCE)
        weights = (1 / variance).astype(np.float32)
        if silent is not None:
            weights[silent] = 0
        self.weights = self._padded(weights)
        self.weighted = self._padded((movie - background) * weights)

    def _padded(self, movie: NDArray) -> NDArray[np.float32]:
        padding = [(self.side, self.side)] * 2 + [(0, 0)]
        padded = np.pad(np.moveaxis(movie, 0, 2).astype(np.float32), padding)
        return np.ascontiguousarray(padded).reshape(-1, self.frames)

    def view(self, anchors: NDArray[np.int64]) -> View:
        """Copies the patches around camera pixels (B, 2)."""
        steps = np.arange(self.side) - self.radius + self.side
        rows, columns = anchors[:, :1] + steps, anchors[:, 1:] + steps
        pixels = rows[:, :, None] * (self.shape[1] + 2 * self.side) + columns[:, None, :]
        pixels = pixels.reshape(len(anchors), -1)
        return View(pixels, anchors, self.weighted[pixels], self.weights[pixels])

    def profiles(self, fine: NDArray, anchors: NDArray) -> NDArray[np.float64]:
        """Spots in one dimension (..., side) of emitters at fine pixels (...) on their patches."""
        pixels = np.arange(-self.radius, self.radius + 1) + anchors[..., None]
        return gaussian(pixels - camera_position(fine)[..., None], self.width)

    def spots(self, fine: NDArray, anchors: NDArray) -> NDArray[np.float32]:
        """Spots (B, Q) of unit sum of emitters at fine pixels (B, 2) on their patches."""
        along = self.profiles(fine, anchors)
        spots = along[:, 0, :, None] * along[:, 1, None, :]
        return spots.reshape(len(fine), -1).astype(np.float32)

    def project(self, view: View, spots: NDArray) -> tuple[NDArray, NDArray]:
        """Unexplained light and weights projected on spots: f and G, (B, T) float64 each."""
        fields = (spots[:, None, :] @ view.weighted)[:, 0]
        gram = ((spots * spots)[:, None, :] @ view.weights)[:, 0]
        return fields.astype(np.float64), gram.astype(np.float64)

    def exchange(
        self, view: View, before: tuple[NDArray, NDArray], after: tuple[NDArray, NDArray]
    ) -> None:
        """Replaces the light of emitters by that of their new states and positions.

        Args:
            view: their patches; none may overlap.
            before, after: spots (B, Q) and light (B, T).
        """
        (spots, light), (new_spots, new_light) = before, after
        emitter, frame = np.nonzero((light != 0) | (new_light != 0))
        change = spots[emitter] * light[emitter, frame][:, None]
        change -= new_spots[emitter] * new_light[emitter, frame][:, None]
        pixels = view.pixels[emitter]
        change *= self.weights[pixels, frame[:, None]]
        self.weighted[pixels, frame[:, None]] += change
