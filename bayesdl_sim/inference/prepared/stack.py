"""A raw stack with what is measured of it, so that nothing is measured twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.data.inputs import InputSpec, network_input
from bayesdl_sim.data.normalise import Normalisation, min_max_of, normalisation_of
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.prepared.large_field import LargeField, is_large
from bayesdl_sim.inference.prepared.series_patterns import SeriesPatterns
from bayesdl_sim.inference.prepared.spot_haze import spot_haze
from bayesdl_sim.physics.checks.raw_checks import RawChecks, raw_checks
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.patterns.frames.fringe_search import FringeSearch
from bayesdl_sim.physics.patterns.known.constancy import FringeResponse, fringe_response
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.reconstruction.resimulation import (
    Examination,
    Resimulation,
    resimulate_field,
)
from bayesdl_sim.physics.sensor.hot import cooled
from bayesdl_sim.physics.sensor.missing import filled
from bayesdl_sim.physics.spots import UNDIMMED, dimming, fine_dimming
from bayesdl_sim.utils.pieces.spans import Square

__all__ = ["PreparedStack"]

Measured = TypeVar("Measured")


class PreparedStack:
    """A stack and its measurements, each made when it is first needed and kept.

    First guess, raw checks and re-simulation share one estimate of the fringe patterns, and what is
    measured of the frames for each of them. In a time series, patterns that are known from an
    earlier time point are checked, and estimated again only where they moved.

    Args:
        stack: result of `data.stacks.read_stack`.
        min_max: scale each time point by its smallest and largest count, as the released code.
        optics: optics of the detection, as far as known; None: they are fitted to the stack.
        search: search for fringes, if it was made to check the order, see `fringe_order.ordered`.
        device: device of the measurements and of all returned tensors.

    Attributes:
        left_out: time points of a series that have no result, as the verdict on it decides.
    """

    def __init__(
        self,
        stack: RawStack,
        min_max: bool = False,
        optics: Optics | None = None,
        search: FringeSearch | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.stack, self.min_max, self.optics, self.search = stack, min_max, optics, search
        self.device = torch.device(device)
        self.left_out: frozenset[int] = frozenset()
        self._patterns = SeriesPatterns()
        self._kept: dict[tuple[str, int], object] = {}
        self._latest: tuple[int, MeasuredFrames] | None = None

    def __len__(self) -> int:
        return len(self.stack.raw)

    @property
    def field(self) -> tuple[int, int]:
        """Height and width in raw pixels."""
        return self.stack.raw.shape[-2], self.stack.raw.shape[-1]

    @property
    def whole(self) -> Square:
        """All rows and columns, in raw pixels."""
        return tuple(slice(0, side) for side in self.field)

    @property
    def is_large(self) -> bool:
        """Whether the field is measured part by part, see `LargeField`."""
        return is_large(self.field) and not self.min_max

    def large(self, t: int) -> LargeField:
        """The field of one time point, measured part by part."""
        source, counts = str(self.stack.source), partial(self.counts, t)
        return self.once("large", t, lambda: LargeField(counts, self.field, source))

    def squares(self, t: int) -> list[Square]:
        """What the verdict is based on, the brightest first: the field, or parts of a large one."""
        return self.large(t).squares if self.is_large else [self.whole]

    def counts(self, t: int, square: Square | None = None) -> Tensor:
        """The frames of one time point (9, H, W), or a part of them, in counts."""
        part = self.stack.raw[t] if square is None else self.stack.window(t, *square)
        return torch.from_numpy(np.array(part, np.float32)).to(self.device)

    def frames(self, t: int) -> MeasuredFrames:
        """The frames of one time point with what is measured of them, for all uses.

        Only the latest ones are kept, since they take several times the memory of the stack.
        """
        if self._latest is None or self._latest[0] != t:
            frames, searched = MeasuredFrames(self.counts(t)), self.search
            known = searched is not None and frames.equals(searched.frames)
            self._latest = t, searched.frames if known else frames
        return self._latest[1]

    def missing(self, t: int) -> Tensor:
        """The pixels (H, W) that hold no data at one time point, see `physics.sensor.missing`."""
        return self.once("missing", t, lambda: self._measured(t).missing)

    def faulty(self, t: int) -> Tensor:
        """The pixels (H, W) that are hot or dead, see `physics.sensor.hot`; released: none."""
        return self.once("faulty", t, lambda: self._faulty(t))

    def dimming(self, t: int) -> Tensor | None:
        """The factor (H, W) by which spots are dimmed for the networks, see `spots.dimming`."""
        return self.once("dimming", t, lambda: self._dimming(t))

    def haze(self, t: int) -> Tensor | None:
        """The light (H, W) of spots around them, see `spot_haze`; None without, in large fields."""
        factor = None if self.is_large else self.dimming(t)
        return self.once("haze", t, lambda: spot_haze(self.frames(t), factor))

    def dark(self, t: int) -> float:
        """The level of a dark pixel in counts, towards which spots are dimmed."""
        return self.once("dark", t, lambda: self._measured(t).background)

    def signal_e(self, t: int) -> float:
        """Median electrons of the lit pixels, see `MeasuredFrames`; NaN: not known."""
        return self.once("signal_e", t, lambda: self._measured(t).signal_e)

    def shown(self, t: int, square: Square | None = None) -> Tensor:
        """The frames (9, H, W) for first guess and networks: usable, without bright spots.

        The haze of spots is taken off. Pixels without data and faulty ones continue the field.

        Args:
            square: a part of them; None: the field.
        """
        if square is not None:
            return self.large(t).shown(square) if self.is_large else self.shown(t)[:, *square]
        frames, factor = filled(self._level(t), self.missing(t)), self.dimming(t)
        frames = cooled(frames, self.faulty(t))
        if factor is None:
            return frames
        dark = self.dark(t)
        return dark + factor * (frames - self.haze(t) - dark)

    def fine_dimming(self, t: int, square: Square | None = None) -> Tensor | None:
        """`dimming` on the doubled grid, (1, 1, 2H, 2W), or in some rows and columns of that."""
        factor = self.dimming(t)
        return None if factor is None else fine_dimming(factor, square)

    def norm(self, t: int) -> Normalisation:
        """The intensity scale of one time point for the networks.

        Pixels without data, faulty ones, and spots that outshine the structure are left out.

        Raises:
            InputError: the frames are constant.
        """
        return self.once("norm", t, lambda: self._norm(t))

    def patterns(self, t: int) -> Estimate:
        """The fringe patterns of one time point, of the whole field."""
        return self._patterns.at(t, self._estimate, self._response)

    def trusted_optics(self, t: int) -> Optics | None:
        """The given optics, unless the fringes of a time point contradict them; else None."""
        return self.optics if self.patterns(t).optics.is_of_lens(self.optics) else None

    def patterns_from(self, t: int) -> int | None:
        """The time point at which the patterns of another were estimated; None: never needed."""
        return self._patterns.origin(t)

    @property
    def estimated(self) -> list[int]:
        """Time points whose patterns were estimated, in the order in which that was needed."""
        return self._patterns.estimated

    def restore(
        self, t: int, norm: Normalisation, patterns: Estimate | None, origin: int, **kept: object
    ) -> None:
        """Takes measurements of one time point from an earlier run, or from the whole field.

        Args:
            patterns: fringe patterns; None: they were not needed.
            origin: the time point at which they were estimated.
            kept: other measurements by the names of their methods.
        """
        self._kept |= {(what, t): value for what, value in {"norm": norm, **kept}.items()}
        if patterns is not None:
            self._patterns.set(t, patterns, origin)

    def forget(self, t: int) -> None:
        """Drops what was measured of one time point pixel by pixel, so that memory stays small."""
        for what in ("missing", "faulty", "dimming", "haze", "large", "parts"):
            self._kept.pop((what, t), None)
        self._latest = None

    def network_input(self, t: int, inputs: InputSpec) -> Tensor:
        """The network input of one time point, (1, F, H, W)."""
        norm, shown = self.norm(t), self.shown(t)
        guess = self.guess(t, shown) / np.float32(norm.scale) if inputs.first_guess else None
        raw = shown.cpu().numpy() if self._is_changed(t) else self.stack.raw[t]
        # The released code divides in float64 and rounds once, when it makes a tensor.
        raw = raw.astype(np.float64) if self.min_max else raw
        return torch.from_numpy(network_input(norm.apply(raw), guess, inputs))[None]

    def guess(self, t: int, shown: Tensor | None = None) -> NDArray[np.float32]:
        """The first guess (2H, 2W) of one time point, in counts; of a large field in blocks.

        Args:
            shown: the result of `shown`, if it exists already.
        """
        if self.is_large:
            return self.large(t).guess(self.patterns(t))
        patterns, frames, missing = self.patterns(t), self.frames(t), self.missing(t)
        if self._is_patched(t):  # else what was measured of the frames is true of them
            frames = torch.where(missing, torch.nan, self.shown(t) if shown is None else shown)
        return first_guess(frames, patterns, dimming=self.dimming(t)).cpu().numpy()

    def checks(self, t: int) -> RawChecks:
        """The checks of the raw frames, see `raw_checks`."""
        arguments = (self.trusted_optics(t), self.patterns(t), self.search)
        return self.once("checks", t, lambda: raw_checks(self.frames(t), *arguments))

    def examine(self, t: int, sr: Tensor) -> Examination:
        """The checks, and the re-simulation of an image (2H, 2W)."""
        return Examination(self.whole, self.checks(t), self.resimulate(t, sr))

    def resimulate(self, t: int, sr: Tensor) -> Resimulation:
        """The re-simulation of an image (2H, 2W)."""
        return resimulate_field(self.frames(t), sr, self.trusted_optics(t), self.patterns(t))

    def _measured(self, t: int) -> MeasuredFrames | LargeField:
        return self.large(t) if self.is_large else self.frames(t)

    def _norm(self, t: int) -> Normalisation:
        if self.is_large:
            return self.large(t).norm
        source = str(self.stack.source)
        if self.min_max:
            return min_max_of(self.stack.raw[t], source)
        raw = self._level(t).cpu().numpy()
        left_out, factor = self.missing(t) | self.faulty(t), self.dimming(t)
        left_out = left_out if factor is None else left_out | (factor < UNDIMMED)
        return normalisation_of(raw, source, ~left_out if bool(left_out.any()) else None)

    def _faulty(self, t: int) -> Tensor:
        measured = self._measured(t)
        return torch.zeros_like(measured.missing) if self.min_max else measured.faulty

    def _dimming(self, t: int) -> Tensor | None:
        if self.is_large:
            return self.large(t).dimming
        return None if self.min_max else dimming(self.frames(t).light)

    def _is_changed(self, t: int) -> bool:
        """Whether the network input holds other values than the file."""
        return self._is_patched(t) or self._has_offsets(t)

    def _is_patched(self, t: int) -> bool:
        """Whether some pixels are filled or dimmed for the networks."""
        return self.dimming(t) is not None or bool((self.missing(t) | self.faulty(t)).any())

    def _has_offsets(self, t: int) -> bool:
        return not self.min_max and bool(self.frames(t).offsets.any())

    def _level(self, t: int) -> Tensor:
        """Frames with one background; for the released code as stored."""
        return self.frames(t).level if self._has_offsets(t) else self.frames(t).counts

    def _estimate(self, t: int) -> Estimate:
        if self.is_large:
            return self.large(t).patterns(self.optics)
        return estimate(self.frames(t), self.optics)

    def _response(self, origin: int, t: int) -> FringeResponse:
        """The fringes of a time point against the patterns of another, where that is brightest."""
        square = self.squares(origin)[0]
        light = self.patterns(origin).within(square).illumination
        return fringe_response(self.counts(t, square) if self.is_large else self.frames(t), light)

    def once(self, what: str, t: int, measure: Callable[[], Measured]) -> Measured:
        """The measurement of that name, made if it does not exist yet."""
        if (what, t) not in self._kept:
            self._kept[what, t] = measure()
        return self._kept[what, t]
