"""Intervals over cells: they cover, and stacks of one cell are no extra witnesses."""

import numpy as np
import pytest

from bayesdl_sim.metrics.bootstrap import Estimate, cell_means, mean_over_cells, table_of_means
from bayesdl_sim.utils.errors import InputError


def test_cell_means_by_hand():
    nan = float("nan")
    means = cell_means([1, 3, nan, 10, nan], [4, 4, 4, 2, 9])
    np.testing.assert_allclose(means, [10, 2])  # cells 2 and 4; cell 9 has no value
    with pytest.raises(InputError, match="belongs to a cell"):
        cell_means([1, 2], [1])


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        cell = rng.normal(2, 1, 25)
        values = np.repeat(cell, 4) + 0.1 * rng.normal(size=100)
        estimate = mean_over_cells(values, np.repeat(np.arange(25), 4), rng, repeats=400)
        inside += estimate.low <= 2 <= estimate.high
    assert 0.90 <= inside / 300 <= 0.97


def test_repeating_the_stacks_of_a_cell_narrows_nothing():
    rng = np.random.default_rng(1)
    cell = rng.normal(size=12)
    once = mean_over_cells(cell, np.arange(12), np.random.default_rng(5))
    values, cells = np.repeat(cell, 9), np.repeat(np.arange(12), 9)
    often = mean_over_cells(values, cells, np.random.default_rng(5))
    np.testing.assert_allclose(once, often)


def test_one_cell_has_no_interval():
    estimate = mean_over_cells([1.0, 2.0], [3, 3], np.random.default_rng(0))
    assert estimate.value == 1.5
    assert np.isnan(estimate.low)
    assert str(estimate) == "1.500"
    with pytest.raises(InputError, match="at least one value"):
        mean_over_cells([float("nan")], [1], np.random.default_rng(0))


def test_table_groups_rows_and_leaves_out_what_is_infinite():
    rows = [
        {"cell": 1, "method": "a", "x": 1.0, "y": float("inf")},
        {"cell": 2, "method": "a", "x": 3.0, "y": float("nan")},
        {"cell": 1, "method": "b", "x": float("inf"), "y": 4.0},
        {"cell": 2, "method": "b", "x": 7.0, "y": 6.0},
    ]
    first, second = table_of_means(rows, ["method"], ["x", "y"], seed=0)
    assert (first["method"], first["stacks"], first["x"].value) == ("a", 2, 2.0)
    assert first["y"] is None
    assert second["x"].cells == 1
    assert second["y"] == Estimate(5.0, 4.0, 6.0, 2)
    assert str(second["y"]) == "5.000 [4.000, 6.000]"
