"""Positive sample that explains a wide-field image: sharper than that of any linear filter."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import camera_otf, fast_shape, power
from bayesdl_sim.physics.patterns.correlation import Field, Sample
from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = ["positive_sample", "sharpened"]

STEPS = 20  # accelerated; as good as 100 plain ones
MARGIN = 12  # raw pixels of continued border around the field
MOST_MOMENTUM = 0.95
LEVEL_SIGMA, LEVEL_PERCENTILE = 2.0, 97.0  # raw pixels


def sharpened(image: Tensor, optics: Optics, darkness: float) -> Tensor:
    """Richardson-Lucy deconvolution: the positive structure that fits best, from few steps.

    `x <- x O^T[d / (O x)]` on `d = image + darkness`, with the momentum of Biggs and Andrews.

    Args:
        image: (H, W), above background.
        optics: of the detection.
        darkness: the light that would make the noise of a dark pixel, in units of the image.

    Returns:
        (H, W), same units.

    Source: Richardson, J. Opt. Soc. Am. 62, 55 (1972); Biggs and Andrews, Appl. Opt. 36, 1766
    (1997).
    """
    height, width = image.shape
    shape = fast_shape((height, width), MARGIN)
    sides = (MARGIN, shape[1] - width - MARGIN, MARGIN, shape[0] - height - MARGIN)
    data = torch.nn.functional.pad(image[None, None], sides, mode="replicate")[0, 0]
    data = (data + darkness).clamp(min=0.0)
    transfer = camera_otf(optics, shape, image.device)[:, : shape[1] // 2 + 1].to(image)

    def blurred(x: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(x) * transfer, s=shape)

    least = 1e-3 * darkness + 1e-12
    x = torch.full_like(data, max(float(data.mean()) - darkness, 1e-3 * darkness))
    previous, change, earlier = x, None, None
    for _ in range(STEPS):
        momentum = 0.0
        if change is not None and earlier is not None:
            momentum = float((change * earlier).sum() / earlier.square().sum().clamp(min=1e-30))
        start = x + min(max(momentum, 0.0), MOST_MOMENTUM) * (x - previous)
        start = start.clamp(min=0.0)
        ratio = data / (blurred(start) + darkness).clamp(min=least)
        previous, x = x, start * blurred(ratio).clamp(min=0.0)
        change, earlier = x - start, change
    return x[MARGIN : MARGIN + height, MARGIN : MARGIN + width]


def _levelled(image: Tensor) -> Tensor:
    """The image with its brightest places weighed down, so that a few do not decide for all.

    A band is as bright as the sample there, so that the weight of a place grows with the square of
    its brightness l: it is weighed by `(L / l)^2` where it exceeds the usual L.
    """
    light = gaussian(image, LEVEL_SIGMA).clamp(min=0.0)
    rank = max(1, round(LEVEL_PERCENTILE / 100 * light.numel()))
    usual = max(float(light.flatten().kthvalue(rank).values), 0.1 * float(light.max()), 1e-30)
    return image * (usual / light.clamp(min=usual)).square()


def positive_sample(
    mean: Tensor, optics: Optics, line: tuple[float, float], field: Field
) -> Sample:
    """The sharpened mean of the frames as a sample to correlate bands with.

    Positivity carries it beyond the frequencies where noise drowns the wide field: in dim stacks
    it explains up to twice as much of the shifted bands as the Wiener estimate (`sample_of`).

    Args:
        mean: (H, W) mean of the frames, above background.
        optics: only roughly those of the microscope.
        line: of `noise.noise_line`: variance of a pixel `a + b brightness`.
    """
    level, rise = line
    brightest = max(float(mean.max()), 1e-12)
    darkness = min(level / rise, brightest) if math.isfinite(rise) else brightest
    image = sharpened(mean, optics, max(darkness, 1e-3 * brightest))
    image = _levelled(image)
    window = field.window
    image = image - (image * window).sum() / window.sum().clamp(min=1e-30)
    spectrum = field.half_spectra(image)
    spectra = torch.stack([spectrum, power(spectrum).to(spectrum)])
    images = torch.fft.irfft2(spectra, s=tuple(field.transfer.shape))
    return Sample(images[0], images[1])
