"""Growth of the noise of a stack with its light: in proportion, unless the values were changed."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from bayesdl_sim.physics.optics import apply_otf
from bayesdl_sim.physics.patterns.bands import (
    fast_shape,
    frequencies,
    power,
    ring_index,
    ring_mean,
)
from bayesdl_sim.physics.patterns.measured import background_of
from bayesdl_sim.physics.patterns.noise import BEYOND_ANY_LENS, LEAST_NOISE

__all__ = ["NoiseGrowth", "noise_growth", "stored_gamma"]

MARGIN = 12  # raw pixels by which frames are continued, mirrored, before they are filtered
BORDER = 4  # raw pixels along the edges whose noise holds some of what was mirrored
BLUR = 1.5  # raw pixels (sigma), of noise and light alike
RING = 0.02  # cycles per raw pixel, of the spectrum that the light is denoised by
BLOCKS = 8  # along each side; left out one by one, they give the standard errors
LEAST_KEPT = 0.3  # of the pixels
RISING = 4.0  # standard errors of a noise that grows with the light
GAMMAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.5, 1.8, 2.2)
DOUBTFUL = 3.0  # standard errors; below, no gamma is looked for
CONTRAST = 10.0  # of the brightest per cent over the noise of the dark: there it has to grow


class NoiseGrowth(NamedTuple):
    """Growth of the noise variance of a stack with its light.

    Attributes:
        exponent: n of `a + b light^n`; 1 for counts of a camera, NaN where it cannot be measured.
        error: its standard error; infinity where the exponent cannot be measured.
        misfit: of a straight line, chi^2 of two more terms.
    """

    exponent: float
    error: float
    misfit: float

    @property
    def deviation(self) -> float:
        """Distance of the exponent from 1 in standard errors, either way; zero for NaN."""
        return abs(self.exponent - 1) / self.error if math.isfinite(self.exponent) else 0.0

    @property
    def is_doubtful(self) -> bool:
        """Whether it is worthwhile to look for a gamma."""
        return self.deviation > DOUBTFUL


# Where it cannot be measured, and where the noise does not grow at all.
NOTHING, FLAT = NoiseGrowth(math.nan, math.inf, 0.0), NoiseGrowth(0.0, 0.1, 100.0)


class _Moments(NamedTuple):
    """Noise and light of a field, filtered alike.

    Attributes:
        squares: (H, W), of the noise, mean of the frames.
        basis: (4, H, W), what they are regressed on.
        weight: (H, W), 0 or 1.
    """

    squares: Tensor
    basis: Tensor
    weight: Tensor


def noise_growth(frames: Tensor, weight: Tensor | None = None) -> NoiseGrowth:
    """Growth of the noise with the light: n of `variance = a + b light^n`, and misfit of a line.

    Counts of a camera have n = 1. A gamma g of the stored values (`counts^g`) leaves a variance
    that grows as `light^(2 - 1 / g)`: n is 0.75 for g = 0.8, zero for a square root. Where black
    was taken off first, the noise of the darkest pixels is blown up, too.

    The noise is what lies beyond the cut-off of any lens and differs between the frames. White
    noise of the variance v that passed a kernel h has the expected square `h^2 * v`. Its squares
    are therefore regressed on `h^2 * 1`, `h^2 * light`, `h^2 * (light log light)` and
    `h^2 * 1 / (light + 0.1)`, weighted by their expected variance. With light in units of its mean,
    the ratio of the third slope to the second is n - 1 to first order, without the last term.
    Standard errors are those of a jackknife over blocks of the field.

    Args:
        frames: (9, H, W) without background.
        weight: (H, W) of the pixels, 0..1: those below 1 are left out; None: all hold data.
    """
    moments = _moments(frames, weight)
    if moments is None:
        return NOTHING
    floor = LEAST_NOISE * float(moments.squares.mean())
    expected = torch.full_like(moments.squares, floor / LEAST_NOISE)
    for _ in range(2):
        products = _products(moments, expected)
        slopes = _slopes(products.sum(dim=0), 2)
        expected = torch.einsum("i,ihw->hw", slopes.to(expected), moments.basis[:2])
        expected = expected.clamp(min=floor)
    left_out = products.sum(dim=0) - products  # all blocks but one
    slope, error = _with_error(_slopes(left_out, 2)[:, 1])
    if slope < RISING * error:
        light = moments.basis[1][moments.weight > 0]
        bright = float(light.kthvalue(math.ceil(0.99 * len(light))).values)
        contrast = bright / math.sqrt(max(float(slopes[0]), floor))
        return FLAT if slope < -RISING * error or contrast > CONTRAST else NOTHING
    bend, error = _with_error(_slopes(left_out, 3)[:, 2])
    misfit = _chi2(_slopes(left_out, 4)[:, 2:])
    return NoiseGrowth(1 + bend / slope, error / slope, misfit)


def stored_gamma(frames: Tensor, background: float, weight: Tensor | None = None) -> float:
    """The gamma g of values stored as `(counts - black)^g`; NaN where none explains the noise.

    Values are raised to `1 / g` for several g, above zero or above the darkest one, and the g is
    taken after which the noise grows most nearly as a line, the darkest pixels included.

    Args:
        frames: (9, H, W) without background.
        background: that was taken off them, in the units in which they were stored.
        weight: as `noise_growth` takes it.
    """
    stored, raw, tried = noise_growth(frames, weight), frames + background, []
    low, high = float(raw.min()), float(raw.max())
    for black in {min(low, 0.0), low}:
        values = (raw - black) / max(high - black, 1e-30)
        for gamma in GAMMAS:
            counts = values ** (1 / gamma)
            counts = counts - background_of(counts.mean(dim=0).flatten())
            growth = noise_growth(counts, weight)
            if growth.deviation < stored.deviation and math.isfinite(growth.exponent):
                tried.append((growth.misfit, gamma))
    return min(tried)[1] if tried else math.nan


def _moments(frames: Tensor, weight: Tensor | None) -> _Moments | None:
    """Noise and light without the borders of the field; None where there is too little of it."""
    height, width = frames.shape[1:]
    inner = [slice(MARGIN + BORDER, MARGIN + n - BORDER) for n in (height, width)]
    weight = torch.ones_like(frames[0]) if weight is None else weight
    frames = _continued(torch.cat([frames, (weight > 0.99).to(frames)[None]]))
    frames, weight = frames[:-1], frames[-1]
    radius = torch.hypot(*frequencies(frames.shape[1:], frames.device))
    outside = (radius > BEYOND_ANY_LENS).to(frames)
    squared = torch.fft.fft2(torch.fft.ifft2(outside).real.square()).real
    blur = torch.exp(-2.0 * (math.pi * BLUR * radius) ** 2).to(frames)
    noise, light = _filtered(frames, outside), _denoised(frames.mean(dim=0), outside)
    # Pixels of unequal gain leave the same in all frames, and that grows with the light squared.
    noise = (noise - noise.mean(dim=0)) * math.sqrt(len(frames) / (len(frames) - 1))
    weight = (weight * _filtered(weight, blur) > 0.99).to(frames)[*inner]
    scale = float((light[*inner] * weight).sum() / weight.sum().clamp(min=1))
    squares = _filtered(noise.square().mean(dim=0), blur)[*inner] / max(scale, 1e-30) ** 2
    if float(weight.mean()) < LEAST_KEPT or not scale > 0 or not float(squares.mean()) > 0:
        return None
    light = light / scale
    lit = light.clamp(min=1e-6)
    basis = torch.stack([torch.ones_like(light), light, lit * lit.log(), 1 / (lit + 0.1)])
    # Normalised to the variance of a pixel: the sum of h^2 is the share of the frequencies.
    basis = _filtered(basis, squared * blur)[:, *inner] / squared[0, 0]
    return _Moments(squares / squared[0, 0], basis, weight)


def _products(moments: _Moments, expected: Tensor) -> Tensor:
    """The normal equations of each block, (blocks, 4, 5) float64: of the basis with itself, and
    with the squares in the last column.
    """
    images = torch.cat([moments.basis, moments.squares[None]])
    weighted = moments.basis * (moments.weight / expected.square())
    pairs = weighted[:, None] * images[None]
    blocks = adaptive_avg_pool2d(pairs.double(), BLOCKS)
    return blocks.flatten(2).permute(2, 0, 1)


def _slopes(products: Tensor, terms: int) -> Tensor:
    """Solves the normal equations (..., 4, 5) for the first terms of the basis: (..., terms)."""
    matrix, right = products[..., :terms, :terms], products[..., :terms, -1]
    ridge = 1e-9 * matrix.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
    return torch.linalg.solve(matrix + ridge * torch.eye(terms).to(matrix), right)


def _with_error(estimates: Tensor) -> tuple[float, float]:
    """Mean and standard error of the estimates (blocks,) that each leave one block out."""
    count = len(estimates)
    error = math.sqrt((count - 1) * float(estimates.var(correction=0)))
    return float(estimates.mean()), max(error, 1e-9)


def _chi2(estimates: Tensor) -> float:
    """Distance from zero of the mean of estimates (blocks, k), each without one block."""
    rest = estimates - estimates.mean(dim=0)
    covariance = (len(rest) - 1) / len(rest) * rest.T @ rest
    covariance = covariance + 1e-9 * covariance.trace() * torch.eye(len(covariance)).to(rest)
    mean = estimates.mean(dim=0)
    return float(mean @ torch.linalg.solve(covariance, mean))


def _continued(images: Tensor) -> Tensor:
    """Images (n, H, W), mirrored at the edges to a size that is quick to transform."""
    height, width = images.shape[1:]
    rows, columns = fast_shape((height, width), MARGIN)
    beyond = (MARGIN, columns - width - MARGIN, MARGIN, rows - height - MARGIN)
    return pad(images[None], beyond, mode="reflect")[0]


def _denoised(image: Tensor, outside: Tensor) -> Tensor:
    """Expected value of the light (H, W) where an image holds white noise: its Wiener filter.

    The noise of a regressor flattens the line; that of an expected value does not.

    Args:
        outside: (H, W), the frequencies that hold noise alone.
    """
    strength = power(torch.fft.fft2(image - image.mean()))
    index = ring_index(tuple(image.shape), RING, image.device)
    rings = ring_mean(strength, index).to(image)
    level = (strength * outside).sum() / outside.sum()
    passed = (1 - level / rings.clamp(min=1e-30)).clamp(min=0)[index] * (1 - outside)
    passed[0, 0] = 1.0
    return _filtered(image, passed)


def _filtered(images: Tensor, response: Tensor) -> Tensor:
    """Images (..., H, W), filtered by a response on the whole frequency plane (H, W)."""
    return apply_otf(images, response[:, : images.shape[-1] // 2 + 1])
