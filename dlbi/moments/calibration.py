"""Self-calibration from a blinking movie: noise, width of the spots, background."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from bayesdl_sim.dlbi.moments.fixed_pattern import FixedPattern, fixed_pattern
from bayesdl_sim.dlbi.moments.imaging import Imaging, airy_imaging_of, imaging_of
from bayesdl_sim.dlbi.moments.noise import noise_line
from bayesdl_sim.dlbi.moments.plausibility import contradictions, require_possible
from bayesdl_sim.dlbi.moments.spot_width import spot_width
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA
from bayesdl_sim.utils.errors import InputError

__all__ = ["Calibration", "calibrate"]

LEAST_BLINKING = 0.05  # power of the blinking at low frequencies relative to the noise
SIGNIFICANCE = 8.0  # standard errors by which the power of the blinking must exceed that


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Camera and optics, as given or as estimated from the movie.

    Args:
        gain: counts per electron.
        shift: counts of the point where the line of noise variance against mean crosses zero:
            offset less read noise^2 / gain. `(counts - shift) / gain` has a variance equal to its
            mean, as Poisson counts have.
        sigma_px: standard deviation of the Gaussian nearest to the spots, camera pixels.
        airy_fwhm_px: full width at half maximum of Airy spots, camera pixels; None where Gaussians
            explain the movie as well.
        blinking: power of the blinking at low frequencies relative to the noise.
        offset: counts of a dark pixel where it is given, else None.
        estimated: names of the quantities that were estimated and not given.
        contradictions: sentences on given quantities that the movie contradicts.
        pattern: what differs between the pixels in all frames; None where noise explains it.
    """

    gain: float
    shift: float
    sigma_px: float
    airy_fwhm_px: float | None
    blinking: float
    estimated: tuple[str, ...]
    offset: float | None = None
    contradictions: tuple[str, ...] = ()
    pattern: FixedPattern | None = None

    @property
    def fwhm_px(self) -> float:
        return self.airy_fwhm_px or FWHM_PER_SIGMA * self.sigma_px

    @property
    def read_noise_e(self) -> float | None:
        """Standard deviation of the read noise in electrons; unknown without an offset."""
        if self.offset is None:
            return None
        return max((self.offset - self.shift) / self.gain, 0.0) ** 0.5

    def imaging(self, shape: tuple[int, int]) -> Imaging:
        """The imaging model for a field of (H, W) camera pixels."""
        if self.airy_fwhm_px is not None:
            return airy_imaging_of(shape, self.airy_fwhm_px)
        return imaging_of(shape, self.sigma_px)

    def electrons(self, counts: Tensor) -> Tensor:
        """Poisson-like electrons: background and offset are still in them."""
        return (counts - self.shift) / self.gain


def calibrate(
    moments: Moments,
    fwhm_px: float | None = None,
    gain: float | None = None,
    offset: float | None = None,
    path: str = "movie",
) -> Calibration:
    """Estimates every quantity that is not given, and compares those that are with the movie.

    Args:
        fwhm_px: full width at half maximum of the spots, camera pixels.
        gain: counts per electron.
        offset: counts of a dark pixel; the shift cannot be above it, and the variance of the noise
            there is that of the read noise.

    Raises:
        InputError: a movie without noise, or without blinking; impossible values.
    """
    given = {"fwhm_px": fwhm_px, "gain": gain, "offset": offset}
    require_possible(moments, given, path)
    spots = spot_width(moments)
    sigma, airy_fwhm = spots.sigma, spots.airy_fwhm
    measured = _noise(moments, sigma)
    if fwhm_px is not None:
        sigma, airy_fwhm = fwhm_px / FWHM_PER_SIGMA, airy_fwhm and fwhm_px
    slope, shift = _noise(moments, sigma, gain, offset)
    # Frequencies that a spot passes, in all frames: the number of values that the estimate
    # averages.
    modes = moments.frames * moments.mean.numel() / (8 * np.pi * sigma**2)
    least = LEAST_BLINKING + SIGNIFICANCE / np.sqrt(modes)
    if spots.blinking < least:
        raise InputError(
            f"{path}: nothing blinks in it (fluctuations of spots are {spots.blinking:.3f} of the "
            f"noise, at least {least:.3f} expected): record a movie of a blinking fluorophore, or "
            "use a method for a still image"
        )
    calibration = Calibration(
        gain=slope,
        shift=shift,
        sigma_px=sigma if fwhm_px is not None else spots.nearest,
        airy_fwhm_px=airy_fwhm,
        blinking=spots.blinking,
        offset=offset,
        estimated=tuple(name for name, value in given.items() if value is None),
    )
    usual_fwhm = spots.airy_fwhm or FWHM_PER_SIGMA * spots.nearest
    found = {"fwhm_px": usual_fwhm, "gain": measured[0], "shift": measured[1]}
    mean = calibration.electrons(moments.mean)
    return replace(
        calibration,
        contradictions=contradictions(moments, calibration, found),
        pattern=fixed_pattern(moments, mean, slope, calibration.sigma_px),
    )


def _noise(
    moments: Moments, sigma: float, gain: float | None = None, offset: float | None = None
) -> tuple[float, float]:
    """Gain, and the counts (shift) where the noise vanishes, with the values that are given."""
    slope, intercept = noise_line(moments, sigma, offset)
    middle = float(moments.mean.mean())
    if gain is not None:
        # The line still has to pass through the centre of the measurements.
        intercept, slope = slope * middle + intercept - gain * middle, gain
    if not slope > 0:
        above = middle - float(moments.mean.min())
        slope = max(intercept, 1e-12) / max(above, 1e-12)
        intercept -= slope * middle
    shift = 0.0 - intercept / slope
    return slope, shift if offset is None else min(shift, offset)
