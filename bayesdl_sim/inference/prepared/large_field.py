"""A large field, measured part by part: scale, patterns, first guess never need the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.data.normalise import Normalisation, normalisation_in_pieces
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.patterns.known.constancy import fringe_response
from bayesdl_sim.physics.patterns.known.refinement import refined
from bayesdl_sim.physics.patterns.measured import MeasuredFrames, background_of
from bayesdl_sim.physics.reconstruction.first_guess import (
    BLOCK_MARGIN,
    block_guess,
    block_settings,
)
from bayesdl_sim.physics.sensor.hot import cooled, dead_among, hot_pixels
from bayesdl_sim.physics.sensor.lines import odd_lines
from bayesdl_sim.physics.sensor.missing import filled, missing_in_bands
from bayesdl_sim.physics.sensor.offsets import coarse_frames, offsets_of
from bayesdl_sim.physics.spots import UNDIMMED, dimming, field_light
from bayesdl_sim.utils.pieces.brightest import brightest_square
from bayesdl_sim.utils.pieces.spans import Square, blocks_of, doubled

__all__ = ["BLOCK", "LARGEST_WHOLE", "LargeField", "is_large"]

LARGEST_WHOLE = 1280**2  # raw pixels; a field of more of them is measured in blocks
BLOCK = 512  # raw pixels, of a part that is measured, guessed or judged at once
BAND = 128  # rows that are read together
PROBE = 256  # raw pixels, side of the part of a block in which the fringe phase is measured
JUDGED_SQUARES = 4
FILL_MARGIN = 160  # raw pixels around a gap that decide what it is filled with
FAULT_MARGIN = 1  # raw pixels around a faulty one


def is_large(size: tuple[int, int]) -> bool:
    """Whether a field of that height and width is measured in blocks."""
    return size[0] * size[1] > LARGEST_WHOLE


class LargeField:
    """Measurements of one time point of a large field, each made when it is first needed.

    Intensity scale, background and gaps are those of the whole field. Patterns and the settings of
    the first guess come from the brightest block; wave vectors and phases are then refined over the
    field, and the guess is made in blocks that overlap by more than its filter reaches.

    Args:
        counts: rows and columns -> counts (9, h, w).
        size: height and width of the field.
        source: file name for error messages.
    """

    def __init__(
        self, counts: Callable[[Square], Tensor], size: tuple[int, int], source: str
    ) -> None:
        self._raw, self.size, self.source = counts, size, source

    def counts(self, square: Square) -> Tensor:
        """The frames (9, h, w) of a part, in counts with one background for all frames."""
        return self._raw(square) - self.offsets[:, None, None]

    def bands(self) -> Iterator[Tensor]:
        """The field's rows from the first to the last, (9, h, W) each, as they were stored."""
        for block in blocks_of((self.size[0], 1), BAND, 0):
            yield self._raw((block.write[0], slice(0, self.size[1])))

    @cached_property
    def missing(self) -> Tensor:
        """The pixels (H, W) that hold no data, or belong to odd lines (`sensor.lines`)."""
        gaps = missing_in_bands(self.bands)
        return gaps | odd_lines(filled(self._counts_mean[None], gaps)[0])

    @cached_property
    def _counts_mean(self) -> Tensor:
        return torch.cat([band.mean(dim=0) for band in self.bands()])

    @cached_property
    def offsets(self) -> Tensor:
        """Counts (9,) of each frame's background above that of the mean, see `sensor.offsets`."""
        parts, row = [], 0
        for band in self.bands():
            usable = ~self.missing[row : row + band.shape[1]]
            parts.append(coarse_frames(band, usable))
            row += band.shape[1]
        return offsets_of(torch.cat(parts, dim=1))

    @cached_property
    def _mean(self) -> Tensor:
        """Mean frame (H, W), in counts, without gaps."""
        return filled(self._counts_mean[None], self.missing)[0]

    @cached_property
    def faulty(self) -> Tensor:
        """The pixels (H, W) that are hot or dead, see `physics.sensor.hot`."""
        constant = torch.cat([(band == band[:1]).all(dim=0) for band in self.bands()])
        return hot_pixels(self._mean[None]) | dead_among(constant & ~self.missing, self._mean)

    @cached_property
    def background(self) -> float:
        """The level of a dark pixel, in counts."""
        return background_of(cooled(self._mean[None], self.faulty)[0][~self.missing])

    @cached_property
    def light(self) -> Tensor:
        """Mean frame (H, W) above the background, without faulty pixels."""
        return cooled(self._mean[None], self.faulty)[0] - self.background

    @cached_property
    def dimming(self) -> Tensor | None:
        """The factor (H, W) by which spots are dimmed for the networks, see `spots.dimming`."""
        return dimming(field_light(self.light[None]))

    @cached_property
    def norm(self) -> Normalisation:
        """The intensity scale, without gaps, faults and outshining spots, see `normalisation_of`.

        Raises:
            InputError: the frames are constant.
        """
        left_out = self.missing | self.faulty
        if self.dimming is not None:
            left_out = left_out | (self.dimming < UNDIMMED)

        def pieces() -> Iterator[Tensor]:
            row = 0
            for band in self.bands():
                level = band - self.offsets[:, None, None]
                yield level[:, ~left_out[row : row + band.shape[1]]]
                row += band.shape[1]

        return normalisation_in_pieces(pieces, self.source)

    def shown(self, square: Square) -> Tensor:
        """The frames (9, h, w) of a part, as they enter first guess and networks.

        Gaps and faulty pixels continue the field around them, spots are dimmed.
        """
        gaps = bool(self.missing[self._around(square, FILL_MARGIN)].any())
        around = self._around(square, FILL_MARGIN if gaps else FAULT_MARGIN)
        frames = filled(self.counts(around), self.missing[around])
        frames = cooled(frames, self.faulty[around])
        inner = (
            slice(part.start - side.start, part.stop - side.start)
            for part, side in zip(square, around, strict=True)
        )
        frames = frames[:, *inner]
        if self.dimming is None:
            return frames
        return self.background + self.dimming[square] * (frames - self.background)

    def _around(self, square: Square, margin: int) -> Square:
        rows, columns = (
            slice(max(side.start - margin, 0), min(side.stop + margin, length))
            for side, length in zip(square, self.size, strict=True)
        )
        return rows, columns

    @cached_property
    def squares(self) -> list[Square]:
        """The blocks that the verdict is based on, those with the most light first."""
        light = self.light
        blocks = [block.write for block in blocks_of(self.size, BLOCK, 0)]
        blocks.sort(key=lambda square: -float(light[square].double().sum()))
        return blocks[:JUDGED_SQUARES]

    @property
    def signal_e(self) -> float:
        """Median electrons of the lit pixels of the brightest block; NaN where not known."""
        part = self.squares[0]
        return MeasuredFrames(self.counts(part), self.missing[part]).signal_e

    def patterns(self, optics: Optics | None = None) -> Estimate:
        """Patterns of the brightest block, refined over the field; phases at its first pixel.

        Args:
            optics: optics of the detection, as far as they are known.
        """
        part, light = self.squares[0], self.light
        back = tuple(slice(-side.start, 0) for side in part)
        start = estimate(self.counts(part), optics).within(back)
        responses = []
        for block in blocks_of(self.size, BLOCK, 0):
            rows, columns = block.write
            probe = brightest_square(light[None, rows, columns], PROBE)
            square = tuple(
                slice(side.start + inner.start, side.start + inner.stop)
                for side, inner in zip(block.write, probe, strict=True)
            )
            response = fringe_response(self.counts(square), start.within(square).illumination)
            responses.append((_middle(square), response))
        return refined(start, _middle(part), responses)

    def guess(self, patterns: Estimate) -> NDArray[np.float32]:
        """The first guess (2H, 2W) in counts, see `first_guess.block_guess`."""
        part, (height, width) = self.squares[0], self.size
        dimmed = None if self.dimming is None else self.dimming[part]
        settings = block_settings(self.shown(part), patterns.within(part), self.background, dimmed)
        image = np.empty((2 * height, 2 * width), np.float32)
        for block in blocks_of(self.size, BLOCK, BLOCK_MARGIN):
            light, missing = patterns.within(block.read), self.missing[block.read]
            borders = block.at_border or bool(missing.any())
            guess = block_guess(self.shown(block.read), light, settings, missing, borders)
            image[*map(doubled, block.write)] = guess[*map(doubled, block.keep)].cpu().numpy()
        return image


def _middle(square: Square) -> tuple[float, float]:
    rows, columns = ((side.start + side.stop) / 2 for side in square)
    return rows, columns
