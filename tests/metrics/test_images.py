"""Every number against one that is computed by hand, by definition or by brute force."""

from dataclasses import astuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bayesdl_sim.metrics.images import (
    affine_fit,
    auroc,
    coverage,
    min_max,
    ms_ssim,
    pearson,
    quality,
)
from bayesdl_sim.utils.errors import InputError


def filaments(rng: np.random.Generator, size: int = 96) -> np.ndarray:
    """A sparse image of thin bright lines, 2x grid."""
    image = np.zeros((size, size))
    for _ in range(25):
        x, y = rng.uniform(0, size, 2)
        angle = rng.uniform(0, np.pi)
        along = np.linspace(-size / 3, size / 3, 4 * size)
        rows = np.clip(x + along * np.sin(angle), 0, size - 1).astype(int)
        columns = np.clip(y + along * np.cos(angle), 0, size - 1).astype(int)
        image[rows, columns] = 1
    return gaussian_filter(image, 0.7)


def binned(image: np.ndarray) -> np.ndarray:
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def test_affine_fit_is_numpys_least_squares():
    rng = np.random.default_rng(0)
    image, target = rng.normal(size=(2, 20, 30))
    a, b = np.polyfit(image.ravel(), target.ravel(), 1)
    np.testing.assert_allclose(affine_fit(image, target), a * image + b, atol=1e-12)
    np.testing.assert_allclose(affine_fit(3 - 2 * target, target), target, atol=1e-12)
    np.testing.assert_allclose(affine_fit(np.ones((20, 30)), target), target.mean())


def test_min_max_of_a_ramp_and_of_a_constant():
    np.testing.assert_allclose(min_max([[2, 4, 10]]), [[0, 0.25, 1]])
    np.testing.assert_array_equal(min_max(np.full((2, 2), 7)), np.zeros((2, 2)))


def test_quality_by_hand():
    # A checkerboard error is orthogonal to the ramp and to a constant, so the fit leaves it alone.
    target = np.tile(np.linspace(0, 1, 16), (16, 1))
    error = 0.1 * (-1.0) ** np.add.outer(np.arange(16), np.arange(16))
    error -= affine_fit(target, error)
    scores = quality(500 * (target + error) + 100, 3 * target - 7)
    # the image is scaled to the target, which shrinks a noisy image by its regression slope
    slope = np.var(target) / (np.var(target) + np.var(error))
    residual = slope * (target + error - target.mean()) + target.mean() - target
    mse = np.mean(residual**2)
    assert scores.psnr == pytest.approx(-10 * np.log10(mse), abs=1e-9)
    assert scores.nrmse == pytest.approx(np.sqrt(mse / np.mean(target**2)), abs=1e-12)
    legacy = min_max(target + error) - target
    assert scores.psnr_legacy == pytest.approx(-10 * np.log10(np.mean(legacy**2)), abs=1e-9)


def test_quality_ignores_units_and_legacy_is_broken_by_one_hot_pixel():
    rng = np.random.default_rng(1)
    target = filaments(rng)
    image = target + 0.02 * rng.normal(size=target.shape)
    a, b = quality(image, target), quality(1000 * image - 50, 0.1 * target + 8)
    np.testing.assert_allclose(astuple(a), astuple(b), rtol=1e-9)
    image[5, 5] = 5 * image.max()
    hot = quality(image, target)
    assert hot.psnr_legacy < a.psnr_legacy - 5
    assert hot.psnr > hot.psnr_legacy


def test_quality_of_the_target_itself_is_perfect():
    target = filaments(np.random.default_rng(2))
    scores = quality(target, target)
    assert scores.psnr > 200
    assert scores.ssim == pytest.approx(1)
    assert scores.nrmse == pytest.approx(0, abs=1e-9)
    assert scores.ssim_legacy == 1


def ssim_by_definition(image: np.ndarray, target: np.ndarray) -> float:
    """Wang et al. 2004, window by window: 11 x 11, sigma 1.5, K1 = 0.01, K2 = 0.03."""
    distance = np.arange(-5, 6)
    window = np.exp(-(distance**2) / (2 * 1.5**2))
    weights = np.outer(window, window) / window.sum() ** 2
    values = []
    for row in range(image.shape[0] - 10):
        for column in range(image.shape[1] - 10):
            x, y = (part[row : row + 11, column : column + 11] for part in (image, target))
            mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
            var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
            covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
            values.append(
                (2 * mean_x * mean_y + 1e-4)
                * (2 * covariance + 9e-4)
                / ((mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4))
            )
    return float(np.mean(values))


def test_ssim_equals_its_definition_after_the_affine_fit():
    rng = np.random.default_rng(3)
    target = min_max(filaments(rng, 40))
    image = 40 * (gaussian_filter(target, 1.5) + 0.03 * rng.normal(size=target.shape)) + 7
    scores = quality(image, 5 * target)
    assert scores.ssim == pytest.approx(ssim_by_definition(affine_fit(image, target), target))
    assert scores.ssim_legacy == pytest.approx(ssim_by_definition(min_max(image), target))
    assert 0.1 < scores.ssim < 0.95


