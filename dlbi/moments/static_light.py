"""Light that does not blink: beads, aggregates, fixed structures, out-of-focus light."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from bayesdl_sim.dlbi.moments.calibration import Calibration
from bayesdl_sim.dlbi.moments.statistics import Moments

__all__ = [
    "STILL_LEFT",
    "LightMaps",
    "StaticLight",
    "light_maps",
    "static_light",
    "static_pixels",
    "uneven_note",
]

# Share of the usual fluctuations of as much light, below which it does not blink; of a movie with
# such light, once the background explains what it can; and of light beside it that belongs to it.
STILL, STILL_LEFT, NEAR_STILL = 0.35, 0.6, 0.7
CERTAIN = 6.0  # standard errors by which the fluctuations are below that share
# Of the brightest hundredth of the light that blinks. Below it, errors of the smooth background
# look like light that does not blink.
LEAST_LIGHT = 0.15
# Emissions that the light would be: of fewer, all may have been dim by chance.
FEWEST_EMISSIONS = 40.0
# Of the light. Fluctuations far below the shot noise are those of a gain that is a little off: 2 of
# 157 movies with few, dim emissions had -0.3 and -0.6.
LEAST_BLINKING = -0.2
FEWEST_CORE = 5  # pixels side by side; a spot in these maps has about ten and more
FEWEST_PIXELS = 10  # with fluctuations, to compare others with
BLINKS = 2.0  # standard errors of fluctuations that count in the usual ones
SPOT_WIDTHS = 6.0  # full widths across which light that does not blink is a spot, and no structure
STRUCTURE = 0.05  # of the field in larger parts, from which the mean is not used at all
MOST_NAMED = 4  # spots named by row and column


class LightMaps(NamedTuple):
    """Light and fluctuations at the same resolution, maps (H, W) in electrons.

    Attributes:
        light: mean above the background, blurred.
        blinking: light that blinks, from the fluctuations: they over those of usual light.
        error: standard error of that.
        emissions: emissions within a spot that the light would be.
    """

    light: NDArray[np.float64]
    blinking: NDArray[np.float64]
    error: NDArray[np.float64]
    emissions: NDArray[np.float64]


class StaticLight(NamedTuple):
    """Light that does not blink and is no smooth background.

    Attributes:
        spots: places of single spots, brightest first.
        rest: share of the field that larger parts take.
    """

    spots: tuple[str, ...]
    rest: float

    @property
    def is_structure(self) -> bool:
        """Whether the mean is that of another structure, too."""
        return self.rest > STRUCTURE

    @property
    def note(self) -> str:
        """A sentence on it, or empty."""
        texts = []
        if self.spots:
            more = f" and {len(self.spots) - MOST_NAMED} more" * (len(self.spots) > MOST_NAMED)
            spot = "a spot" if len(self.spots) == 1 else "spots"
            texts.append(f"{spot} at {'; '.join(self.spots[:MOST_NAMED])}{more}")
        if self.rest:
            texts.append(f"{100 * self.rest:.2g} % of the field")
        if not texts:
            return ""
        found = f"bright light that does not blink ({' and '.join(texts)}), as that of beads"
        if self.is_structure:
            return (
                f"{found} or of another dye: only the fluctuations are used, not the mean image, "
                "and fine detail is lost"
            )
        return f"{found}: it is not taken for fluorophores, and what is dimmer there may be lost"


def light_maps(moments: Moments, calibration: Calibration, background: Tensor) -> LightMaps | None:
    """Light and fluctuations of the same places.

    A spot h has a mean of `n h` and an excess variance of `n p h^2`, with the pulse p. Blurred by
    Gaussians of variance sigma^2 and 1.5 sigma^2, both have the shape of one Gaussian with twice
    the variance of the spot, whatever the structure. Their ratio is the pulse, by `4 pi sigma^2`.
    The usual pulse is the median that half of the fluctuations exceed.

    Args:
        background: (H, W) electrons.

    Returns:
        None where too few pixels have significant fluctuations.
    """
    mean = calibration.electrons(moments.mean).double().numpy()
    variance = (moments.variance / calibration.gain**2).double().numpy()
    sigma = calibration.sigma_px
    area, wide = 4 * math.pi * sigma**2, sigma * 1.5**0.5
    light = _blurred(mean - background.double().numpy(), sigma)
    excess = area * _blurred(variance - mean, wide)
    squares = _blurred(2 * variance**2 / moments.frames, wide / 2**0.5)
    error = area * np.sqrt(squares / (4 * math.pi * wide**2))
    sure = (light > 0) & (excess > BLINKS * error)
    if sure.sum() < FEWEST_PIXELS:
        return None
    pulse = _weighted_median(excess[sure] / light[sure], excess[sure])
    emissions = 2 * area * moments.frames * light / pulse
    return LightMaps(light, excess / pulse, error / pulse, emissions)


def static_pixels(maps: LightMaps | None, still: float = STILL) -> Tensor | None:
    """Mask (H, W) of the pixels whose light does not blink; None where there are none.

    Where much light fluctuates significantly less than a third of the usual light, it is not that
    of fluorophores that switch. Light beside it that lacks fluctuations, too, belongs to it.

    Args:
        still: that share of the usual fluctuations.
    """
    if maps is None:
        return None
    light, blinking, error, emissions = maps
    bright = light > LEAST_LIGHT * np.quantile(blinking, 0.99)
    core = bright & (still * light - blinking > CERTAIN * error) & (emissions > FEWEST_EMISSIONS)
    core &= blinking > LEAST_BLINKING * light
    core[[0, -1]] = core[:, [0, -1]] = False  # light from beyond the border is unlike that inside
    labels, _ = ndimage.label(core)
    core &= np.bincount(labels.ravel())[labels] >= FEWEST_CORE
    if not core.any():
        return None
    near = core | (bright & (blinking < NEAR_STILL * light))
    labels, _ = ndimage.label(near)
    static = np.isin(labels, np.unique(labels[core]))
    return torch.from_numpy(ndimage.binary_dilation(static, np.ones((3, 3))))


def static_light(static: Tensor, maps: LightMaps | None, fwhm_px: float) -> StaticLight:
    """What the pixels (H, W) hold whose light does not blink: spots, or another structure.

    Args:
        maps: light and fluctuations above the background.
        fwhm_px: full width of the spots in camera pixels.
    """
    if maps is None or not bool(static.any()):
        return StaticLight((), 0.0)
    labels, _ = ndimage.label(static.numpy())
    spots, rest = [], 0
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels == number
        if max(part.stop - part.start for part in box) > SPOT_WIDTHS * fwhm_px:
            rest += int(inside.sum())
            continue
        row, column = np.unravel_index(np.where(inside, maps.light, -np.inf).argmax(), inside.shape)
        spots.append((-maps.light[row, column], f"row {row + 1}, column {column + 1}"))
    return StaticLight(tuple(place for _, place in sorted(spots)), rest / static.numel())


def uneven_note(background: Tensor) -> str:
    """A sentence on a background (H, W) in electrons that needs finer bumps."""
    return (
        f"the light that does not blink varies over the field, from {float(background.min()):.3g} "
        f"to {float(background.max()):.3g} electrons per pixel: taken for an uneven background"
    )


def _blurred(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    return ndimage.gaussian_filter(image, sigma, mode="nearest")


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
