"""The nine frames of a stack and their basic measurements, each made once."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.image_formation import lit_median
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.noise import (
    Bins,
    beyond_any_lens,
    empty_from,
    noise_bins,
    noise_line,
    noise_variance,
)
from bayesdl_sim.physics.sensor.hot import cooled, dead_pixels, hot_pixels
from bayesdl_sim.physics.sensor.lines import odd_lines
from bayesdl_sim.physics.sensor.missing import filled, missing_pixels, validity
from bayesdl_sim.physics.sensor.offsets import frame_offsets
from bayesdl_sim.physics.spots import FieldLight, field_light, spot_weight
from bayesdl_sim.utils.errors import InputError

__all__ = ["Counts", "MeasuredFrames", "background_of", "measured"]

BACKGROUND_PERCENTILE = 1.0
SMALLEST_SIDE = 16  # raw pixels


class MeasuredFrames:
    """Raw frames and their basic measurements, each made when it is first needed.

    The search for fringes, the first guess, the raw checks and the re-simulation of a stack share
    one of these. All tensors are on the device of the counts.

    Args:
        counts: (9, H, W), orientation-major; negative ones are what an offset-corrected camera
            gives.
        missing: (H, W), the pixels that are left out, where they are known: of a part of a field,
            whose frames have one background already.

    Attributes:
        counts: float32.
    """

    def __init__(self, counts: Tensor, missing: Tensor | None = None) -> None:
        self.counts, self._missing = counts.float(), missing
        self._noise: dict[float, float] = {}

    @cached_property
    def _without_data(self) -> Tensor:
        return missing_pixels(self.counts) if self._missing is None else self._missing

    @cached_property
    def odd(self) -> Tensor:
        """The pixels (H, W) of rows and columns unlike their neighbours, see `sensor.lines`.

        None are where the missing pixels were known.
        """
        if self._missing is not None or self.counts.ndim != 3:  # other shapes are refused later
            return torch.zeros_like(self._without_data)
        mean = filled(self.counts.mean(dim=0)[None], self._without_data)[0]
        return odd_lines(mean) & ~self._without_data

    @cached_property
    def missing(self) -> Tensor:
        """The pixels (H, W) without data (`sensor.missing`), or in odd lines (`sensor.lines`)."""
        return self._without_data | self.odd

    @cached_property
    def offsets(self) -> Tensor:
        """Counts (9,) of each frame's background above that of the mean, see `sensor.offsets`.

        They are zero for a part of a field, whose missing pixels are known and whose frames have
        been levelled as the field demands.
        """
        if self._missing is not None:
            return torch.zeros_like(self.counts[:, 0, 0])
        return frame_offsets(self.counts, ~self.missing)

    @property
    def level(self) -> Tensor:
        """Counts (9, H, W) with one background for all frames."""
        return self.counts - self.offsets[:, None, None]

    @cached_property
    def validity(self) -> Tensor | None:
        """Weight of the pixels (H, W): 0 without data, lower beside them; None: all hold some."""
        return validity(self.missing)

    @cached_property
    def _filled(self) -> Tensor:
        """Counts (9, H, W) in which pixels without data continue the field.

        Raises:
            InputError: for another shape, a field under 16 pixels, or hardly any finite value.
        """
        frames, shape = ORIENTATIONS * PHASES, tuple(self.counts.shape)
        if len(shape) != 3 or shape[0] != frames or min(shape[1:]) < SMALLEST_SIDE:
            raise InputError(
                f"expected a raw stack of ({frames}, H, W) with at least {SMALLEST_SIDE} pixels a "
                f"side, found {shape}"
            )
        counts = filled(self.counts, self.missing)
        if not bool(torch.isfinite(counts).all()):
            raise InputError(
                "the raw stack holds hardly any finite value (NaN or infinity elsewhere)"
            )
        return counts

    @cached_property
    def hot(self) -> Tensor:
        """The hot pixels (H, W), see `physics.sensor.hot`."""
        return hot_pixels(self._filled)

    @cached_property
    def dead(self) -> Tensor:
        """The pixels (H, W) that do not respond to light, some hot ones among them."""
        return dead_pixels(self._filled)

    @property
    def faulty(self) -> Tensor:
        """The hot and the dead pixels (H, W)."""
        return self.hot | self.dead

    @cached_property
    def usable(self) -> Tensor:
        """Counts (9, H, W) that may be transformed and averaged.

        Pixels without data and faulty ones continue the field around them; all frames have one
        background.

        Raises:
            InputError: for another shape, a field under 16 pixels, or hardly any finite value.
        """
        return cooled(self._filled - self.offsets[:, None, None], self.faulty)

    @cached_property
    def background(self) -> float:
        """Counts of the camera's offset and of the floor of the haze, see `background_of`."""
        return background_of(self.usable.mean(dim=0)[~self.missing])

    @cached_property
    def frames(self) -> Tensor:
        """Usable counts (9, H, W) above the background; noise makes some of them negative.

        Raises:
            InputError: as `usable`.
        """
        return self.usable - self.background

    @cached_property
    def light(self) -> FieldLight:
        """Their mean and the brightness of the structure, see `spots.field_light`."""
        return field_light(self.frames)

    @cached_property
    def spots(self) -> Tensor | None:
        """Weight (H, W) that brings bright spots down, see `spots.spot_weight`; None: no spots."""
        return spot_weight(self.light)

    @cached_property
    def signal(self) -> float:
        """Median counts of the lit pixels in the mean of the frames, without bright spots."""
        mean = self.frames.mean(dim=0)
        return float(lit_median(mean if self.spots is None else mean * self.spots))

    @property
    def signal_e(self) -> float:
        """`signal` in electrons; NaN where the noise does not tell the gain of the camera."""
        gain = self.noise_line[1]
        return self.signal / gain if gain > 0 else math.nan

    @cached_property
    def beyond_any_lens(self) -> Tensor:
        """Content of the frames beyond any cut-off (9, H, W), see `noise.beyond_any_lens`."""
        return beyond_any_lens(self.frames)

    @cached_property
    def noise_bins(self) -> Bins:
        """Brightness and noise variance of the pixels, see `noise.noise_bins`."""
        return noise_bins(self.frames, self.validity, self.beyond_any_lens)

    @cached_property
    def noise_line(self) -> tuple[float, float]:
        """Noise variance as a line of the brightness, see `noise.noise_line`."""
        return noise_line(self.frames, self.validity, self.noise_bins)

    def equals(self, other: MeasuredFrames) -> bool:
        """Whether these are the same counts, on the same device."""
        ours, theirs = self.counts, other.counts
        if self is other:
            return True
        alike = ours.device == theirs.device and ours.shape == theirs.shape
        return alike and torch.allclose(ours, theirs, rtol=0, atol=0, equal_nan=True)

    def noise(self, optics: Optics) -> float:
        """Noise variance of a pixel of a frame, see `noise.noise_variance`."""
        start = empty_from(optics)
        if start not in self._noise:
            self._noise[start] = noise_variance(self.frames, optics, self.validity)
        return self._noise[start]


Counts = Tensor | MeasuredFrames


def measured(raw: Counts) -> MeasuredFrames:
    """Raw counts (9, H, W) as frames to measure; those that are measured already as they are."""
    return raw if isinstance(raw, MeasuredFrames) else MeasuredFrames(raw)


def background_of(values: Tensor) -> float:
    """The counts that count as dark, of the values (n,) of a mean frame: their first percentile.

    A percentile of single frames would follow the noise of a dim stack.
    """
    rank = max(1, round(values.numel() * BACKGROUND_PERCENTILE / 100))
    return float(values.kthvalue(rank).values)
