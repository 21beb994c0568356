"""Predictions at bright spots, undimmed, and the uncertainty at and beside them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.spots import UNDIMMED, fine_dimming, largest_within
from bayesdl_sim.utils.pieces.blurring import gaussian
from bayesdl_sim.utils.pieces.spans import Square

__all__ = ["brightened", "dark_level", "undimmed", "unexplained_light"]

# Deviations of what dimming leaves unknown, measured on beads 4 to 30 times as bright as simulated
# structures: shares of the light of the spot, and of the structure around it.
SPOT_ERROR, BESIDE_SPOT = 0.3, 0.1
HAZE_ERROR = 0.5  # share of the haze that is taken off a spot
# An image errs by so many times the light that it leaves unexplained. Fitted to simulated cells
# with beads 4 to 30 times as bright as the structure, so that the 90 % interval holds beside them.
ERROR_PER_LIGHT = 3.0
BLOB_SIGMA, REGION_SIGMA = 2.0, 3.0  # raw pixels, over which the light and its square are averaged
REACH, EDGE = 20, 5.0  # raw pixels beyond what is dimmed that are measured, and their soft edge
USUAL = 2.0  # times the median of the field: less is the misfit of any image


def undimmed(
    prepared: PreparedStack, t: int, prediction: Prediction, square: Square | None = None
) -> Prediction:
    """The prediction of one time point, (1, 1, 2H, 2W), with spots undimmed.

    Mean above the dark and deviations scale with the frames. A spot's own shape is known to
    `SPOT_ERROR` of its light, what lies beside it to `BESIDE_SPOT` of the structure's, and the haze
    that was taken off to `HAZE_ERROR` of itself: `(1 - f)` times all of them are added to the
    epistemic deviation, f the factor of the dimming. The mean of the haze stays in the background
    of the image, as that of any other light out of focus does, and is known as little everywhere.

    Args:
        square: rows and columns of the doubled grid that these are; None: all.
    """
    factor = prepared.fine_dimming(t, square)
    if factor is None:
        return prediction
    factor = factor.to(prediction.mean)
    mean = brightened(prepared, t, prediction.mean, factor)
    light = (prediction.mean - dark_level(prepared, t)) / factor
    aleatoric, epistemic = prediction.aleatoric / factor, prediction.epistemic / factor
    unknown = torch.hypot(SPOT_ERROR * light, torch.full_like(light, BESIDE_SPOT))
    haze = prepared.haze(t)
    if haze is not None:
        haze = haze / prepared.norm(t).scale
        unknown = torch.hypot(unknown, HAZE_ERROR * fine_dimming(haze, square).to(light))
        epistemic = (epistemic**2 + (HAZE_ERROR * haze.mean()) ** 2).sqrt()
    epistemic = torch.hypot(epistemic, (1 - factor) * unknown)
    return Prediction(mean, aleatoric, epistemic, torch.hypot(aleatoric, epistemic))


def brightened(
    prepared: PreparedStack, t: int, mean: Tensor | NDArray, factor: Tensor | NDArray
) -> Tensor | NDArray:
    """Means of pixels dimmed by a factor, as `undimmed` gives them: above the dark, with the haze.

    Args:
        mean, factor: shapes that go together, on the scale of the networks.
    """
    dark, haze = dark_level(prepared, t), prepared.haze(t)
    level = 0.0 if haze is None else float(haze.mean()) / prepared.norm(t).scale
    return dark + level + (mean - dark) / factor


def dark_level(prepared: PreparedStack, t: int) -> float:
    """Value of a dark pixel of one time point on the scale of its networks."""
    norm = prepared.norm(t)
    return (prepared.dark(t) - norm.low) / norm.scale


def unexplained_light(prepared: PreparedStack, t: int, mean: NDArray) -> NDArray | None:
    """The deviation (2H, 2W), in counts, of an image with a bright spot, from its re-simulation.

    The out-of-focus light of a bead reaches beyond the pixels that are dimmed for the networks,
    which take what `spot_haze` leaves of it for structure. The frames less that haze (but for its
    mean) and less the frames of the image, averaged over the nine and over a blob, is light that
    the image does not explain. Where its root mean square r exceeds `USUAL` times that of the
    field, u, the deviation is `ERROR_PER_LIGHT sqrt(r^2 - (USUAL u)^2)`. It is multiplied by the
    square root of the dimming, since `undimmed` has widened most of what was dimmed already, and
    falls to zero beyond `REACH` pixels from there.

    Args:
        mean: (2H, 2W) counts, with the spot.

    Returns:
        None without a spot, for an image that is not finite, and for fields that are measured part
        by part, of which no re-simulation of the whole is made.
    """
    dimming = None if prepared.is_large else prepared.dimming(t)
    if dimming is None or not np.isfinite(mean).all():
        return None
    image = torch.from_numpy(np.array(mean, np.float32))
    explained = prepared.resimulate(t, image).frames
    haze = prepared.haze(t)
    rest = (prepared.frames(t).frames - explained).mean(dim=0) - (haze - haze.mean())
    power = gaussian(gaussian(rest, BLOB_SIGMA).square(), REGION_SIGMA)
    excess = ((power - USUAL**2 * power.median()).clamp(min=0) * dimming).sqrt()
    excess = excess * gaussian(largest_within((dimming < UNDIMMED).to(excess), REACH), EDGE)
    return ERROR_PER_LIGHT * fine_dimming(excess)[0, 0].cpu().numpy()
