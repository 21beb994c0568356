"""The networks as published: generator with outputs at 2x, 4x and 8x, and discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bayesdl_sim.models.dropout import Dropout

__all__ = ["Discriminator", "PaperGenerator", "initialise"]

KEEP = 0.8  # of the Monte Carlo dropout, in training and after it
BLOCKS = 16
WIDTH = 64
LARGEST = 2048  # channels of the discriminator


class _Residual(nn.Module):
    """conv - batch norm - ReLU - conv - batch norm, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class _Twice(nn.Module):
    """Doubles the grid by pixel shuffle, and derives an image from it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.ReLU()
        )
        self.out = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor, shortcut: Tensor) -> tuple[Tensor, Tensor]:
        x = self.up(x)
        return x, self.out(x) + interpolate(shortcut, size=x.shape[-2:], mode="bicubic")


class PaperGenerator(nn.Module):
    """A movie of a fixed number of frames, as channels, to images at 2x, 4x and 8x.

    7 x 7 convolution, Monte Carlo dropout, 16 residual blocks, three times pixel shuffle. The
    mean over the frames, which has less noise than any of them, goes straight to each output.

    Args:
        frames: number of frames, T.
        width: channels.
        blocks: residual blocks.

    Source: Li et al., Bioinformatics 34, i284 (2018), section 2.3.
    """

    def __init__(self, frames: int = 200, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.settings = {"frames": frames, "width": width, "blocks": blocks}
        self.first = nn.Sequential(nn.Conv2d(frames, width, 7, padding=3), nn.ReLU())
        self.dropout = Dropout(1 - KEEP, channels=False)
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(blocks)))
        self.scales = nn.ModuleList(_Twice(width) for _ in range(3))
        initialise(self)

    def forward(self, movie: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, H, W) to images (B, 1, 2H, 2W), (B, 1, 4H, 4W) and (B, 1, 8H, 8W)."""
        shortcut = movie.mean(dim=1, keepdim=True)
        x = self.dropout(self.first(movie))
        x = x + self.blocks(x)
        images = []
        for scale in self.scales:
            x, image = scale(x, shortcut)
            images.append(image)
        return tuple(images)


class Discriminator(nn.Module):
    """Probability that an image on the 8x grid is a true structure.

    Eight convolutions up to 2048 channels, halving the grid where the channels double, one
    residual block, mean over the field, sigmoid.

    Args:
        width: channels of the first convolution; 64 gives the published 2048.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        largest = width * LARGEST // 64
        channels = [1, *(min(width * 2**n, largest) for n in range(6)), largest // 2, largest // 4]
        strides = (2, 2, 2, 2, 2, 2, 1, 1)
        layers: list[nn.Module] = []
        for inside, outside, stride in zip(channels, channels[1:], strides, strict=False):
            size = 4 if stride == 2 else 1
            layers.append(nn.Conv2d(inside, outside, size, stride, padding=1 if size == 4 else 0))
            layers += [nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)]
        layers.append(_Residual(channels[-1]))
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(channels[-1], 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, 8H, 8W) to probabilities (B,)."""
        features = self.layers(image).mean(dim=(2, 3))
        return torch.sigmoid(self.out(features))[:, 0]


def initialise(network: nn.Module) -> None:
    """Weights of the convolutions from N(0, 0.02), as published; biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            nn.init.zeros_(module.bias)
