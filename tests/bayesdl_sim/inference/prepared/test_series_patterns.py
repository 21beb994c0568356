"""Patterns of a series: the nearest earlier ones, as long as they hold; the physics is faked."""

from bayesdl_sim.inference.prepared.series_patterns import SeriesPatterns
from bayesdl_sim.physics.patterns.known.constancy import FringeResponse

ERRORS, STRENGTH = (0.01,) * 3, (1.0,) * 3


def found_in(turns, order=()):
    """Patterns of time points whose fringes are turned by so many rad, and the calls made."""
    series, calls = SeriesPatterns(), []

    def estimate(t):
        calls.append(t)
        return f"patterns {t}"

    def answer(known, t):
        calls.append((known, t))
        turn = complex(1.0, turns[t] - turns[known])
        return FringeResponse((turn, turn, turn), ERRORS, STRENGTH, ERRORS)

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


def found_with(healthy):
    """Calls and origins of a series where all orientations have fringes, or one only.

    Args:
        healthy: per time point, whether no orientation lost its fringes.
    """
    series, calls = SeriesPatterns(), []

    def response(known, t):
        there = (True, healthy[t], healthy[t])
        # Patterns of an orientation without fringes are those of noise, and no fringes fit them.
        fit = (True, *2 * (healthy[known] and healthy[t],))
        gain = tuple(complex(float(one)) for one in fit)
        return FringeResponse(gain, ERRORS, tuple(map(float, there)), ERRORS)

    for t in range(len(healthy)):
        series.at(t, lambda t: calls.append(t), response)
    return calls, [series.origin(t) for t in range(len(healthy))]


def test_a_stack_without_fringes_in_some_orientations_is_no_reference_for_good_ones():
    calls, origins = found_with([True, True, False, True, True])
    assert calls == [0, 2]
    assert origins == [0, 0, 2, 0, 0]


def test_a_bad_first_stack_is_replaced_by_the_first_good_one():
    calls, origins = found_with([False, False, True, True])
    assert calls == [0, 2]
    assert origins == [0, 0, 2, 2]


def test_fringes_that_are_lost_for_good_are_estimated_once():
    calls, origins = found_with([True, False, False, False])
    assert calls == [0, 1]
    assert origins == [0, 1, 1, 1]
