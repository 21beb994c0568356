"""The options of `test` for what is known of the microscope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdl_sim.physics.lens import require_cutoff, require_lens
from bayesdl_sim.utils.errors import InputError

if TYPE_CHECKING:
    from bayesdl_sim.data.stacks import RawStack
    from bayesdl_sim.physics.optics import Optics

__all__ = ["KnownMicroscope", "add_optics_options"]


@dataclass(frozen=True, kw_only=True)
class KnownMicroscope:
    """What is known about the detection; None where unknown.

    Attributes:
        na: numerical aperture.
        wavelength_nm: wavelength of the emission.
        otf: file of a measured OTF, see `data.formats.otf.read_radial_otf`.
    """

    na: float | None = None
    wavelength_nm: float | None = None
    otf: Path | None = None

    def __post_init__(self) -> None:
        require_lens(self.na, self.wavelength_nm)
        if self.otf is not None and self.na is None:
            raise InputError(
                "otf: a measured curve holds noise beyond the cut-off of the lens; give na and "
                "wavelength_nm, too"
            )

    def optics(self, pixel_size_nm: float | None, source: str) -> Optics | None:
        """The detection of a stack; None where nothing is known but what its file states.

        Args:
            pixel_size_nm: pixel size of its raw frames.
            source: its file, for messages.

        Raises:
            InputError: the pixel size is unknown, or does not go with the aperture and wavelength.
        """
        if self.na is None:
            return None
        if pixel_size_nm is None:
            raise InputError(
                f"{source}: na and wavelength_nm need the pixel size, which the file does not "
                "state: give pixel_size_nm"
            )
        require_cutoff(self.na, self.wavelength_nm, pixel_size_nm, source)
        # Only now: the options are read without PyTorch.
        from bayesdl_sim.data.formats.otf import read_radial_otf
        from bayesdl_sim.physics.optics import Optics

        optics = Optics(self.na, self.wavelength_nm, pixel_size_nm).nominal
        if self.otf is None:
            return optics
        curve = read_radial_otf(self.otf)
        return replace(
            optics, damping=1.0, radial_otf=curve.modulus, radial_step_per_um=curve.step_per_um
        )

    def notes(self, stack: RawStack) -> list[str]:
        """Notes on a stack: how it was read, and whether the optics in its file are used."""
        if self.na is not None or stack.na is None or stack.emission_nm is None:
            return list(stack.notes)
        from bayesdl_sim.physics.optics import stated_optics

        statement = f"the file says NA {stack.na:g} and an emission of {stack.emission_nm:g} nm"
        if stack.pixel_size_nm is None:
            usage = "not used without a pixel size: give pixel_size_nm"
        elif stated_optics(stack.na, stack.emission_nm, stack.pixel_size_nm) is None:
            usage = (
                f"not used, since no 2D-SIM stand has such a cut-off with pixels of "
                f"{stack.pixel_size_nm:g} nm: give na, wavelength_nm and pixel_size_nm"
            )
        else:
            usage = "used, unless clear fringes contradict them"
        return [*stack.notes, f"{statement}; {usage}"]


def add_optics_options(group: Any) -> None:
    """Adds them to a group of the command line."""
    add = group.add_argument
    add(
        "--na",
        type=float,
        help="numerical aperture of the objective (default: as the file says, or found)",
    )
    add("--wavelength_nm", type=float, help="emission wavelength in nm; goes with --na")
    add("--otf", type=Path, help="measured OTF, a line of complex values in an MRC file")
