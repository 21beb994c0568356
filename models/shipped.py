"""Where the shipped members lie, and the student beside members."""

from __future__ import annotations

from pathlib import Path

import bayesdl_sim
from bayesdl_sim.utils.errors import InputError

__all__ = ["STUDENT_FOLDER", "shipped_folder", "student_folder"]

SHIPPED = Path("checkpoint", "F-actin", "pretrained_G")
STUDENT_FOLDER = "student"  # in the folder of the members


def shipped_folder() -> Path:
    """The folder of the shipped members, beside the code in a checkout and inside it in a wheel.

    Raises:
        InputError: the installation lacks it.
    """
    for base in bayesdl_sim.__path__:
        if (Path(base) / SHIPPED).is_dir():
            return Path(base) / SHIPPED
    raise InputError(
        f"the shipped posterior is missing: no folder {SHIPPED} beside the code; install again, or "
        "name a folder of members"
    )


def student_folder(folder: str | Path) -> Path:
    """Place of the student of a folder of members.

    Raises:
        InputError: there is none.
    """
    path = Path(folder) / STUDENT_FOLDER
    if not path.is_dir():
        raise InputError(
            f"fast: no student in {folder}: expected {path}; distil one from these members with "
            "bayesdl distil, or leave fast out"
        )
    return path
