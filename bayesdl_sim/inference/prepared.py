"""A raw stack with what is measured of it, so that nothing is measured twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.data.inputs import InputSpec, network_input
from bayesdl_sim.data.normalise import Normalisation, min_max_of, normalisation_of
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.physics.hot import cooled, faulty_pixels
from bayesdl_sim.physics.missing import filled, missing_pixels
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import prepare
from bayesdl_sim.physics.patterns.constancy import FringeResponse, fringe_response, patterns_hold
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.reconstruction.raw_checks import RawChecks, raw_checks
from bayesdl_sim.physics.reconstruction.resimulation import (
    Examination,
    Resimulation,
    resimulate_field,
)
from bayesdl_sim.physics.spots import dimming

__all__ = ["PreparedStack"]

Measured = TypeVar("Measured")
Square = tuple[slice, slice]
# Deviations of what dimming leaves unknown, measured on beads 4 to 30 times as bright as simulated
# structures: shares of the light of the spot, and of the structure around it.
SPOT_ERROR, BESIDE_SPOT = 0.3, 0.1
UNDIMMED = 0.95  # factor of a pixel that counts as structure


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

    def faulty(self, t: int) -> Tensor:
        """The pixels (H, W) that are hot or dead at one time point, see `physics.hot`.

        The released code knows of none.
        """
        return self._once("faulty", t, lambda: self._faulty(t))

    def usable(self, t: int) -> Tensor:
        """The frames (9, H, W) of one time point as they may be transformed and averaged.

        Pixels without data and faulty ones continue the field around them.
        """
        return cooled(filled(self.counts(t), self.missing(t)), self.faulty(t))

    def dimming(self, t: int) -> Tensor | None:
        """The factor (H, W) by which spots are dimmed for the networks, see `spots.dimming`."""
        return self._once("dimming", t, lambda: self._dimming(t))

    def shown(self, t: int) -> Tensor:
        """The frames (9, H, W) that first guess and networks see: usable, without bright spots."""
        frames, factor = self.usable(t), self.dimming(t)
        if factor is None:
            return frames
        low = self.norm(t).low
        return low + factor * (frames - low)

    def dimmed(self, t: int, image: NDArray) -> NDArray:
        """An image (2H, 2W) of one time point with its spots as the networks see them."""
        factor = self._fine_dimming(t)
        if factor is None:
            return image
        low = float(image.min())
        return low + factor[0, 0].numpy() * (image - low)

    def undimmed(self, t: int, prediction: Prediction) -> Prediction:
        """What the networks predict of one time point, (1, 1, 2H, 2W), with spots undimmed.

        Mean above the background and deviations scale with the frames. A spot's own shape is known
        to `SPOT_ERROR` of its light, and what lies beside it to `BESIDE_SPOT` of the structure's:
        `(1 - f)` times both are added to the epistemic deviation, f the factor of the dimming.
        """
        factor = self._fine_dimming(t)
        if factor is None:
            return prediction
        factor = factor.to(prediction.mean)
        mean, aleatoric, epistemic, _ = (image / factor for image in prediction)
        unknown = (1 - factor) * torch.hypot(SPOT_ERROR * mean, torch.full_like(mean, BESIDE_SPOT))
        epistemic = torch.hypot(epistemic, unknown)
        return Prediction(mean, aleatoric, epistemic, torch.hypot(aleatoric, epistemic))

    def norm(self, t: int) -> Normalisation:
        """The intensity scale that the networks see one time point on.

        Pixels without data, faulty ones, and a spot many times brighter than the structure, are
        left out of it.

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
        for what in ("missing", "faulty", "dimming"):
            self._kept.pop((what, t), None)

    def network_input(self, t: int, inputs: InputSpec) -> Tensor:
        """What the networks are shown of one time point, (1, F, H, W)."""
        norm, guess, shown = self.norm(t), None, self.shown(t)
        if inputs.first_guess:
            missing = self.missing(t)
            gapped = torch.where(missing, torch.nan, shown) if bool(missing.any()) else shown
            guess = first_guess(gapped, self.patterns(t)).numpy() / np.float32(norm.scale)
        raw = shown.numpy() if self._is_changed(t) else self.stack.raw[t]
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
        left_out, factor = self.missing(t) | self.faulty(t), self.dimming(t)
        left_out = left_out if factor is None else left_out | (factor < UNDIMMED)
        return ~left_out if bool(left_out.any()) else None

    def _faulty(self, t: int) -> Tensor:
        missing = self.missing(t)
        if self.min_max:
            return torch.zeros_like(missing)
        return faulty_pixels(filled(self.counts(t), missing))

    def _dimming(self, t: int) -> Tensor | None:
        return None if self.min_max else dimming(prepare(self.counts(t)))

    def _fine_dimming(self, t: int) -> Tensor | None:
        """The factor on the doubled grid, (1, 1, 2H, 2W)."""
        factor = self.dimming(t)
        if factor is None:
            return None
        grid = {"scale_factor": 2, "mode": "bilinear"}
        return torch.nn.functional.interpolate(factor[None, None], **grid)

    def _is_changed(self, t: int) -> bool:
        """Whether the networks see other values than those of the file."""
        left_out = self.missing(t) | self.faulty(t)
        return bool(left_out.any()) or self.dimming(t) is not None

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
