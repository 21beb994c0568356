"""The actions in the window, as a line for a terminal."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.data.layouts import FrameLayout

__all__ = ["as_line", "folder_words", "movie_words", "results_beside", "stack_words"]


def stack_words(
    source: Path,
    layout: FrameLayout,
    results: Path,
    *,
    misfit: bool = True,
    delta: float = DELTA,
    pixel_size_nm: float | None = None,
    forced: bool = False,
) -> list[str]:
    """The command that reconstructs one stack of a file.

    Args:
        layout: what chooses the stack in the file.
        results: folder that it writes to.
        misfit: whether to map what the frames contradict.
        delta: tolerated error, as a share of the range of the structure.
        pixel_size_nm: pixel size, where the file does not state it.
        forced: write what is refused.
    """
    words = ["bayesdl", "test", "--test_data", str(source), "--save_path", str(results)]
    for name in ("channel", "position", "plane"):
        value = getattr(layout, name)
        words += [] if value is None else [f"--{name}", str(value)]
    if pixel_size_nm is not None:
        words += ["--pixel_size_nm", f"{pixel_size_nm:g}"]
    words += ["--misfit"] if misfit else []
    words += [] if delta == DELTA else ["--delta", f"{delta:g}"]
    return words + (["--force"] if forced else [])


def results_beside(folder: Path) -> Path:
    """Where the results of a folder of stacks go: beside it, never into it."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}-results")


def folder_words(folder: Path, results: Path) -> list[str]:
    """The command that reconstructs every stack of a folder."""
    return ["bayesdl", "test", "--test_data", str(folder), "--save_path", str(results), "--misfit"]


def movie_words(movie: Path, results: Path) -> list[str]:
    """The command that reconstructs a movie of a blinking sample, in a checkout."""
    words = ["python", "-m", "dlbi.reconstruct", "--movie", str(movie), "--save_path"]
    return [*words, str(results)]


def as_line(words: Sequence[str]) -> str:
    """The words as the shell of this computer takes them."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
