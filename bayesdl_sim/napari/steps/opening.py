"""A raw file as the widget takes it: which stacks, and in which order its frames are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bayesdl_sim.data.found_stacks import found_stacks
from bayesdl_sim.data.fringe_order import in_proved_order
from bayesdl_sim.data.stacks import RawStack, StackEntry
from bayesdl_sim.utils.errors import InputError

__all__ = ["entries_of", "opened", "order_sentence", "stack_of_array"]


def entries_of(path: str | Path) -> list[StackEntry]:
    """The stacks of a raw file, each colour, position and plane.

    A file that is no stack is an entry, too: reading it gives the reason.

    Raises:
        InputError: there is nothing at that path.
    """
    return list(found_stacks(path))


def opened(entry: StackEntry) -> RawStack:
    """The stack, its frames in the order that their fringes prove.

    Raises:
        InputError: no stack of 3 x 3 frames.
    """
    return in_proved_order(entry.read())


def order_sentence(stack: RawStack) -> str:
    """A sentence about the file and the order of its frames."""
    times, frames, height, width = stack.raw.shape
    size = f"{stack.pixel_size_nm:g} nm" if stack.pixel_size_nm else "of unknown size"
    series = f"{times} time points of " if times > 1 else ""
    facts = f"{series}{frames} frames of {height} x {width} pixels, pixel {size}."
    if stack.order is None:
        facts += " Order of the frames: orientation by orientation, as the file has them."
    sentences = [_sentence(note) for note in stack.notes]
    return " ".join([facts, *sentences])


def stack_of_array(frames: np.ndarray, name: str, pixel_size_nm: float | None) -> RawStack:
    """A stack of a layer that has no file, or was opened by another reader.

    Args:
        frames: (9, H, W), or (9 T, H, W) with time slowest.

    Raises:
        InputError: not a multiple of nine frames.
    """
    images = np.asarray(frames)
    images = images.reshape(-1, *images.shape[-2:])
    if len(images) % 9 or len(images) == 0:
        raise InputError(
            f"{name} holds {len(images)} images, but a 2D-SIM stack of nine frames (3 orientations "
            "x 3 phases) or a multiple of nine was expected: choose the layer of the raw frames"
        )
    raw = np.ascontiguousarray(images, np.float32).reshape(-1, 9, *images.shape[-2:])
    stack = RawStack(raw=raw, pixel_size_nm=pixel_size_nm, name=name, source=Path(name))
    return in_proved_order(replace(stack))


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + "."
