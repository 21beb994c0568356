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
    found = image_scores(image, target, wide_field)
    assert tuple(found) == IMAGE_SCORES
    assert found["psnr_legacy"] == quality(image, target).psnr_legacy
    assert found["ms_ssim"] == ms_ssim(image, target)
    assert found["frc_3sigma_px"] == frc_resolution(frc(image, target), "3-sigma")
    assert found["decorrelation_px"] == decorrelation(image)
    assert found["rsp"] == pytest.approx(rsp(image, wide_field))
    assert found["rse"] == pytest.approx(rse(image, wide_field))
