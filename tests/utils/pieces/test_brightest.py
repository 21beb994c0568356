"""The square that holds the most light lies within the field, and no other holds more."""

import pytest
import torch

from bayesdl_sim.utils.pieces.brightest import brightest_square


def test_brightest_square_lies_within_the_field():
    raw = torch.zeros(9, 70, 200)
    raw[:, 20, 150] = 100
    rows, columns = brightest_square(raw, 64)
    assert rows.stop <= 70
    assert columns.stop - columns.start == 64
    assert columns.start <= 150 < columns.stop


@pytest.mark.parametrize("side", [24, 40, 64, 200])
def test_the_brightest_square_holds_the_most_light(side):
    raw = torch.rand((9, 100, 76), generator=torch.Generator().manual_seed(side)) ** 4
    raw[:, 60:80, 40:70] += 1.0
    rows, columns = brightest_square(raw, side)
    light, (height, width) = raw.mean(dim=0), (min(side, 100), min(side, 76))
    assert (rows.stop - rows.start, columns.stop - columns.start) == (height, width)
    sums = light.unfold(0, height, 8).unfold(1, width, 8).sum(dim=(2, 3))
    assert float(light[rows, columns].sum()) == pytest.approx(float(sums.max()), rel=1e-5)
