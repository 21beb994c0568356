"""One row of scores is the scores."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesdl_sim.metrics.against_wide_field import rse, rsp
from bayesdl_sim.metrics.image_scores import IMAGE_SCORES, image_scores
from bayesdl_sim.metrics.images import ms_ssim, quality
from bayesdl_sim.metrics.resolution import decorrelation, frc, frc_resolution


def test_each_score_is_the_one_of_its_name():
    rng = np.random.default_rng(0)
    target = gaussian_filter((rng.random((96, 96)) < 0.03).astype(float), 1.0)
    image = gaussian_filter(target, 0.8) + 0.003 * rng.normal(size=target.shape)
    wide_field = gaussian_filter(target, 3)[::2, ::2]
    scores = image_scores(image, target, wide_field)
    assert tuple(scores) == IMAGE_SCORES
    assert scores["psnr_legacy"] == quality(image, target).psnr_legacy
    assert scores["ms_ssim"] == ms_ssim(image, target)
    assert scores["frc_3sigma_px"] == frc_resolution(frc(image, target), "3-sigma")
    assert scores["decorrelation_px"] == decorrelation(image)
    assert scores["rsp"] == pytest.approx(rsp(image, wide_field))
    assert scores["rse"] == pytest.approx(rse(image, wide_field))
