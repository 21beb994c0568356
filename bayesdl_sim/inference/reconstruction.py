"""One reconstructed stack: the maps, their scale, the verdict, and the files they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.output.result_files import write_results

__all__ = ["WIDTHS", "Reconstruction"]

WIDTHS = ("Aleatoric", "Epistemic", "Total")  # channels that are uncertainties
Map = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """A stack of T time points in normalised SR intensity, one affine scale for all of them.

    0 and 1 are the smallest and the largest value of the posterior mean.

    Attributes:
        sr: posterior mean (T, 2H, 2W).
        aleatoric, epistemic, total: standard deviations (T, 2H, 2W), calibrated where the members
            are; None where the members do not predict them.
        scale: counts of the raw frames at 0 and at 1 (released convention: of the first time
            point; each has the scale of its raw frames).
        pixel_size_nm: pixel size of the super-resolved maps, half the raw one; None where unknown.
        verdict: how far to trust the stack and its result; None before it is judged.
        channels: what becomes a channel of `Channels.ome.tif`, by name, in order.
        further: maps that are files only: Lower and Upper (T, 2H, 2W), Contradicted and
            Misfit (T, H, W), Change and Changed (T - 1, 2H, 2W).
        wide_field: mean of the nine frames (T, H, W) on the same scale.
        raw_scales: how each time point was normalised for the networks; None: it holds no counts.
        factors: what the calibration multiplied the deviations of each time point by, mean over
            the pixels; None: it was not predicted.
        judged_epistemic: epistemic uncertainty before calibration, by judged time point, over the
            square that the verdict is based on: as for the validation cells of the gate.
        fringe_share: share of the detail beyond wide field's cut-off, see
            `inference.fringe_share`; None without fringes.
        spectra: (3, h, w), see `fringes.fringe_spectra`, of the first time point; None where the
            fringes were not searched for.
        seconds: time of the prediction.
        facts: the entries of prediction.json about members, settings and stack.
        released: whether the convention is that of the released code.
    """

    sr: Map
    aleatoric: Map | None = None
    epistemic: Map | None = None
    total: Map | None = None
    scale: Normalisation
    pixel_size_nm: float | None = None
    verdict: Verdict | None = None
    channels: dict[str, Map] = field(default_factory=dict)
    further: dict[str, Map] = field(default_factory=dict)
    wide_field: Map
    raw_scales: list[Normalisation | None]
    factors: list[float | None]
    judged_epistemic: dict[int, Map] = field(default_factory=dict)
    fringe_share: float | None = None
    spectra: Map | None = None
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    released: bool = False

    def with_channels(self, maps: Mapping[str, Map]) -> Reconstruction:
        """The same with more channels."""
        return replace(self, channels=self.channels | dict(maps))

    def with_further(self, maps: Mapping[str, Map]) -> Reconstruction:
        """The same with more maps that are files only."""
        return replace(self, further=self.further | dict(maps))

    def save(
        self, folder: str | Path, facts: Mapping[str, Any] | None = None, *, form: str = "tiff"
    ) -> Path:
        """Writes the files that `test.py` writes: maps, pictures, and last prediction.json.

        Args:
            folder: made where it is missing; what an earlier result left in it is replaced.
            facts: more entries of prediction.json.
            form: format of the maps: tiff, or zarr for OME-Zarr, which needs the extra `zarr`.

        Raises:
            InputError: the folder cannot be written, or a map is not finite.
        """
        folder = Path(folder)
        stored = self.facts | {"verdict": self.stored_verdict()} | dict(facts or {})
        # The released code cuts where we round.
        cut = np.floor(65535 * self.sr) / 65535 if self.released else None
        raw_pixel_nm = None if self.pixel_size_nm is None else 2 * self.pixel_size_nm
        write_results(
            folder,
            self.channels,
            self.further,
            self.wide_field,
            raw_pixel_nm,
            stored,
            cut,
            spectra=self.spectra,
            heading=f"verdict: {self.verdict.sentence()}" if self.verdict else "",
            form=form,
        )
        return folder

    def stored_verdict(self) -> dict[str, Any] | None:
        """The verdict as prediction.json has it."""
        if self.verdict is None:
            return None
        stored = self.verdict._asdict() | {"forced": self.verdict.decision == "refuse"}
        if not self.verdict.time_points:
            del stored["time_points"]
        return stored
