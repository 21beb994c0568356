"""DFCAN: channel attention read from the power spectrum, with the names of its released form."""

import torch
from torch import Tensor, nn

__all__ = ["DFCAN"]

EXPONENT = 0.8  # brings the spectrum's peak and its rim to comparable sizes
FLOOR = 1e-8  # keeps the gradient of the power finite


class FourierAttention(nn.Module):
    """`x * sigmoid(W2 relu(W1 <relu(conv(|FFT x|^0.8))>))`, `<.>` the mean over all frequencies."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        hidden = max(width // reduction, 1)
        self.conv1 = nn.Sequential(_conv(width, width), nn.ReLU())
        self.conv2 = nn.Sequential(
            nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        with torch.autocast(x.device.type, enabled=False):  # there is no transform in bfloat16
            amplitude = torch.fft.fft2(x.float()).abs()
            spectrum = torch.fft.fftshift((amplitude + FLOOR) ** EXPONENT, dim=(-2, -1))
        return x * self.conv2(self.conv1(spectrum).mean(dim=(2, 3), keepdim=True))


class FourierBlock(nn.Module):
    """`x + attention(gelu(conv(gelu(conv(x)))))`."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width),
            nn.GELU(),
            _conv(width, width),
            nn.GELU(),
            FourierAttention(width, reduction),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x + self.body(x)


class Group(nn.Module):
    """`x + blocks(x)`."""

    def __init__(self, width: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(FourierBlock(width, reduction) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x + self.body(x)


class DFCAN(nn.Module):
    """Frames to one image on the doubled grid; a baseline, not local for its Fourier transforms.

    1,935,361 parameters with the defaults. The released form has no uncertainty; step 2 can fit
    a tail to its features as to those of every backbone.

    Args:
        in_channels: raw frames.
        width: features.
        groups: residual groups.
        blocks: Fourier channel-attention blocks per group.
        reduction: features per hidden unit of the attention.

    Source: Qiao et al., Nature Methods 18, 194 (2021); sizes and names as in the PyTorch form
    released with BayesDL-SIM, which ends without a sigmoid.
    """

    is_local = False
    stride = 1

    def __init__(
        self,
        in_channels: int = 9,
        width: int = 64,
        groups: int = 4,
        blocks: int = 4,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        self.out_width = width
        self.head = nn.Sequential(_conv(in_channels, width), nn.GELU())
        self.body = nn.Sequential(*(Group(width, blocks, reduction) for _ in range(groups)))
        self.tail = nn.Sequential(
            _conv(width, 4 * width), nn.GELU(), nn.PixelShuffle(2), _conv(width, 1)
        )

    def features(self, raw: Tensor) -> Tensor:
        """(B, F, H, W) -> (B, width, H, W)."""
        return self.body(self.head(raw))

    def mean(self, features: Tensor, raw: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, 1, 2H, 2W) in float32; the raw frames are not needed."""
        fine = self.tail[:-1](features)
        with torch.autocast(fine.device.type, enabled=False):
            return self.tail[-1](fine.float())

    def forward(self, raw: Tensor) -> Tensor:
        """(B, F, H, W) -> (B, 1, 2H, 2W)."""
        return self.mean(self.features(raw), raw)


def _conv(width_in: int, width_out: int) -> nn.Conv2d:
    return nn.Conv2d(width_in, width_out, 3, padding=1)
