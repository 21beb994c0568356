"""From sampled pixels to scores, groups and bars, on predictions whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from bayesdl_sim.bayes.calibration.fitting import CalibrationStack, fit_calibration
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.evaluation.baselines import fit_baselines
from bayesdl_sim.evaluation.groups import (
    bars,
    by_structure,
    conformal_risks,
    differences,
    group_calibration,
    intensity_deciles,
    lit_fifth,
    signal_deciles,
)
from bayesdl_sim.evaluation.report.charts import uncertainty_diagrams
from bayesdl_sim.evaluation.scoring import (
    AS_PREDICTED,
    CALIBRATED,
    CONSTANT,
    INTENSITY_ONLY,
    Sample,
    distribution_scores,
    fair_crps,
    mixture_draws,
    predictors,
)
from bayesdl_sim.metrics.bootstrap import table_of_means
from bayesdl_sim.metrics.distributions import crps_gaussian


def samples(cells=12, levels=2, pixels=1500, factor=1.0, seed=0):
    """Stacks whose sigma varies from pixel to pixel, independently of the intensity."""
    rng = np.random.default_rng(seed)
    stacks = []
    for cell in range(1, cells + 1):
        for level in range(1, levels + 1):
            mean = rng.uniform(0, 1, pixels)
            sigma = rng.uniform(0.02, 0.3, pixels)
            target = mean + factor * sigma * rng.normal(size=pixels)
            stacks.append(
                Sample(
                    cell=cell,
                    level=level,
                    signal_e=3.0 * cell * level,
                    target=target,
                    mean=mean,
                    sigma=sigma,
                )
            )
    return stacks


def fitted(stacks):
    """Calibration and baselines of samples."""
    cells = sorted({sample.cell for sample in stacks})
    pixels = [
        [CalibrationStack(error=s.error, sigma=s.sigma) for s in stacks if s.cell == cell]
        for cell in cells
    ]
    calibration = fit_calibration(pixels)
    mean, error = (np.concatenate([getattr(s, n) for s in stacks]) for n in ("mean", "error"))
    return calibration, fit_baselines(mean, error)


def rows_of(stacks, calibration, baselines):
    return [
        {"cell": sample.cell, "method": name, **distribution_scores(sample, sigma, rule)}
        for sample in stacks
        for name, (sigma, rule) in predictors(sample, baselines, calibration).items()
    ]


@pytest.fixture(scope="module")
def known():
    """(test samples, calibration, baselines): stated sigmas are too small by a factor of 1.5."""
    calibration, baselines = fitted(samples(factor=1.5, seed=1))
    return samples(factor=1.5, seed=2), calibration, baselines


def test_predictors_state_what_they_were_fitted_for(known):
    stacks, calibration, baselines = known
    by_name = predictors(stacks[0], baselines, calibration)
    assert list(by_name) == [AS_PREDICTED, CALIBRATED, INTENSITY_ONLY, CONSTANT]
    np.testing.assert_array_equal(by_name[AS_PREDICTED][0], stacks[0].sigma)
    np.testing.assert_allclose(by_name[CALIBRATED][0], 1.5 * stacks[0].sigma, rtol=0.02)
    # here the error does not depend on the intensity
    np.testing.assert_allclose(by_name[INTENSITY_ONLY][0], by_name[CONSTANT][0], rtol=0.2)


def test_scores_of_a_calibrated_prediction(known):
    stacks, calibration, baselines = known
    rows = rows_of(stacks, calibration, baselines)
    scores = ["mean_z2", "coverage_0.5", "coverage_0.9", "width_0.9", "nll", "ause"]
    table = {row["method"]: row for row in table_of_means(rows, ["method"], scores, 0)}
    ours = table[CALIBRATED]
    assert ours["mean_z2"].value == pytest.approx(1, abs=0.05)
    assert ours["coverage_0.9"].value == pytest.approx(0.9, abs=0.015)
    assert ours["coverage_0.5"].value == pytest.approx(0.5, abs=0.02)
    assert ours["width_0.9"].value == pytest.approx(2 * 1.645 * 1.5 * 0.16, rel=0.03)
    assert table[AS_PREDICTED]["mean_z2"].value == pytest.approx(2.25, abs=0.1)
    assert table[AS_PREDICTED]["coverage_0.9"].value < 0.8


def test_differences_and_bars_favour_the_better_one(known):
    stacks, calibration, baselines = known
    rows = rows_of(stacks, calibration, baselines)
    intensity, constant = differences(rows, seed=0)
    for row in (intensity, constant):
        assert row["nll"].high < 0
        assert row["ause"].high < 0
    names = ["mean_z2", "coverage_0.9"]
    ours = next(
        row for row in table_of_means(rows, ["method"], names, 0) if row["method"] == CALIBRATED
    )
    groups = [
        group_calibration(split(stacks, calibration), calibration)
        for split in (intensity_deciles, signal_deciles, lit_fifth)
    ]
    assert all(row["met"] for row in bars(ours, intensity, *groups))
    worse = {**intensity, "nll": intensity["nll"]._replace(high=0.01)}
    groups[1][3]["coverage, calibrated"] = 0.79
    groups[2][0]["coverage, calibrated"] = 0.85
    missed = [row["what"] for row in bars(ours, worse, *groups) if not row["met"]]
    assert missed == [
        "coverage in every signal group",
        "coverage of the lit fifth in every band of signal",
        "NLL less intensity only",
    ]
    groups[2] = []  # no stack within the bands: nothing is claimed
    assert len(bars(ours, worse, *groups)) == 6


def test_lit_fifth_shows_what_a_dark_background_hides():
    stacks = samples(cells=8, levels=2, pixels=2000)  # 3 to 48 e-/px
    # Errors of the brightest pixels are three times as large as stated.
    worse = []
    for sample in stacks:
        bright = sample.mean >= np.quantile(sample.mean, 0.8)
        worse.append(replace(sample, target=sample.mean + np.where(bright, 3, 0.8) * sample.error))
    rows = group_calibration(lit_fifth(worse, Calibration()), Calibration())
    assert [row["group"] for row in rows] == ["3-13 e-/px", "13-60 e-/px"]
    assert sum(row["pixels"] for row in rows) == 16 * 400
    assert all(row["coverage, as predicted"] < 0.5 for row in rows)
    everything = group_calibration(by_structure(worse, Calibration()), Calibration())
    assert everything[0]["coverage, as predicted"] > 0.8
    unknown = [replace(sample, signal_e=float("nan")) for sample in stacks]
    assert list(lit_fifth(unknown, Calibration())) == ["unknown signal"]
    kinds = [replace(s, structure="MT" if s.cell % 2 else "ER") for s in worse]
    per_structure = lit_fifth(kinds, Calibration(), per_structure=True)
    assert list(per_structure) == [
        f"{kind}, {band} e-/px" for kind in ("ER", "MT") for band in ("3-13", "13-60")
    ]
    assert sum(group.error.size for group in per_structure.values()) == 16 * 400


def test_deciles_hold_every_pixel_once_and_in_order(known):
    stacks, calibration, _ = known
    for groups in (intensity_deciles(stacks, calibration), signal_deciles(stacks, calibration)):
        assert len(groups) == 10
        assert sum(group.error.size for group in groups.values()) == 24 * 1500
    rows = group_calibration(intensity_deciles(stacks, calibration), calibration)
    for row in rows:
        assert row["coverage, calibrated"] == pytest.approx(0.9, abs=0.03)
        assert row["mean z^2, as predicted"] == pytest.approx(2.25, abs=0.25)


def test_signals_that_are_unknown_are_grouped_by_level():
    stacks = [replace(sample, signal_e=float("nan")) for sample in samples(cells=3, pixels=50)]
    assert list(signal_deciles(stacks, Calibration())) == ["level 1", "level 2"]


def test_structures_are_grouped_separately():
    one, two = samples(cells=1, pixels=40), samples(cells=2, pixels=40, factor=3, seed=4)
    stacks = [replace(s, structure="ER") for s in one] + [replace(s, structure="MT") for s in two]
    er, mt = group_calibration(by_structure(stacks, Calibration()), Calibration())
    assert (er["group"], er["pixels"], mt["group"], mt["pixels"]) == ("ER", 80, "MT", 160)
    assert mt["mean z^2, as predicted"] > 4 * er["mean z^2, as predicted"]


def test_a_group_that_is_overconfident_shows():
    stacks = samples(cells=20, levels=1, seed=5)
    bad = [replace(s, sigma=s.sigma * (0.4 if s.signal_e < 8 else 1)) for s in stacks]
    rows = group_calibration(signal_deciles(bad, Calibration()), Calibration())
    assert rows[0]["coverage, as predicted"] < 0.6
    assert rows[5]["coverage, as predicted"] == pytest.approx(0.9, abs=0.03)


def test_measured_risk_stays_below_alpha(known):
    stacks, calibration, _ = known
    rows = conformal_risks(stacks, calibration)
    assert rows[0]["measured risk"] is None  # 12 cells cannot keep 5 %
    for row in rows[1:]:
        assert row["measured risk"].value <= row["risk alpha"]


def test_draws_are_those_of_the_mixture():
    rng = np.random.default_rng(0)
    means = np.stack([np.full(20_000, -1.0), np.full(20_000, 2.0)])
    draws = mixture_draws(means, np.full_like(means, 0.1), rng)
    assert np.mean(draws < 0.5) == pytest.approx(0.5, abs=0.01)
    assert draws[draws < 0.5].std() == pytest.approx(0.1, abs=0.005)
    one = mixture_draws(np.zeros((1, 30_000)), np.full((1, 30_000), 0.2), rng)
    target = 0.2 * rng.normal(size=30_000)
    sample = Sample(
        cell=1,
        level=1,
        signal_e=1.0,
        target=target,
        mean=np.zeros(30_000),
        sigma=np.full(30_000, 0.2),
        draws=one,
    )
    assert fair_crps(sample, 1.0) == pytest.approx(crps_gaussian(target, sample.sigma), rel=0.02)
    assert fair_crps(sample, 3.0) > 1.2 * fair_crps(sample, 1.0)


def test_diagrams_show_reliability_on_the_diagonal(known):
    stacks, calibration, baselines = known
    groups = {
        "intensity": group_calibration(intensity_deciles(stacks, calibration), calibration),
        "signal": group_calibration(signal_deciles(stacks, calibration), calibration),
    }
    diagrams = uncertainty_diagrams(stacks, baselines, calibration, groups)
    names = ("reliability", "sparsification", "z", "deciles_intensity", "deciles_signal")
    assert set(diagrams) == {f"{name}.png" for name in names}
    lines = {line.get_label(): line for line in diagrams["reliability.png"][0].axes[0].lines}
    x, y = lines[CALIBRATED].get_data()
    np.testing.assert_allclose(x, y, atol=0.02)
    assert np.abs(np.subtract(*lines[AS_PREDICTED].get_data())).max() > 0.05
    lines = {line.get_label(): line for line in diagrams["sparsification.png"][0].axes[0].lines}
    assert lines[CALIBRATED].get_ydata()[-1] < 0.5 < lines[INTENSITY_ONLY].get_ydata()[-1]
