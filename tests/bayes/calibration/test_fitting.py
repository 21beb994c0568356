"""Fitting: what a calibration repairs on new cells, and what it refuses to claim."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from bayesdl_sim.bayes.calibration import fitting
from bayesdl_sim.bayes.calibration.fitting import CalibrationStack, fit_calibration
from bayesdl_sim.bayes.calibration.image_features import FittedPixels, ImageFeatures
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.metrics.distributions import quantile_calibration_error
from bayesdl_sim.utils.errors import InputError


def coverage(pixels, calibration, level, guaranteed=False):
    low, high, _ = calibration.bounds(level, guaranteed)
    z = np.concatenate([s.error / s.sigma for (s,) in pixels]) / calibration.scale
    return np.mean((z >= low) & (z <= high))


def test_scale_is_the_root_of_mean_z2_with_cells_of_equal_weight(cells):
    first = [CalibrationStack(error=np.full(10, 0.3), sigma=np.full(10, 0.1))]  # z = 3
    second = [CalibrationStack(error=np.full(1000, 0.1), sigma=np.full(1000, 0.1))]  # z = 1
    assert fit_calibration([first, second]).scale == pytest.approx(np.sqrt((9 + 1) / 2))
    assert fit_calibration(cells(20, factor=1.6)).scale == pytest.approx(1.6, rel=0.01)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_cover_what_they_say_on_new_cells(cells, level, skewed):
    calibration = fit_calibration(cells(20, 0, 1.6, skewed=skewed))
    share = coverage(cells(20, 1, 1.6, skewed=skewed), calibration, level)
    assert share == pytest.approx(level, abs=0.015)


def test_the_map_is_kept_where_it_helps_and_only_there(cells):
    skewed = fit_calibration(cells(15, skewed=True))
    errors = skewed.fitted_on["quantile_calibration_error_held_out"]
    assert skewed.probability_map is not None
    assert errors["with_map"] < 0.2 * errors["scale_only"]
    low, high, kind = skewed.bounds(0.9, guaranteed=False)
    assert kind == "calibrated"
    assert high > 1.3 * -low  # an exponential error has its tail above
    # Biased cells, each in a direction of its own: the others tell nothing about the next.
    biased = [
        [replace(stack, error=stack.error + (-1) ** number * stack.sigma)]
        for number, (stack,) in enumerate(cells(5, pixels=400))
    ]
    unlike = fit_calibration(biased)
    errors = unlike.fitted_on["quantile_calibration_error_held_out"]
    assert errors["with_map"] >= errors["scale_only"]
    assert unlike.probability_map is None


def test_a_map_that_only_repeats_the_noise_of_its_cells_is_not_kept(cells):
    kept = [fit_calibration(cells(6, seed, pixels=60)).probability_map for seed in range(20)]
    assert sum(entry is not None for entry in kept) <= 6


def test_the_map_calibrates_probabilities(cells):
    calibration = fit_calibration(cells(20, skewed=True))
    z = (
        np.concatenate([s.error / s.sigma for (s,) in cells(20, 5, skewed=True)])
        / calibration.scale
    )
    assert quantile_calibration_error(norm.cdf(z)) > 0.05
    assert quantile_calibration_error(calibration.probability(z)) < 0.01
    np.testing.assert_allclose(Calibration().probability(z), norm.cdf(z))


def test_conformal_interval_is_taken_where_there_are_cells_enough(cells):
    few, enough = fit_calibration(cells(8)), fit_calibration(cells(12))
    assert [entry["factor"] is None for entry in few.conformal] == [True, True, False]
    assert few.bounds(0.9).kind == "calibrated"
    bounds = enough.bounds(0.9)
    assert bounds.kind == "conformal"
    assert bounds.high == -bounds.low > enough.bounds(0.9, guaranteed=False).high
    assert coverage(cells(20, 9), enough, 0.9, guaranteed=True) >= 0.9
    assert "19 or more are needed" in " ".join(enough.describe())


def test_a_factor_by_features_is_kept_where_it_helps_and_only_there(cells, with_features):
    known = with_features(60, slope=1.0)
    kept = fit_calibration(known)
    assert kept.by_features is not None
    _, disagreement, contrast, noise, signal = kept.by_features.weights
    assert contrast == pytest.approx(0.95, abs=0.15)
    assert max(abs(disagreement), abs(noise), abs(signal)) < 0.1
    errors = kept.fitted_on["nll_held_out"]
    assert errors["with_it"] < errors["without"] - 0.05
    factors = [kept.by_features.factor(stack.features) for (stack,) in known]
    assert np.mean(np.log(factors)) == pytest.approx(0.0, abs=1e-6)  # `scale` keeps its meaning
    dropped = [fit_calibration(with_features(12, slope=0.0, seed=n)).by_features for n in range(20)]
    assert sum(entry is not None for entry in dropped) <= 1
    assert fit_calibration(cells(30)).by_features is None  # they have no features


def test_every_kind_of_stack_is_calibrated_by_its_features(with_features):
    calibration = fit_calibration(with_features(80, slope=1.0))
    for contrast in (-2.5, -0.5):
        (stack,), *_ = with_features(1, slope=1.0, contrast=contrast, pixels=50_000, seed=7)
        z = stack.error / (calibration.factor(stack.features) * stack.sigma)
        assert np.mean(z**2) == pytest.approx(1.0, rel=0.15)
        assert abs(np.mean((stack.error / stack.sigma) ** 2) - 1) > 0.5


def test_structure_of_dim_stacks_keeps_its_interval(with_structure):
    """One factor for all pixels would narrow what is right, to correct what is too wide."""
    calibration = fit_calibration(with_structure(40))
    assert calibration.by_features.lit_weights is not None
    (stack,), *_ = with_structure(1, seed=9, pixels=50_000)
    lit = stack.brightness > 0.5
    factor = calibration.factor(stack.features, stack.brightness)
    low, high, _ = calibration.bounds(0.9, guaranteed=False)
    z = stack.error / (factor * stack.sigma)
    for part in (lit, ~lit):
        assert np.mean((z[part] >= low) & (z[part] <= high)) == pytest.approx(0.9, abs=0.015)
        assert np.mean(z[part] ** 2) == pytest.approx(1.0, abs=0.06)
    plain = [[replace(s, brightness=None) for s in cell] for cell in with_structure(40)]
    one = fit_calibration(plain)
    z = stack.error / (one.factor(stack.features) * stack.sigma)
    low, high, _ = one.bounds(0.9, guaranteed=False)
    assert np.mean((z[lit] >= low) & (z[lit] <= high)) < 0.85


@pytest.mark.parametrize(("interval_error", "kept"), [(0.04, True), (0.06, False)])
def test_a_better_average_is_not_bought_with_single_stacks(
    with_features, monkeypatch, interval_error, kept
):
    scores = fitting.HeldOut(1.0, 0.05), *(fitting.HeldOut(0.5, interval_error),) * 2
    monkeypatch.setattr(fitting, "_held_out", lambda cells, groups: scores)
    calibration = fit_calibration(with_features(10, slope=1.0))
    assert (calibration.by_features is not None) == kept
    assert f"interval error 0.050, {interval_error:.3f}" in " ".join(calibration.describe())


def test_interval_error_looks_at_the_lit_pixels_of_each_stack():
    """Half of the stacks are covered wholly, of the others a quarter where they are lit."""
    rng, cells = np.random.default_rng(4), []
    for number in range(20):
        brightness = np.linspace(0, 1, 1000)
        z = 0.01 * rng.normal(size=1000)
        z[brightness > 0.85] = 10.0 * (number % 2) + 0.01
        cells.append([FittedPixels(z, ImageFeatures(0.0, 0.0, 0.0, 0.0), brightness)])
    without, *_ = fitting._held_out(cells, [fitting._folds(20)])
    assert without.interval_error == pytest.approx((0.1 + 0.65) / 2)


def test_a_structure_that_the_fit_has_not_seen_has_a_say(with_features):
    """Contrast tells about the errors of one structure, and misleads for the other."""
    known = with_features(40, slope=2.0)
    one = [[replace(stack, structure="one") for stack in cell] for cell in known]
    other = [
        [
            replace(
                stack,
                error=stack.error / np.exp(2.0 * (stack.features.contrast + 1.5)),
                structure="other",
            )
            for stack in cell
        ]
        for cell in with_features(40, slope=2.0, seed=5)
    ]
    alike = [[replace(stack, structure="") for stack in cell] for cell in (*one, *other[:8])]
    assert fit_calibration(alike).by_features is not None
    by_structure = fit_calibration([*one, *other[:8]])
    assert by_structure.by_features is None or by_structure.by_features.weights[1:] == (0.0, 0.0)


def test_nothing_to_fit_on(cells):
    with pytest.raises(InputError, match="validation cell"):
        fit_calibration([])
    alone = fit_calibration(cells(1))
    assert alone.probability_map is None
    assert not [line for line in alone.describe() if "0.000" in line]  # nothing was left out
    tried = [line for line in alone.describe() if line.endswith("to leave some of them out")]
    assert [line.split(maxsplit=2)[:2] for line in tried] == [
        ["probability", "map"],
        ["further", "factors"],
    ]
    assert "without, " in " ".join(fit_calibration(cells(2)).describe())
