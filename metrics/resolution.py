"""Resolution of an image: Fourier ring correlation and decorrelation analysis.

Resolutions are lengths in pixels of the image; times the pixel size they are in nanometres. 2 is
the finest that pixels can show.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal.windows import tukey

from bayesdl_sim.utils.errors import InputError

__all__ = ["RingCorrelation", "decorrelation", "frc", "frc_resolution"]

EDGE = 0.25  # share of each side that fades to zero: an edge would correlate at all frequencies
SMOOTHING = 1.5  # rings; a single low ring is chance
RADII = 100  # of the decorrelation curve, up to the finest frequency
FILTERS = 10  # high-pass filters, from coarse to fine
FINEST_FILTER = 0.15  # pixels
LEAST_DROP = 1e-3  # a peak of the decorrelation curve stands out by this at least
MIN_SIDE = 16


class RingCorrelation(NamedTuple):
    """Correlation of two images, frequency ring by frequency ring.

    `frequency`: centre of each ring, cycles per pixel. `correlation`: -1 to 1. `count`: Fourier
    pixels of the ring.
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    count: NDArray[np.int64]


def frc(image: ArrayLike, other: ArrayLike) -> RingCorrelation:
    """Fourier ring correlation of two images of one field.

        FRC(q) = sum_ring Re(A conj(B)) / sqrt(sum_ring |A|^2 sum_ring |B|^2),

    after the mean is taken off and the edges fade to zero (Tukey window). A stands for the image;
    B is the other half of the data where there are two, or the known truth.

    Args:
        image, other: (H, W), any units.

    Returns:
        Rings of one Fourier pixel of the shorter side, without zero frequency, up to 0.5 cycles
        per pixel.

    Raises:
        InputError: shapes that differ or are below 16 pixels, values that are not finite.

    Source: Saxton and Baumeister, J. Microscopy 127, 127 (1982); Banterle et al., J. Struct. Biol.
    183, 363 (2013).
    """
    a, b = _windowed(image), _windowed(other)
    if a.shape != b.shape:
        raise InputError(f"two images of a field must have the same size: {a.shape} and {b.shape}")
    first, second = np.fft.fft2(a), np.fft.fft2(b)
    rings = np.rint(_radius(a.shape) * min(a.shape)).astype(int).ravel()
    last = min(a.shape) // 2

    def ring_sums(values: NDArray) -> NDArray:
        return np.bincount(rings, values.ravel(), minlength=last + 1)[1 : last + 1]

    shared = ring_sums((first * second.conj()).real)
    power = ring_sums(np.abs(first) ** 2) * ring_sums(np.abs(second) ** 2)
    correlation = np.divide(shared, np.sqrt(power), out=np.zeros_like(shared), where=power > 0)
    count = np.bincount(rings, minlength=last + 1)[1 : last + 1]
    return RingCorrelation(np.arange(1, last + 1) / min(a.shape), correlation, count)


def frc_resolution(rings: RingCorrelation, threshold: str = "1/7") -> float:
    """The length at which the ring correlation falls below a threshold.

    The curve is smoothed over neighbouring rings, and the crossing interpolated linearly. What
    counts is the first fall after the first ring above: the innermost rings have so few pixels
    that the 3-sigma threshold exceeds 1 there.

        "1/7":     fixed
        "3-sigma": 3 / sqrt(n / 2), n the Fourier pixels of the ring, of which half are independent

    Both were made for two noisy halves of the data. Against a truth without noise they give the
    finest detail that the image has in common with it, which is more lenient: there the ring
    correlation 1/7 of two halves corresponds to 0.5.

    Args:
        rings: rings from `frc`.
        threshold: "1/7" or "3-sigma".

    Returns:
        Pixels; 2 where the correlation never falls below, infinite where it is never above.

    Source: Nieuwenhuizen et al., Nature Methods 10, 557 (2013); van Heel and Schatz, J. Struct.
    Biol. 151, 250 (2005).
    """
    if threshold not in ("1/7", "3-sigma"):
        raise InputError(f"expected a threshold of '1/7' or '3-sigma', found {threshold!r}")
    smooth = gaussian_filter1d(rings.correlation, SMOOTHING, mode="nearest")
    limit = 3 / np.sqrt(rings.count / 2) if threshold == "3-sigma" else np.full(len(smooth), 1 / 7)
    above = smooth - limit
    if not (above > 0).any():
        return float("inf")
    start = int(np.argmax(above > 0))
    below = start + np.flatnonzero(above[start:] < 0)
    if not below.size:
        return float(1 / rings.frequency[-1])
    at = below[0]
    share = above[at - 1] / (above[at - 1] - above[at])
    step = rings.frequency[at] - rings.frequency[at - 1]
    return float(1 / (rings.frequency[at - 1] + share * step))