@pytest.mark.parametrize(
    ("image", "target", "words"),
    [
        (np.eye(16), np.eye(17), "differ in size"),
        (np.eye(16), np.ones((16, 16)), "target is constant"),
        (np.eye(10), np.eye(10), "at least 11 x 11"),
        (np.full((16, 16), np.nan), np.eye(16), "not finite"),
        (np.zeros((3, 16, 16)), np.zeros((3, 16, 16)), "expected an image"),
    ],
)
def test_quality_refuses_what_has_no_quality(image, target, words):
    with pytest.raises(InputError, match=words):
        quality(image, target)


def test_pearson_is_numpys_and_undefined_for_a_constant():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 9, 11))
    assert pearson(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert pearson(a, -2 * a + 3) == pytest.approx(-1)
    assert np.isnan(pearson(a, np.ones((9, 11))))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_coverage_of_a_calibrated_prediction_is_its_level(level):
    rng = np.random.default_rng(9)
    sigma = rng.uniform(0.1, 3, (400, 500))
    mean = rng.normal(size=sigma.shape)
    target = mean + sigma * rng.normal(size=sigma.shape)
    assert coverage(target, mean, sigma, level) == pytest.approx(level, abs=0.005)
    assert coverage(target, mean, sigma / 2, level) < level - 0.05


def test_coverage_at_the_edge_and_with_wrong_input():
    target, mean = np.array([0.0, 1.0, 2.0, 3.0]), np.zeros(4)
    assert coverage(target, mean, np.ones(4), 0.9) == 0.5  # z = 1.645
    assert coverage(mean, mean, np.zeros(4)) == 1
    with pytest.raises(InputError, match="the same shape"):
        coverage(target, mean, np.ones(3))
    with pytest.raises(InputError, match="not negative"):
        coverage(target, mean, -np.ones(4))
    with pytest.raises(InputError, match="between 0 and 1"):
        coverage(target, mean, np.ones(4), 90)


scores = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(scores, scores)
def test_auroc_equals_counting_all_pairs(negative, positive):
    pairs = [(p > n) + 0.5 * (p == n) for n in negative for p in positive]
    assert auroc(negative, positive) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_auroc_of_known_cases():
    assert auroc([0, 1], [2, 3]) == 1
    assert auroc([2, 3], [0, 1]) == 0
    assert auroc([1, 1], [1]) == 0.5
    with pytest.raises(InputError, match="at least one"):
        auroc([], [1])
    with pytest.raises(InputError, match="NaN"):
        auroc([0.0], [float("nan")])


def ms_ssim_by_definition(image: np.ndarray, target: np.ndarray, weights) -> float:
    """Wang et al. 2003 with the windows written out."""
    distance = np.arange(-5, 6)
    window = np.exp(-(distance**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    product = 1.0
    for scale, weight in enumerate(weights, start=1):
        views = [np.lib.stride_tricks.sliding_window_view(a, (11, 11)) for a in (image, target)]
        x, y = views
        mean_x, mean_y = ((window * v).sum((2, 3)) for v in views)
        var_x = (window * (x - mean_x[..., None, None]) ** 2).sum((2, 3))
        var_y = (window * (y - mean_y[..., None, None]) ** 2).sum((2, 3))
        covariance = (window * (x - mean_x[..., None, None]) * (y - mean_y[..., None, None])).sum(
            (2, 3)
        )
        part = (2 * covariance + 9e-4) / (var_x + var_y + 9e-4)
        if scale == len(weights):
            part = part * (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
        else:
            image, target = binned(image), binned(target)
        product *= part.mean() ** weight
    return product


SCALES = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


@pytest.mark.parametrize(("size", "scales"), [(176, 5), (96, 4), (24, 2)])
def test_ms_ssim_equals_its_definition(size, scales):
    rng = np.random.default_rng(10)
    target = min_max(filaments(rng, size))
    image = affine_fit(gaussian_filter(target, 1.2) + 0.03 * rng.normal(size=target.shape), target)
    weights = SCALES[:scales] / SCALES[:scales].sum() * SCALES.sum()
    expected = ms_ssim_by_definition(image, target, weights)
    assert ms_ssim(5 * image - 3, 20 * target) == pytest.approx(expected, abs=1e-9)
    assert 0.3 < expected < 0.999
    assert ms_ssim(target, target) == pytest.approx(1)


def test_ms_ssim_agrees_with_torchmetrics():
    try:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
    except (ImportError, RuntimeError, AttributeError):
        pytest.skip("torchmetrics does not load beside this build of torchvision")
    rng = np.random.default_rng(11)
    target = min_max(filaments(rng, 192))
    image = affine_fit(gaussian_filter(target, 1.5) + 0.05 * rng.normal(size=target.shape), target)
    tensors = [torch.from_numpy(a)[None, None] for a in (image, target)]
    expected = multiscale_structural_similarity_index_measure(*tensors, data_range=1.0)
    # It keeps the mirrored border at the coarsest scale, which the definition leaves out.
    assert ms_ssim(image, target) == pytest.approx(float(expected), abs=3e-3)


def test_ms_ssim_refuses_what_has_no_quality():
    with pytest.raises(InputError, match="at least 11 x 11"):
        ms_ssim(np.eye(10), np.eye(10))
    with pytest.raises(InputError, match="constant"):
        ms_ssim(np.eye(16), np.ones((16, 16)))
