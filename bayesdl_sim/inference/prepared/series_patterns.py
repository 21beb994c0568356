"""The fringe patterns of a series: those of an earlier time point, for as long as they hold."""

from __future__ import annotations

from collections.abc import Callable

from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.physics.patterns.known.constancy import (
    FringeResponse,
    fringes_appeared,
    patterns_hold,
)

__all__ = ["SeriesPatterns"]


Response = Callable[[int, int], FringeResponse]


class SeriesPatterns:
    """Patterns of time points, each found when it is first needed.

    Attributes:
        estimated: time points whose patterns were estimated, in the order in which that was needed.
    """

    def __init__(self) -> None:
        self.estimated: list[int] = []
        self._found: dict[int, Estimate] = {}
        self._origin: dict[int, int] = {}
        self._reference_responses: dict[int, FringeResponse] = {}

    def at(self, t: int, estimate: Callable[[int], Estimate], response: Response) -> Estimate:
        """The nearest estimate of an earlier time point, if it still holds, or one of this.

        A stack that lost its fringes in an orientation is no reference for those after it: the
        better estimate before it comes first, and its own counts only while no fringes are back.

        Args:
            t: time point.
            estimate: estimates the patterns of a time point.
            response: compares the fringes of its second time point with patterns of its first.
        """
        if t not in self._found:
            references = self._references(t, response)
            held = (point for point in references if self._holds(point, t, response))
            origin = next(held, None)
            if origin is None:
                self.set(t, estimate(t), t)
            else:
                self.set(t, self._found[origin], origin)
        return self._found[t]

    def origin(self, t: int) -> int | None:
        """The time point at which the patterns of another were estimated; None: never needed."""
        return self._origin.get(t)

    def set(self, t: int, patterns: Estimate, origin: int) -> None:
        """Takes the patterns of a time point as found.

        Args:
            origin: the time point at which they were estimated.
        """
        self._found[t], self._origin[t] = patterns, origin
        if origin == t and t not in self.estimated:
            self.estimated.append(t)

    def _references(self, t: int, response: Response) -> list[int]:
        """The estimates that may hold at a time point: the last good one, then a worse one."""
        earlier = sorted(point for point in self.estimated if point < t)
        if not earlier:
            return []
        best = earlier[0]
        for point in earlier[1:]:
            if self._clear(point, response) >= self._clear(best, response):
                best = point
        return list(dict.fromkeys((best, earlier[-1])))

    def _clear(self, point: int, response: Response) -> int:
        """In how many orientations a time point has clear fringes."""
        return sum(self._reference(point, response).clear)

    def _reference(self, point: int, response: Response) -> FringeResponse:
        if point not in self._reference_responses:
            self._reference_responses[point] = response(point, point)
        return self._reference_responses[point]

    def _holds(self, reference: int, t: int, response: Response) -> bool:
        before, now = self._reference(reference, response), response(reference, t)
        return patterns_hold(before, now) and not fringes_appeared(before, now)