def decorrelation(image: ArrayLike) -> float:
    """Resolution of a single image by decorrelation analysis, without a reference.

    With I the Fourier transform, I_n = I / |I| and a disc M of radius r (1 at 0.5 cycles per
    pixel),

        d(r) = sum_M Re(I conj(I_n)) / sqrt(sum |I|^2 sum_M |I_n|^2).

    d rises while the disc takes up signal and falls once it takes up noise, so its peak is where
    the signal ends. The coarse structure hides this end: the peak is sought again in ten high-pass
    filtered images (the image less its Gaussian blur, sigma from 2 / r_0 pixels down to 0.15),
    and the largest radius of them all counts.

    Args:
        image: (H, W), any units.

    Returns:
        2 / (largest peak radius) pixels; infinite where no curve has a peak (pure noise).

    Raises:
        InputError: below 16 pixels, constant or not finite.

    Source: Descloux, Grussmayer and Radenovic, Nature Methods 16, 918 (2019). Written from the
    paper; the peaks here are read off a curve of 100 radii without its second, refined round.
    """
    spectrum = np.abs(np.fft.fft2(_windowed(image))).ravel()
    if not spectrum.max() > 0:
        raise InputError("a constant image has no resolution")
    radius = 2 * _radius(np.shape(image)).ravel()
    order = np.argsort(radius, kind="stable")
    order = order[(radius[order] > 0) & (radius[order] <= 1)]
    amplitude, radius = spectrum[order], radius[order]
    ends = np.searchsorted(radius, np.linspace(0, 1, RADII + 1)[1:], side="right")
    radii = np.linspace(0, 1, RADII + 1)[1:]

    def peak(filtered: NDArray) -> float:
        sums = np.concatenate([[0.0], np.cumsum(filtered)])[ends]
        power = np.sqrt(np.sum(filtered**2) * np.maximum(ends, 1))
        return _peak(radii, sums / power)

    first = peak(amplitude)
    widest = 2 / first if first > 0 else min(np.shape(image)) / 4
    sigmas = np.geomspace(max(widest, FINEST_FILTER), FINEST_FILTER, FILTERS)
    kept = (1 - np.exp(-0.5 * (np.pi * sigma * radius) ** 2) for sigma in sigmas)
    best = max([first, *(peak(amplitude * high_pass) for high_pass in kept)])
    return float(2 / best) if best > 0 else float("inf")


def _peak(radii: NDArray, curve: NDArray) -> float:
    """Radius of the highest point that has a fall behind it; 0 where there is none."""
    lowest_behind = np.minimum.accumulate(curve[::-1])[::-1]
    end = len(curve)
    while end > 1:
        at = int(np.argmax(curve[:end]))
        if curve[at] - lowest_behind[at] >= LEAST_DROP:
            return float(radii[at])
        end = at  # a rise that goes on to the edge: look before it
    return 0.0


def _windowed(image: ArrayLike) -> NDArray[np.float64]:
    image = np.asarray(image, dtype=np.float64)
    if image.ndim != 2 or min(image.shape) < MIN_SIDE or not np.isfinite(image).all():
        raise InputError(
            f"a resolution needs a finite image of at least {MIN_SIDE} x {MIN_SIDE} pixels, found "
            f"one of shape {image.shape}"
        )
    height, width = image.shape
    window = np.outer(tukey(height, 2 * EDGE), tukey(width, 2 * EDGE))
    return (image - image.mean()) * window


def _radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Modulus of the frequency on the plane of `fft2`, cycles per pixel."""
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None])
