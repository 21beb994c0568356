"""The released generator: residual channel attention, with the names of its released files."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bayesdl_sim.models.dropout import Dropout

__all__ = ["RCAN", "ReleasedTail"]

TAIL_PARTS = {
    "gauss": ["uncer_tail"],
    "laplace": ["uncer_tail"],
    "student": ["uncer_tail_precision", "uncer_tail_df"],
}


class ChannelAttention(nn.Module):
    """`x * sigmoid(W2 relu(W1 <x>))`, `<x>` the mean of every channel over the whole field."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        hidden = max(width // reduction, 1)
        self.conv_du = nn.Sequential(
            nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x * self.conv_du(x.mean(dim=(2, 3), keepdim=True))


class AttentionBlock(nn.Module):
    """`x + attention(conv(relu(conv(x))))`."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width, bias=True), nn.ReLU(inplace=True), _conv(width, width, bias=True)
        )
        self.CA = ChannelAttention(width, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x + self.CA(self.body(x))


class Group(nn.Module):
    """`x + conv(blocks(x))`."""

    def __init__(self, width: int, blocks: int, reduction: int) -> None:
        super().__init__()
        parts = [AttentionBlock(width, reduction) for _ in range(blocks)]
        self.body = nn.Sequential(*parts, _conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x + self.body(x)


class RCAN(nn.Module):
    """Frames to one image on the doubled grid: `tail(x + body(x))` with `x = head(raw)`.

    4,096,456 parameters with the defaults. Unlike `UNet` it adds no wide field, and it is not
    local: the attention of every block averages over the whole field, so a tile would be
    weighed by what that tile shows.

    Args:
        in_channels: raw frames.
        width: features.
        groups: residual groups.
        blocks: residual attention blocks per group.
        reduction: features per hidden unit of the attention.
        drop: rate of the dropout of elements after every group.
        drop2d: rate of the dropout of channels before the last convolution.

    Source: Zhang et al., ECCV 2018; sizes, names and biases as in the released BayesDL-SIM.
    """

    is_local = False
    stride = 1

    def __init__(
        self,
        in_channels: int = 9,
        width: int = 64,
        groups: int = 5,
        blocks: int = 10,
        reduction: int = 16,
        drop: float = 0.0,
        drop2d: float = 0.0,
    ) -> None:
        super().__init__()
        self.out_width = width
        self.head = nn.Sequential(_conv(in_channels, width))
        parts = [Group(width, blocks, reduction) for _ in range(groups)]
        self.body = nn.Sequential(*parts, _conv(width, width))
        # Not within the body, where the released network has them: there they shift the numbers.
        self.drop = nn.ModuleList(Dropout(drop, channels=False) for _ in range(groups))
        shuffle = nn.Sequential(_conv(width, 4 * width, bias=True), nn.PixelShuffle(2))
        self.tail = nn.Sequential(shuffle, Dropout(drop2d, channels=True), _conv(width, 1))

    def features(self, raw: Tensor) -> Tensor:
        """(B, F, H, W) -> (B, width, H, W)."""
        x = y = self.head(raw)
        for group, drop in zip(self.body, self.drop, strict=False):  # the last part is no group
            y = drop(group(y))
        return x + self.body[-1](y)

    def mean(self, features: Tensor, raw: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, 1, 2H, 2W) in float32; the raw frames are not needed.

        The last convolution is float32 under mixed precision too, as in `UNet`.
        """
        return _in_float32(self.tail[-1], self.tail[:-1](features))

    def forward(self, raw: Tensor) -> Tensor:
        """(B, F, H, W) -> (B, 1, 2H, 2W)."""
        return self.mean(self.features(raw), raw)


class ReleasedTail(nn.Module):
    """The released uncertainty tail: nearest neighbours, four convolutions with ELU, one to a map.

    Unbounded, without biases; 148,032 parameters per map at 64 features.

    Args:
        width: features.
        likelihood: "gauss" (log-variance), "laplace" (log-scale), or "student" (log-precision and
            log-degrees of freedom).
    """

    def __init__(self, width: int, likelihood: str) -> None:
        super().__init__()
        self.parts = TAIL_PARTS[likelihood]
        for name in self.parts:
            layers = [layer for _ in range(4) for layer in (_conv(width, width), nn.ELU())]
            self.add_module(name, nn.Sequential(*layers, _conv(width, 1)))

    def forward(self, features: Tensor, mean: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 1 or 2, 2H, 2W) in float32; the mean is not needed."""
        fine = interpolate(features, scale_factor=2, mode="nearest")
        maps = [getattr(self, name) for name in self.parts]
        return torch.cat([_in_float32(layers[-1], layers[:-1](fine)) for layers in maps], dim=1)


def _conv(width_in: int, width_out: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(width_in, width_out, 3, padding=1, bias=bias)


def _in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())
