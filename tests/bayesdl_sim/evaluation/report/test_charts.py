"""Diagrams draw the numbers that they are given."""

import numpy as np

from bayesdl_sim.evaluation.report.charts import (
    draw_lines,
    histograms,
    points_in_band,
    quality_diagrams,
)


def test_lines_and_diagonal():
    figure = draw_lines({"a": ([0, 1], [0.2, 0.9])}, "t", "x", "y", diagonal=True, log_x=True)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["ideal", "a"]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [0.2, 0.9])
    assert axes.get_xscale() == "log"


def test_histogram_of_normal_errors_lies_on_the_normal_density():
    z = np.random.default_rng(0).normal(size=200_000)
    (axes,) = histograms({"z": z}, "t", "z").axes
    heights, edges, _ = axes.patches[0].get_data()
    middle = (edges[:-1] + edges[1:]) / 2
    near = np.abs(middle) < 2
    normal = np.exp(-0.5 * middle**2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(heights[near], normal[near], rtol=0.06)


def test_points_stand_by_their_group():
    groups = [f"group {i}" for i in range(10)]
    series = {"a": np.linspace(0.8, 0.9, 10), "b": np.linspace(0.7, 1, 10)}
    (axes,) = points_in_band(groups, series, "t", "x", "y", (0.8, 0.97), 0.9).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == groups
    drawn = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(drawn["b"].get_ydata(), series["b"])
    assert np.abs(drawn["b"].get_xdata() - np.arange(10)).max() < 0.5


def test_quality_against_signal_is_the_mean_over_cells():
    rows = [
        {"method": method, "level": level, "signal_e": 10.0**level, "psnr": psnr, "ssim": 0.5}
        for level in (1, 2)
        for method, values in (("a", (30, 32)), ("b", (35 + level, 37 + level)))
        for psnr in values
    ]
    drawn = quality_diagrams(rows)
    assert set(drawn) == {"psnr.png", "ssim.png"}
    lines = {line.get_label(): line for line in drawn["psnr.png"][0].axes[0].lines}
    np.testing.assert_allclose(lines["b"].get_ydata(), [37, 38])
    np.testing.assert_allclose(lines["b"].get_xdata(), [10, 100])
    assert quality_diagrams([{**rows[0], "signal_e": float("nan")}]) == {}
