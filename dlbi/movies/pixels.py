"""Faulty pixels of a movie: those that never change, and those brighter than any spot allows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.physics.sensor.hot import isolated_pixels
from bayesdl_sim.physics.sensor.missing import filled

__all__ = ["MOST_FAULTY", "FaultyPixels", "faulty_pixels"]

# Share of the field; where more pixels never change, their values were cut off on purpose.
MOST_FAULTY = 0.01
# Factor over the second brightest neighbour. The centre of a spot with a full width of 1.8 pixels,
# the narrowest that is usable, is 2.1 times as bright as its neighbours, and its variance is 4.4
# times as large. Of 59 random movies none had a pixel above 2 in its mean or 5 in its variance.
SPECKLED_MEAN = 2.6
SPECKLED_VARIANCE = 7.0


@dataclass(frozen=True, kw_only=True)
class FaultyPixels:
    """Masks of faulty pixels, (H, W) each.

    Args:
        stuck: they hold one value in all frames, and no light explains it.
        hot: their mean or their variance is larger than a lens allows beside their neighbours;
            pixels at the border of the field are never among them.
    """

    stuck: Tensor
    hot: Tensor

    @property
    def either(self) -> Tensor:
        return self.stuck | self.hot


def faulty_pixels(
    constant: Tensor, highest: Tensor, mean: Tensor, variance: Tensor
) -> FaultyPixels:
    """Finds the faulty pixels; pixels that bright light holds at the camera's limit are none.

    Args:
        constant: (H, W) pixels that hold one value in all frames.
        highest: (H, W) largest value of each pixel.
        mean, variance: (H, W) over the frames.
    """
    none = torch.zeros_like(constant)
    if bool(constant.all()):
        return FaultyPixels(stuck=none, hot=none)
    stuck = constant & ~_saturated(constant, highest, mean)
    if float(constant.float().mean()) > MOST_FAULTY:
        stuck = none
    hot = isolated_pixels(filled(mean[None], stuck)[0], SPECKLED_MEAN)
    hot |= isolated_pixels(filled(variance[None], stuck)[0], SPECKLED_VARIANCE)
    # The flank of a spot beyond the border is steeper than its centre, and looks like a hot pixel.
    hot[[0, -1]] = False
    hot[:, [0, -1]] = False
    hot &= ~stuck
    if float(hot.float().mean()) > MOST_FAULTY:
        hot = none
    return FaultyPixels(stuck=stuck, hot=hot)


def _saturated(constant: Tensor, highest: Tensor, mean: Tensor) -> Tensor:
    """Constant pixels at a value that others reach, too, or at the largest one in bright light."""
    in_light = ~isolated_pixels(mean.clone(), SPECKLED_MEAN)
    at_top = (highest == highest.max()) & in_light
    return constant & ((highest == highest[~constant].max()) | at_top)
