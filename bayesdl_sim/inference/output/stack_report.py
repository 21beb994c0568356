"""The report of one stack: a single HTML file with everything inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.inference.fringes import fringe_sentence
from bayesdl_sim.inference.output.profile_picture import (
    PROFILE,
    brightest_row,
    write_profile_picture,
)
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.report.page import picture, table, text, write_page

__all__ = ["REPORT", "methods", "write_stack_report"]

REPORT = "report.html"
MEANING = {
    "accept": "The stack and its result look like those that the posterior was validated with.",
    "warn": "Something is unusual: look at the reasons before you trust fine detail.",
    "refuse": "The raw frames are faulty; the result was written only because it was forced.",
    "not judged": "Nothing speaks against the stack, but nothing was compared either.",
}
_CAPTIONS = {
    "Overview.png": "Wide field, super-resolved image, its uncertainties and its credibility.",
    "Informed.png": "Brightness is the super-resolved intensity, colour is the credibility.",
    "Patterns.png": "Power of the differences between frames; circles mark the carriers.",
}


def write_stack_report(
    folder: Path,
    channels: Mapping[str, NDArray],
    wide_field: NDArray,
    facts: Mapping[str, Any],
    verdict: str = "",
    pixel_nm: float | None = None,
) -> None:
    """Writes `REPORT` and `PROFILE` beside the pictures that the report holds.

    Args:
        folder: folder with the pictures of this result.
        channels: name -> (T, 2H, 2W), with "SR".
        wide_field: (T, H, W), on the scale of the SR.
        facts: entries of prediction.json; what is absent is left out.
        verdict: the verdict in one line.
        pixel_nm: pixel size of the channels; None where unknown.
    """
    _write_profile(folder / PROFILE, channels, wide_field[0], pixel_nm)
    decision = (facts.get("verdict") or {}).get("decision", "")
    fringes = fringe_sentence(facts.get("patterns", []), facts.get("fringe_share"))
    lines = (verdict, MEANING.get(decision, ""), fringes)
    words = [text(line) for line in lines if line]
    shown = {
        name: picture(folder / name, caption)
        for name, caption in _CAPTIONS.items()
        if (folder / name).is_file()
    }
    sections = {"Verdict": words or [text("not judged")], "Overview": [shown["Overview.png"]]}
    if "Informed.png" in shown:
        sections["How far to trust it"] = [shown["Informed.png"]]
    if "Patterns.png" in shown:
        sections["Fringes"] = [shown["Patterns.png"], table(_orientations(facts))]
    caption = (
        "The row of pixels through the brightest point; the band is the 90 % interval of the total "
        "uncertainty, the wide field is fitted to the profile."
    )
    sections["Profile"] = [picture(folder / PROFILE, caption)]
    sections["Methods, to paste"] = [text(methods(facts))]
    sections["Versions"] = [table(_versions(facts))]
    name = facts.get("source", {}).get("file", "one stack")
    write_page(folder / REPORT, f"BayesDL-SIM: {name}", sections)


def methods(facts: Mapping[str, Any]) -> str:
    """A paragraph for a methods section, from the entries of prediction.json."""
    source, members = facts.get("source", {}), facts.get("checkpoint", {}).get("members", [])
    size, pixel = source.get("frame_size"), source.get("raw_pixel_size_nm")
    field = f" of {size[0]} x {size[1]} pixels" if size else ""
    sampling = f" (raw pixel {pixel:g} nm)" if pixel else ""
    words = (
        f"Raw 2D-SIM stacks{field}{sampling}, three orientations with three phases each, were "
        "reconstructed with BayesDL-SIM on a grid of half the raw pixel size"
    )
    if members:
        words += f", as the mean of {len(members)} network(s) sampled from the posterior"
    words += "."
    if "Aleatoric" in facts.get("channels", ()) and "Epistemic" in facts.get("channels", ()):
        words += (
            " Aleatoric uncertainty is the predicted standard deviation of the data, epistemic "
            "uncertainty the standard deviation between the networks"
        )
        applied = facts.get("calibration", {}).get("applied")
        words += ", calibrated on held-out cells." if applied else ", not calibrated."
    if "tolerance" in facts:
        words += (
            " Credibility is the probability of an error below "
            f"{100 * facts['delta']:g} % of the range of the structure."
        )
    patterns = facts.get("patterns")
    if patterns and patterns[0]["orientations"][0]["period_nm"]:
        periods = ", ".join(f"{row['period_nm']:.0f}" for row in patterns[0]["orientations"])
        words += f" Fringe periods estimated from the frames were {periods} nm."
    if signal := facts.get("signal_e"):
        words += f" The median signal of the lit pixels was about {signal:g} electrons per frame."
    commit = facts.get("provenance", {}).get("git_commit")
    return words + (f" Software revision: {commit}." if commit else "")


def _orientations(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for number, row in enumerate(facts["patterns"][0]["orientations"], start=1):
        rows.append(
            {
                "orientation": number,
                "period, nm": row["period_nm"],
                "angle, degrees": row["angle_deg"],
                "phases, degrees": ", ".join(f"{phase:.0f}" for phase in row["phases_deg"]),
                "modulation": row["modulation"],
                "probability that it is real": row["probability"],
            }
        )
    return rows


def _versions(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [{"what": k, "version": v} for k, v in facts.get("provenance", {}).items()]
    for member in facts.get("checkpoint", {}).get("members", []):
        rows.append({"what": member["file"], "version": f"SHA-256 {member['sha256']}"})
    return rows


def _write_profile(
    path: Path, channels: Mapping[str, NDArray], wide_field: NDArray, pixel_nm: float | None
) -> None:
    """The profile of the first time point through its brightest point."""
    sr, total = channels["SR"][0], channels.get("Total")
    doubled = wide_field_upsampled(torch.from_numpy(np.asarray(wide_field))[None]).numpy()
    write_profile_picture(
        path,
        sr,
        None if total is None else total[0],
        brightest_row(sr),
        pixel_nm,
        wide_field=doubled,
    )
