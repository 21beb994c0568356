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

HERE = ImageFeatures(-1.0, -1.5, -4.0, 3.0)
LIMITS = ImageFeatures(-3.0, -2.0, -5.0, 1.0), ImageFeatures(0.0, -1.0, -3.0, 6.0)


def test_features_of_an_image():
    rng = np.random.default_rng(0)
    mean, sigma = 0.25 * rng.normal(size=(90, 90)), np.full((90, 90), 0.05)
    disagreement, contrast, noise, signal = features_of(mean, sigma, 0.4 * sigma, 30.0)
    assert signal == pytest.approx(np.log(30.0))
    assert noise == pytest.approx(np.log(0.05))
    assert contrast == pytest.approx(np.log(0.25), abs=0.02)
    assert disagreement == pytest.approx(np.log(0.4))
    assert np.isfinite(features_of(*np.zeros((3, 4)), 0.0)).all()
    alone, without_tails = (features_of(mean, *pair, 9.0)[0] for pair in ((sigma, 0), (0, sigma)))
    assert (alone, without_tails) == (-5.0, 5.0)


def test_features_beyond_those_of_the_fit_are_held_at_their_limit():
    scale = FeatureScale((0.0, 0.0, 1.0, 0.0, 0.0), *LIMITS)
    assert scale.factor(ImageFeatures(0.0, -1.0, -4.0, 3.0)) == pytest.approx(np.exp(-0.5))
    assert scale.factor(ImageFeatures(5.0, 3.0, 9.0, 9.0)) == pytest.approx(np.exp(-0.5))
    assert scale.factor(ImageFeatures(-9.0, -1.5, -9.0, 0.0)) == pytest.approx(np.exp(-0.75))


def test_a_feature_that_is_not_known_is_taken_as_the_middle_of_the_fit():
    scale = FeatureScale((0.0, 0.0, 0.0, 0.0, 0.2), *LIMITS, (0.0, 0.0, 0.0, 0.0, 0.4))
    unknown = features_of(np.eye(3), np.eye(3), np.eye(3), np.nan)
    assert np.isnan(unknown.signal)
    assert scale.factor(unknown, [0.0, 1.0]) == pytest.approx(np.exp([0.35, 0.7]))
    stacks = drawn_stacks(20)
    some = [
        stack._replace(features=stack.features._replace(signal=np.nan)) if number % 3 else stack
        for number, stack in enumerate(stacks)
    ]
    fitted = fit_feature_scale(some)
    known = [stack.features.signal for stack in some if stack.features.signal == stack.features[3]]
    assert (fitted.low.signal, fitted.high.signal) == (min(known), max(known))
    none = [stack._replace(features=stack.features._replace(signal=np.nan)) for stack in stacks]
    fitted = fit_feature_scale(none)
    assert (fitted.low.signal, fitted.high.signal) == (0.0, 0.0)
    assert np.isfinite(fitted.weights).all()


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
    scale = FeatureScale((0.0, 0.0, 1.0, 0.0, 0.0), *LIMITS, (1.0, 1.0, 0.0, 0.0, 0.0))
    ends = scale.factor(HERE, [0.0, 1.0])
    assert ends == pytest.approx([np.exp(-0.75), 1.0])
    assert scale.factor(HERE) == pytest.approx(ends[0])
    between = scale.factor(HERE, np.linspace(0, 1, 50))
    assert (np.diff(between) > 0).all()
    held = scale.factor(ImageFeatures(-50.0, 50.0, 0.0, 0.0), 1.0)
    assert held == pytest.approx(np.exp(-1.0))
    plain = FeatureScale((0.0, 0.0, 1.0, 0.0, 0.0), *LIMITS)
    assert plain.factor(HERE, [0.0, 1.0]) == pytest.approx(ends[0])


TRUE = (0.3, 0.5, 0.8, 0.3, -0.2), (0.9, -0.4, 0.1, 0.3, 0.2)  # weights of background and structure


def drawn_stacks(number=60, pixels=2000, seed=3):
    """Stacks whose errors are what weights of background and structure say."""
    rng, stacks = np.random.default_rng(seed), []
    for _ in range(number):
        features = ImageFeatures(*rng.uniform((-2.0, -3.0, -5.0, 1.0), (0.0, -1.0, -3.0, 5.0)))
        lit = np.clip(rng.uniform(-1.0, 2.0, pixels), 0, 1)
        true = FeatureScale(*TRUE[:1], features, features, *TRUE[1:])
        z = true.factor(features, lit) * rng.normal(size=pixels)
        stacks.append(FittedPixels(z, features, lit))
    return stacks


def test_the_weights_of_both_are_found():
    stacks = drawn_stacks()
    fitted = fit_feature_scale(stacks)
    # The ridge draws them towards zero, by less than a quarter here.
    assert fitted.weights[1:] == pytest.approx((0.45, 0.75, 0.25, -0.18), abs=0.12)
    assert fitted.lit_weights[1:] == pytest.approx((-0.35, 0.07, 0.25, 0.18), abs=0.12)
    inside = [np.abs(stack.z) / fitted.factor(stack.features, stack.brightness) for stack in stacks]
    reach = np.quantile(np.concatenate(inside), 0.9)
    for end in (0.0, 1.0):
        z = np.concatenate(
            [z[stack.brightness == end] for z, stack in zip(inside, stacks, strict=True)]
        )
        assert np.mean(z <= reach) == pytest.approx(0.9, abs=0.01)
    without = fit_feature_scale([stack._replace(brightness=None) for stack in stacks])
    assert without.lit_weights is None


def test_constant_factors_tell_background_from_structure_alone():
    fitted = fit_feature_scale(drawn_stacks(), constant=True)
    assert fitted.weights[1:] == fitted.lit_weights[1:] == (0.0,) * 4
    assert fitted.weights[0] != fitted.lit_weights[0]


def test_a_few_stacks_that_went_wrong_do_not_decide():
    stacks = drawn_stacks(number=240)
    wrong = [stack._replace(z=30 * stack.z) for stack in stacks[:2]]
    clean, spoilt = (fit_feature_scale(s) for s in (stacks, [*wrong, *stacks[2:]]))
    for middle in ((-1.0, -2.0, -4.0, 3.0), (-1.5, -1.5, -4.5, 2.0)):
        ends = [scale.factor(ImageFeatures(*middle), [0.0, 1.0]) for scale in (clean, spoilt)]
        np.testing.assert_allclose(*ends, rtol=0.08)


def test_the_brightest_fifth_is_structure_where_a_few_spots_set_the_range():
    mean = np.linspace(0.0, 0.1, 1000)
    mean[-20:] = 5.0
    lit = brightness_of(mean)
    assert (lit[800:] > 0.99).all()
    assert (lit[:590] < 0.1).all()
