"""Image-level features, and the factor that they give."""

import numpy as np
import pytest

from bayesdl_sim.bayes.calibration.image_features import (
    FeatureScale,
    FittedPixels,
    ImageFeatures,
    brightness_of,
    features_of,
    fit_feature_scale,
)

HERE = ImageFeatures(-1.0, -1.5)


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


def test_brightness_is_that_of_the_image_whatever_its_scale():
    mean = np.linspace(0.0, 1.0, 1001).reshape(7, 143)
    lit = brightness_of(mean)
    assert lit.shape == mean.shape
    assert (lit.min(), lit.max()) == (0.0, 1.0)
    assert lit.ravel()[50] == pytest.approx(0.0, abs=1e-4)
    assert lit.ravel()[285] == pytest.approx(1.0, abs=1e-2)  # 0.05 + 0.25 (0.99 - 0.05)
    np.testing.assert_allclose(brightness_of(300 * mean + 90), lit, atol=1e-4)
    assert (np.diff(lit.ravel()) >= 0).all()
    assert np.isfinite(brightness_of(np.zeros((4, 4)))).all()


def test_background_and_structure_have_factors_of_their_own():
    limits = ImageFeatures(-3.0, -2.0), ImageFeatures(0.0, -1.0)
    scale = FeatureScale((0.0, 0.0, 1.0), *limits, (1.0, 1.0, 0.0))
    ends = scale.factor(HERE, [0.0, 1.0])
    assert ends == pytest.approx([np.exp(-0.75), 1.0])
    assert scale.factor(HERE) == pytest.approx(ends[0])
    between = scale.factor(HERE, np.linspace(0, 1, 50))
    assert (np.diff(between) > 0).all()
    assert scale.factor(ImageFeatures(-50.0, 50.0), 1.0) == pytest.approx(np.exp(-1.0))  # held
    plain = FeatureScale((0.0, 0.0, 1.0), *limits)
    assert plain.factor(HERE, [0.0, 1.0]) == pytest.approx(ends[0])


def test_the_weights_of_both_are_found():
    rng, stacks = np.random.default_rng(3), []
    true = FeatureScale((0.3, 0.5, 0.8), HERE, HERE, (0.9, -0.4, 0.1))
    for _ in range(60):
        features = ImageFeatures(*rng.uniform((-2.0, -3.0), (0.0, -1.0)))
        lit = np.clip(rng.uniform(-1.0, 2.0, 4000), 0, 1)
        wide = FeatureScale(true.weights, features, features, true.lit_weights)
        z = wide.factor(features, lit) * rng.normal(size=4000)
        stacks.append(FittedPixels(z, features, lit))
    found = fit_feature_scale(stacks)
    assert found.weights[1:] == pytest.approx(true.weights[1:], abs=0.08)
    assert found.lit_weights[1:] == pytest.approx(true.lit_weights[1:], abs=0.08)
    apart = found.lit_weights[0] - found.weights[0]
    assert apart == pytest.approx(true.lit_weights[0] - true.weights[0], abs=0.2)
    without = fit_feature_scale([stack._replace(brightness=None) for stack in stacks])
    assert without.lit_weights is None
