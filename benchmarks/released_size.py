"""A residual channel attention network of the size that the released BayesDL-SIM uses, for timing.

5 groups of 10 blocks with 64 features: 4.1 million parameters. Its weights are random and no result
comes from it; a forward pass costs the same whatever the weights. Architecture: Zhang et al., Image
Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018.
"""

import torch
from torch import Tensor, nn

__all__ = ["ReleasedSizeRCAN"]


class _Attention(nn.Module):
    """`x * sigmoid(W2 relu(W1 mean(x)))`, the mean over the whole field."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, width // reduction, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // reduction, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x * self.weigh(x)


class _Residual(nn.Module):
    """`x + body(x)`."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x + self.body(x)


class ReleasedSizeRCAN(nn.Module):
    """(B, 9, H, W) -> (B, 1, 2H, 2W), weights determined by the seed."""

    def __init__(
        self, groups: int = 5, blocks: int = 10, width: int = 64, reduction: int = 16, seed: int = 0
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = _conv(9, width)
            grouped = (
                _Residual(*(_block(width, reduction) for _ in range(blocks)), _conv(width, width))
                for _ in range(groups)
            )
            self.body = _Residual(*grouped, _conv(width, width))
            self.tail = nn.Sequential(_conv(width, 4 * width), nn.PixelShuffle(2), _conv(width, 1))

    def forward(self, raw: Tensor) -> Tensor:
        """Normalised frames to one image on the doubled grid."""
        return self.tail(self.body(self.head(raw)))


def _conv(width_in: int, width_out: int) -> nn.Conv2d:
    return nn.Conv2d(width_in, width_out, 3, padding=1)


def _block(width: int, reduction: int) -> _Residual:
    return _Residual(
        _conv(width, width),
        nn.ReLU(inplace=True),
        _conv(width, width),
        _Attention(width, reduction),
    )
