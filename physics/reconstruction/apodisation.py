"""Two sharpnesses of the same reconstruction: how strongly it damps its finest detail."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.optics import apply_otf, circular_autocorrelation, frequency_grid
from bayesdl_sim.utils.errors import InputError

__all__ = ["sharp_transfer", "sharper"]

FLAT = 0.6  # of the extended support; detail up to there is shown in full
FLOOR = 0.04  # of the soft transfer: what it damped below this is not brought back
MARGIN = 32  # super-resolution pixels of mirrored field around an image


def sharp_transfer(share: Tensor) -> Tensor:
    """Transfer of the sharp convention at a share of the extended support.

    1 up to 0.6 of the support, then half a cosine to 0 at its edge: the contrast of fine detail is
    shown as far as it was measured, at the price of a faint ringing beside strong edges.
    """
    fall = ((share - FLAT) / (1 - FLAT)).clamp(0.0, 1.0)
    return 0.5 * (1 + torch.cos(math.pi * fall))


def sharper(image: Tensor, extended_cutoff: float) -> Tensor:
    """Turns a reconstruction of the soft convention into one of the sharp convention.

    The network learns `target_otf`, A, which has fallen to 0.28 at six tenths of the support. With
    S, the sharp transfer, the image is filtered by the regularised quotient

        G = (1 + e^2) S A / (A^2 + e^2),   e = 0.04,

    which is 1 at frequency zero, and linear: applied to every member, mean and spread stay those of
    the members. It has to be applied before members are combined, since it correlates neighbouring
    pixels.

    Args:
        image: (..., 2H, 2W) reconstruction or several of them.
        extended_cutoff: cut-off plus pattern frequency, in cycles per raw pixel.

    Returns:
        The image of the same shape; fine detail may undershoot zero.

    Raises:
        InputError: an extended cut-off that is not between 0 and 1 cycle per raw pixel.
    """
    if not 0 < extended_cutoff <= 1:
        raise InputError(
            "extended_cutoff: expected more than 0 and at most 1 cycle per raw pixel, found "
            f"{extended_cutoff:g}"
        )
    height, width = image.shape[-2:]
    edge = min(MARGIN, height - 1, width - 1)
    stack = image.reshape(-1, 1, height, width)
    padded = torch.nn.functional.pad(stack, (edge,) * 4, mode="reflect")
    share = frequency_grid(tuple(padded.shape[-2:]), image.device) / extended_cutoff
    soft = circular_autocorrelation(share.clamp(max=1.0))
    gain = sharp_transfer(share) * soft / (soft**2 + FLOOR**2) * (1 + FLOOR**2)
    filtered = apply_otf(padded, gain.to(padded.dtype))
    inner = filtered[..., edge : edge + height, edge : edge + width]
    return inner.reshape(image.shape)
