"""A raw stack with what is measured of it, so that nothing is measured twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.data.inputs import InputSpec, network_input
from bayesdl_sim.data.normalise import Normalisation, min_max_of, normalisation_of
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.physics.missing import filled, missing_pixels
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import prepare
from bayesdl_sim.physics.patterns.constancy import FringeResponse, fringe_response, patterns_hold
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.patterns.noise import outshining
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.reconstruction.raw_checks import RawChecks, raw_checks
from bayesdl_sim.physics.reconstruction.resimulation import (
    Examination,
    Resimulation,
    resimulate_field,
)

__all__ = ["PreparedStack"]

Measured = TypeVar("Measured")
Square = tuple[slice, slice]


class PreparedStack:
    """A stack and its measurements, each made when it is first asked for and kept.

    First guess, raw checks and re-simulation share one estimate of the fringe patterns. In a time
    series, patterns that are known from an earlier time point are checked, and estimated again only
    where they moved.

    Args:
        stack: as `data.stacks.read_stack` gives it.
        min_max: scale each time point by its smallest and largest count, as the released code.
        optics: of the detection, as far as they are known; None: they are fitted to the stack.

    Attributes:
        estimated: time points whose patterns were estimated, in the order in which that was needed.
    """

    def __init__(
        self, stack: RawStack, min_max: bool = False, optics: Optics | None = None
    ) -> None:
        self.stack, self.min_max, self.optics = stack, min_max, optics
        self.estimated: list[int] = []
        self._kept: dict[tuple[str, int], object] = {}
        self._patterns_from: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.stack.raw)

    @property
    def field(self) -> tuple[int, int]:
        """Height and width in raw pixels."""
        return self.stack.raw.shape[-2], self.stack.raw.shape[-1]

    def counts(self, t: int) -> Tensor:
        """The frames of one time point (9, H, W), in counts."""
        return torch.from_numpy(np.array(self.stack.raw[t], np.float32))

    def missing(self, t: int) -> Tensor:
        """The pixels (H, W) that hold no data at one time point, see `physics.missing`."""
        return self._once("missing", t, lambda: missing_pixels(self.counts(t)))

    def norm(self, t: int) -> Normalisation:
        """The intensity scale that the networks see one time point on.

        Pixels without data, and a spot many times brighter than the structure, are left out of it.

        Raises:
            InputError: the frames are constant.
        """
        source, raw = str(self.stack.source), self.stack.raw[t]
        if self.min_max:
            return self._once("norm", t, lambda: min_max_of(raw, source))
        return self._once("norm", t, lambda: normalisation_of(raw, source, self._typical(t)))

    def patterns(self, t: int) -> Estimate:
        """The fringe patterns of one time point, of the whole field."""
        return self._once("patterns", t, lambda: self._patterns(t))

    def trusted_optics(self, t: int) -> Optics | None:
        """The given optics, unless the fringes of a time point contradict them; else None."""
        return self.optics if self.patterns(t).optics == self.optics else None

    def patterns_from(self, t: int) -> int | None:
        """The time point at which the patterns of another were estimated; None: not asked for."""
        return self._patterns_from.get(t)

    def restore(self, t: int, norm: Normalisation, patterns: Estimate | None, origin: int) -> None:
        """Takes measurements of one time point from an earlier run.

        Args:
            patterns: None: they were not asked for.
            origin: the time point at which they were estimated.
        """
        self._kept["norm", t] = norm
        if patterns is not None:
            self._kept["patterns", t] = patterns
            self._patterns_from[t] = origin
            if origin == t and t not in self.estimated:
                self.estimated.append(t)

    def forget(self, t: int) -> None:
        """Drops what was measured of one time point pixel by pixel, so that memory stays small."""
        self._kept.pop(("missing", t), None)

    def network_input(self, t: int, inputs: InputSpec) -> Tensor:
        """What the networks are shown of one time point, (1, F, H, W)."""
        norm, guess = self.norm(t), None
        if inputs.first_guess:
            guess = first_guess(self.counts(t), self.patterns(t)).numpy() / np.float32(norm.scale)
        raw = self.stack.raw[t]
        if bool(self.missing(t).any()):
            raw = filled(self.counts(t), self.missing(t)).numpy()
        # The released code divides in float64 and rounds once, when it makes a tensor.
        raw = raw.astype(np.float64) if self.min_max else raw
        return torch.from_numpy(network_input(norm.apply(raw), guess, inputs))[None]

    def square(self, t: int) -> Square:
        """Rows and columns, in raw pixels, that the verdict looks at: the whole field."""
        height, width = self.stack.raw.shape[-2:]
        return slice(0, height), slice(0, width)

    def fine_square(self, t: int) -> Square:
        """The square on the doubled grid."""
        rows, columns = (slice(2 * part.start, 2 * part.stop) for part in self.square(t))
        return rows, columns

    def judged_field(self, t: int) -> tuple[int, int]:
        """Height and width of the square, in raw pixels."""
        height, width = (part.stop - part.start for part in self.square(t))
        return height, width

    def checks(self, t: int) -> RawChecks:
        """What the raw frames show, see `raw_checks`."""
        return self._once(
            "checks",
            t,
            lambda: raw_checks(self.counts(t), self.trusted_optics(t), self.patterns(t)),
        )

    def examine(self, t: int, sr: Tensor) -> Examination:
        """The checks, and the re-simulation of an image (2H, 2W)."""
        return Examination(self.square(t), self.checks(t), self.resimulate(t, sr))

    def resimulate(self, t: int, sr: Tensor) -> Resimulation:
        """The re-simulation of an image (2H, 2W) over the whole field."""
        return resimulate_field(self.counts(t), sr, self.trusted_optics(t), self.patterns(t))

    def _typical(self, t: int) -> Tensor | None:
        """The pixels (H, W) that are structure or background; None if all are."""
        spots, missing = outshining(prepare(self.counts(t))), self.missing(t)
        atypical = missing if spots is None else missing | spots
        return ~atypical if bool(atypical.any()) else None

    def _patterns(self, t: int) -> Estimate:
        """The nearest estimate of an earlier time point, if it still holds, or one of this."""
        raw = self.counts(t)
        earlier = [point for point in self.estimated if point < t]
        if earlier:
            known = max(earlier)
            light = self.patterns(known).illumination
            if patterns_hold(self._response(known), fringe_response(raw, light)):
                self._patterns_from[t] = known
                return self.patterns(known)
        self.estimated.append(t)
        self._patterns_from[t] = t
        return estimate(raw, self.optics)

    def _response(self, t: int) -> FringeResponse:
        """What the fringes of a time point answer to the patterns that were estimated there."""
        light = self.patterns(t).illumination
        return self._once("response", t, lambda: fringe_response(self.counts(t), light))

    def _once(self, what: str, t: int, measure: Callable[[], Measured]) -> Measured:
        if (what, t) not in self._kept:
            self._kept[what, t] = measure()
        return self._kept[what, t]
