"""The student of a posterior: one network that gives the mean and both uncertainties by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bayesdl_sim.inference.settings import CONVENTION_NAMES
from bayesdl_sim.models.members import MemberFacts
from bayesdl_sim.models.shipped import student_folder
from bayesdl_sim.utils.checkpoints import list_members
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import sha256

__all__ = ["folder_of", "student_notes"]


def folder_of(folder: str | Path, fast: bool, members: int | None, convention: str) -> Path:
    """The folder itself, or that of its student if `fast`.

    Raises:
        InputError: an unknown convention; no student, or an option that asks for members.
    """
    if convention not in CONVENTION_NAMES:
        known = " or ".join(CONVENTION_NAMES)
        raise InputError(f"convention: expected {known}, not {convention!r}")
    if not fast:
        return Path(folder)
    if members is not None:
        raise InputError("members: the student of fast is one network; leave one of them out")
    if convention == "released":
        raise InputError("convention released needs members: leave fast out")
    return student_folder(folder)


def student_notes(opened: Sequence[MemberFacts]) -> list[str]:
    """What a user should know about a student: whose it is, and whether they still lie there."""
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
