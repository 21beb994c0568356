"""What the frames show beside a bright spot, but the result does not explain."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.patterns.bands import gaussian
from bayesdl_sim.physics.spots import UNDIMMED, fine_dimming, largest_within

__all__ = ["unexplained_light"]

# An image errs by so many times the light that it leaves unexplained. Fitted to simulated cells
# with beads 4 to 30 times as bright as the structure, so that the 90 % interval holds beside them.
ERROR_PER_LIGHT = 3.0
BLOB_SIGMA, REGION_SIGMA = 2.0, 3.0  # raw pixels, over which the light and its square are averaged
REACH, EDGE = 20, 5.0  # raw pixels beyond what is dimmed that are looked at, and their soft edge
USUAL = 2.0  # times the median of the field: less is the misfit of any image


def unexplained_light(prepared: PreparedStack, t: int, mean: NDArray) -> NDArray | None:
    """The deviation (2H, 2W), in counts, of an image with a bright spot, from its re-simulation.

    The out-of-focus light of a bead reaches beyond the pixels that are dimmed for the networks,
    which take it for structure. The frames less the frames of the image, averaged over the nine
    and over a blob, is light that the image does not explain. Where its root mean square r exceeds
    `USUAL` times that of the field, u, the deviation is `ERROR_PER_LIGHT sqrt(r^2 - (USUAL u)^2)`.
    It is multiplied by the square root of the dimming, since `series.undimmed` has widened most
    of what was dimmed already, and falls to zero beyond `REACH` pixels from there.

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
    rest = (prepared.frames(t).frames - explained).mean(dim=0)
    power = gaussian(gaussian(rest, BLOB_SIGMA).square(), REGION_SIGMA)
    excess = ((power - USUAL**2 * power.median()).clamp(min=0) * dimming).sqrt()
    excess = excess * gaussian(largest_within((dimming < UNDIMMED).to(excess), REACH), EDGE)
    return ERROR_PER_LIGHT * fine_dimming(excess)[0, 0].cpu().numpy()
