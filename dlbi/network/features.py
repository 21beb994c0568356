"""What the network is fed with: the estimates on the fine grid, the moments, some of the frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.dlbi.blinking import FINE, MARGIN
from bayesdl_sim.dlbi.moments.calibration import Calibration
from bayesdl_sim.dlbi.moments.deconvolution import Density
from bayesdl_sim.dlbi.moments.imaging import Imaging, imaging_of
from bayesdl_sim.dlbi.moments.statistics import Moments

__all__ = ["CAMERA_CHANNELS", "FRAMES", "Features", "chosen_frames", "features_of"]

FRAMES = 64  # frames that the per-frame encoder sees, evenly spread over the movie
CAMERA_CHANNELS = 13
TINY = 1e-6


@dataclass(frozen=True, kw_only=True)
class Features:
    """Inputs of the network for fields of (H, W) camera pixels.

    Args:
        padded: (B, 2, 8(H + 2M), 8(W + 2M)) early and final estimate of stage 2, in units of
            `scale`, with a margin of M camera pixels.
        camera: (B, `CAMERA_CHANNELS`, H, W) moments without units, and constants of the movie.
        frames: (B, n, H, W) standardised fluctuations of some frames.
        mean: (B, H, W) mean image, in units of `scale`.
        background: (B,) in units of `scale`.
        sigma_px: (B,) width of the spots.
        scale: (B,) electrons per frame and fine pixel of typical structure.
    """

    padded: Tensor
    camera: Tensor
    frames: Tensor
    mean: Tensor
    background: Tensor
    sigma_px: Tensor
    scale: Tensor

    def imaging(self) -> list[Imaging]:
        """The imaging model of each field of the batch."""
        shape = tuple(self.mean.shape[-2:])
        return [imaging_of(shape, float(sigma)) for sigma in self.sigma_px]


def chosen_frames(frames: int, limit: int = FRAMES) -> Tensor:
    """Indices of at most `limit` frames, evenly spread."""
    return torch.linspace(0, frames - 1, min(frames, limit)).round().long()


def features_of(
    moments: Moments, calibration: Calibration, density: Density, frames: Tensor
) -> Features:
    """Features of one movie, as a batch of one.

    Args:
        frames: (n, H, W) counts of the frames of `chosen_frames`.
    """
    early = density.early
    scale = float(early.square().sum() / early.sum().clamp(min=TINY)) + TINY
    padded = torch.stack([early, density.light]) / scale
    mean = calibration.electrons(moments.mean)
    signal = mean - density.background
    bright = float(signal.clamp(min=0).square().sum() / signal.clamp(min=0).sum()) + TINY
    variance = (moments.variance / calibration.gain**2).clamp(min=TINY)
    excess = variance - mean
    pulse = max(density.pulse, TINY)
    noise = (variance / moments.frames).sqrt()
    skewness = moments.skewness / calibration.gain**3 / variance.pow(1.5)
    camera = [
        signal / bright,
        excess / (pulse * bright) * 10,
        moments.lag / calibration.gain**2 / variance,
        *(moments.across / calibration.gain**2 / variance),
        skewness.clamp(-10, 10) / 3,
        (noise / bright).clamp(max=10),
        excess / variance,
    ]
    constants = [
        calibration.sigma_px - 1.2,
        (torch.tensor(moments.frames / 100.0).log() / 2).item(),
        torch.tensor((density.background + 1.0) / bright).clamp(min=TINY).log().item() / 3,
        torch.tensor(pulse / 100).log().item() / 3,
        torch.tensor(density.iterations / 100.0).log().item(),
    ]
    maps = [image.float() for image in camera]
    maps += [torch.full_like(mean, value) for value in constants]
    spread = moments.variance.clamp(min=TINY).sqrt()
    return Features(
        padded=padded[None],
        camera=torch.stack(maps)[None],
        frames=((frames - moments.mean) / spread)[None].clamp(-8, 20),
        mean=mean[None] / scale,
        background=torch.tensor([density.background / scale]),
        sigma_px=torch.tensor([calibration.sigma_px]),
        scale=torch.tensor([scale]),
    )


def crop_features(features: Features, top: int, left: int, size: int) -> Features:
    """The square of `size` camera pixels at (top, left), with the margin of its fine grid."""
    rows, columns = slice(top, top + size), slice(left, left + size)
    wide = FINE * (size + 2 * MARGIN)
    y, x = FINE * top, FINE * left
    return Features(
        padded=features.padded[..., y : y + wide, x : x + wide],
        camera=features.camera[..., rows, columns],
        frames=features.frames[..., rows, columns],
        mean=features.mean[..., rows, columns],
        background=features.background,
        sigma_px=features.sigma_px,
        scale=features.scale,
    )
