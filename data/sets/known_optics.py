"""Optics that the first guess of a simulated stack is given: exact, approximate or none."""

from dataclasses import replace

import numpy as np

from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.data.sets.layout import DatasetSpec
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.utils.errors import InputError

__all__ = ["KnownOptics"]

SEED = 77
# Shares of the stacks; the rest is given nothing, as by most users.
TRUE_SHARE, NOMINAL_SHARE, WRONG_SHARE = 0.15, 0.25, 0.10
WRONG_BY = 0.04  # relative standard deviation of a cut-off that is given wrongly


class KnownOptics:
    """Optics given at random, a function of cell and level alone.

    A network whose first guess always has the truth relies on it, and one whose guess never has
    any optics cannot use them. So 15 % of the stacks of a set get their OTF, 25 % the aperture,
    wavelength and pixel size with the damping of a typical objective, 10 % the same with a cut-off
    that is wrong by a few per cent, and half of them nothing.

    Args:
        spec: spec of a simulated set.

    Raises:
        InputError: a set without the microscope of each cell.
    """

    def __init__(self, spec: DatasetSpec) -> None:
        try:
            cells = spec.details["cells"]
            measured = measured_optics()
            self._optics = {
                int(cell): Optics.from_dict(facts["microscope"]["optics"], measured)
                for cell, facts in cells.items()
            }
            if not self._optics.keys() >= set(range(1, spec.cells + 1)):
                raise KeyError("a cell")
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "tell_optics: the set does not state the microscope of every cell; only sets from "
                "DatasetGenerate.from_simulation do"
            ) from error

    def __call__(self, cell: int, level: int) -> Optics | None:
        """The optics of a stack as the first guess is given them; None for none."""
        true = self._optics[cell]
        rng = np.random.default_rng([SEED, cell, level])
        place = rng.random()
        if place < TRUE_SHARE:
            return true
        if place < TRUE_SHARE + NOMINAL_SHARE:
            return true.nominal
        if place < TRUE_SHARE + NOMINAL_SHARE + WRONG_SHARE:
            return replace(true.nominal, na=true.na * (1 + WRONG_BY * rng.standard_normal()))
        return None
