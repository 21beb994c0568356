"""The default generator: a U-Net of residual attention blocks, local and of any field size."""

import torch
from torch import Tensor, nn

from bayesdl_sim.models.dropout import Dropout, has_field_masks
from bayesdl_sim.models.layers import ResidualBlock, downsample, upsample, upsampled_frame_mean

__all__ = ["UNet"]


class UNet(nn.Module):
    """Nine frames to one super-resolved image, through features that the tail can read too.

    The encoder halves the field `levels - 1` times and doubles the width each time; skips are
    added. The head shuffles features to the doubled grid and adds the upsampled mean of the
    frames (without this the training stalls at the level of the wide field).

    Args:
        in_channels: frames, and what else is known of the stack.
        width: features at full resolution.
        levels: resolutions, the first one included.
        blocks: residual blocks per level and direction.
        averaged: leading channels whose mean is the wide field.
        drop: rate of the dropout of elements after every stage.
        drop2d: rate of the dropout of channels before the last convolution.
    """

    SCALE = 2

    def __init__(
        self,
        in_channels: int = 9,
        width: int = 32,
        levels: int = 3,
        blocks: int = 2,
        averaged: int = 9,
        drop: float = 0.0,
        drop2d: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.levels, self.blocks, self.out_width = levels, blocks, width
        self.averaged = averaged
        self.head = nn.Conv2d(in_channels, width, 3, padding=1)
        self.encoder = nn.ModuleList(_stage(w, blocks) for w in widths[:-1])
        self.down = nn.ModuleList(
            downsample(a, b) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.bottom = _stage(widths[-1], blocks)
        self.up = nn.ModuleList(upsample(b, a) for a, b in zip(widths, widths[1:], strict=False))
        self.decoder = nn.ModuleList(_stage(w, blocks) for w in widths[:-1])
        self.expand = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.PixelShuffle(2), nn.ReLU(inplace=True)
        )
        self.output = nn.Conv2d(width // 2, 1, 3, padding=1)
        self.drop = nn.ModuleList(Dropout(drop, channels=False) for _ in range(2 * levels - 1))
        self.drop2d = Dropout(drop2d, channels=True)

    @property
    def is_local(self) -> bool:
        """True, but for a fixed dropout of single elements: its mask is that of a whole field."""
        return not has_field_masks(self)

    @property
    def stride(self) -> int:
        """Height and width are processed in multiples of this; others are padded."""
        return 2 ** (self.levels - 1)

    @property
    def receptive_radius(self) -> int:
        """No output pixel sees a raw pixel farther away than this (raw pixels, whole strides).

        Counts the head, the blocks of every level in units of that level's pixel, the 2 x 2 steps
        between the levels, and the convolutions of mean and uncertainty tail.
        """
        block = ResidualBlock.RADIUS * self.blocks
        radius = 1  # head
        for level in range(self.levels - 1):
            radius += 2 * block * 2**level + 2**level  # encoder, decoder, one step down
        radius += block * 2 ** (self.levels - 1) + self.stride  # bottom, steps up
        radius += 3  # heads: at most three convolutions at raw resolution and finer
        return -(-radius // self.stride) * self.stride

    def features(self, raw: Tensor) -> Tensor:
        """(B, F, H, W) -> (B, width, H, W)."""
        height, width = raw.shape[-2:]
        x = self.head(pad_to_multiple(raw, self.stride))
        skips = []
        drop = iter(self.drop)
        for stage, down in zip(self.encoder, self.down, strict=True):
            x = next(drop)(stage(x))
            skips.append(x)
            x = down(x)
        x = next(drop)(self.bottom(x))
        for level in reversed(range(self.levels - 1)):
            x = next(drop)(self.decoder[level](self.up[level](x).add_(skips[level])))
        return x[..., :height, :width]

    def mean(self, features: Tensor, raw: Tensor) -> Tensor:
        """(B, width, H, W), (B, F, H, W) -> (B, 1, 2H, 2W) in float32.

        The last convolution is float32 under mixed precision too: the rounding of bfloat16 (5e-3
        of full scale) would be larger than the spread of the members.
        """
        fine = self.drop2d(self.expand(features))
        with torch.autocast(fine.device.type, enabled=False):
            wide_field = upsampled_frame_mean(raw[:, : self.averaged], self.SCALE)
            return self.output(fine.float()) + wide_field

    def forward(self, raw: Tensor) -> Tensor:
        """(B, F, H, W) -> (B, 1, 2H, 2W)."""
        return self.mean(self.features(raw), raw)


def pad_to_multiple(raw: Tensor, multiple: int) -> Tensor:
    """Repeats the last row and column until height and width are multiples."""
    bottom, right = -raw.shape[-2] % multiple, -raw.shape[-1] % multiple
    if not (bottom or right):
        return raw
    return nn.functional.pad(raw, (0, right, 0, bottom), mode="replicate")


def _stage(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
