"""What differs between the wide fields of the three orientations."""

from __future__ import annotations

from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES

__all__ = ["orientation_rests"]


def orientation_rests(frames: Tensor) -> Tensor:
    """The wide field of each orientation less the mean of all, at the same brightness (3, H, W).

    The three phases of an orientation add up to a wide field, the same one for each orientation.

    Args:
        frames: (9, H, W) without background, orientation-major.
    """
    fields = frames.unflatten(0, (ORIENTATIONS, PHASES)).mean(dim=1)
    mean = fields.mean(dim=0)
    gains = (fields * mean).sum(dim=(1, 2)) / mean.square().sum().clamp(min=1e-30)
    return fields / gains.clamp(min=1e-3)[:, None, None] - mean
