"""How a prepared stack becomes a judged reconstruction, whole or one time point of a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.recalibration import KINDS
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.inference.facts import stack_facts
from bayesdl_sim.inference.fringe_share import fringe_share
from bayesdl_sim.inference.fringes import fringe_spectra
from bayesdl_sim.inference.gaps import first_kept, gaps_of, structure_range, with_gaps
from bayesdl_sim.inference.judging.verdict import judge_frames, judge_result, left_out_of
from bayesdl_sim.inference.maps import (
    require_possible,
    with_interval,
    with_misfit,
    with_sharp,
    with_trust,
)
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import WIDTHS, Reconstruction
from bayesdl_sim.inference.series import Earlier, predict_stack
from bayesdl_sim.inference.settings import CHANGES, INTERVAL, MISFIT, MapSettings
from bayesdl_sim.physics.patterns.estimation import FOUND
from bayesdl_sim.utils.console.progress import Report
from bayesdl_sim.utils.errors import InputError

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = [
    "OnePoint",
    "reconstruct",
    "require_series",
    "share_of_fringes",
    "spectra_of",
    "with_pixel_maps",
]


@dataclass(frozen=True, kw_only=True)
class OnePoint:
    """What one time point of a series shares with the others.

    Attributes:
        number: number of the time point, from 0.
        scale: intensity scale of all time points.
        structure: range of the structure in normalised SR intensity, which the tolerance of the
            credibility is a share of; None: that of this time point.
        is_first: whether facts and pictures of a single time point are those of this one.
        judged: how many time points are judged together, if this one is; 0 where it is not.
        earlier: what the members predicted of the time point before; this one is put in its place.
    """

    number: int
    scale: Normalisation
    structure: float | None = None
    is_first: bool = False
    judged: int = 0
    earlier: Earlier = field(default_factory=Earlier)


def require_series(posterior: Posterior, prepared: PreparedStack, maps: Sequence[str]) -> None:
    """`InputError` if a map cannot be had from this stack, or the stack not point by point."""
    require_possible(prepared.stack, maps)
    if posterior.convention == "released":
        raise InputError(
            f"{prepared.stack.source}: the convention released gives every time point a scale of "
            "its own, and is not streamed: set stream to never"
        )
    if prepared.is_large and set(maps) & {*CHANGES}:
        height, width = prepared.field
        raise InputError(
            f"{prepared.stack.source}: changes needs the images of all members, which a field of "
            f"{height}x{width} px has no room for: leave it out, crop, or set stream to never"
        )


def reconstruct(
    posterior: Posterior,
    prepared: PreparedStack,
    maps: Sequence[str],
    settings: MapSettings,
    progress: Report,
    point: OnePoint | None = None,
) -> Reconstruction:
    """Reconstructs and judges a stack, see `Posterior.reconstruct`.

    Args:
        point: the stack is this time point of a series; None: it is all there is.
    """
    if point is None:
        require_possible(prepared.stack, maps)
        judge_frames(prepared)  # first, so that every way here measures in the same order
    scale, earlier = (None, Earlier()) if point is None else (point.scale, point.earlier)
    level = settings.changes if set(maps) & {*CHANGES} else None
    leave_out = partial(left_out_of, prepared, settings.force) if len(prepared) > 1 else None
    result = predict_stack(posterior, prepared, progress, level, scale, earlier, leave_out)
    gaps = gaps_of(prepared)
    structure = None if point is None else point.structure
    structure = structure or structure_range(result.sr, gaps)
    number = 0 if point is None else point.number
    result, facts = with_pixel_maps(posterior, result, maps, settings, structure, number)
    judged = None if point is None else point.judged
    if judged != 0:
        verdict = judge_result(prepared, result, posterior.gate, judged)
        result = replace(result, verdict=verdict)
    if set(maps) & {*MISFIT}:
        result = with_misfit(result, prepared, progress)
    if "Sharp" in maps:
        result = with_sharp(result, prepared)
    further = {name: image for name, image in result.further.items() if name in maps}
    spectra = None if point else spectra_of(prepared)
    result = replace(result, further=further, spectra=spectra)
    if point is None or point.is_first:
        result = replace(result, fringe_share=share_of_fringes(posterior, prepared))
    if gaps is not None or earlier.gaps is not None:
        marked = np.zeros((len(prepared), *prepared.field), bool) if gaps is None else gaps
        result = with_gaps(result, marked, earlier.gaps)
    earlier.gaps = gaps
    return replace(result, facts=facts | stack_facts(prepared, result))


def with_pixel_maps(
    posterior: Posterior,
    result: Reconstruction,
    maps: Sequence[str],
    settings: MapSettings,
    structure: float,
    number: int,
) -> tuple[Reconstruction, dict[str, Any]]:
    """Adds the maps for which a pixel needs no other pixel, and the facts about them.

    Args:
        structure: range of the structure in normalised SR intensity.
        number: number of the time point, from 0, where the result is one of a series.
    """
    names = [name for name in WIDTHS if name in maps or name == "Total"]
    images = {name: getattr(result, name.lower()) for name in names}
    images = {name: image for name, image in images.items() if image is not None}
    result = result.with_channels({"SR": result.sr} | images)
    facts = posterior.facts | {"delta": settings.delta, "tolerance": settings.delta * structure}
    if set(maps) & {*INTERVAL}:
        bounds = posterior.calibration.bounds(settings.interval)
        kind = {"level": settings.interval, "meaning": KINDS[bounds.kind]}
        facts |= {"interval": kind | bounds._asdict()}
        result = with_interval(result, bounds)
    if result.total is not None:
        result = with_trust(result, settings, "Credibility" in maps, facts["tolerance"], number)
    return result, facts


def spectra_of(prepared: PreparedStack) -> NDArray | None:
    """`fringe_spectra` where the first time point is brightest; None if no patterns were needed."""
    if not prepared.estimated:
        return None
    first = first_kept(prepared)
    return fringe_spectra(prepared.counts(first, prepared.squares(first)[0]))


def share_of_fringes(posterior: Posterior, prepared: PreparedStack) -> float | None:
    """`fringe_share` of the first time point by the first member; None without fringes."""
    first = first_kept(prepared)
    if posterior.convention == "released" or max(prepared.patterns(first).probability) <= FOUND:
        return None
    return fringe_share(posterior.functions[0], prepared, posterior.inputs, first)
