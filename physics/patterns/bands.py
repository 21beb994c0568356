"""Bands, exposures, rings and tapers, which pattern estimation and Wiener filter share."""

from __future__ import annotations

import math

import scipy.fft
import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.optics import Optics, otf_at

__all__ = [
    "camera_otf",
    "camera_pixel",
    "exposures",
    "fast_shape",
    "frequencies",
    "half_plane_radius",
    "power",
    "ring_index",
    "ring_mean",
    "separate",
    "taper",
    "unmixing",
]

TAPERED_SHARE = 0.12  # of a side, at each border
FLUCTUATION = 0.02  # relative, of the exposure from frame to frame: lamp, bleaching


def frequencies(
    shape: tuple[int, int], device: torch.device | str, spacing: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Frequencies of `fft2` along rows (h, 1) and columns (1, w), cycles per unit of `spacing`."""
    kwargs = {"d": spacing, "dtype": torch.float64, "device": device}
    return torch.fft.fftfreq(shape[0], **kwargs)[:, None], torch.fft.fftfreq(shape[1], **kwargs)[
        None
    ]


def half_plane_radius(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Frequencies of `rfft2`, cycles per pixel: (h, w / 2 + 1)."""
    return torch.hypot(*frequencies(shape, device))[:, : shape[1] // 2 + 1]


def taper(
    shape: tuple[int, int],
    device: torch.device | str,
    share: float | tuple[float, float] = TAPERED_SHARE,
) -> Tensor:
    """Window (H, W) that falls to zero over `share` of every side, against cross artefacts."""
    sides, shares = [], share if isinstance(share, tuple) else (share, share)
    for n, part in zip(shape, shares, strict=True):
        distance = torch.arange(n, dtype=torch.float64, device=device) + 0.5
        distance = torch.minimum(distance, n - distance)
        sides.append(torch.sin(0.5 * math.pi * (distance / (part * n)).clamp(max=1.0)) ** 2)
    return sides[0][:, None] * sides[1][None]


def fast_shape(shape: tuple[int, int], margin: int = 0) -> tuple[int, int]:
    """The next shape that is quick to transform, with `margin` more pixels on every side."""
    return tuple(scipy.fft.next_fast_len(n + 2 * margin) for n in shape)


def camera_otf(optics: Optics, shape: tuple[int, int], device: torch.device | str) -> Tensor:
    """Transfer function of optics and camera pixel on the camera's grid.

    `otf(f) cos(pi fx / 2) cos(pi fy / 2)`: the cosines are the mean over the 2 x 2
    super-resolution pixels of a camera pixel.

    Returns:
        (H, W) real float64, full plane of `fft2`.
    """
    # The same at k and -k, hence known from the quarter plane of frequencies from zero on.
    down, along = (torch.fft.rfftfreq(n, device=device) for n in shape)
    quarter = otf_at(optics, torch.hypot(down[:, None], along)).double()
    fy, fx = frequencies(shape, device)
    rows = (fy * shape[0]).round().abs().long()
    columns = (fx * shape[1]).round().abs().long()
    return quarter[rows, columns] * camera_pixel(fy, fx)


def camera_pixel(fy: Tensor, fx: Tensor) -> Tensor:
    """Transfer of a camera pixel, the mean over its 2 x 2 super-resolution pixels.

    Args:
        fy, fx: cycles per raw pixel.
    """
    return torch.cos(math.pi * fy / 2) * torch.cos(math.pi * fx / 2)


def power(spectrum: Tensor) -> Tensor:
    """`|spectrum|^2`, several times as fast as by the modulus, which guards against overflow."""
    return spectrum.real.square() + spectrum.imag.square()


def ring_index(shape: tuple[int, int], step: float, device: torch.device | str) -> Tensor:
    """The ring (h, w) that each frequency of `fft2` lies in; rings `step` cycles per pixel wide."""
    return (torch.hypot(*frequencies(shape, device)) / step).round().long()


def ring_mean(image: Tensor, index: Tensor) -> Tensor:
    """Mean of a real image over each ring of `ring_index`: (rings,)."""
    flat = index.flatten()
    count = torch.bincount(flat)
    total = torch.bincount(flat, weights=image.flatten().double())
    return total / count.clamp(min=1)


def exposures(frames: Tensor, optics: Optics, noise: float, weight: Tensor | None = None) -> Tensor:
    """The exposure of each frame (9, 1, 1), relative to its orientation's.

    The ratio of the frames' sums also holds `m Re(S(k) exp(i phase)) / S(0)`, which belongs to
    the sample: large for a few beads, negligible for a full field. The correction is therefore
    weighted by `v / (v + v_sample)`, `v` the variance of exposures that is usual, `v_sample` that
    share of the sample, from the power of the sample at the frequencies where k may lie.

    Args:
        frames: (9, H, W) without background.
        noise: variance of a pixel of a frame.
        weight: (H, W) of the pixels, 0..1; None: all alike.
    """
    window = taper(tuple(frames.shape[-2:]), frames.device).to(frames)
    window = window if weight is None else window * weight
    shape = fast_shape(tuple(frames.shape[-2:]))
    transfer = camera_otf(optics, shape, frames.device).to(frames)
    frequency = torch.hypot(*frequencies(shape, frames.device))
    ring = (frequency > 0.15) & (frequency < 0.9 * optics.cutoff)
    spectrum = torch.fft.fft2(frames.mean(dim=0) * window, s=shape)
    level = noise / len(frames) * float((window**2).sum())
    sample = ((power(spectrum) - level) / transfer.clamp(min=0.02) ** 2)[ring].mean()
    total = max(float(spectrum[0, 0].abs()), 1e-12)
    of_sample = 0.2 * float(sample.clamp(min=0.0)) / total**2  # 0.2: m^2 / 2 for m = 0.6
    sums = (frames * window).sum(dim=(1, 2)).reshape(ORIENTATIONS, PHASES)
    ratio = sums / sums.mean(dim=1, keepdim=True)
    trust = FLUCTUATION**2 / (FLUCTUATION**2 + of_sample)
    gain = (1 + trust * (ratio - 1)).reshape(-1, 1, 1)
    # An empty stack has no measurable exposure: its sums are noise around zero.
    usable = bool((sums > 0).all()) and bool(((gain - 1).abs() < 0.5).all())
    return gain if usable else torch.ones_like(gain)


def separate(frames: Tensor, phase: tuple[tuple[float, ...], ...]) -> tuple[Tensor, Tensor]:
    """Solves `frame_p = zero + 2 Re(first exp(i phase_p))` per orientation and pixel.

    Args:
        frames: (3 n, H, W), orientation-major.
        phase: for each of n orientations the phases of its frames in rad.

    Returns:
        `zero` (n, H, W) real, the wide-field band; `first` (n, H, W) complex, the band that the
        fringes shifted by the wave vector. Where the phases step by 120 degrees, both carry a
        third of the noise variance of a frame.
    """
    grouped = frames.reshape(len(phase), PHASES, *frames.shape[1:])
    bands = torch.einsum("obp,ophw->obhw", unmixing(phase).to(frames), grouped)
    return bands[:, 0], torch.complex(bands[:, 1], bands[:, 2])


def unmixing(phase: tuple[tuple[float, ...], ...]) -> Tensor:
    """Matrix that `separate` multiplies the frames by: (n, 3, 3) float64, band x frame.

    The bands are the wide field and the real and the imaginary part of the shifted band.
    """
    angles = torch.tensor(phase, dtype=torch.float64)
    mixing = torch.stack([torch.ones_like(angles), 2 * angles.cos(), -2 * angles.sin()], dim=-1)
    return torch.linalg.pinv(mixing)
