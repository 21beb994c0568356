"""Dropout with generators of its own, and with masks that stay: a pass as a member."""

import torch
from torch import Tensor, nn

from bayesdl_sim.utils.sampling import seed_from

__all__ = ["Dropout", "fix_dropout", "has_field_masks", "seed_dropout"]


class Dropout(nn.Module):
    """`y = x m / (1 - rate)` with `m = 0` at a share `rate` of the places, else 1.

    In training every call draws another mask. In evaluation nothing is dropped, unless
    `fix_dropout` gave the network a seed: then one mask holds for every call and every image of
    a batch. A mask of channels is the same at every pixel, so that tiles equal the field; one of
    elements belongs to a whole field (see `has_field_masks`).

    Args:
        rate: 0 (off) to below 1.
        channels: drop whole channels instead of single elements.

    Source: Srivastava et al., JMLR 15, 1929 (2014); Gal and Ghahramani, ICML 2016.
    """

    def __init__(self, rate: float, channels: bool) -> None:
        super().__init__()
        self.rate, self.channels = rate, channels
        self.seed: int | None = None
        # On the CPU wherever the network is, so that a seed means the same mask everywhere.
        self._generator = torch.Generator().manual_seed(0)

    def start(self, seed: int, fixed: bool) -> None:
        """Masks from this seed on: a stream of them, or one that stays."""
        self._generator.manual_seed(seed)
        self.seed = seed if fixed else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        fixed = self.seed is not None
        if self.rate == 0 or not (fixed or self.training):
            return x
        generator = torch.Generator().manual_seed(self.seed) if fixed else self._generator
        images = 1 if fixed else len(x)
        shape = (images, x.shape[1], *((1, 1) if self.channels else x.shape[2:]))
        keep = (torch.rand(shape, generator=generator) >= self.rate).to(x.device, x.dtype)
        return x * (keep / (1 - self.rate))


def seed_dropout(network: nn.Module, *entropy: int) -> None:
    """Another stream of masks for training, a function of these numbers, in every layer."""
    _start(network, entropy, fixed=False)


def fix_dropout(network: nn.Module, seed: int) -> None:
    """Makes the network one pass of MC-dropout: the masks of this seed, in evaluation too."""
    _start(network, (seed,), fixed=True)


def has_field_masks(network: nn.Module) -> bool:
    """Whether fixed masks differ between pixels, so that a tile would not get those of a field."""
    return any(
        layer.rate > 0 and layer.seed is not None and not layer.channels
        for layer in _layers(network)
    )


def _start(network: nn.Module, entropy: tuple[int, ...], fixed: bool) -> None:
    for number, layer in enumerate(_layers(network)):
        layer.start(seed_from(*entropy, number), fixed)


def _layers(network: nn.Module) -> list[Dropout]:
    return [module for module in network.modules() if isinstance(module, Dropout)]
