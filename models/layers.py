"""Building blocks of the networks: strictly local, so that tiles can equal the whole field.

What was just computed and is needed nowhere else is changed in place, in training too. The values
are the same, without a copy of each.
"""

from torch import Tensor, nn

__all__ = ["ResidualBlock", "downsample", "upsample", "upsampled_frame_mean"]


class PixelAttention(nn.Module):
    """Gates every channel of every pixel by what that pixel holds.

    `y = x * sigmoid(W2 relu(W1 x))`. Channel attention pooled over the whole field would tie a
    pixel to its farthest neighbour, and a tile would no longer equal the field (Chu et al., ECCV
    2022). The product matters here: demodulating a fringe is a product of two images.
    """

    def __init__(self, width: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(width // reduction, 4)
        self.squeeze = nn.Conv2d(width, hidden, 1)
        self.excite = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return x * self.excite(self.squeeze(x).relu_()).sigmoid_()


class ResidualBlock(nn.Module):
    """`x + attention(conv(relu(conv(x))))`, two 3 x 3 convolutions: a receptive radius of 2."""

    RADIUS = 2

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.attention = PixelAttention(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        return self.attention(self.second(self.first(x).relu_())).add_(x)


def downsample(width_in: int, width_out: int) -> nn.Module:
    """(B, C, H, W) -> (B, C', H/2, W/2); each output sees its own 2 x 2 pixels only."""
    return nn.Conv2d(width_in, width_out, 2, stride=2)


def upsample(width_in: int, width_out: int) -> nn.Module:
    """(B, C, H, W) -> (B, C', 2H, 2W) by 1 x 1 convolution and pixel shuffle."""
    return nn.Sequential(nn.Conv2d(width_in, 4 * width_out, 1), nn.PixelShuffle(2))


def upsampled_frame_mean(raw: Tensor, scale: int = 2) -> Tensor:
    """The wide field on the fine grid: (B, F, H, W) -> (B, 1, scale H, scale W), in float32.

    A network that adds to it starts from the wide field instead of having to find it.
    """
    wide_field = raw.float().mean(dim=1, keepdim=True)
    return nn.functional.interpolate(
        wide_field, scale_factor=scale, mode="bilinear", align_corners=False
    )
