"""The fringe patterns of a series: those of an earlier time point, for as long as they hold."""

from __future__ import annotations

from collections.abc import Callable

from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.physics.patterns.known.constancy import FringeResponse, patterns_hold

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

        Args:
            t: time point.
            estimate: estimates the patterns of a time point.
            response: compares the fringes of its second time point with patterns of its first.
        """
        if t not in self._found:
            reference = max((point for point in self.estimated if point < t), default=None)
            if reference is not None and self._holds(reference, t, response):
                self.set(t, self._found[reference], reference)
            else:
                self.set(t, estimate(t), t)
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

    def _holds(self, reference: int, t: int, response: Response) -> bool:
        if reference not in self._reference_responses:
            self._reference_responses[reference] = response(reference, reference)
        return patterns_hold(self._reference_responses[reference], response(reference, t))
