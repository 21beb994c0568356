"""Ticks are round numbers that say what they stand for."""

import numpy as np
import pytest

from bayesdl_sim.utils.drawing.ticks import tick_texts, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.031, 0.24, [0, 0.1, 0.2]),
        (100.0, 1130.0, [250, 500, 750, 1000]),
        (-6.0, 6.0, [-5, -2.5, 0, 2.5, 5]),
    ],
)
def test_ticks_are_multiples_of_a_round_step(low, high, expected):
    np.testing.assert_allclose(ticks(low, high), expected, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 3e-4, 0.7, 41.0, 2e9])
def test_there_are_two_to_six_of_them(scale):
    for low in (-1.0, 0.0, 0.3):
        values = ticks(low * scale, (low + 1) * scale)
        assert 2 <= len(values) <= 6
        assert low * scale - 1e-9 * scale <= min(values)
        assert max(values) <= (low + 1) * scale * (1 + 1e-9)


@pytest.mark.parametrize(
    ("values", "texts", "power"),
    [
        ([0.0, 0.05, 0.1], ["0.00", "0.05", "0.10"], ""),
        ([-0.4, 0.0], ["−0.4", "0.0"], ""),
        ([0.0, 20000.0], ["0", "20000"], ""),
        ([1e5, 2.5e5], ["1.0", "2.5"], "1e5"),
        ([2e-5, 4e-5], ["2", "4"], "1e−5"),
        ([], [], ""),
    ],
)
def test_texts_have_one_number_of_digits(values, texts, power):
    assert tick_texts(values) == (texts, power)
    for text, value in zip(texts, values, strict=True):
        number = float((text + power.replace("1e", "e")).replace("−", "-"))
        assert number == pytest.approx(value)
