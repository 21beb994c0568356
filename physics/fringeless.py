"""The control without fringes: the same photons, their patterns destroyed."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["shuffled"]


def shuffled(raw: Tensor, generator: torch.Generator) -> Tensor:
    """Every pixel's nine values in random order: (9, H, W) counts without fringes.

    Wide field and noise stay the same, to the last count; only the information in the order of the
    frames is lost.
    """
    order = torch.rand(raw.shape, generator=generator).argsort(dim=0)
    return raw.gather(0, order.to(raw.device))
