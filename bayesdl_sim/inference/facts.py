"""The description of a result: entries of prediction.json, and lines for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import find_calibration
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.fringes import fringe_facts, fringe_sentence
from bayesdl_sim.inference.gaps import first_kept
from bayesdl_sim.inference.judging.verdict import judged_times
from bayesdl_sim.inference.output.map_kinds import MAPS
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import WIDTHS, Reconstruction
from bayesdl_sim.models.bayesdl import DISTILLED
from bayesdl_sim.models.members import MemberFacts, hashes_of
from bayesdl_sim.physics.spots import field_light, spot_brightness
from bayesdl_sim.utils.checkpoints import list_members
from bayesdl_sim.utils.errors import InputError, printable
from bayesdl_sim.utils.files import sha256
from bayesdl_sim.utils.run_log import provenance

__all__ = [
    "calibration_of",
    "lit",
    "member_words",
    "posterior_facts",
    "result_lines",
    "run_facts",
    "result_numbers",
    "stack_facts",
    "student_notes",
    "warnings_of",
]


CONTRADICTED = 5.0  # standard deviations
LIT_SHARE = 0.2


def posterior_facts(
    folder: object, members: Sequence[MemberFacts], calibration: Calibration, applied: bool
) -> dict[str, Any]:
    """The entries about the posterior: members with their SHA-256, calibration, versions."""
    return {
        "checkpoint": {
            "folder": Path(folder).resolve().name,
            "network": members[0].network,
            "members": [
                {
                    "file": member.path.name,
                    "sha256": member.sha256,
                    "poses": list(member.poses),
                    "sampler": member.sampler,
                    "training": member.training,
                }
                for member in members
            ],
        },
        "calibration": {
            "applied": applied,
            "scale": calibration.scale,
            "by_features": calibration.by_features and asdict(calibration.by_features),
            "fitted_on": calibration.fitted_on,
        },
        "provenance": provenance(),
    }


def run_facts(device: torch.device, precision: str, tile: int | None) -> dict[str, Any]:
    """The entry about the computer: device, arithmetic, threads, and pieces in raw pixels."""
    threads = torch.get_num_threads()
    return {"device": str(device), "precision": precision, "threads": threads, "tile": tile}


def calibration_of(
    folder: Path, named: str | Path | None, convention: str, members: list[MemberFacts]
) -> tuple[Calibration | None, str]:
    """The calibration that is applied to these members, and a line about it.

    Raises:
        InputError: one is named although the convention has none.
    """
    if convention == "released":  # its uncertainties are other numbers
        if named is not None and str(named) != "none":
            raise InputError("calibration belongs to the convention total_variance: leave it out")
        named = "none"
    return find_calibration(folder, named, hashes_of(members))


def stack_facts(prepared: PreparedStack, result: Reconstruction) -> dict[str, Any]:
    """The entries about the stack itself, its scales and its channels."""
    stack = prepared.stack
    judged = [t + 1 for t in judged_times(prepared)] if len(prepared) > 1 else []
    left_out = [t + 1 for t in sorted(prepared.left_out)]
    return {
        "source": {
            "file": stack.source.name,
            "time_points": stack.raw.shape[0],
            "frame_size": list(stack.raw.shape[-2:]),
            "raw_pixel_size_nm": stack.pixel_size_nm,
            "channel": stack.channel or None,
            "wavelength_nm": stack.wavelength_nm,
            "emission_nm": stack.emission_nm,
            "na": stack.na,
            "optics_given": None if prepared.optics is None else prepared.optics.to_dict(),
            "read_as": list(stack.notes),
            "put_in_order": None if stack.order is None else [f + 1 for f in stack.order],
        },
        "normalisation": {
            "raw_counts_per_time_point": [norm and norm._asdict() for norm in result.raw_scales],
            "sr_counts": result.scale._asdict(),
            "meaning": "counts = low + (high - low) SR.tif / 65535; uncertainties in counts = "
            "(high - low) times the map"
            + ("; each time point by its own raw_counts" if result.released else ""),
        },
        "signal_e": _signal(prepared),
        "bright_spot": _bright_spot(prepared),
        "patterns": fringe_facts(prepared),
        "fringe_share": None if result.fringe_share is None else round(result.fringe_share, 4),
        "patterns_estimated_at": [t + 1 for t in sorted(prepared.estimated)],
        **({"time_points_judged_in_full": judged} if judged else {}),
        **({"time_points_left_out": left_out} if left_out else {}),
        "deviations_multiplied_by": result.factors,
        "channels": list(result.channels),
        "not_modelled": [name for name in WIDTHS if getattr(result, name.lower()) is None],
        "seconds": round(result.seconds, 3),
    }


def _signal(prepared: PreparedStack) -> float | None:
    """Median electrons of the lit pixels at the first time point, about; None: not known."""
    signal = prepared.signal_e(first_kept(prepared))
    return float(f"{signal:.2g}") if math.isfinite(signal) else None


def _bright_spot(prepared: PreparedStack) -> float | None:
    """How many times a spot outshines the structure at the first time point; None without one."""
    first = first_kept(prepared)
    if prepared.dimming(first) is None:
        return None
    if prepared.is_large:
        return round(spot_brightness(field_light(prepared.large(first).light[None])), 1)
    return round(spot_brightness(prepared.frames(first).light), 1)


def member_words(members: Sequence[MemberFacts]) -> str:
    """How many members, of which sampler, at which temperature."""
    if members[0].network["likelihood"] == DISTILLED:
        return f"a student of {len(members[0].sampler.get('of', {}))} members"
    kinds = sorted({str(member.sampler.get("kind", "unknown sampler")) for member in members})
    temperatures = sorted({member.sampler.get("temperature") for member in members} - {None})
    words = f"{len(members)} member{'s' if len(members) > 1 else ''} ({' and '.join(kinds)}"
    if temperatures:
        words += f", temperature {' and '.join(f'{t:g}' for t in temperatures)}"
    return words + ")"


def warnings_of(members: Sequence[MemberFacts], convention: str) -> list[str]:
    """Warnings of what these members do not predict, or not under this convention."""
    lines = []
    if not members[0].network["likelihood"]:
        lines.append(
            "WARNING: these members have no uncertainty tail: aleatoric uncertainty is not "
            "modelled and not written (step 2 of the training adds it)"
        )
    if len(members) == 1 and members[0].network["likelihood"] != DISTILLED:
        lines.append(
            "WARNING: one member shows no spread: epistemic uncertainty is unknown and not written"
        )
    if convention == "released" and not members[0].with_min_max:
        lines.append(
            "WARNING: the convention released scales the frames by their smallest and largest "
            "count, but these members were trained with percentiles: for comparison only"
        )
    return lines


def student_notes(opened: Sequence[MemberFacts]) -> list[str]:
    """Notes on a student: its members, and whether they still lie beside it."""
    stored = opened[0].sampler.get("of", {})
    folder = opened[0].path.parent.parent
    try:
        present = {path.name: sha256(path) for path in list_members(folder)}
    except InputError:
        return []  # it was copied without them
    if present == stored:
        return []
    return [
        f"WARNING: the student was distilled from other members than those in {folder}: its "
        "calibration holds, but it no longer stands for them (distil it again)"
    ]


def result_numbers(result: Reconstruction) -> dict[str, float]:
    """The numbers that `result_lines` needs of the maps; of several time points, their means."""
    maps = {name: getattr(result, name.lower()) for name in WIDTHS}
    numbers = {name: float(np.nanmean(m)) for name, m in maps.items() if m is not None}
    left_out = {t - 1 for t in result.facts.get("time_points_left_out", ())}
    kept = [t for t in range(len(result.sr)) if t not in left_out]
    numbers["empty"] = float(np.isnan(result.sr[kept] if left_out else result.sr).mean())
    if "Credibility" in result.channels:
        numbers["credible"] = float(result.channels["Credibility"][lit(result.sr)].mean())
    if "Contradicted" in result.further:
        border = MAPS["Contradicted"].border
        inner = result.further["Contradicted"][:, border:-border, border:-border]
        numbers["contradicted"] = float((np.abs(inner) > CONTRADICTED).mean())
    if "Changed" in result.further and not np.isnan(result.further["Change"]).all():
        numbers["change_squared"] = float(np.nanmean(np.square(result.further["Change"])))
        numbers["changed"] = float(np.nanmean(np.abs(result.further["Changed"])))
    return numbers


def result_lines(
    stack: RawStack, result: Reconstruction, numbers: Mapping[str, float] | None = None
) -> list[str]:
    """The result in a few lines for the terminal.

    Args:
        numbers: result of `result_numbers`, where the result does not hold all of its maps.
    """
    numbers = result_numbers(result) if numbers is None else numbers
    times, frames, height, width = stack.raw.shape
    series = f"{times} time points of " if times > 1 else ""
    size = (
        f"{stack.pixel_size_nm:g} nm"
        if stack.pixel_size_nm
        else "of unknown size (set pixel_size_nm)"
    )
    means = [f"{name.lower()} {numbers[name]:.2g}" for name in WIDTHS if name in numbers]
    lines = [
        f"{printable(stack.source)}: {series}{frames} frames of {height}x{width} px, pixel {size}",
        f"{result.seconds:.1f} s; mean uncertainty: {', '.join(means) or 'not modelled'}",
    ]
    if signal := result.facts.get("signal_e"):
        lines.append(
            f"signal: about {signal:g} electrons above background in a lit pixel of a frame"
        )
    if spot := result.facts.get("bright_spot"):
        lines.append(
            f"a spot {spot:.0f} times as bright as the structure: dimmed for the networks, and "
            "left out of the tolerance of the credibility"
        )
    fringes = fringe_sentence(result.facts.get("patterns", []), result.fringe_share)
    lines += [fringes] if fringes else []
    left_out = result.facts.get("time_points_left_out", [])
    estimated = [t for t in result.facts.get("patterns_estimated_at", []) if t not in left_out]
    if moved := estimated[1:]:
        lines.append(f"fringe patterns moved: estimated again at time points {_few(moved)}")
    judged = result.facts.get("time_points_judged_in_full", [])
    if 0 < len(judged) < times:
        lines.append(
            f"judged in full: time points {_few(judged)}; of all others, the raw frames were "
            "checked for light, copies, saturation, motion and lost fringes"
        )
    if left_out:
        lines.append(f"left out: time points {_few(left_out)}: NaN in the maps, not credible")
    if "credible" in numbers:
        credible = numbers["credible"]
        lines.append(f"mean credibility of the lit pixels (the brightest fifth) {credible:.2f}")
    if numbers["empty"]:
        empty = numbers["empty"]
        lines.append(f"{empty:.2%} of the pixels hold no data: NaN in the maps, not credible")
    if "contradicted" in numbers:
        lines.append(
            f"contradicted by the frames (over {CONTRADICTED:g} standard deviations): "
            f"{numbers['contradicted']:.2%} of the field, without its "
            f"{MAPS['Contradicted'].border} pixels along the edges"
        )
    if "changed" in numbers:
        rms = math.sqrt(numbers["change_squared"])
        lines.append(
            f"from one time point to the next: rms change {rms:.2g}; beyond its interval at "
            f"{numbers['changed']:.2%} of the pixels"
        )
    return lines


def lit(sr: NDArray) -> NDArray[np.bool_]:
    """The brightest fifth of the pixels: a mean over all would describe the background."""
    return sr >= np.nanquantile(sr, 1 - LIT_SHARE)


def _few(numbers: Sequence[int], most: int = 8) -> str:
    rest = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return ", ".join(map(str, numbers[:most])) + rest
