"""Detection optics: the optical transfer function of the microscope and that of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from bayesdl_sim.physics.lens import cutoff_of
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "TYPICAL_OPTICS",
    "Optics",
    "apply_otf",
    "circular_autocorrelation",
    "frequency_grid",
    "otf",
    "otf_at",
    "stated_optics",
    "target_otf",
]

TYPICAL_DAMPING = 0.4  # moderate aberrations
STATED_CUTOFFS = (0.2, 0.45)  # cycles per raw pixel, of 2D-SIM stands, and some more
MEASURED_FLOOR = 1e-3  # measured OTF values below this share of the peak are noise


@dataclass(frozen=True)
class Optics:
    """A detection path in physical units.

    Args:
        na: numerical aperture of the objective.
        emission_nm: emission wavelength.
        pixel_size_nm: raw camera pixel in the sample plane.
        damping: aberrations multiply the ideal OTF by `damping ** (f / cutoff)`; 1 is ideal.
        radial_otf: measured OTF modulus along the radius, 1 at zero frequency; replaces the ideal
            OTF and its damping.
        radial_step_per_um: sample spacing of `radial_otf` in cycles per micrometre.
    """

    na: float
    emission_nm: float
    pixel_size_nm: float
    damping: float = 1.0
    radial_otf: tuple[float, ...] | None = None
    radial_step_per_um: float | None = None

    @property
    def cutoff(self) -> float:
        """Cut-off frequency 2 NA / emission, in cycles per raw pixel."""
        return cutoff_of(self.na, self.emission_nm, self.pixel_size_nm)

    @property
    def nominal(self) -> Optics:
        """The nominal aperture, wavelength and pixel size, with typical aberrations."""
        return Optics(self.na, self.emission_nm, self.pixel_size_nm, TYPICAL_DAMPING)

    def is_of_lens(self, other: Optics | None) -> bool:
        """Whether aperture, wavelength and pixel size are those of other optics, if there are."""
        return other is not None and self.nominal == other.nominal

    def to_dict(self) -> dict[str, Any]:
        """The parameters for JSON; a measured curve is named by its cut-off, not listed."""
        measured = self.radial_otf is not None
        return asdict(self) | {"radial_otf": measured, "cutoff": self.cutoff}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], measured: Sequence[Optics] = ()) -> Optics:
        """The optics that `to_dict` has described.

        Args:
            measured: optics with a measured OTF, of which the one of the same aperture and
                wavelength lends its curve.

        Raises:
            InputError: a measured OTF that none of these has.
        """
        names = ("na", "emission_nm", "pixel_size_nm", "damping")
        parameters = tuple(stored[name] for name in names)
        if not stored["radial_otf"]:
            return cls(*parameters)
        for known in measured:
            if (known.na, known.emission_nm) == parameters[:2]:
                return cls(*parameters, known.radial_otf, known.radial_step_per_um)
        raise InputError(
            f"a cell has a measured OTF of NA {parameters[0]} at {parameters[1]} nm, but this "
            "version has no such OTF: simulate the set again"
        )


# Cut-off 0.34 cycles per pixel and moderate aberrations, in the middle of what microscopes have:
# for whatever depends on the optics only roughly.
TYPICAL_OPTICS = Optics(na=1.35, emission_nm=560.0, pixel_size_nm=70.0, damping=TYPICAL_DAMPING)


def stated_optics(
    na: float | None, emission_nm: float | None, pixel_size_nm: float | None
) -> Optics | None:
    """The nominal detection of what a file states of its microscope.

    Returns:
        None where one of the three is missing, or where they make a cut-off outside of 0.2 to 0.45
        cycles per raw pixel, which no 2D-SIM stand has: one of them is then wrong (a pixel size
        without the binning, the aperture of another objective).
    """
    if na is None or emission_nm is None or pixel_size_nm is None:
        return None
    optics = Optics(na, emission_nm, pixel_size_nm).nominal
    low, high = STATED_CUTOFFS
    return optics if low <= optics.cutoff <= high else None


def frequency_grid(shape: tuple[int, int], device: torch.device | str = "cpu") -> Tensor:
    """Modulus of the spatial frequency on the half plane of `rfft2`.

    Args:
        shape: (2H, 2W) of the super-resolution grid, whose pixel is half a raw pixel.

    Returns:
        (2H, W + 1), cycles per raw pixel.
    """
    rows = torch.fft.fftfreq(shape[0], d=0.5, device=device)
    columns = torch.fft.rfftfreq(shape[1], d=0.5, device=device)
    return torch.hypot(rows[:, None], columns[None, :])


def otf(optics: Optics, shape: tuple[int, int], device: torch.device | str = "cpu") -> Tensor:
    """Incoherent OTF of the detection, see `otf_at`.

    Returns:
        (2H, W + 1) real, half plane of `rfft2` on the super-resolution grid.
    """
    return otf_at(optics, frequency_grid(shape, device))


def otf_at(optics: Optics, frequency: Tensor) -> Tensor:
    """Incoherent OTF at frequencies in cycles per raw pixel, zero beyond the cut-off, 1 at zero.

    `H(f) = 2/pi (acos x - x sqrt(1 - x^2)) damping^x`, `x = f / cutoff`, or the measured radial
    curve, interpolated linearly and cut at its cut-off, where only noise is left.
    """
    if optics.radial_otf is None:
        x = (frequency / optics.cutoff).clamp(max=1.0)
        return circular_autocorrelation(x) * optics.damping**x
    return _interpolate_radial(optics, frequency)


def target_otf(
    optics: Optics,
    pattern_frequency: float,
    shape: tuple[int, int],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Apodised OTF of the extended support: what a reconstruction should deliver.

    It is the ideal incoherent OTF of a microscope whose cut-off is `cutoff + pattern_frequency`.
    SIM carries no information beyond that radius, so a target with more would reward invention;
    and since this OTF is the autocorrelation of a disc, its point spread function is non-negative
    and free of ringing, which a hard cut at the same radius would not be.

    Args:
        pattern_frequency: mean illumination frequency in cycles per raw pixel.

    Returns:
        (2H, W + 1) real, half plane of `rfft2` on the super-resolution grid.
    """
    extended = optics.cutoff + pattern_frequency
    return circular_autocorrelation((frequency_grid(shape, device) / extended).clamp(max=1.0))


def apply_otf(image: Tensor, transfer: Tensor) -> Tensor:
    """Filters (..., 2H, 2W) images with a half-plane transfer function, periodic borders."""
    return torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=image.shape[-2:])


def circular_autocorrelation(x: Tensor) -> Tensor:
    """Autocorrelation of a disc, `2 / pi (arccos x - x sqrt(1 - x^2))`: an aberration-free OTF.

    Args:
        x: frequency as a share of the cut-off, 0..1.
    """
    return (2.0 / torch.pi) * (torch.acos(x) - x * torch.sqrt((1.0 - x * x).clamp(min=0.0)))


def _interpolate_radial(optics: Optics, frequency: Tensor) -> Tensor:
    curve = torch.tensor(optics.radial_otf, dtype=frequency.dtype, device=frequency.device)
    curve = torch.where(curve < MEASURED_FLOOR, torch.zeros_like(curve), curve)
    step = optics.radial_step_per_um * optics.pixel_size_nm / 1000.0  # cycles per raw pixel
    position = (frequency / step).clamp(max=len(curve) - 1.001)
    left = position.floor().long()
    value = torch.lerp(curve[left], curve[left + 1], position - left)
    return torch.where(frequency < optics.cutoff, value, torch.zeros_like(value))
