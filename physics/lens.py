"""What a lens and its camera can be, to notice a slip in a number or its unit; without PyTorch."""

from __future__ import annotations

from bayesdl_sim.utils.errors import InputError

__all__ = ["APERTURES", "cutoff_of", "require_cutoff", "require_lens"]

APERTURES = (0.1, 1.7)  # air to high-index oil
WAVELENGTHS_NM = (300.0, 1000.0)  # of emitted light
CUTOFFS = (0.1, 0.5)  # cycles per raw pixel: beyond the camera's limit there is no lens


def cutoff_of(na: float, wavelength_nm: float, pixel_size_nm: float) -> float:
    """Cut-off frequency `2 NA / wavelength` of a lens, in cycles per raw pixel."""
    return 2.0 * na / wavelength_nm * pixel_size_nm


def require_lens(na: float | None, wavelength_nm: float | None) -> None:
    """Raises `InputError` unless both are possible, or both unknown.

    Args:
        na: numerical aperture.
        wavelength_nm: wavelength of the emission.
    """
    if (na is None) != (wavelength_nm is None):
        raise InputError(
            "na and wavelength_nm: the cut-off of a lens needs both; give both, or neither"
        )
    if na is not None:
        _require_within("na", na, APERTURES, "")
        _require_within("wavelength_nm", wavelength_nm, WAVELENGTHS_NM, " nm")


def require_cutoff(na: float, wavelength_nm: float, pixel_size_nm: float, source: str) -> None:
    """Raises `InputError` if pixels of this size do not go with the lens.

    Args:
        source: what is described, for the message.
    """
    cutoff, (low, high) = cutoff_of(na, wavelength_nm, pixel_size_nm), CUTOFFS
    if not low <= cutoff <= high:
        raise InputError(
            f"{source}: na {na:g}, wavelength_nm {wavelength_nm:g} and pixels of {pixel_size_nm:g} "
            f"nm give a cut-off of {cutoff:.3f} cycles per pixel, expected {low} to {high}: "
            "correct one of them"
        )


def _require_within(name: str, value: float, limits: tuple[float, float], unit: str) -> None:
    low, high = limits
    if not low <= value <= high:
        raise InputError(f"{name}: expected {low:g} to {high:g}{unit}, found {value:g}")
