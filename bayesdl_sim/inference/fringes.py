"""The fringes of a stack, to be checked by a microscopist: numbers, one sentence, spectra."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.bands import taper
from bayesdl_sim.physics.patterns.estimation import FOUND, Estimate

__all__ = ["fringe_facts", "fringe_sentence", "fringe_spectra"]

SIDE = 256  # of a spectrum, at most


def fringe_facts(prepared: PreparedStack) -> list[dict[str, Any]]:
    """The pattern of every orientation, for each time point at which patterns were estimated.

    Phases are those at the centre of the first raw pixel, angles run from the columns to the rows;
    both in degrees. Errors are standard errors. Lengths in nm where the pixel size is known. Of a
    time point that is left out, they are given only where no other has patterns of its own.
    """
    kept = [t for t in prepared.estimated if t not in prepared.left_out]
    return [
        {"time_point": t + 1, **_facts(prepared.patterns(t), prepared.stack.pixel_size_nm)}
        for t in sorted(kept or prepared.estimated)
    ]


def _facts(estimate: Estimate, pixel_nm: float | None) -> dict[str, Any]:
    light = estimate.illumination
    orientations = []
    for o, (k, error) in enumerate(zip(light.frequency, estimate.frequency_error, strict=True)):
        orientations.append(
            {
                "period_nm": None if pixel_nm is None else round(pixel_nm / k, 2),
                "period_error_nm": None if pixel_nm is None else round(pixel_nm * error / k**2, 2),
                "frequency_cycles_per_pixel": round(k, 6),
                "angle_deg": round(math.degrees(light.angle[o]), 3),
                "phases_deg": [round(math.degrees(phase) % 360, 1) for phase in light.phase[o]],
                "phase_error_deg": round(math.degrees(estimate.phase_error[o]), 1),
                "modulation": round(light.modulation[o], 3),
                "modulation_error": round(estimate.modulation_error[o], 3),
                "probability": round(estimate.probability[o], 4),
                "confidence": round(estimate.confidence[o], 2),
            }
        )
    cutoff = estimate.optics.cutoff
    return {
        "evidence": round(estimate.evidence, 2),
        "cutoff_cycles_per_pixel": round(cutoff, 4),
        "wide_field_limit_nm": None if pixel_nm is None else round(pixel_nm / cutoff, 1),
        "orientations": orientations,
    }


def fringe_sentence(facts: Sequence[Mapping[str, Any]], share: float | None = None) -> str:
    """The contribution of the fringes to the result, as one line; empty without a search for them.

    "fringes found in 3 of 3 orientations, period 181 nm, modulation 0.31 to 0.42; they carry 83 %
    of the detail beyond the cut-off of wide field", or a warning that the result is a deconvolved
    wide-field image, with the resolution of one.

    Args:
        facts: see `fringe_facts`.
        share: see `inference.fringe_share`, where it is known.
    """
    if not facts:
        return ""
    first = facts[0]
    found_orientations = [row for row in first["orientations"] if row["probability"] > FOUND]
    if not found_orientations:
        limit = first["wide_field_limit_nm"]
        length = "" if limit is None else f", about {limit:.0f} nm"
        return (
            "WARNING: no fringes were found: this is a denoised, deconvolved wide-field image, "
            f"with the resolution of wide field{length}"
        )
    periods = [
        row["period_nm"] or 1 / row["frequency_cycles_per_pixel"] for row in found_orientations
    ]
    unit, digits = ("px", 2) if found_orientations[0]["period_nm"] is None else ("nm", 0)
    depths = [row["modulation"] for row in found_orientations]
    words = (
        f"fringes found in {len(found_orientations)} of {ORIENTATIONS} orientations, period "
        f"{_span(periods, digits)} {unit}, modulation {_span(depths, 2)}"
    )
    if len(found_orientations) < ORIENTATIONS:
        words += " (along the others the resolution is that of wide field)"
    if share is not None:
        words += f"; they carry {100 * share:.0f} % of the detail beyond the cut-off of wide field"
    return words


def _span(values: Sequence[float], digits: int) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def fringe_spectra(frames: Tensor) -> NDArray[np.float32]:
    """Power of the differences between the three frames of each orientation.

    The wide field cancels; copies of its spectrum stay, around plus and minus each carrier.

    Args:
        frames: (9, H, W), counts.

    Returns:
        (3, h, w), frequency 0 in the middle, from -0.5 to 0.5 cycles per raw pixel; at most 256
        a side, means over neighbouring frequencies beyond that.
    """
    frames = torch.nan_to_num(frames.float())
    threes = frames.reshape(ORIENTATIONS, PHASES, *frames.shape[1:])
    window = taper(tuple(frames.shape[1:]), frames.device).to(frames)
    spectra = torch.fft.fft2((threes - threes.mean(dim=1, keepdim=True)) * window)
    power = torch.fft.fftshift(spectra.abs().square().sum(dim=1), dim=(1, 2))
    size = [min(SIDE, side) for side in power.shape[1:]]
    small = torch.nn.functional.adaptive_avg_pool2d(power[None], size)[0]
    return small.cpu().numpy().astype(np.float32)
