"""Inputs of the network: the estimates on the fine grid, the moments, some of the frames."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from bayesdl_sim.dlbi.blinking import FINE, MARGIN
from bayesdl_sim.dlbi.moments.calibration import Calibration
from bayesdl_sim.dlbi.moments.deconvolution import Density
from bayesdl_sim.dlbi.moments.imaging import Imaging, imaging_of
from bayesdl_sim.dlbi.moments.noise import living_pixels
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.utils.pieces.poses import turn

__all__ = [
    "CAMERA_CHANNELS",
    "ESTIMATES",
    "FRAMES",
    "Features",
    "chosen_frames",
    "crop_features",
    "features_of",
    "turned",
]

FRAMES = 64  # frames for the per-frame encoder, evenly spread over the movie
CAMERA_CHANNELS = 13
ESTIMATES = 3
TINY = 1e-6


@dataclass(frozen=True, kw_only=True)
class Features:
    """Inputs of the network for fields of (H, W) camera pixels.

    Args:
        padded: (B, `ESTIMATES`, 8(H + 2M), 8(W + 2M)) early, final and middle estimate of stage 2,
            in units of `scale`, with a margin of M camera pixels.
        camera: (B, `CAMERA_CHANNELS`, H, W) moments without units, and constants of the movie.
        frames: (B, n, H, W) standardised fluctuations of some frames.
        mean: (B, H, W) mean image, in units of `scale`.
        background: (B, H, W) in units of `scale`.
        sigma_px: (B,) width of the spots.
        scale: (B,) electrons per frame and fine pixel of typical structure.
        pulse: (B,) excess variance per mean electron, see `Density`.
        excess, third: (B, H, W) excess variance and third cumulant of the light, in units of
            `scale` times `pulse` and times its square.
    """

    padded: Tensor
    camera: Tensor
    frames: Tensor
    mean: Tensor
    background: Tensor
    sigma_px: Tensor
    scale: Tensor
    pulse: Tensor
    excess: Tensor
    third: Tensor

    def imaging(self) -> list[Imaging]:
        """The imaging model of each field of the batch: Gaussians, as in training."""
        shape = tuple(self.mean.shape[-2:])
        return [imaging_of(shape, float(sigma)) for sigma in self.sigma_px]


def chosen_frames(frames: int, limit: int = FRAMES) -> Tensor:
    """Indices of at most `limit` frames, evenly spread."""
    return torch.linspace(0, frames - 1, min(frames, limit)).round().long()


def features_of(
    moments: Moments, calibration: Calibration, density: Density, frames: Tensor
) -> Features:
    """Features of one movie, as a batch of one.

    A pixel that never changes gives no evidence: its fluctuations are zero, and its mean is the
    one that the estimate expects.

    Args:
        density: estimate of stage 2.
        frames: (n, H, W) counts of the frames of `chosen_frames`.
    """
    early = density.early
    scale = float(early.square().sum() / early.sum().clamp(min=TINY)) + TINY
    padded = torch.stack([early, density.light, density.middle]) / scale
    mean = calibration.electrons(moments.mean)
    variance = (moments.variance / calibration.gain**2).clamp(min=TINY)
    alive = living_pixels(mean, variance)
    background = density.still_light(moments, calibration)
    signal = _kept(mean - background, alive)
    light = signal.clamp(min=0)
    bright = float(light.square().sum() / light.sum().clamp(min=TINY)) + TINY
    # Poisson-like electrons: their variance is their mean.
    excess = _kept(variance - mean, alive)
    pulse = max(density.pulse, TINY)
    # The third cumulant of Poisson counts of a fluctuating rate includes those of the rate.
    third = _kept(moments.skewness / calibration.gain**3 - 3 * excess - mean, alive)
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
        ((density.background.mean() + 1.0) / bright).clamp(min=TINY).log().item() / 3,
        torch.tensor(pulse / 100).log().item() / 3,
        torch.tensor(density.iterations / 100.0).log().item(),
    ]
    maps = [_kept(image.float(), alive) for image in camera]
    maps += [torch.full_like(mean, value) for value in constants]
    spread = moments.variance.clamp(min=TINY).sqrt()
    if not bool(alive.all()):
        imaging = calibration.imaging(tuple(mean.shape))
        mean = torch.where(alive, mean, imaging.forward(density.light) + background)
    return Features(
        padded=padded[None],
        camera=torch.stack(maps)[None],
        frames=((frames - moments.mean) / spread)[None].clamp(-8, 20),
        mean=mean[None] / scale,
        background=background[None] / scale,
        sigma_px=torch.tensor([calibration.sigma_px]),
        scale=torch.tensor([scale]),
        pulse=torch.tensor([pulse]),
        excess=(excess / (pulse * scale))[None],
        third=(third / (pulse**2 * scale))[None],
    )


def _kept(image: Tensor, alive: Tensor) -> Tensor:
    """The image (H, W) with zeros in pixels that are not alive."""
    return torch.where(alive, image, 0.0)


def crop_features(features: Features, top: int, left: int, height: int, width: int) -> Features:
    """The part of `height` x `width` camera pixels at (top, left), with its margin."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    y = slice(FINE * top, FINE * (top + height + 2 * MARGIN))
    x = slice(FINE * left, FINE * (left + width + 2 * MARGIN))
    return Features(
        padded=features.padded[..., y, x],
        camera=features.camera[..., rows, columns],
        frames=features.frames[..., rows, columns],
        mean=features.mean[..., rows, columns],
        background=features.background[..., rows, columns],
        sigma_px=features.sigma_px,
        scale=features.scale,
        pulse=features.pulse,
        excess=features.excess[..., rows, columns],
        third=features.third[..., rows, columns],
    )


def turned(features: Features, number: int) -> Features:
    """All maps of the features by `turn`."""
    if number % 2:  # covariances of neighbours below and to the right are exchanged
        order = torch.arange(features.camera.shape[1])
        order[[3, 4]] = order[[4, 3]]
        features = replace(features, camera=features.camera[:, order])
    maps = {field.name: getattr(features, field.name) for field in fields(Features)}
    return Features(
        **{name: turn(value, number) if value.ndim > 1 else value for name, value in maps.items()}
    )
