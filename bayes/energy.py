"""The energy of step 1: absolute error, Fourier error and structural dissimilarity."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.utils.errors import InputError

__all__ = ["Energy", "reconstruction_energy", "ssim"]

WINDOW = 11  # pixels, as in Wang et al. 2004
SIGMA = 1.5  # pixels


class Energy(NamedTuple):
    """The energy and its three terms, each a scalar tensor before weighting.

    Attributes:
        total: `w_mae * mae + w_fft * fft + w_ssim * (1 - ssim)`, the one to differentiate.
        mae: mean absolute error per pixel.
        fft: mean absolute error per Fourier coefficient (see `reconstruction_energy`).
        ssim: structural similarity, at most 1 (1: equal images).
    """

    total: Tensor
    mae: Tensor
    fft: Tensor
    ssim: Tensor


def reconstruction_energy(
    mean: Tensor,
    target: Tensor,
    mae: float = 1.0,
    fft: float = 0.01,
    ssim: float = 0.1,
    data_range: float = 1.0,
) -> Energy:
    """Mean energy per target pixel of a reconstruction.

    `E = mae * <|mean - target|> + fft * <|Re D|, |Im D|> + ssim * (1 - SSIM)`, where `D` is the
    orthonormal real FFT (`rfft2`) of `mean - target` and `<.>` the average over all real and
    imaginary parts. The orthonormal scaling gives the Fourier term the size of the pixel term
    for white errors, whatever the size of the image. `exp(-N E)` is not the likelihood of any
    camera: the posterior that SGLD draws from it is a generalised (Gibbs) posterior.

    Args:
        mean: reconstruction, (B, 1, 2H, 2W), normalised intensity; any floating dtype.
        target: ground truth of the same shape.
        mae: weight of the absolute error.
        fft: weight of the Fourier error.
        ssim: weight of the structural dissimilarity.
        data_range: full scale of the normalised intensity, for the constants of the SSIM.

    Returns:
        `Energy`, computed in float32 (float64 stays float64), also under autocast.

    Raises:
        InputError: shapes differ, or the images are smaller than the SSIM window.
    """
    _check_pair(mean, target)
    with torch.autocast(mean.device.type, enabled=False):
        mean, target = _full_precision(mean), _full_precision(target)
        difference = mean - target
        spectrum = torch.view_as_real(torch.fft.rfft2(difference, norm="ortho"))
        absolute = difference.abs().mean()
        fourier = spectrum.abs().mean()
        similarity = _ssim(mean, target, data_range)
        total = mae * absolute + fft * fourier + ssim * (1 - similarity)
    return Energy(total, absolute, fourier, similarity)


def ssim(mean: Tensor, target: Tensor, data_range: float = 1.0) -> Tensor:
    """Structural similarity, averaged over images and pixels; differentiable.

    `(2 m_x m_y + c1)(2 s_xy + c2) / ((m_x^2 + m_y^2 + c1)(s_x^2 + s_y^2 + c2))` with the means,
    variances and covariance under a Gaussian window (11 pixels, sigma 1.5), `c1 = (0.01 R)^2` and
    `c2 = (0.03 R)^2`. Only whole windows count: five pixels are lost at each side, as in
    scikit-image with `gaussian_weights=True, use_sample_covariance=False`.

    Args:
        mean: image, (B, 1, H, W), at least 11 x 11.
        target: reference of the same shape.
        data_range: full scale `R`.

    Returns:
        A scalar tensor, float32 (float64 for float64 images).

    Raises:
        InputError: shapes differ, or the images are smaller than the window.

    Source: Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Process. 13, 600 (2004), eq. 13.
    """
    _check_pair(mean, target)
    with torch.autocast(mean.device.type, enabled=False):
        return _ssim(_full_precision(mean), _full_precision(target), data_range)


def _ssim(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    # The two variances enter only as their sum: four filtered maps do instead of five.
    maps = torch.cat([x, y, x * x + y * y, x * y])  # (4B, 1, H, W)
    mean_x, mean_y, square, product = _blur(maps).chunk(4)
    means = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    numerator = (2 * means + c1) * (2 * (product - means) + c2)
    denominator = (squares + c1) * (square - squares + c2)
    return (numerator / denominator).mean()


def _blur(maps: Tensor) -> Tensor:
    """Gaussian window along rows, then columns; (M, 1, H, W) -> (M, 1, H - 10, W - 10)."""
    half = WINDOW // 2
    window = [math.exp(-0.5 * ((i - half) / SIGMA) ** 2) for i in range(WINDOW)]
    window = [weight / sum(window) for weight in window]
    for axis in (-2, -1):
        # Shifted sums of symmetric pairs, not conv2d: with one channel that takes 15 times as
        # long on a CPU, and on a GPU it may round to TF32, which ruins the variances.
        size = maps.shape[axis] - WINDOW + 1
        blurred = window[half] * maps.narrow(axis, half, size)
        for i in range(half):
            pair = maps.narrow(axis, i, size) + maps.narrow(axis, WINDOW - 1 - i, size)
            blurred = torch.add(blurred, pair, alpha=window[i])
        maps = blurred
    return maps


def _full_precision(image: Tensor) -> Tensor:
    return image if image.dtype == torch.float64 else image.float()


def _check_pair(mean: Tensor, target: Tensor) -> None:
    if mean.shape != target.shape or mean.ndim != 4 or mean.shape[1] != 1:
        raise InputError(
            f"reconstruction and target must both be (B, 1, 2H, 2W), found {tuple(mean.shape)} "
            f"and {tuple(target.shape)}"
        )
    if min(mean.shape[-2:]) < WINDOW:
        raise InputError(
            f"the similarity window needs at least {WINDOW} x {WINDOW} target pixels, found "
            f"{mean.shape[-2]} x {mean.shape[-1]}: use larger patches"
        )
