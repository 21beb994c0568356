"""Scores against truth: what they must be for known images."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from bayesdl_sim.dlbi.scoring.scores import (
    calibration_error,
    matched_blur,
    paper_scores,
    truth_scores,
)


def dots(seed=0, shape=(160, 160), number=60):
    rng = np.random.default_rng(seed)
    image = np.zeros(shape)
    image[rng.integers(10, 150, number), rng.integers(10, 150, number)] = 1
    return image


def test_the_truth_itself_is_perfect():
    scores = truth_scores(3 * dots() + 2, dots(), 20.0)
    assert scores.ncc == pytest.approx(1)
    assert scores.ssim == pytest.approx(1)
    assert scores.psnr > 100


def test_an_estimate_of_its_own_resolution_is_matched():
    truth = dots()
    sigma = 80 / 2.3548 / 20
    soft = gaussian_filter(truth, 0.8 * sigma)
    image, target = matched_blur(soft, truth, 20.0)
    assert np.corrcoef(image.ravel(), target.ravel())[0, 1] > 0.999


def test_a_worse_image_scores_worse():
    truth = dots()
    good, bad = (gaussian_filter(truth, sigma) for sigma in (1.5, 5.0))
    first, second = (truth_scores(image, truth, 20.0) for image in (good, bad))
    assert first.psnr > second.psnr
    assert first.ncc > second.ncc
    assert first.frc_nm < second.frc_nm


def test_the_papers_psnr_flatters_a_black_image():
    truth = dots()
    psnr, ssim = paper_scores(np.zeros_like(truth), truth)
    assert psnr > 20
    assert ssim > 0.5


def test_the_papers_scores_are_those_of_images_scaled_by_their_own_range():
    truth = dots()
    estimate = 5 * np.clip(truth + 0.3 * np.random.default_rng(1).random(truth.shape), 0, None) + 2
    scaled = (estimate - estimate.min()) / np.ptp(estimate)
    psnr, ssim = paper_scores(estimate, truth)
    assert psnr == pytest.approx(-10 * np.log10(np.mean((scaled - truth) ** 2)))
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert ssim == pytest.approx(structural_similarity(truth, scaled, data_range=1, **window))


def test_calibration_error_of_a_calibrated_map():
    rng = np.random.default_rng(0)
    probability = rng.random(200_000)
    error, diagram = calibration_error(probability, rng.random(200_000) < probability)
    assert error < 0.01
    assert diagram[:, 2].sum() == 200_000


def test_calibration_error_of_an_overconfident_map():
    rng = np.random.default_rng(0)
    occupied = rng.random(50_000) < 0.5
    error, _ = calibration_error(np.full(50_000, 0.9), occupied)
    assert error == pytest.approx(0.4, abs=0.01)


def test_empty_pixels_do_not_hide_the_error_of_the_others():
    rng = np.random.default_rng(0)
    probability = np.append(np.zeros(100_000), np.full(2000, 0.5))
    occupied = np.append(np.zeros(100_000, bool), rng.random(2000) < 0.2)
    assert calibration_error(probability, occupied)[0] < 0.01
    error, diagram = calibration_error(probability, occupied, above=0.1)
    assert error == pytest.approx(0.3, abs=0.03)
    assert diagram[:, 2].sum() == 2000
    assert np.isnan(calibration_error(np.zeros(5), np.zeros(5), above=0.1)[0])
