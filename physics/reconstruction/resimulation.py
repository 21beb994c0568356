"""Re-simulation of the nine frames from a super-resolved image, compared with the measured ones.

Structure that a network invented is not in the frames, and structure that it missed is: both leave
a residual that is larger than the noise, and no ground truth is needed to see it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.checks.raw_checks import RawChecks, raw_checks
from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES, Illumination, fringe_phase
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics, apply_otf, target_otf
from bayesdl_sim.physics.patterns.bands import frequencies, separate, taper
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.patterns.measured import Counts, background_of, measured
from bayesdl_sim.physics.patterns.noise import BEYOND_ANY_LENS
from bayesdl_sim.utils.pieces.blurring import gaussian
from bayesdl_sim.utils.pieces.spans import doubled

__all__ = ["Examination", "Resimulation", "examine", "resimulate", "resimulate_field"]

RING = 0.02  # cycles per raw pixel, between the knots of a fitted transfer function
SHARPEST = 0.05  # of the apodised transfer of the image that is divided by
HAZE_SIGMA = 6.0  # raw pixels
BLOB_SIGMA = 2.0  # raw pixels; three resolution elements of a usual stand, FWHM 4.7
SURROUNDINGS_SIGMA = 5.0  # raw pixels; what an image lacks as a whole is no local invention
LIT_SHARE = 0.05  # of the brightest light, where the usual misfit is measured
BORDER = 4  # raw pixels that no score looks at: the field goes on outside, the image does not
PADDING = 16  # super-resolution pixels of mirrored image


@dataclass(frozen=True, kw_only=True, eq=False)
class Resimulation:
    """Comparison of an image with the frames.

    Attributes:
        invented: (H, W), by how many standard deviations the image is brighter than the frames,
            over a blob of `BLOB_SIGMA` against its surroundings; negative: light that it lacks.
            They are those of the noise and of the misfit that is usual in this image: a share of
            the brightness, the median over the lit field.
        chi2: (H, W), squared residual of the nine frames over its expected value, over such a
            blob; 1 where the image explains the frames.
        unexplained: share of the frames' power (without noise) that the image leaves.
        fringes_unexplained: the same of the differences between the frames, in which only fringes
            are: near 1 where the patterns do not fit the order of the frames.
        frames: (9, H, W), re-simulated, counts above background.
    """

    invented: Tensor
    chi2: Tensor
    unexplained: float
    fringes_unexplained: float
    frames: Tensor


def resimulate(
    sr: Tensor, raw: Counts, illumination: Illumination, optics: Optics = TYPICAL_OPTICS
) -> Resimulation:
    """Compares `frame_p = w_p + u_p T0 S + v_p Re T1 (S e^ikr) + x_p Im T1 (S e^ikr) + y_p haze`.

    S is the image without the apodisation of its target. The radial transfer functions T0 and T1
    are fitted to the wide-field and the shifted bands, since the damping of the lens is unknown and
    an image of a noisy stack is softer than its target. The scalars are fitted to each frame, so
    that neither phase nor modulation nor exposure has to be known, only the wave vectors. So few
    numbers cannot follow a local structure: the residual is noise or an error of the image. The
    noise is a line of brightness that is measured from the stack (`noise.noise_line`).

    Args:
        sr: (2H, 2W), any linear units.
        raw: (9, H, W) counts, measured or not.
        illumination: the wave vectors and phases, as estimated.
        optics: only roughly those of the microscope.

    Raises:
        InputError: for a stack that cannot be one (`MeasuredFrames`).
    """
    stack = measured(raw)
    frames, valid, spots = stack.frames, stack.validity, stack.spots
    level, rise = stack.noise_line
    rise = rise if rise > 0 else 0.0
    variance = level + rise * gaussian(frames.mean(dim=0), 1.0).clamp(min=0.0)
    weight = _weight(variance, valid, spots)
    sr = sr.to(frames)
    # As the frames: a background of the image would be light that the fringes modulate.
    sr = sr - background_of(sr.flatten())
    sharp = _without_apodisation(sr, illumination, optics)
    zero, first = separate(frames, illumination.phase)
    wide = _bin(sharp)
    moved = []
    for o in range(ORIENTATIONS):
        carrier = fringe_phase(
            illumination.frequency[o], illumination.angle[o], tuple(sharp.shape), sharp.device
        )
        moved.append(torch.complex(_bin(sharp * carrier.cos()), _bin(sharp * carrier.sin())))
    pixel_weight = 1.0 if spots is None else spots
    transfer = _transfer(wide[None], zero.mean(dim=0)[None], pixel_weight)
    blurred = _through(wide[None], transfer)[0].real
    moved = torch.stack(moved)
    moved = _through(moved, _transfer(moved, first, pixel_weight))
    model = _fit(frames, blurred, moved, variance, weight)
    return _compare(frames, model, variance, weight)


class Examination(NamedTuple):
    """A stack and its image, examined over `square` (rows, columns of raw pixels): all of them."""

    square: tuple[slice, slice]
    checks: RawChecks
    resimulation: Resimulation

    @property
    def fine_square(self) -> tuple[slice, slice]:
        """The square on the doubled grid."""
        rows, columns = map(doubled, self.square)
        return rows, columns

    def misfit(self) -> dict[str, float]:
        """The re-simulation in numbers."""
        invented = self.resimulation.invented
        kept = invented[invented != 0].abs()
        rank = max(1, math.ceil(0.999 * kept.numel()))
        return {
            "unexplained": self.resimulation.unexplained,
            "fringes_unexplained": self.resimulation.fringes_unexplained,
            "invented": float(kept.kthvalue(rank).values) if kept.numel() else 0.0,
        }


def examine(
    raw: Counts, sr: Tensor, optics: Optics | None = None, patterns: Estimate | None = None
) -> Examination:
    """Raw checks and re-simulation of a stack.

    Args:
        raw: (9, H, W) counts, measured or not.
        sr: (2H, 2W) image made from them.
        optics: of the detection, as far as they are known.
        patterns: of the stack, from `estimation.estimate`, where they are known already.
    """
    stack = measured(raw)
    patterns = patterns or estimate(stack, optics)
    checks = raw_checks(stack, optics, patterns)
    height, width = stack.missing.shape
    square = (slice(0, height), slice(0, width))
    return Examination(square, checks, resimulate_field(stack, sr, optics, patterns))


def resimulate_field(
    raw: Counts, sr: Tensor, optics: Optics | None = None, patterns: Estimate | None = None
) -> Resimulation:
    """Re-simulation of a whole field, with the patterns that are found in it.

    Args:
        raw: (9, H, W) counts, measured or not.
        sr: (2H, 2W) image made from them.
        optics: of the detection, as far as they are known.
        patterns: of this stack, from `estimation.estimate`, where they are known already.

    Raises:
        InputError: as `resimulate`.
    """
    patterns = patterns or estimate(raw, optics)
    return resimulate(sr, raw, patterns.illumination, optics or TYPICAL_OPTICS)


def _without_apodisation(sr: Tensor, illumination: Illumination, optics: Optics) -> Tensor:
    """The structure within the extended support: the image over the transfer of its target."""
    height, width = sr.shape
    padded = torch.nn.functional.pad(sr[None, None], (PADDING,) * 4, mode="reflect")[0, 0]
    transfer = target_otf(optics, illumination.mean_frequency, tuple(padded.shape), sr.device)
    inverse = transfer / (transfer**2 + SHARPEST**2)
    return apply_otf(padded, inverse)[PADDING : PADDING + height, PADDING : PADDING + width]


def _bin(image: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(image[None, None], 2)[0, 0]


def _transfer(model: Tensor, bands: Tensor, pixel_weight: Tensor | float) -> Tensor:
    """The radial transfer function (H, W) that brings the model nearest to the bands.

    `T(ring) = sum_o Re(e^-i a_o <M_o, B_o>) / sum_o <M_o, M_o>` with a_o the phase of `<M_o, B_o>`
    over all rings; linear between the rings, zero beyond any lens.

    Args:
        model, bands: (n, H, W), real or complex.
        pixel_weight: (H, W), or 1 for all.
    """
    shape = tuple(model.shape[1:])
    radius = torch.hypot(*frequencies(shape, model.device)).to(model.real)
    window = taper(shape, model.device).to(model.real) * pixel_weight
    ring = (radius / RING).round().long().flatten()
    ours, theirs = torch.fft.fft2(model * window), torch.fft.fft2(bands * window)
    inside = (radius < BEYOND_ANY_LENS) & (radius > RING / 2)
    cross = ours.conj() * theirs
    turn = cross[:, inside].sum(dim=1)
    turn = turn / turn.abs().clamp(min=1e-30)
    cross = (cross * turn.conj()[:, None, None]).real.sum(dim=0).flatten()
    power = ours.abs().square().sum(dim=0).flatten()
    over = torch.bincount(ring, weights=cross) / torch.bincount(ring, weights=power).clamp(1e-30)
    over = torch.cat([over[1:2], over[1:]]).clamp(min=0.0)  # the mean is the background's
    place = (radius / RING).clamp(max=len(over) - 1.001)
    left = place.floor().long()
    curve = torch.lerp(over[left], over[left + 1], place - left)
    return torch.where(radius < BEYOND_ANY_LENS, curve, 0.0)


def _through(images: Tensor, transfer: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(images) * transfer)


def _weight(variance: Tensor, valid: Tensor | None, spots: Tensor | None) -> Tensor:
    """1 where the frames are compared with the model, 0 at the border, in gaps and on spots."""
    kept = torch.zeros_like(variance)
    kept[BORDER:-BORDER, BORDER:-BORDER] = 1.0
    for part in (valid, spots):
        if part is not None:
            kept = kept * (part > 0.99)
    return kept


def _fit(
    frames: Tensor, blurred: Tensor, moved: Tensor, variance: Tensor, weight: Tensor
) -> Tensor:
    """The nine frames (9, H, W) of the model, five scalars each by weighted least squares."""
    haze, model = gaussian(blurred, HAZE_SIGMA), []
    root = (weight / variance).sqrt().flatten()
    for three, side in zip(frames.split(PHASES), moved, strict=True):
        parts = [torch.ones_like(blurred), blurred, side.real, side.imag, haze]
        basis = torch.stack([part.flatten() for part in parts], dim=1)
        # Columns of one size: a ridge that only matters where the image is constant.
        basis = basis / basis.square().mean(dim=0).sqrt().clamp(min=1e-30)
        weighted = basis * root[:, None]
        normal = (weighted.T @ weighted).double()
        ridge = 1e-6 * normal.diagonal().max() * torch.eye(len(parts)).to(normal)
        right_side = (weighted.T @ (three.flatten(1) * root).T).double()
        scalars = torch.linalg.solve(normal + ridge, right_side).to(basis)
        model.append((basis @ scalars).T.reshape(three.shape))
    return torch.cat(model)


def _compare(frames: Tensor, model: Tensor, variance: Tensor, weight: Tensor) -> Resimulation:
    rest, count = frames - model, len(frames)
    inner = weight > 0
    chi2 = gaussian((rest.square() / variance).mean(dim=0), BLOB_SIGMA)

    def excess(images: Tensor, degrees: float) -> tuple[float, float]:
        """Mean square over the noise, less the noise, and its standard error."""
        values = (images.square().sum(dim=0) / variance)[inner]
        return float(values.mean()) - degrees, math.sqrt(2 * degrees / max(len(values), 1))

    def share(left: Tensor, whole: Tensor, degrees: float) -> float:
        (remains, _), (total, error) = excess(left, degrees), excess(whole, degrees)
        return max(remains, 0.0) / max(total, 3 * error)

    def differences(images: Tensor) -> Tensor:
        return images - images.mean(dim=0)

    mean = (frames * weight).sum(dim=(1, 2), keepdim=True) / weight.sum().clamp(min=1)
    return Resimulation(
        invented=_invented(-rest.mean(dim=0), frames.mean(dim=0), variance / count, inner),
        chi2=chi2,
        unexplained=share(rest, frames - mean, count),
        fringes_unexplained=share(differences(rest), differences(frames), count - 1),
        frames=model,
    )


def _invented(surplus: Tensor, light: Tensor, variance: Tensor, inner: Tensor) -> Tensor:
    """Local surplus of the image over `sqrt(noise variance + (usual share x brightness)^2)`.

    Args:
        surplus: (H, W), image less frames, mean of the nine.
        light: (H, W), mean of the frames.
        variance: (H, W), of the noise of `light`.
    """
    local = gaussian(surplus, BLOB_SIGMA) - gaussian(surplus, SURROUNDINGS_SIGMA)
    light = gaussian(light, BLOB_SIGMA).clamp(min=0.0)
    brightest = float(light[inner].max()) if bool(inner.any()) else 0.0
    lit = inner & (light > LIT_SHARE * brightest)
    usual = float((local[lit].abs() / light[lit]).median()) / 0.674 if bool(lit.any()) else 0.0
    # What a Gaussian leaves of white noise: the sum of its squares, 1 / (4 pi sigma^2).
    noise = variance / (4 * math.pi * BLOB_SIGMA**2)
    return local / (noise + (usual * light) ** 2).sqrt().clamp(min=1e-30) * inner
