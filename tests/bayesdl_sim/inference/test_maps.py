"""Maps that a reconstruction can hold: their numbers, and when they cannot be had."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special
from scipy.ndimage import gaussian_filter

from bayesdl_sim.bayes.calibration.recalibration import Bounds
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.inference.maps import (
    require_maps,
    require_possible,
    with_interval,
    with_misfit,
    with_sharp,
    with_trust,
)
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.settings import CHANGES, INTERVAL, MISFIT, SHARP, MapSettings
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def result():
    """Two time points of 8 x 10 pixels, drawn."""
    rng = np.random.default_rng(0)
    sr, total = rng.random((2, 8, 10), np.float32), 0.1 * rng.random((2, 8, 10), np.float32)
    return Reconstruction(
        sr=sr, total=total, scale=Normalisation(0.0, 1.0), wide_field=sr, raw_scales=[], factors=[]
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"delta": 0.0}, "delta: expected"),
        ({"delta": float("inf")}, "delta: expected"),
        ({"draws": -1}, "draws: expected"),
        ({"interval": 0.4}, "interval: expected a level of 0.5 to 0.99"),
        ({"changes": 1.0}, "changes: expected a level of 0.5 to 0.99"),
    ],
)
def test_numbers_that_make_no_sense(values, words):
    with pytest.raises(InputError, match=words):
        MapSettings(**values)


def test_unknown_maps_are_named():
    require_maps(("SR", *INTERVAL, *CHANGES), has_total=True, comparable=True)
    with pytest.raises(InputError, match=r"maps: expected some of SR, .* found 'Speckle'"):
        require_maps(("SR", "Speckle"), has_total=True, comparable=True)


def test_intervals_need_a_total_uncertainty():
    require_maps(("SR", "Credibility"), has_total=False, comparable=True)
    with pytest.raises(InputError, match="interval and changes: needs a total uncertainty"):
        require_maps((*INTERVAL, *CHANGES), has_total=False, comparable=True)
    with pytest.raises(InputError, match="changes: compares time points member by member"):
        require_maps(CHANGES, has_total=True, comparable=False)


def test_maps_that_a_stack_is_too_small_or_too_short_for(stack, stack_of, cristae):
    require_possible(stack, MISFIT)
    with pytest.raises(InputError, match="48x96 px are too few for misfit"):
        require_possible(stack_of(cristae[:, :48, :96]), MISFIT)
    with pytest.raises(InputError, match="is one time point"):
        require_possible(stack, CHANGES)


def test_interval_ends_lie_around_the_mean(result):
    images = with_interval(result, Bounds(-1.5, 2.0, "calibrated")).further
    np.testing.assert_allclose(images["Lower"], result.sr - 1.5 * result.total, atol=1e-6)
    np.testing.assert_allclose(images["Upper"], result.sr + 2.0 * result.total, atol=1e-6)


def test_trust_channels_follow_the_numbers(result):
    settings = MapSettings(delta=0.03, exceed=0.5, draws=2)
    images = with_trust(result, settings).channels
    assert list(images) == ["Credibility", "Exceedance", "Draw 1", "Draw 2"]
    expected = special.erf(0.03 / np.sqrt(2) / result.total)
    np.testing.assert_allclose(images["Credibility"], expected, atol=1e-5)
    assert not np.array_equal(images["Draw 1"], images["Draw 2"])
    again = with_trust(result, settings, credibility=False).channels
    assert "Credibility" not in again
    np.testing.assert_array_equal(
        again["Draw 1"], images["Draw 1"]
    )  # the same maps, the same draws


def test_misfit_has_a_map_per_time_point(movie):
    calls, sr = [], np.repeat(np.repeat(movie.raw.mean(axis=1), 2, axis=1), 2, axis=2)
    result = Reconstruction(
        sr=sr, scale=Normalisation(0.0, 1.0), wide_field=sr, raw_scales=[], factors=[]
    )
    images = with_misfit(result, PreparedStack(movie), lambda *call: calls.append(call)).further
    assert images["Contradicted"].shape == images["Misfit"].shape == (3, 64, 72)
    assert calls == [(t, 3, "re-simulation") for t in (1, 2, 3)]


def test_sharp_map_has_more_fine_contrast_where_fringes_were_found(stack):
    prepared = PreparedStack(stack)
    assert min(prepared.patterns(0).probability) > 0.9  # the real cristae
    sr = np.repeat(np.repeat(stack.raw.mean(axis=1), 2, axis=1), 2, axis=2).astype(np.float32)
    sr = gaussian_filter(sr, (0, 2, 2))
    result = Reconstruction(
        sr=sr, scale=Normalisation(0.0, 1.0), wide_field=sr, raw_scales=[], factors=[]
    )
    sharp = with_sharp(result, prepared).further
    assert (*sharp,) == SHARP

    def fine(image):
        return (image - gaussian_filter(image, (0, 4, 4))).std()

    assert fine(sharp["Sharp"]) > 1.2 * fine(sr)
    assert sharp["Sharp"].mean() == pytest.approx(sr.mean(), rel=0.01)


def test_nothing_is_sharpened_without_fringes(stack, monkeypatch):
    prepared = PreparedStack(stack)
    doubtful = replace(prepared.patterns(0), probability=(1.0, 1.0, 0.2))
    monkeypatch.setattr(prepared, "patterns", lambda t: doubtful)
    sr = np.random.default_rng(1).random((1, 64, 64), np.float32)
    result = Reconstruction(
        sr=sr, scale=Normalisation(0.0, 1.0), wide_field=sr, raw_scales=[], factors=[]
    )
    np.testing.assert_array_equal(with_sharp(result, prepared).further["Sharp"], sr)
