"""Patterns of a series: the nearest earlier ones, as long as they hold; the physics is faked."""

from bayesdl_sim.inference.prepared.series_patterns import SeriesPatterns
from bayesdl_sim.physics.patterns.known.constancy import FringeResponse

ERRORS = (0.01,) * 3


def found_in(turns, order=()):
    """Patterns of time points whose fringes are turned by so many rad, and the calls made."""
    series, calls = SeriesPatterns(), []

    def estimate(t):
        calls.append(t)
        return f"patterns {t}"

    def answer(known, t):
        calls.append((known, t))
        turn = complex(1.0, turns[t] - turns[known])
        return FringeResponse((turn, turn, turn), ERRORS)

    return series, calls, [series.at(t, estimate, answer) for t in order or range(len(turns))]


def test_patterns_are_estimated_again_where_they_moved():
    series, calls, patterns = found_in([0.0, 0.05, 0.9, 0.95])
    assert patterns == ["patterns 0", "patterns 0", "patterns 2", "patterns 2"]
    assert series.estimated == [0, 2]
    assert [series.origin(t) for t in range(5)] == [0, 0, 2, 2, None]
    assert calls.count((0, 0)) == 1  # the reference is measured once


def test_later_patterns_are_never_taken_for_earlier_time_points():
    series, _, patterns = found_in([0.0, 0.0, 0.0], order=(2, 0, 1))
    assert patterns == ["patterns 2", "patterns 0", "patterns 0"]
    assert series.estimated == [2, 0]


def test_what_is_set_is_not_looked_for():
    series = SeriesPatterns()
    series.set(0, "known", 0)
    series.set(1, "known", 0)
    assert series.at(1, None, None) == "known"
    assert (series.estimated, series.origin(1)) == ([0], 0)
