"""Pixels without data: NaN and no credibility there, and nothing changes elsewhere for them."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from bayesdl_sim.inference.facts import result_lines
from bayesdl_sim.inference.gaps import fine, gaps_of, structure_range
from bayesdl_sim.inference.judging.verdict import scores_at
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.settings import CHANGES, DEFAULT_MAPS


@pytest.fixture
def framed(stack):
    """The real stack with a black border of 8 rows at the top."""
    raw = stack.raw.copy()
    raw[..., :8, :] = 0
    return replace(stack, raw=raw)


def test_gaps_are_those_of_the_frames(framed, stack):
    gaps = gaps_of(PreparedStack(framed))
    assert gaps.shape == (1, 80, 96)
    assert gaps[0, :8].all()
    assert not gaps[0, 8:].any()
    assert fine(gaps)[0, :16].all()
    assert not fine(gaps)[0, 16:].any()
    assert gaps_of(PreparedStack(stack)) is None


def test_maps_are_nan_and_not_credible_without_data(posterior, framed, tmp_path):
    result = posterior.reconstruct(framed)
    for image in (result.sr, result.aleatoric, result.epistemic, result.channels["Total"]):
        assert np.isnan(image[0, :16]).all()
        assert np.isfinite(image[0, 16:]).all()
    assert (result.channels["Credibility"][0, :16] == 0).all()
    assert (np.nanmin(result.sr), np.nanmax(result.sr)) == (0, 1)
    result.save(tmp_path)
    assert (tifffile.imread(tmp_path / "SR.tif")[:16] == 0).all()
    assert np.isnan(tifffile.imread(tmp_path / "Epistemic.tif")[:16]).all()
    assert "10.00% of the pixels hold no data" in "\n".join(result_lines(framed, result))


def test_nan_frames_are_judged_as_those_with_a_border_of_zeros(posterior, framed):
    """The scores of the verdict leave out pixels without data."""
    holes = replace(framed, raw=np.where(framed.raw == 0, np.nan, framed.raw))
    with_nan, with_zeros = posterior.reconstruct(holes), posterior.reconstruct(framed)
    np.testing.assert_array_equal(with_nan.sr, with_zeros.sr)
    scores = [
        scores_at(PreparedStack(stack), 0, np.nan_to_num(result.sr[0]), None)
        for stack, result in ((holes, with_nan), (framed, with_zeros))
    ]
    assert scores[0] == scores[1]
    assert np.isfinite(list(scores[0].values())).all()


def test_a_change_needs_data_at_both_time_points(posterior, movie):
    raw = movie.raw.copy()
    raw[1, :, :, :6] = 0
    result = posterior.reconstruct(replace(movie, raw=raw), (*DEFAULT_MAPS, *CHANGES))
    assert np.isnan(result.further["Change"][:, :, :12]).all()
    assert np.isfinite(result.further["Change"][:, :, 12:]).all()
    assert np.isfinite(result.sr[[0, 2]]).all()


def test_one_bright_spot_hardly_changes_the_tolerance():
    rng = np.random.default_rng(0)
    sr = rng.random((1, 200, 200)).astype(np.float32)
    spotted = sr.copy()
    spotted[0, 50:55, 50:55] = 20.0
    assert structure_range(spotted) == pytest.approx(structure_range(sr), rel=0.01)
    assert structure_range(sr) == pytest.approx(0.99, abs=0.01)
    gaps = np.zeros((1, 100, 100), bool)
    gaps[:, 25:28, 25:28] = True
    spotted[0, 50:56, 50:56] = np.nan
    assert structure_range(spotted, gaps) == pytest.approx(0.99, abs=0.01)
