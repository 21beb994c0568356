"""Order of the frames of a raw stack, as a user names it, and its change to orientation-major.

An order names what the images of a file are, slowest first: `orientation,phase` is three phases of
orientation 0, then of 1, then of 2; `phase,orientation` shows all orientations at phase 0 first;
`orientation,z,phase` holds all planes of an orientation together. The words are
defined here only.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from bayesdl_sim.utils.errors import InputError

__all__ = ["ORDERS", "FrameOrder", "check_words", "split_axis"]

ORDERS = ("orientation,phase", "phase,orientation")
ORIENTATION, PHASE = "orientation", "phase"
ROLES = {
    **dict.fromkeys((ORIENTATION, "angle", "rotation"), ORIENTATION),
    PHASE: PHASE,
    **dict.fromkeys(("z", "plane"), "plane"),
    **dict.fromkeys(("time", "t"), "time"),
    **dict.fromkeys(("channel", "colour", "color", "c"), "channel"),
    "position": "position",
}
WORD = re.compile(r"([a-z]+)(?:=(\d{1,6}))?")


class FrameOrder(NamedTuple):
    """Order in which the images of a file follow each other, of N orientations and M phases."""

    order: str
    orientations: int = 3
    phases: int = 3

    @property
    def frames(self) -> int:
        """Images per stack."""
        return self.orientations * self.phases

    @property
    def other(self) -> FrameOrder:
        """The other order of the same frames."""
        return self._replace(order=ORDERS[1 - ORDERS.index(self.order)])

    def triples(self, frames: np.ndarray) -> np.ndarray:
        """Frames (N M, H, W) in file order -> (N, M, H, W)."""
        axes = split_axis(self.order, len(frames), (self.orientations, self.phases))
        roles = [role for role, _ in axes]
        sizes = [size for _, size in axes]
        frames = frames.reshape(*sizes, *frames.shape[1:])
        return np.moveaxis(frames, [roles.index(ORIENTATION), roles.index(PHASE)], [0, 1])

    def orientation_major(self, frames: np.ndarray) -> np.ndarray:
        """Frames (N M, H, W) in file order -> (N M, H, W), orientation by orientation."""
        return self.triples(frames).reshape(frames.shape)


def check_words(order: str) -> list[tuple[str, int | None]]:
    """The roles that an order names, slowest first, each with its size if the order states it.

    Roles are orientation, phase, plane, time, channel and position.

    Raises:
        InputError: an unknown or doubled word, or no orientation or phase.
    """
    words = []
    for word in order.split(","):
        match = WORD.fullmatch(word.strip().lower())
        if not match or match[1] not in ROLES or match[2] == "0":
            raise InputError(
                "order: expected what changes in the file, slowest first, such as "
                "orientation,phase or orientation,z,phase or time,phase,orientation; found "
                f"{order!r}"
            )
        words.append((ROLES[match[1]], int(match[2]) if match[2] else None))
    roles = [role for role, _ in words]
    for role in {ORIENTATION, PHASE, *roles}:
        if roles.count(role) != 1:
            raise InputError(f"order: expected one {role} in {order!r}, found {roles.count(role)}")
    return words


def split_axis(
    order: str, count: int, pattern: tuple[int, int] = (3, 3), rest: str = "time"
) -> list[tuple[str, int]]:
    """The axes that an axis of `count` images consists of, slowest first: (role, size).

    Args:
        pattern: orientations and phases.
        rest: the role of what the order does not name; it is slowest.

    Raises:
        InputError: the images do not divide that way.
    """
    known = dict(zip((ORIENTATION, PHASE), pattern, strict=True))
    words = [(role, known.get(role, size)) for role, size in check_words(order)]
    remaining, uneven = count, False
    for _, size in words:
        if size is not None:
            uneven |= remaining % size > 0
            remaining //= size
    unknown = [role for role, size in words if size is None]
    if uneven or remaining < 1:
        raise InputError(f"{count} images are not a whole number of stacks in the order {order}")
    if len(unknown) > 1:
        raise InputError(
            f"order: {order!r} leaves open how many images there are along {unknown[0]} and along "
            f"{unknown[1]}: give one of them as a number, such as z=5"
        )
    if unknown:
        return [(role, remaining if size is None else size) for role, size in words]
    return ([(rest, remaining)] if remaining > 1 else []) + [(r, int(s)) for r, s in words]
