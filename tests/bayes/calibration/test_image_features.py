"""Image-level features, and the factor that they give."""

import numpy as np
import pytest

from bayesdl_sim.bayes.calibration.image_features import FeatureScale, ImageFeatures, features_of


def test_features_of_an_image():
    rng = np.random.default_rng(0)
    mean, sigma = 0.25 * rng.normal(size=(90, 90)), np.full((90, 90), 0.05)
    doubt, contrast = features_of(mean, sigma)
    assert contrast == pytest.approx(np.log(0.25), abs=0.02)
    assert doubt == pytest.approx(np.log(0.05 / 0.25), abs=0.02)
    assert np.isfinite(features_of(np.zeros(4), np.zeros(4))).all()


def test_features_beyond_those_of_the_fit_are_held_at_their_limit():
    scale = FeatureScale((0.0, 0.0, 1.0), ImageFeatures(-3.0, -2.0), ImageFeatures(0.0, -1.0))
    assert scale.factor(ImageFeatures(0.0, -1.0)) == pytest.approx(np.exp(-0.5))
    assert scale.factor(ImageFeatures(5.0, 3.0)) == pytest.approx(np.exp(-0.5))
    assert scale.factor(ImageFeatures(-9.0, -1.5)) == pytest.approx(np.exp(-0.75))
