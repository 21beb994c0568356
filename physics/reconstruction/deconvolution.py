"""Deconvolved wide field: what a lab gets without SIM, from the same frames."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.restoration import richardson_lucy
from torch import Tensor

from bayesdl_sim.physics.optics import Optics, otf
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled

__all__ = ["deconvolved_wide_field"]

STEPS = 10  # of 5, 10, 20 and 40 the best mean PSNR over 18 simulated stacks of 2-400 electrons
KERNEL = 64  # pixels of the doubled grid
EDGE = 16  # mirrored around the field


def deconvolved_wide_field(raw: Tensor, optics: Optics, background: float) -> NDArray:
    """Wide field on the doubled grid after a few steps of Richardson-Lucy.

    Args:
        raw: counts (9, H, W).
        optics: nominal; their OTF gives the point spread function.
        background: counts to take off.

    Returns:
        (2H, 2W), brightest pixel of the wide field about 1.

    Source: Richardson, J. Opt. Soc. Am. 62, 55 (1972); Lucy, Astron. J. 79, 745 (1974).
    """
    kernel = torch.fft.fftshift(torch.fft.irfft2(otf(optics, (KERNEL, KERNEL)).double()))
    kernel = kernel[1:, 1:].clamp(min=0).numpy()  # odd, centred
    image = wide_field_upsampled(raw).double().numpy() - background
    image = np.pad(np.maximum(image, 0), EDGE, mode="reflect")
    image = image / max(float(image.max()), 1e-12) + 1e-4  # no division by a black pixel
    sharp = richardson_lucy(image, kernel / kernel.sum(), num_iter=STEPS, clip=False)
    return sharp[EDGE:-EDGE, EDGE:-EDGE]
