"""What every stage needs from a movie: its drift, its moments, camera and optics."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch

from bayesdl_sim.dlbi.moments.calibration import calibrate
from bayesdl_sim.dlbi.moments.statistics import MomentSums
from bayesdl_sim.dlbi.movies.checks import check_moments
from bayesdl_sim.dlbi.movies.drift import corrected, measure_drift
from bayesdl_sim.dlbi.movies.light import without_odd_frames
from bayesdl_sim.dlbi.movies.processing import processing_notes
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.movies.survey import survey
from bayesdl_sim.dlbi.network.features import chosen_frames
from bayesdl_sim.dlbi.stages.records import Prepared, Settings
from bayesdl_sim.physics.sensor.missing import filled
from bayesdl_sim.utils.console.progress import Report, unreported

__all__ = ["FIRST_FRAMES", "facts_of", "prepare"]

# At the beginning of a longer movie, before most has bleached: all that the Bayesian stage and the
# 3B analysis use.
FIRST_FRAMES = 400


def prepare(movie: Movie, settings: Settings, report: Report = unreported) -> Prepared:
    """Reads the movie twice, piece by piece: for its faults and its drift, and for its moments.

    Where frames are left out, the first reading is repeated without them.

    Args:
        report: called with the number of frames that were read for the moments.

    Raises:
        InputError: a movie that cannot be used, see `movies` and `moments.calibration`.
    """
    seen = survey(movie)
    whole = movie
    movie, notes = without_odd_frames(whole, seen)
    if movie is not whole:
        seen = survey(movie)
    drift = measure_drift(filled(seen.means, seen.faulty.either), movie.name)
    sums, chosen, some_frames = MomentSums(movie.shape), chosen_frames(movie.frames), []
    start = 0
    for piece in corrected(movie, drift, seen.faulty.either):
        sums.add(piece)
        inside = chosen[(chosen >= start) & (chosen < start + len(piece))]
        some_frames.append(piece[inside - start])
        start += len(piece)
        report(start, movie.frames, "frames")
    moments = sums.finish()
    warnings = check_moments(moments, seen, movie.name)
    calibration = calibrate(
        moments, settings.fwhm_px, settings.gain, settings.offset, path=movie.name
    )
    processed = processing_notes(next(movie.pieces()), moments, calibration.sigma_px)
    pattern = [calibration.pattern.note] if calibration.pattern else []
    return Prepared(
        movie=movie,
        moments=moments,
        drift=drift,
        calibration=calibration,
        frames=torch.cat(some_frames),
        faulty=seen.faulty.either,
        warnings=[
            *(*movie.notes, *notes, *warnings, *processed),
            *(*drift.warnings, *calibration.contradictions, *pattern),
        ],
    )


def facts_of(prepared: Prepared) -> dict[str, Any]:
    """The estimated and the given quantities, for the record."""
    calibration, drift = prepared.calibration, prepared.drift
    optics, pattern = asdict(replace(calibration, pattern=None)), calibration.pattern
    del optics["contradictions"]  # they are among the warnings
    if pattern is not None:
        optics["pattern"] = {"offset_e": pattern.offset_e, "gain": pattern.gain}
    optics |= {"fwhm_px": calibration.fwhm_px, "read_noise_e": calibration.read_noise_e}
    return {
        "frames": prepared.moments.frames,
        "calibration": optics,
        "drift": {
            "total_px": [float(value) for value in drift.total_px],
            "error_px": drift.error_px,
            "corrected": drift.corrected,
            "path_px": None if drift.path_px is None else drift.path_px.tolist(),
        },
        "left_out_frames": [number + 1 for number in prepared.movie.left_out],
        "faulty_pixels": prepared.faulty.nonzero().tolist(),
        "warnings": prepared.warnings,
    }
