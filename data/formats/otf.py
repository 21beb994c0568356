"""Measured radial OTFs, as the MRC files of the TIRF-SIM behind BioSR hold them."""

import struct
import warnings
from pathlib import Path
from typing import NamedTuple

import mrcfile
import numpy as np

from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.utils.errors import InputError, require_file

__all__ = ["MEASURED_OTFS", "RadialOtf", "measured_optics", "read_radial_otf"]

FOLDER = Path(__file__).parents[1] / "OTF"
# (file, numerical aperture, emission in nm): chosen so that 2 NA / emission is the frequency at
# which the measured curve reaches its noise floor (5.46, 4.77 and 3.65 cycles per micrometre).
MEASURED_OTFS = (
    (FOLDER / "TIRF488_cam1_0_z30_OTF2d.mrc", 1.41, 516.0),
    (FOLDER / "TIRF560_cam2_0_z21_OTF2d.mrc", 1.41, 591.0),
    (FOLDER / "TIRF647_cam2_0_z21_OTF2d.mrc", 1.26, 690.0),
)
HEADER, EXTENDED = 1024, 92  # bytes: of the header, and where it gives the length of the next one
BYTES = {0: 1, 1: 2, 2: 4, 3: 4, 4: 8, 6: 2, 12: 2}  # of a value, by the mode of an MRC file
MEASURED_PIXEL_NM = 62.6  # of that microscope


class RadialOtf(NamedTuple):
    """Modulus along the radius, 1 at zero frequency, and its spacing in cycles per micrometre."""

    modulus: tuple[float, ...]
    step_per_um: float


def read_radial_otf(path: str | Path) -> RadialOtf:
    """Reads a (1, N) complex MRC file whose voxel size is the spacing in cycles per micrometre.

    Raises:
        InputError: not an MRC file, or not one complex line.
    """
    path = require_file(path, "measured OTF")
    _require_whole(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # permissive mode warns of a missing machine stamp
        try:
            with mrcfile.open(path, permissive=True) as file:
                line, step = np.array(file.data), float(file.voxel_size.x)
        except (ValueError, OSError) as error:
            raise InputError(f"{path} is not an MRC file ({error}); name a measured OTF") from None
    if not (line.ndim == 2 and line.shape[0] == 1 and np.iscomplexobj(line) and step > 0):
        raise InputError(
            f"{path}: expected one line of complex OTF values with its spacing, found "
            f"{line.dtype} of shape {line.shape}"
        )
    modulus = np.abs(line[0]).astype(np.float64)
    return RadialOtf(tuple((modulus / modulus[0]).round(6).tolist()), round(step, 6))


def measured_optics() -> list[Optics]:
    """The measured OTFs of the TIRF-SIM behind BioSR, at its pixel of 62.6 nm."""
    optics = []
    for path, na, emission_nm in MEASURED_OTFS:
        curve = read_radial_otf(path)
        optics.append(
            Optics(na, emission_nm, MEASURED_PIXEL_NM, 1.0, curve.modulus, curve.step_per_um)
        )
    return optics


def _require_whole(path: Path) -> None:
    """Refuses, before memory is taken, a header that describes more than its file holds."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(HEADER)
    for order in "<>" if len(header) == HEADER else "":
        columns, rows, images, mode = struct.unpack_from(f"{order}4i", header)
        (extended,) = struct.unpack_from(f"{order}i", header, EXTENDED)
        values = columns * rows * images * BYTES.get(mode, size)
        if min(columns, rows, images) > 0 <= extended and HEADER + extended + values <= size:
            return
    raise InputError(
        f"{path} is not an MRC file (it is shorter than its header says, or has none); name a "
        "measured OTF"
    )
