"""One time point of a series after the other, on the scale that the survey fixed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.facts import result_numbers
from bayesdl_sim.inference.gaps import first_kept
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.large.point import TiledPoint, tiled_point
from bayesdl_sim.inference.making import OnePoint, reconstruct
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.series import Earlier, predict_stack
from bayesdl_sim.inference.settings import CHANGES, MapSettings
from bayesdl_sim.inference.streaming.survey import Survey
from bayesdl_sim.utils.console.progress import Report, unreported

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = [
    "PointMaker",
    "blank_entry",
    "first_result",
    "point_entry",
    "streamed_facts",
    "verdict_of",
]


@dataclass
class PointMaker:
    """Makes time points of a series.

    Changes compare a time point with the one before. Where that was not made by this object, since
    it belongs to an earlier run or to another process, it is predicted again.

    Attributes:
        posterior, survey, maps, settings: what to make of what.
        structure: range of the structure in the first time point; None until it has been made.
    """

    posterior: Posterior
    survey: Survey
    maps: Sequence[str]
    settings: MapSettings
    structure: float | None = None

    def __post_init__(self) -> None:
        """Begins before the first time point."""
        self._earlier, self._last = Earlier(), -1

    def make(
        self, t: int, scratch: Path, progress: Report | None = None
    ) -> Reconstruction | TiledPoint | None:
        """The reconstruction of one time point, maps (1, 2H, 2W); of a large field in bands.

        None where the time point is left out.

        Args:
            scratch: file for what a large field takes on the disk.
            progress: progress over the tiles of a large field.
        """
        if t in self.survey.prepared.left_out:
            return None
        if set(self.maps) & {*CHANGES} and t > 0 and self._last != t - 1:
            self._earlier = Earlier()
            if t - 1 in self.survey.prepared.left_out:
                gaps = np.ones((1, *self.survey.prepared.field), bool)
                self._earlier = Earlier(gaps=gaps, left_out=True)
            else:
                self._predict_only(t - 1)
        judged = self.survey.judged
        point = OnePoint(
            number=t,
            scale=self.survey.scale,
            structure=self.structure,
            is_first=t == first_kept(self.survey.prepared),
            judged=len(judged) if t in judged else 0,
            earlier=self._earlier,
        )
        one = self.survey.one(t)
        arguments = (self.posterior, one, self.maps, self.settings)
        if one.is_large and self.posterior.is_local:
            return tiled_point(*arguments, point, scratch, progress or unreported)
        result = reconstruct(*arguments, unreported, point)
        self._last = t
        return result

    def _predict_only(self, t: int) -> None:
        one, scale = self.survey.one(t), self.survey.scale
        level = self.settings.changes
        predict_stack(self.posterior, one, unreported, level, scale, self._earlier)
        missing = one.missing(0).cpu().numpy()[None]
        self._earlier.gaps = missing if missing.any() else None


def point_entry(t: int, point: Reconstruction | TiledPoint, digest: str) -> dict[str, Any]:
    """What the journal keeps of a finished time point.

    Args:
        digest: SHA-256 of its maps.
    """
    if isinstance(point, TiledPoint):
        result, numbers, beyond = point.overview, point.numbers, point.beyond_scale
    else:
        result, numbers = point, result_numbers(point)
        beyond = int(((result.sr < 0) | (result.sr > 1)).sum())
    return {
        "t": t,
        "factor": result.factors[0],
        "seconds": result.seconds,
        "numbers": numbers,
        "beyond_scale": beyond,
        "verdict": None if result.verdict is None else result.verdict._asdict(),
        "digest": digest,
    }


def blank_entry(t: int, digest: str) -> dict[str, Any]:
    """What the journal keeps of a time point that is left out, see `point_entry`."""
    nothing = {"factor": None, "verdict": None, "numbers": {}, "seconds": 0.0, "beyond_scale": 0}
    return {"t": t, "digest": digest} | nothing


def verdict_of(entry: dict[str, Any]) -> Verdict:
    """The verdict of a journal's entry, of a time point that was judged."""
    stored = entry["verdict"]
    return Verdict(**stored | {name: tuple(stored[name]) for name in ("reasons", "time_points")})


def mean_numbers(entries: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Means over the time points of what `facts.result_lines` prints."""
    rows = [entry["numbers"] for entry in entries]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(values) / len(values) for name, values in columns.items()}


def streamed_facts(
    entries: Sequence[dict[str, Any]], delta: float, structure: float
) -> dict[str, Any]:
    """The entries of prediction.json that a streamed series has of its own."""
    streamed = {
        "meaning": "the scale was fixed by the frames before the first time point was written; "
        "the tolerance and the colours are those of the first time point; values beyond the "
        "scale are cut in SR.tif and whole in the channels",
        "values_beyond_scale": sum(entry["beyond_scale"] for entry in entries),
    }
    return {"delta": delta, "tolerance": delta * structure, "streamed": streamed}


def first_result(
    survey: Survey,
    channels: dict,
    further: dict,
    wide_field: NDArray,
    entries: Sequence[dict[str, Any]],
) -> Reconstruction:
    """The first time point as it lies on the disk, with the facts of all of them.

    Args:
        wide_field: (1, H, W) on the scale of the series.
    """
    stack, scale = survey.prepared.stack, survey.scale
    widths = {name.lower(): channels.get(name) for name in ("Aleatoric", "Epistemic", "Total")}
    return Reconstruction(
        sr=channels["SR"],
        **widths,
        scale=scale,
        pixel_size_nm=None if stack.pixel_size_nm is None else stack.pixel_size_nm / 2,
        channels=channels,
        further=further,
        wide_field=wide_field,
        raw_scales=survey.norms,
        factors=[entry["factor"] for entry in entries],
        seconds=sum(entry["seconds"] for entry in entries),
    )
