"""How far to trust every pixel, for a tolerance chosen on the result, without running a network.

The informed picture is looked up in a table of 256 brightnesses and 256 credibilities, so that
another tolerance costs milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.credibility import credibility
from bayesdl_sim.inference.facts import lit
from bayesdl_sim.inference.gaps import structure_range
from bayesdl_sim.inference.output.informed import informed_colours
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["Recoloured", "TrustMaps"]

STEPS = 256


@dataclass(frozen=True, kw_only=True)
class Recoloured:
    """The informed picture for one tolerance.

    Attributes:
        delta: tolerated error, as a share of the range of the structure.
        colours: (T, 2H, 2W, 3) uint8.
        credible: mean credibility of the lit pixels.
    """

    delta: float
    colours: NDArray[np.uint8]
    credible: float


@dataclass(frozen=True, kw_only=True)
class TrustMaps:
    """What a tolerance is weighed with.

    Attributes:
        name: name of the stack.
        sr, total: (T, 2H, 2W) or (2H, 2W) in normalised SR intensity.
        raw_pixel_nm: pixel size of the raw frames; None where unknown.
    """

    name: str
    sr: NDArray
    total: NDArray
    raw_pixel_nm: float | None

    @property
    def pixel_size_nm(self) -> float | None:
        """Size of the pixels of these maps."""
        return None if self.raw_pixel_nm is None else self.raw_pixel_nm / 2

    @cached_property
    def range(self) -> float:
        """Range of the structure, which the tolerance is a share of."""
        return structure_range(self.sr[np.isfinite(self.sr)])

    @cached_property
    def brightness(self) -> NDArray[np.uint16]:
        """Row of the table for every pixel; black where there are no data."""
        low, high = display_limits(self.sr)
        share = (np.nan_to_num(self.sr, nan=low) - low) / (high - low)
        return np.rint((STEPS - 1) * share.clip(0, 1)).astype(np.uint16) * np.uint16(STEPS)

    @cached_property
    def lit_total(self) -> NDArray:
        """Total uncertainty of the lit pixels."""
        return self.total[lit(self.sr) & np.isfinite(self.total)]

    def recoloured(self, delta: float) -> Recoloured:
        """Brightness is the SR intensity, colour the credibility of an error below `delta`.

        Raises:
            InputError: delta is not positive.
        """
        tolerance = delta * self.range
        credible = _credibility(self.total, tolerance)
        columns = np.rint((STEPS - 1) * np.nan_to_num(credible, nan=0.0)).astype(np.uint16)
        return Recoloured(
            delta=delta,
            colours=_table().take(self.brightness + columns, axis=0),
            credible=float(_credibility(self.lit_total, tolerance).mean()),
        )


def _credibility(total: NDArray, tolerance: float) -> NDArray:
    finite_total = torch.from_numpy(np.nan_to_num(np.asarray(total, np.float32), nan=np.inf))
    return credibility(finite_total, tolerance).numpy()


@cache
def _table() -> NDArray[np.uint8]:
    """Colours (256 * 256, 3) of brightness (slower) and credibility."""
    share = np.linspace(0, 1, STEPS)
    brightness, credible = np.meshgrid(share, share, indexing="ij")
    colours = informed_colours(brightness, credible)
    return np.rint(255 * colours).astype(np.uint8).reshape(-1, 3)
