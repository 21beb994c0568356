"""All scores of one picture in one row."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
from numpy.typing import ArrayLike

from bayesdl_sim.metrics.against_wide_field import resolution_scale
from bayesdl_sim.metrics.images import QUALITY_SCORES, ms_ssim, pearson, quality
from bayesdl_sim.metrics.resolution import decorrelation, frc, frc_resolution

__all__ = ["IMAGE_SCORES", "image_scores"]

IMAGE_SCORES = (
    *QUALITY_SCORES,
    "ms_ssim",
    "frc_px",
    "frc_3sigma_px",
    "decorrelation_px",
    "rsp",
    "rse",
)


def image_scores(image: ArrayLike, target: ArrayLike, wide_field: ArrayLike) -> dict[str, float]:
    """Quality, resolution and agreement with wide field; keys as `IMAGE_SCORES`.

    The ring correlation is that of image and target. Lengths are in pixels of the image, `rse` in
    the units of wide field.

    Args:
        image: (2H, 2W), any units.
        target: (2H, 2W), any units.
        wide_field: (H, W).

    Raises:
        InputError: as `quality` and `resolution_scale`.
    """
    rings = frc(image, target)
    scaled = resolution_scale(image, wide_field).image  # the slow part, once for both
    difference = scaled - np.asarray(wide_field)
    scores = (
        *astuple(quality(image, target)),
        ms_ssim(image, target),
        frc_resolution(rings),
        frc_resolution(rings, "3-sigma"),
        decorrelation(image),
        pearson(scaled, wide_field),
        float(np.sqrt(np.mean(difference**2))),
    )
    return dict(zip(IMAGE_SCORES, scores, strict=True))
