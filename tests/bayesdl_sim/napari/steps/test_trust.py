"""The slider's numbers: those of `bayes.credibility` and `informed_colours`, without a network."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.credibility import credibility
from bayesdl_sim.inference.output.informed import informed_colours
from bayesdl_sim.napari.steps.trust import TrustMaps
from bayesdl_sim.utils.report.contrast import display_limits


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    sr = rng.random((40, 50), np.float32)
    return TrustMaps(
        name="x", sr=sr, total=0.02 + 0.1 * rng.random((40, 50), np.float32), raw_pixel_nm=65.0
    )


@pytest.mark.parametrize("delta", [0.01, 0.04, 0.2])
def test_colours_are_those_of_the_picture_that_is_written(maps, delta):
    low, high = display_limits(maps.sr)
    credible = credibility(torch.from_numpy(maps.total), delta * maps.range).numpy()
    expected = 255 * informed_colours((maps.sr - low) / (high - low), credible)
    recoloured = maps.recoloured(delta).colours.astype(float)
    assert np.abs(recoloured - expected).max() < 3  # of 255: a table of 256 steps


def test_larger_tolerance_is_more_credible(maps):
    means = [maps.recoloured(delta).credible for delta in (0.01, 0.04, 0.2)]
    assert means == sorted(means)
    assert means[0] < means[-1]


def test_pixels_without_data_are_black_and_not_credible(maps):
    maps.sr[3, 4] = maps.total[3, 4] = np.nan
    recoloured = maps.recoloured(0.04)
    assert (recoloured.colours[3, 4] == 0).all()
    assert np.isfinite(recoloured.credible)


def test_series_keeps_its_time_axis():
    sr = np.random.default_rng(1).random((3, 8, 8), np.float32)
    maps = TrustMaps(name="x", sr=sr, total=sr + 0.1, raw_pixel_nm=None)
    assert maps.recoloured(0.04).colours.shape == (3, 8, 8, 3)
    assert maps.pixel_size_nm is None
