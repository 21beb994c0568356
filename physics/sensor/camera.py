"""The camera: from expected electrons to counts, whatever the optics."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Camera", "CameraMaps", "expose"]


@dataclass(frozen=True)
class Camera:
    """A scientific CMOS camera.

    Args:
        gain: counts (ADU) per electron.
        offset: counts of a dark pixel.
        read_noise_e: standard deviation of the read noise in electrons.
        saturation: largest count that can be stored.
    """

    gain: float = 2.2
    offset: float = 100.0
    read_noise_e: float = 1.5
    saturation: int = 65535


@dataclass(frozen=True)
class CameraMaps:
    """Measured per-pixel calibration (H, W), replacing the camera's scalars.

    `gain` in counts per electron, `offset` in counts, `variance` of the read noise in counts^2.
    """

    gain: Tensor
    offset: Tensor
    variance: Tensor


def expose(
    electrons: Tensor,
    camera: Camera,
    generator: torch.Generator,
    maps: CameraMaps | None = None,
) -> Tensor:
    """One exposure: `counts = round(gain (Poisson(e) + read noise) + offset)`, saturated.

    The variance of the counts against their mean is a line of slope `gain`.

    Args:
        electrons: (..., H, W) expected photoelectrons per pixel, non-negative.
        generator: generator on the device of `electrons`.
        maps: measured calibration; hot pixels are part of it.

    Returns:
        (..., H, W) float tensor of whole counts in 0..saturation.
    """
    shot = torch.poisson(electrons, generator=generator)
    noise = torch.randn(electrons.shape, generator=generator, device=electrons.device)
    if maps is None:
        counts = camera.gain * (shot + camera.read_noise_e * noise) + camera.offset
    else:
        counts = maps.gain * shot + maps.variance.sqrt() * noise + maps.offset
    return counts.round().clamp(0, camera.saturation)
