"""Densities that look like no cell: usable as structures, and not the cell they came from."""

import numpy as np
import pytest
import torch

from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.physics.structures.outliers import OUTLIER_DENSITIES, inverted, scrambled


@pytest.fixture(scope="module")
def cell():
    return draw("F-actin", (96, 80), 40.0, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", OUTLIER_DENSITIES)
@pytest.mark.parametrize("seed", range(4))
def test_densities_are_usable_repeat_and_differ_from_the_cell(cell, name, seed):
    one, again = (
        OUTLIER_DENSITIES[name](cell, torch.Generator().manual_seed(seed)) for _ in range(2)
    )
    assert torch.equal(one, again)
    assert one.shape == cell.shape
    assert torch.isfinite(one).all()
    assert (one >= 0).all()
    assert one.max() > 0
    assert abs(np.corrcoef(one.flatten(), cell.flatten())[0, 1]) < 0.9


def test_inverted_cell_is_dark_where_the_cell_is_bright(cell):
    image = inverted(cell, torch.Generator().manual_seed(0))
    assert np.corrcoef(image.flatten(), cell.flatten())[0, 1] < -0.2


def test_scrambled_cell_keeps_the_power_spectrum_but_for_the_part_cut_at_zero(cell):
    image = scrambled(cell, torch.Generator().manual_seed(0))
    power = [torch.fft.rfft2(x - x.mean()).abs().flatten() for x in (image, cell)]
    assert np.corrcoef(*power)[0, 1] > 0.8


def test_a_single_bright_pixel_is_magnified_not_lost():
    cell = torch.zeros(64, 64)
    cell[60, 3] = 1.0
    image = OUTLIER_DENSITIES["magnified cell"](cell, torch.Generator().manual_seed(0))
    assert image.max() > 0.5
    assert (image > 0.1).sum() > 4
