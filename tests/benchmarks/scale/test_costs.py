"""Cost against size: the line that is stated, the fields, and a program that fails."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.benchmarks.scale.costs import (
    Cost,
    fitted,
    measured,
    parse_args,
    plot_costs,
    write_series,
)
from bayesdl_sim.utils.errors import InputError


def test_a_straight_line_is_found_and_its_deviation_stated():
    line = fitted([1, 2, 4, 8], [3.0, 5.0, 9.0, 17.0])
    assert line == pytest.approx((1.0, 2.0, 0.0), abs=1e-9)
    bent = fitted([1, 2, 4, 8], [3.0, 5.0, 9.0, 34.0])
    assert bent.deviation > 0.2


def test_a_series_has_its_size_and_the_noise_of_its_light(tmp_path):
    frames = tifffile.imread(write_series(tmp_path / "a.tif", 100, 2, np.random.default_rng(0)))
    assert frames.reshape(-1, 100, 100).shape == (18, 100, 100)
    first, second = frames.reshape(2, 9, 100, 100).astype(float)
    variance, light = np.var(first - second) / 2, first.mean()
    assert variance == pytest.approx(light, rel=0.05)


def test_a_series_beyond_the_cell_is_refused(tmp_path):
    with pytest.raises(InputError, match="side: expected at most"):
        write_series(tmp_path / "a.tif", 4000, 1, np.random.default_rng(0))


def test_the_plot_holds_every_kind(tmp_path):
    costs = {
        "field": {size: Cost(2 + 1e-4 * size**2, 0.5) for size in (64, 128, 256)},
        "series": {size: Cost(3 + 0.2 * size, 0.4) for size in (17, 50, 100)},
    }
    plot_costs(tmp_path / "costs.png", costs)
    assert (tmp_path / "costs.png").stat().st_size > 10_000


def test_the_command_line_takes_lists_of_sizes(tmp_path):
    args = parse_args(["--work", str(tmp_path), "--fields", "64", "128", "--counts", "1", "8"])
    assert (args.fields, args.counts) == ([64, 128], [1, 8])
    with pytest.raises(InputError, match="--used: expected at least 1"):
        parse_args(["--work", str(tmp_path), "--used", "0"])


def test_a_program_that_fails_says_why(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"a\.tif failed: error: .*a\.tif"):
        measured(tmp_path / "a.tif", tmp_path / "out", 1)
