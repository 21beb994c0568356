"""The numbers of a result, counted band by band: `facts.result_numbers` of a large field."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.facts import CONTRADICTED
from bayesdl_sim.inference.output.map_kinds import MAPS
from bayesdl_sim.inference.reconstruction import WIDTHS, Reconstruction

__all__ = ["Numbers"]


class Numbers:
    """Sums over the bands of a field.

    Args:
        lit: value of SR from which on a pixel is one of the brightest fifth.

    Attributes:
        beyond: pixels of SR outside 0..1.
    """

    def __init__(self, lit: float) -> None:
        self.lit, self.beyond = lit, 0
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._contradicted: list[NDArray[np.bool_]] = []

    def add(self, band: Reconstruction) -> None:
        """Counts one band, maps (1, h, 2W)."""
        self.beyond += int(((band.sr < 0) | (band.sr > 1)).sum())
        self._add("factor", np.full(band.sr.shape[1], band.factors[0]))
        for name in WIDTHS:
            image = getattr(band, name.lower())
            if image is not None:
                self._add(name, image[~np.isnan(image)])
        self._add("empty", np.isnan(band.sr))
        if "Credibility" in band.channels:
            self._add("credible", band.channels["Credibility"][band.sr >= self.lit])
        if "Contradicted" in band.further:
            self._contradicted.append(np.abs(band.further["Contradicted"][0]) > CONTRADICTED)

    def _add(self, name: str, values: NDArray) -> None:
        self._sums[name] += float(values.sum(dtype=np.float64))
        self._counts[name] += values.size

    @property
    def factor(self) -> float:
        """Mean of what the calibration multiplied the deviations by."""
        return self._sums["factor"] / self._counts["factor"]

    def result(self) -> dict[str, float]:
        """The numbers by their names."""
        names = [name for name in self._sums if name != "factor"]
        numbers = {name: self._sums[name] / max(self._counts[name], 1) for name in names}
        if self._contradicted:
            border = MAPS["Contradicted"].border
            inner = np.concatenate(self._contradicted)[border:-border, border:-border]
            numbers["contradicted"] = float(inner.mean())
        return numbers
