"""The fit of the map: scenes of all densities are calibrated, also those it has not seen."""

import numpy as np
import pytest
from scipy.special import expit, logit

from bayesdl_sim.dlbi.network.occupation import LEAST_SLOPE, density_of_field
from bayesdl_sim.dlbi.network.reliability import check_map, fit_map, summary_of
from bayesdl_sim.dlbi.scoring.scores import calibration_error

PIXELS = 40_000


def scene(rng, true_share, effect=0.0):
    """A field whose members state too much where few fluorophores are, and too little elsewhere.

    Returns:
        The members' probability, the predicted density and the occupied pixels.
    """
    x = rng.normal(-3.0, 2.0, PIXELS) + np.log(true_share / 0.05)
    chance = expit(x)
    stated = expit(0.8 * x + 0.5 * (np.log(0.05) - np.log(true_share)) - 0.3 + effect)
    return stated, -np.log1p(-chance.clip(max=1 - 1e-9)), rng.random(PIXELS) < chance


def scenes_of(seed, count, spread=0.0):
    rng = np.random.default_rng(seed)
    shares = np.exp(rng.uniform(np.log(0.001), np.log(0.2), count))
    return [scene(rng, share, spread * rng.normal()) for share in shares]


def test_every_density_is_calibrated_on_scenes_of_another_seed():
    fitted = fit_map([summary_of(*one) for one in scenes_of(0, 24)])
    for stated, density, occupied in scenes_of(1, 12):
        mapped = fitted.calibrated(stated, density_of_field(stated, density))
        before = calibration_error(stated, occupied, above=0.1)[0]
        after = calibration_error(mapped, occupied, above=0.1)[0]
        assert after < 0.1
        assert after < before
        assert 0.8 < mapped.sum() / occupied.sum() < 1.25
        assert mapped.max() > 0.9 * occupied[stated > np.quantile(stated, 0.999)].mean()


def test_one_map_for_all_would_not_do():
    """The fault of the first version: without the density, scenes of few fluorophores lose."""
    ratios = [stated.sum() / occupied.sum() for stated, _, occupied in scenes_of(1, 12)]
    assert max(ratios) / min(ratios) > 4


def test_as_many_scenes_are_above_as_below_where_no_movie_tells_the_number():
    scenes = scenes_of(2, 40, spread=0.7)
    fitted = fit_map([summary_of(*one) for one in scenes])
    logs = [
        np.log(fitted.calibrated(p, density_of_field(p, d)).sum() / o.sum()) for p, d, o in scenes
    ]
    assert abs(np.mean(logs)) < 0.12


def test_a_prediction_that_says_nothing_gets_the_least_slope():
    rng = np.random.default_rng(3)
    scenes = []
    for _ in range(6):
        stated = expit(rng.normal(-2, 2, PIXELS))
        occupied = rng.random(PIXELS) < 0.1 * (stated < np.median(stated))  # it even misleads
        scenes.append(summary_of(stated, np.full(PIXELS, 0.05), occupied))
    fitted = fit_map(scenes)
    assert fitted.low >= LEAST_SLOPE
    assert fitted.high == pytest.approx(LEAST_SLOPE)


def test_a_scene_without_any_fluorophore_leaves_the_map_finite():
    empty = (np.full(100, 0.01), np.full(100, 0.01), np.zeros(100, bool))
    fitted = fit_map([summary_of(*empty)])
    assert np.all(np.isfinite(fitted.calibrated([0.0, 0.5, 1.0], density_of_field(*empty[:2]))))


def test_a_summary_keeps_every_pixel():
    stated, density, occupied = scenes_of(4, 1)[0]
    summary = summary_of(stated, density, occupied)
    assert summary.pixels.sum() == PIXELS
    assert summary.occupied.sum() == occupied.sum()
    assert (summary.logit * summary.pixels).sum() == pytest.approx(logit(stated).sum())
    assert summary.implied == pytest.approx(-np.expm1(-density).sum())


def test_the_check_is_on_scenes_that_the_map_has_not_seen():
    checked = check_map([summary_of(*one) for one in scenes_of(5, 16)])
    assert checked["scenes"] == 16
    assert checked["rms_log_sum"]["map"] < 0.25
    assert checked["rms_log_sum"]["map"] < 0.4 * checked["rms_log_sum"]["members"]
    nats = checked["nats_per_occupied_pixel"]
    assert nats["map"] < nats["members"]
