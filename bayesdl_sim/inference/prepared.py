"""A raw stack with what is measured of it, so that nothing is measured twice."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.data.normalise import Normalisation, min_max_of, normalisation_of
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.reconstruction.raw_checks import RawChecks, brightest_square, raw_checks
from bayesdl_sim.physics.reconstruction.resimulation import (
    JUDGED_FIELD,
    Examination,
    resimulate,
)

__all__ = ["PreparedStack"]


class PreparedStack:
    """A stack and its measurements, each made when it is first asked for and kept.

    Args:
        stack: as `data.stacks.read_stack` gives it.
        min_max: scale each time point by its smallest and largest count, as the released code.
    """

    def __init__(self, stack: RawStack, min_max: bool = False) -> None:
        self.stack, self.min_max = stack, min_max
        self._norms: dict[int, Normalisation] = {}
        self._checked: dict[int, tuple] = {}

    def __len__(self) -> int:
        return len(self.stack.raw)

    def counts(self, t: int) -> Tensor:
        """The frames of one time point (9, H, W), in counts."""
        return torch.from_numpy(np.array(self.stack.raw[t], np.float32))

    def norm(self, t: int) -> Normalisation:
        """The intensity scale that the networks see one time point on.

        Raises:
            InputError: the frames are constant.
        """
        if t not in self._norms:
            scale_of = min_max_of if self.min_max else normalisation_of
            self._norms[t] = scale_of(self.stack.raw[t], str(self.stack.source))
        return self._norms[t]

    def checks(self, t: int) -> RawChecks:
        """What the raw frames show over the brightest square, see `raw_checks`."""
        return self._check(t)[1]

    def square(self, t: int) -> tuple[slice, slice]:
        """Rows and columns of that square, raw pixels."""
        return self._check(t)[0]

    def fine_square(self, t: int) -> tuple[slice, slice]:
        """The square on the doubled grid."""
        rows, columns = (slice(2 * part.start, 2 * part.stop) for part in self.square(t))
        return rows, columns

    def judged_field(self, t: int) -> tuple[int, int]:
        """Height and width of that square, raw pixels."""
        height, width = (part.stop - part.start for part in self.square(t))
        return height, width

    def examine(self, t: int, sr: Tensor) -> Examination:
        """The checks, and the re-simulation of an image (2H, 2W) over the same square."""
        square, checks, patterns = self._check(t)
        raw = self.counts(t)[:, square[0], square[1]]
        sr = sr[self.fine_square(t)]
        return Examination(square, checks, resimulate(sr, raw, patterns.illumination))

    def _check(self, t: int) -> tuple:
        if t not in self._checked:
            raw = self.counts(t)
            square = brightest_square(raw, JUDGED_FIELD)
            raw = raw[:, square[0], square[1]]
            patterns = estimate(raw)
            self._checked[t] = square, raw_checks(raw, patterns=patterns), patterns
        return self._checked[t]
