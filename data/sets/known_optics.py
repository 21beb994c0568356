"""What the first guess knows of the optics of a simulated stack: the truth, roughly, nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesdl_sim.data.formats.otf import MEASURED_OTFS, read_radial_otf
from bayesdl_sim.data.sets.layout import DatasetSpec
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.utils.errors import InputError

__all__ = ["KnownOptics", "stored_optics"]

SEED = 77
# Shares of the stacks; the rest is given nothing, as by most users.
TRUE_SHARE, NOMINAL_SHARE, WRONG_SHARE = 0.15, 0.25, 0.10
WRONG_BY = 0.04  # relative standard deviation of a cut-off that is given wrongly


def stored_optics(stored: Mapping[str, Any]) -> Optics:
    """The optics that `dataset.json` describes; it names a measured OTF, but does not list it.

    Args:
        stored: entry "optics" of a cell's microscope.

    Raises:
        InputError: a measured OTF that is none of `MEASURED_OTFS`.
    """
    own = (stored["na"], stored["emission_nm"], stored["pixel_size_nm"], stored["damping"])
    if not stored["radial_otf"]:
        return Optics(*own)
    for path, na, emission_nm in MEASURED_OTFS:
        if (na, emission_nm) == own[:2]:
            curve = read_radial_otf(path)
            return Optics(*own, curve.modulus, curve.step_per_um)
    raise InputError(
        f"a cell has a measured OTF of NA {own[0]} at {own[1]} nm, but this version holds none "
        "such: simulate the set again"
    )


class KnownOptics:
    """Optics given at random, a function of cell and level alone.

    A network whose first guess always has the truth relies on it, and one whose guess never has
    any optics cannot use them. So 15 % of the stacks of a set get their OTF, 25 % the aperture,
    wavelength and pixel size with the damping of a typical objective, 10 % the same with a cut-off
    that is wrong by a few per cent, and half of them nothing.

    Args:
        spec: of a simulated set.

    Raises:
        InputError: a set without the microscope of each cell.
    """

    def __init__(self, spec: DatasetSpec) -> None:
        try:
            cells = spec.details["cells"]
            self._optics = {
                int(cell): stored_optics(facts["microscope"]["optics"])
                for cell, facts in cells.items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "tell_optics: the set does not say the microscope of every cell; only sets of "
                "DatasetGenerate.from_simulation do"
            ) from error

    def __call__(self, cell: int, level: int) -> Optics | None:
        """What is known of the optics of a stack; None is nothing."""
        true = self._optics[cell]
        rng = np.random.default_rng([SEED, cell, level])
        place = rng.random()
        if place < TRUE_SHARE:
            return true
        nominal = (true.emission_nm, true.pixel_size_nm, TYPICAL_OPTICS.damping)
        if place < TRUE_SHARE + NOMINAL_SHARE:
            return Optics(true.na, *nominal)
        if place < TRUE_SHARE + NOMINAL_SHARE + WRONG_SHARE:
            return Optics(true.na * (1 + WRONG_BY * rng.standard_normal()), *nominal)
        return None
