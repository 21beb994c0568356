"""The fringe patterns of a series: those of an earlier time point, for as long as they hold."""

from __future__ import annotations

from collections.abc import Callable

from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.physics.patterns.known.constancy import FringeResponse, patterns_hold

__all__ = ["SeriesPatterns"]


Answer = Callable[[int, int], FringeResponse]


class SeriesPatterns:
    """Patterns of time points, each found when it is first asked for.

    Attributes:
        estimated: time points whose patterns were estimated, in the order in which that was needed.
    """

    def __init__(self) -> None:
        self.estimated: list[int] = []
        self._found: dict[int, Estimate] = {}
        self._origin: dict[int, int] = {}
        self._own_answers: dict[int, FringeResponse] = {}

    def at(self, t: int, estimate: Callable[[int], Estimate], answer: Answer) -> Estimate:
        """The nearest estimate of an earlier time point, if it still holds, or one of this.

        Args:
            t: time point.
            estimate: estimates the patterns of a time point.
            answer: what the fringes of its second time point answer to the patterns of the first.
        """
        if t not in self._found:
            known = max((point for point in self.estimated if point < t), default=None)
            if known is not None and self._holds(known, t, answer):
                self.set(t, self._found[known], known)
            else:
                self.set(t, estimate(t), t)
        return self._found[t]

    def origin(self, t: int) -> int | None:
        """The time point at which the patterns of another were estimated; None: not asked for."""
        return self._origin.get(t)

    def set(self, t: int, patterns: Estimate, origin: int) -> None:
        """Takes the patterns of a time point as found.

        Args:
            origin: the time point at which they were estimated.
        """
        self._found[t], self._origin[t] = patterns, origin
        if origin == t and t not in self.estimated:
            self.estimated.append(t)

    def _holds(self, known: int, t: int, answer: Answer) -> bool:
        if known not in self._own_answers:
            self._own_answers[known] = answer(known, known)
        return patterns_hold(self._own_answers[known], answer(known, t))
