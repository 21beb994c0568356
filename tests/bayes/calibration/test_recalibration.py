"""Calibration: what it repairs, what it refuses to claim, and whose members it belongs to."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from bayesdl_sim.bayes.calibration.image_features import Look, LookScale, look_of
from bayesdl_sim.bayes.calibration.recalibration import (
    CALIBRATION_FILE,
    Calibration,
    CalibrationStack,
    find_calibration,
    fit_calibration,
    read_calibration,
)
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.metrics.distributions import quantile_calibration_error
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

MEMBERS = {"member_01.pth": "aa", "member_02.pth": "bb"}


def cells(number, seed=0, factor=1.0, pixels=3000, skewed=False):
    """(error, sigma) of cells whose true deviation is `factor` times the stated one."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        sigma = rng.uniform(0.02, 0.3, pixels)
        noise = rng.exponential(size=pixels) - 1 if skewed else rng.normal(size=pixels)
        found.append([CalibrationStack(factor * sigma * noise, sigma)])
    return found


def looked_at(number, slope, contrast=None, seed=0, pixels=2000):
    """Cells of one stack; `z^2` goes with the contrast to the power of `slope`."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        log_contrast = rng.uniform(-3, 0) if contrast is None else contrast
        mean = np.exp(log_contrast) * rng.normal(size=pixels)
        sigma = np.exp(rng.uniform(-3, 0)) * rng.uniform(0.5, 1.5, pixels)
        hard = np.exp(
            0.5 * (slope * (log_contrast + 1.5) + rng.normal(0, 0.3 * (contrast is None)))
        )
        error = hard * sigma * rng.normal(size=pixels)
        found.append([CalibrationStack(error, sigma, look_of(mean, sigma))])
    return found


def coverage(pixels, calibration, level, guaranteed=False):
    low, high, _ = calibration.bounds(level, guaranteed)
    z = np.concatenate([s.error / s.sigma for (s,) in pixels]) / calibration.scale
    return np.mean((z >= low) & (z <= high))


def test_scale_is_the_root_of_mean_z2_with_cells_of_equal_weight():
    first = [CalibrationStack(np.full(10, 0.3), np.full(10, 0.1))]  # z = 3
    second = [CalibrationStack(np.full(1000, 0.1), np.full(1000, 0.1))]  # z = 1
    assert fit_calibration([first, second]).scale == pytest.approx(np.sqrt((9 + 1) / 2))
    assert fit_calibration(cells(20, factor=1.6)).scale == pytest.approx(1.6, rel=0.01)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_cover_what_they_say_on_new_cells(level, skewed):
    calibration = fit_calibration(cells(20, 0, 1.6, skewed=skewed))
    found = coverage(cells(20, 1, 1.6, skewed=skewed), calibration, level)
    assert found == pytest.approx(level, abs=0.015)


def test_the_map_is_kept_where_it_helps_and_only_there():
    skewed = fit_calibration(cells(15, skewed=True))
    errors = skewed.fitted_on["quantile_calibration_error_held_out"]
    assert skewed.probability_map is not None
    assert errors["with_map"] < 0.2 * errors["scale_only"]
    low, high, kind = skewed.bounds(0.9, guaranteed=False)
    assert kind == "calibrated"
    assert high > 1.3 * -low  # an exponential error has its tail above
    # Biased cells, each in a direction of its own: the others tell nothing about the next.
    biased = [
        [stack._replace(error=stack.error + (-1) ** number * stack.sigma)]
        for number, (stack,) in enumerate(cells(5, pixels=400))
    ]
    unlike = fit_calibration(biased)
    errors = unlike.fitted_on["quantile_calibration_error_held_out"]
    assert errors["with_map"] >= errors["scale_only"]
    assert unlike.probability_map is None


def test_a_map_that_only_repeats_the_noise_of_its_cells_is_not_kept():
    kept = [fit_calibration(cells(6, seed, pixels=60)).probability_map for seed in range(20)]
    assert sum(found is not None for found in kept) <= 6


def test_the_map_calibrates_probabilities():
    calibration = fit_calibration(cells(20, skewed=True))
    z = (
        np.concatenate([s.error / s.sigma for (s,) in cells(20, 5, skewed=True)])
        / calibration.scale
    )
    assert quantile_calibration_error(norm.cdf(z)) > 0.05
    assert quantile_calibration_error(calibration.probability(z)) < 0.01
    np.testing.assert_allclose(Calibration().probability(z), norm.cdf(z))


def test_gaussian_bounds_without_a_calibration():
    low, high, kind = Calibration().bounds(0.9)
    assert (-low, high, kind) == (pytest.approx(1.6449, abs=1e-4), pytest.approx(-low), "gaussian")
    with pytest.raises(InputError, match="between 0 and 1"):
        Calibration().bounds(90)


def test_conformal_interval_is_taken_where_there_are_cells_enough():
    few, enough = fit_calibration(cells(8)), fit_calibration(cells(12))
    assert [entry["factor"] is None for entry in few.conformal] == [True, True, False]
    assert few.bounds(0.9).kind == "calibrated"
    bounds = enough.bounds(0.9)
    assert bounds.kind == "conformal"
    assert bounds.high == -bounds.low > enough.bounds(0.9, guaranteed=False).high
    assert coverage(cells(20, 9), enough, 0.9, guaranteed=True) >= 0.9
    assert "19 or more are needed" in " ".join(enough.in_words())


def test_apply_scales_the_three_deviations_and_keeps_their_law():
    maps = torch.rand(3, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, aleatoric, epistemic = maps
    total = (aleatoric**2 + epistemic**2).sqrt()
    found = Calibration(scale=1.7).apply(Prediction(mean, aleatoric, epistemic, total))
    assert torch.equal(found.mean, mean)
    torch.testing.assert_close(found.aleatoric, 1.7 * aleatoric)
    torch.testing.assert_close(found.total**2, found.aleatoric**2 + found.epistemic**2)


def test_a_factor_by_the_look_is_kept_where_it_helps_and_only_there():
    known = looked_at(60, slope=1.0)
    kept = fit_calibration(known)
    assert kept.by_look is not None
    weights = kept.by_look.weights
    assert weights[1:] == (pytest.approx(0.0, abs=0.1), pytest.approx(1.0, abs=0.1))
    errors = kept.fitted_on["nll_held_out"]
    assert errors["with_it"] < errors["without"] - 0.05
    factors = [kept.by_look.factor(stack.look) for (stack,) in known]
    assert np.mean(np.log(factors)) == pytest.approx(0.0, abs=1e-6)  # `scale` keeps its meaning
    dropped = [fit_calibration(looked_at(12, slope=0.0, seed=n)).by_look for n in range(20)]
    assert sum(found is not None for found in dropped) <= 4
    assert fit_calibration(cells(30)).by_look is None  # nobody said how they look


def test_every_kind_of_stack_is_calibrated_by_its_look():
    calibration = fit_calibration(looked_at(80, slope=1.0))
    for contrast in (-2.5, -0.5):
        (stack,), *_ = looked_at(1, slope=1.0, contrast=contrast, pixels=50_000, seed=7)
        z = stack.error / (calibration.factor(stack.look) * stack.sigma)
        assert np.mean(z**2) == pytest.approx(1.0, rel=0.15)
        assert abs(np.mean((stack.error / stack.sigma) ** 2) - 1) > 0.5


def test_looks_beyond_those_of_the_fit_are_held_at_their_limit():
    scale = LookScale((0.0, 0.0, 1.0), Look(-3.0, -2.0), Look(0.0, -1.0))
    assert scale.factor(Look(0.0, -1.0)) == pytest.approx(np.exp(-0.5))
    assert scale.factor(Look(5.0, 3.0)) == pytest.approx(np.exp(-0.5))
    assert scale.factor(Look(-9.0, -1.5)) == pytest.approx(np.exp(-0.75))


def test_apply_looks_at_each_image_of_a_batch():
    rule = Calibration(2.0, LookScale((0.0, 0.0, 2.0), Look(-9.0, -9.0), Look(9.0, 9.0)))
    generator = torch.Generator().manual_seed(1)
    one = torch.rand(1, 1, 16, 16, generator=generator)
    mean, sigma = torch.cat([one, 3 * one]), torch.full((2, 1, 16, 16), 0.1)
    found = rule.apply(Prediction(mean, sigma, sigma, sigma))
    contrast = mean.flatten(1).std(dim=1, correction=0)
    for image in found[1:]:
        torch.testing.assert_close(image[:, 0, 0, 0], 2.0 * contrast * 0.1)
    assert rule.factors(Prediction(mean, sigma, sigma, sigma)) == pytest.approx(
        [2.0 * c for c in contrast.tolist()]
    )


def test_stored_and_read_back(tmp_path):
    path = tmp_path / CALIBRATION_FILE
    stored = fit_calibration(looked_at(30, slope=1.0), members=MEMBERS, fitted_on={"set": "x"})
    assert stored.by_look is not None
    stored.to_json(path)
    assert read_calibration(path) == stored
    stored = fit_calibration(cells(10, skewed=True), members=MEMBERS, fitted_on={"set": "x"})
    stored.to_json(path)
    assert read_calibration(path) == stored
    assert read_json(path)["conformal"][0]["factor"] is None  # 10 cells cannot keep 5 %


def test_other_members_are_refused(tmp_path):
    path = tmp_path / CALIBRATION_FILE
    stored = fit_calibration(cells(6), members=MEMBERS)
    stored.to_json(path)
    found, words = find_calibration(tmp_path, None, MEMBERS)
    assert found == stored
    assert "standard deviations x" in words
    for others in ({"member_01.pth": "aa"}, {**MEMBERS, "member_02.pth": "cc"}):
        found, words = find_calibration(tmp_path, None, others)
        assert found is None
        assert words.startswith("WARNING")
        with pytest.raises(InputError, match="calibrate.py"):
            find_calibration(tmp_path / "elsewhere", path, others)
    assert find_calibration(tmp_path, "none", MEMBERS)[0] is None
    assert find_calibration(tmp_path / "elsewhere", None, MEMBERS)[0] is None
    with pytest.raises(InputError, match="no file"):
        find_calibration(tmp_path, tmp_path / "missing.json", MEMBERS)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 9},
        {"scale": -1.0},
        {"scale": "x"},
        {"conformal": 3},
        {"by_look": 3},
        {"by_look": {"weights": [1.0], "low": [0.0, 0.0], "high": [0.0, 0.0]}},
        {"by_look": {"weights": [1.0, 0.0, None], "low": [0.0, 0.0], "high": [0.0, 0.0]}},
    ],  # fmt: skip
)
def test_a_damaged_file_is_refused(tmp_path, change):
    path = tmp_path / CALIBRATION_FILE
    fit_calibration(cells(6), members=MEMBERS).to_json(path)
    write_json(path, {**read_json(path), **change})
    with pytest.raises(InputError, match="make it again"):
        read_calibration(path)


def test_a_file_of_the_first_version_is_read(tmp_path):
    path = tmp_path / CALIBRATION_FILE
    stored = fit_calibration(cells(6), members=MEMBERS)
    stored.to_json(path)
    payload = {**read_json(path), "version": 1}
    del payload["by_look"], payload["fitted_on"]["nll_held_out"]
    write_json(path, payload)
    found = read_calibration(path)
    assert (found.scale, found.by_look) == (stored.scale, None)
    assert "by the look" not in " ".join(found.in_words())


def test_nothing_to_fit_on():
    with pytest.raises(InputError, match="validation cell"):
        fit_calibration([])
    alone = fit_calibration(cells(1))
    assert alone.probability_map is None
