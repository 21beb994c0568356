"""A calibration: the intervals that it states and the deviations that it multiplies."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.calibration.image_features import FeatureScale, ImageFeatures
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.utils.errors import InputError


def test_gaussian_bounds_without_a_calibration():
    low, high, kind = Calibration().bounds(0.9)
    assert (-low, high, kind) == (pytest.approx(1.6449, abs=1e-4), pytest.approx(-low), "gaussian")
    with pytest.raises(InputError, match="between 0 and 1"):
        Calibration().bounds(90)


def test_apply_scales_the_three_deviations_and_keeps_their_law():
    maps = torch.rand(3, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, aleatoric, epistemic = maps
    total = (aleatoric**2 + epistemic**2).sqrt()
    calibrated = Calibration(scale=1.7).apply(Prediction(mean, aleatoric, epistemic, total), 20.0)
    assert torch.equal(calibrated.mean, mean)
    torch.testing.assert_close(calibrated.aleatoric, 1.7 * aleatoric)
    torch.testing.assert_close(
        calibrated.total**2, calibrated.aleatoric**2 + calibrated.epistemic**2
    )


@pytest.mark.parametrize("brighter", [1.0, 3.0])
def test_apply_measures_the_image_and_takes_its_signal(brighter):
    limits = ImageFeatures(*[-9.0] * 4), ImageFeatures(*[9.0] * 4)
    rule = Calibration(2.0, FeatureScale((0.0, 0.0, 2.0, 0.0, -2.0), *limits))
    mean = brighter * torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    sigma = torch.full_like(mean, 0.1)
    calibrated = rule.apply(Prediction(mean, sigma, sigma, sigma), 5.0)
    contrast = mean.std(correction=0)
    for image in calibrated[1:]:
        torch.testing.assert_close(image, 2.0 / 5.0 * contrast * sigma)
    factors = rule.factors(Prediction(mean, sigma, sigma, sigma), 5.0)
    assert factors.shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="too many"):  # a signal is that of one stack
        rule.factors(Prediction(*[mean.repeat(2, 1, 1, 1)] * 4), 5.0)
    assert factors.item() == pytest.approx(2.0 / 5.0 * float(contrast))


def test_apply_tells_background_from_structure():
    limits = ImageFeatures(*[-9.0] * 4), ImageFeatures(*[9.0] * 4)
    rule = Calibration(1.5, FeatureScale((0.0,) * 5, *limits, (2.0, 0.0, 0.0, 0.0, 0.0)))
    mean = torch.zeros(1, 1, 20, 20)
    mean[..., 12:, :] = 1.0
    sigma = torch.full_like(mean, 0.1)
    calibrated = rule.apply(Prediction(mean, sigma, sigma, sigma), 5.0)
    for image in calibrated[1:]:
        torch.testing.assert_close(image[..., :12, :], 1.5 * sigma[..., :12, :])
        torch.testing.assert_close(image[..., 12:, :], 1.5 * np.e * sigma[..., 12:, :])
        assert image.dtype == torch.float32
