"""Parts of a field as stacks of their own, with the measurements of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.utils.pieces.spans import Square, doubled

__all__ = ["Part", "part_of", "parts_of"]


class Part(NamedTuple):
    """A part of a field.

    Attributes:
        prepared, t: the stack whose field it is, and the time point in that.
        square: rows and columns of the whole field, in raw pixels.
        together: number of parts of the field that are judged.
    """

    prepared: PreparedStack
    t: int
    square: Square
    together: int = 1

    @property
    def fine_square(self) -> Square:
        """The square on the doubled grid."""
        rows, columns = map(doubled, self.square)
        return rows, columns


def parts_of(prepared: PreparedStack, t: int) -> list[Part]:
    """What the verdict is based on: a whole field, or the brightest parts of a large one."""
    if not prepared.is_large:
        return [Part(prepared, t, prepared.whole)]

    def parts() -> list[Part]:
        squares = prepared.squares(t)
        return [part_of(prepared, t, one)._replace(together=len(squares)) for one in squares]

    return prepared.once("parts", t, parts)


def part_of(prepared: PreparedStack, t: int, square: Square) -> Part:
    """A square of the field as a stack, with scale, patterns, gaps and faults of the field."""
    raw = prepared.counts(t, square).cpu().numpy()[None]
    stack = replace(prepared.stack, raw=raw, without_counts={})
    one = PreparedStack(stack, prepared.min_max, prepared.optics, device=prepared.device)
    factor = prepared.dimming(t)
    one.restore(
        0,
        prepared.norm(t),
        prepared.patterns(t).within(square),
        0,
        missing=prepared.missing(t)[square],
        faulty=prepared.faulty(t)[square],
        dimming=None if factor is None else factor[square],
        haze=None if factor is None else torch.zeros_like(factor[square]),
        dark=prepared.dark(t),
    )
    return Part(one, 0, square)
