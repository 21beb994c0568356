"""One time point of a series after the other, on the scale that the survey fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bayesdl_sim.inference.facts import result_numbers
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.large.point import TiledPoint, tiled_point
from bayesdl_sim.inference.making import OnePoint, reconstruct
from bayesdl_sim.inference.maps import Progress
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.series import Earlier, predict_stack
from bayesdl_sim.inference.settings import CHANGES, MapSettings
from bayesdl_sim.inference.streaming.survey import Survey

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = ["PointMaker", "first_result", "point_entry", "verdict_of"]


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
        self, t: int, scratch: Path, progress: Progress | None = None
    ) -> Reconstruction | TiledPoint:
        """The reconstruction of one time point, maps (1, 2H, 2W); of a large field in bands.

        Args:
            scratch: file for what a large field takes on the disk.
            progress: progress over the tiles of a large field.
        """
        if set(self.maps) & {*CHANGES} and t > 0 and self._last != t - 1:
            self._earlier = Earlier()
            self._predict_only(t - 1)
        judged = self.survey.judged
        point = OnePoint(
            number=t,
            scale=self.survey.scale,
            structure=self.structure,
            judged=len(judged) if t in judged else 0,
            earlier=self._earlier,
        )
        one = self.survey.one(t)
        arguments = (self.posterior, one, self.maps, self.settings)
        if one.is_large and self.posterior.is_local:
            return tiled_point(*arguments, point, scratch, progress or _silent)
        result = reconstruct(*arguments, _silent, point)
        self._last = t
        return result

    def _predict_only(self, t: int) -> None:
        one, scale = self.survey.one(t), self.survey.scale
        level = self.settings.changes
        predict_stack(self.posterior, one, _silent, level, scale, self._earlier)
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


def verdict_of(entry: dict[str, Any]) -> Verdict:
    """The verdict of a journal's entry, of a time point that was judged."""
    stored = entry["verdict"]
    return Verdict(**stored | {name: tuple(stored[name]) for name in ("reasons", "time_points")})


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
    norms = [survey.prepared.norm(t) for t in range(len(survey.prepared))]
    return Reconstruction(
        sr=channels["SR"],
        **widths,
        scale=scale,
        pixel_size_nm=None if stack.pixel_size_nm is None else stack.pixel_size_nm / 2,
        channels=channels,
        further=further,
        wide_field=wide_field,
        raw_scales=norms,
        factors=[entry["factor"] for entry in entries],
        seconds=sum(entry["seconds"] for entry in entries),
    )


def _silent(done: int, total: int, what: str) -> None:
    """Reports no progress: the time points are counted instead."""
