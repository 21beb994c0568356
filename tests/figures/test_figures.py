"""The figures on tiny fields and a tiny random network, and the arithmetic behind each."""

import json
import math
import runpy

import matplotlib.image
import numpy as np
import pytest
import tifffile
import torch
from scipy import stats

from bayesdl_sim.benchmarks.scenes.kept_out import SCENARIOS
from bayesdl_sim.benchmarks.scenes.movie import simulate_movie
from bayesdl_sim.figures import (
    acquisition,
    control,
    error_estimation,
    live,
    novelty,
    signal_level,
    training_size,
)
from bayesdl_sim.figures import profile as profile_figure
from bayesdl_sim.figures.common import lit_pixels, sr_scale
from bayesdl_sim.inference.output.profile_picture import profile_of
from bayesdl_sim.metrics.profiles import line_between, profile
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.tools import profile as profile_tool
from bayesdl_sim.tools.exposure import advice, exposure_ratio, measured_pair, next_exposure
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two members of a tiny network with tails."""
    folder = tmp_path_factory.mktemp("members")
    config = network_config("unet", "gauss", in_channels=9, width=4, levels=2, blocks=1)
    for index in (1, 2):
        network = build_network(config, seed=index)
        save_checkpoint(member_path(folder, index), member_payload(network, {}, {}))
    return folder


def run(main, folder, tmp_path, *more):
    """The program as a person calls it; its tables as {title: rows}."""
    common = ["--pretrained_G", folder, "--device", "cpu", "--precision", "fp32"]
    common = [] if folder is None else common
    saved = ["--save_path", tmp_path, "--tables", tmp_path]
    main([str(word) for word in [*common, *saved, *more]])
    (table,) = tmp_path.glob("*.json")
    (picture,) = tmp_path.glob("*.png")
    assert matplotlib.image.imread(picture).shape[0] > 300
    return json.loads(table.read_text())


# ---------------------------------------------------------------------------------- profile


def test_a_line_keeps_its_ends_and_its_values():
    rows, columns = np.mgrid[:30, :40]
    line = line_between((3, 5), (23, 35))
    assert (line.rows[0], line.columns[-1]) == (3, 35)
    assert np.hypot(*np.diff(np.array(line), axis=1)) == pytest.approx(1, abs=0.02)
    values = profile(2.0 * rows + columns, line)
    np.testing.assert_allclose(values, np.linspace(11, 81, len(values)))
    with pytest.raises(InputError, match="too short"):
        line_between((3, 5), (3, 6))


@pytest.fixture(scope="module")
def result(folder, tmp_path_factory):
    """A result of test.py on two time points, and its raw stack."""
    place = tmp_path_factory.mktemp("result")
    rng = np.random.default_rng(0)
    raw = rng.poisson(60 + 40 * rng.random((18, 24, 30))).astype(np.uint16)
    resolution = {"resolution": (1000 / 65,) * 2, "metadata": {"unit": "um"}}
    tifffile.imwrite(place / "raw.tif", raw, imagej=True, **resolution)
    main = runpy.run_path("test.py")["main"]
    words = ["--test_data", place / "raw.tif", "--pretrained_G", folder, "--device", "cpu"]
    main([str(word) for word in [*words, "--save_path", place / "out"]])
    return place


def test_profile_reads_the_channels_of_its_time_point(result):
    channels = tifffile.imread(result / "out" / "Channels.ome.tif")  # (T, C, H, W)
    for time in (0, 1):
        stored = profile_tool.read_result(result / "out", time)
        np.testing.assert_array_equal(stored.sr, channels[time, 0])
        np.testing.assert_array_equal(stored.total, channels[time, 3])
        assert stored.pixel_size_nm == pytest.approx(32.5, rel=1e-3)
    with pytest.raises(InputError, match="time points 0 to 1"):
        profile_tool.read_result(result / "out", 2)


def test_profile_draws_the_interval_of_the_line(result):
    stored = profile_tool.read_result(result / "out", 0)
    line = line_between((5, 5), (40, 50))
    values = profile_of(stored.sr, stored.total, line, stored.pixel_size_nm, 0.9, stored.sr * 3 + 7)
    sr, total = profile(stored.sr, line), profile(stored.total, line)
    low, high = values.band
    np.testing.assert_allclose(high, sr + stats.norm.ppf(0.95) * total, rtol=1e-5)
    np.testing.assert_allclose(low, sr - stats.norm.ppf(0.95) * total, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values.wide_field, values.ours, atol=1e-5)  # an affine copy
    assert values.along[-1] == pytest.approx(math.hypot(35, 45) * 0.0325, rel=1e-3)


def test_profile_as_a_program(result, tmp_path):
    options = ["--result", str(result / "out"), "--save_path", str(tmp_path / "a.png")]
    line, raw = ["--line", "5", "5", "40", "50"], ["--raw", str(result / "raw.tif")]
    profile_figure.main([*options, *line, *raw, "--time", "1"])
    assert matplotlib.image.imread(tmp_path / "a.png").shape[0] > 300
    with pytest.raises(InputError, match="inside the image of 48 rows and 60 columns"):
        profile_figure.main([*options, "--line", "5", "5", "48", "50"])
    with pytest.raises(InputError, match="give the line as"):
        profile_figure.main(options)  # tests have no display


# ----------------------------------------------------------------------------- acquisition


def test_next_exposure_is_found_on_the_curve():
    exposures, credible = [1.0, 10.0, 100.0, 1000.0], [0.2, 0.4, 0.35, 0.8]
    assert next_exposure(exposures, credible, 0.3) == pytest.approx(10**0.5)
    assert next_exposure(exposures, credible, 0.6) == pytest.approx(10**2.5)
    assert next_exposure(exposures, credible, 0.1) == 1.0
    assert next_exposure(exposures, credible, 0.9) is None


def test_two_exposures_predict_a_third():
    """Variances A + B / exposure, different from pixel to pixel: the third exposure is known."""
    g = torch.Generator().manual_seed(0)
    size = 0.5 + torch.rand(2000, generator=g)

    def sigma(exposure):
        return size * (0.02**2 + 0.08**2 / exposure) ** 0.5

    pair = measured_pair(sigma(1.0), sigma(4.0), 4.0, 0.04)
    for exposure in (1.0, 4.0, 16.0):
        expected = torch.erf(0.04 / math.sqrt(2) / sigma(exposure)).mean()
        assert pair.credibility(exposure, 0.04) == pytest.approx(float(expected), abs=1e-4)
    assert pair.fixed / pair.per_light == pytest.approx((0.02 / 0.08) ** 2, rel=1e-3)
    assert "next exposure for credibility 0.9: 4 times" in advice(pair, 16.0, 0.9, 0.1)
    assert "a guess" in advice(pair, 40.0, 0.9, 0.1)
    assert "not reached by light alone: 10%" in advice(pair, None, 0.9, 0.1)
    useless = measured_pair(sigma(4.0), sigma(1.0), 4.0, 0.04)  # more light, more doubt
    assert useless.per_light == 0
    steep = measured_pair(10 * sigma(1.0), sigma(1.0), 4.0, 0.04)
    assert steep.fixed == pytest.approx(0, abs=1e-9)


def test_ratio_of_two_exposures_comes_from_the_wide_fields():
    rng = np.random.default_rng(1)
    field = np.zeros((9, 40, 40)) + np.outer(np.hanning(40), np.hanning(40))
    low, high = rng.poisson(50 * field) + 100.0, rng.poisson(200 * field) + 90.0
    assert exposure_ratio(low, high) == pytest.approx(4, rel=0.03)
    with pytest.raises(InputError, match="swap them"):
        exposure_ratio(high, low)
    with pytest.raises(InputError, match="do not show the same field"):
        exposure_ratio(low, rng.poisson(50, low.shape).astype(float))


def test_acquisition_for_the_users_optics(folder, tmp_path, capsys):
    options = ["--na", 0.9, "--cells", 1, "--size", 40, "--exposures_e", 4, 64, "--goal", 0.001]
    stored = run(acquisition.main, folder, tmp_path, *options)
    rows = stored["tables"]["Credibility against exposure"]
    assert [row["electrons per lit pixel"] for row in rows] == [4, 64]
    assert all(0 < row["credibility"] < 1 for row in rows)
    printed = capsys.readouterr().out
    assert "WARNING: cut-off 0.223" in printed
    assert "credibility 0.001 is reached at 4 electrons" in printed


def test_acquisition_of_two_stacks(folder, tmp_path, capsys):
    args = acquisition.parse_args(["--size", "40", "--exposures_e", "10", "40"])
    scene = acquisition.simulated_scene(args, 1)
    for name, stack in zip(("low", "high"), scene.raw, strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", stack.numpy().astype(np.uint16))
    stacks = ["--stack_low", tmp_path / "low.tif", "--stack_high", tmp_path / "high.tif"]
    stored = run(acquisition.main, folder, tmp_path, *stacks)
    low, high = stored["tables"]["Two exposures of one field"]
    assert high["exposure"] == pytest.approx(4, rel=0.1)
    assert 0 < low["credibility"] < 1
    assert "credibility 0.7" in capsys.readouterr().out
    with pytest.raises(InputError, match="belong together"):
        acquisition.parse_args(["--stack_low", "low.tif"])


# ------------------------------------------------------------------------ error estimation


def image_of(cell, sigma, seed):
    rng = np.random.default_rng(seed)
    intensity = rng.random(sigma.size)
    return error_estimation.Image(cell, intensity, sigma, sigma * rng.normal(size=sigma.size))


def test_true_uncertainty_ranks_errors_and_bins_lie_on_the_line():
    rng = np.random.default_rng(2)
    sigmas = [level * (0.1 + rng.random(4000)) for level in (0.01, 0.02, 0.04, 0.08)]
    images = [image_of(i // 2, sigma, i) for i, sigma in enumerate(sigmas)]
    bins, records = error_estimation.judged(images, images)
    stated, true = bins[error_estimation.OURS]
    np.testing.assert_allclose(true, stated, rtol=0.15)
    ours, baseline = records[error_estimation.OURS], records[error_estimation.BASELINE]
    assert all(row["rank"] > 0.3 for row in ours)
    assert all(abs(row["rank"]) < 0.1 for row in baseline)  # the intensity knows nothing here
    cells = np.array([image.cell for image in images])
    rows = error_estimation.table(records, cells, np.random.default_rng(0))
    assert rows[0]["rank correlation of images"] == pytest.approx(1)
    assert rows[2]["rank correlation of pixels"].startswith("+0.")


def test_baseline_learns_an_error_that_follows_the_intensity():
    rng = np.random.default_rng(3)
    intensity = rng.random(100_000)
    sigma = 0.01 + 0.05 * intensity
    image = error_estimation.Image(0, intensity, sigma, sigma * rng.normal(size=sigma.size))
    baseline = error_estimation.intensity_baseline([image])
    inner = np.linspace(0.05, 0.95, 9)
    np.testing.assert_allclose(baseline(inner), 0.01 + 0.05 * inner, rtol=0.06)


def test_error_estimation_as_a_program(folder, tmp_path):
    stored = run(error_estimation.main, folder, tmp_path, "--cells", 6, "--levels", 1, "--size", 40)
    rows = stored["tables"]["Error estimation"]
    names = [error_estimation.OURS, error_estimation.BASELINE, "difference"]
    assert [row["predictor"] for row in rows] == names


# ------------------------------------------------------------------------------- live cells


def test_movie_changes_in_its_patches_only():
    movie = simulate_movie(4, 64, 1e6, seed=3)
    outside = ~movie.patches.any(dim=0)
    assert movie.changed.any(dim=2).any(dim=1).all()
    assert float(movie.changed[:, outside].float().mean()) < 0.002
    assert not (movie.changed & movie.static).any()
    # Without noise to speak of, frames outside the patches are the same, and on one scale.
    raw = movie.raw[..., 4:12, 4:12]
    assert float((raw[1:] / raw[:-1] - 1).abs().max()) < 0.02
    again = simulate_movie(4, 64, 1e6, seed=3)
    assert torch.equal(again.raw, movie.raw)


def found_movie(noise, seed):
    """A movie whose reconstruction is the truth plus noise of that standard deviation."""
    movie = simulate_movie(4, 64, 100.0, seed)
    g = torch.Generator().manual_seed(seed)
    mean = movie.target + noise * torch.randn(movie.target.shape, generator=g)
    sigma = torch.full_like(mean, noise)
    series = live.Prediction(mean, sigma, 0 * sigma, sigma)
    independent = math.sqrt(2) * sigma[1:]
    return live.Reconstructed(
        movie, series, live.Change(mean.diff(dim=0), independent, 0 * independent, independent)
    )


def test_right_intervals_mark_what_they_promise_and_find_the_changes():
    reconstruction = found_movie(0.01, 5)
    for row in live.marks(reconstruction, dict.fromkeys(live.LEVELS, 1.0)):
        assert row["false marks"] == pytest.approx(row["promised false marks"], rel=0.35)
        assert row["changed pixels found"] > 0.9
        marked, _, all_of_them = row["changes found"].split()
        assert marked == all_of_them


def test_intervals_that_are_too_wide_are_scaled_back():
    reconstruction = found_movie(0.01, 6)
    wide = reconstruction._replace(
        change=reconstruction.change._replace(total=3 * reconstruction.change.total)
    )
    assert live.factor_of([wide], 0.9) == pytest.approx(1 / 3, rel=0.05)
    assert live.factor_of([wide, reconstruction], 0.9) == live.factor_of(
        [reconstruction], 0.9
    )  # the largest
    (row,) = live.marks(wide, {0.9: 1.0})
    assert row["false marks"] < 0.01
    (row,) = live.marks(wide, {0.9: live.factor_of([wide], 0.9)})
    assert row["false marks"] == pytest.approx(0.1, abs=0.01)


def test_live_as_a_program(folder, tmp_path):
    stored = run(live.main, folder, tmp_path, "--frames", 3, "--size", 48, "--others", 1)
    assert len(stored["tables"]) == 3
    assert set(stored["facts"]["factors"]) == {"0.9", "0.95", "0.99"}


# ---------------------------------------------------------------------------------- the rest


def test_novelty_shows_every_scenario(folder, tmp_path):
    stored = run(novelty.main, folder, tmp_path, "--scenes", 1, "--cells", 2, "--size", 40)
    rows = stored["tables"]["Novelty"]
    assert [row["images"] for row in rows] == [novelty.KNOWN, *SCENARIOS]
    values = {novelty.KNOWN: [0.1, 0.2], "letters": [0.3, 0.15]}
    assert novelty.novelty_table(values)[1]["AUROC"] == pytest.approx(0.75)


def test_training_size_has_slope_minus_one(tmp_path, monkeypatch):
    monkeypatch.setattr(training_size, "SIZES", (100, 400, 1600))
    stored = run(training_size.main, None, tmp_path, "--chains", 60)
    assert stored["facts"]["slope"] == pytest.approx(-1, abs=0.1)
    exact = stored["facts"]["slope of the closed form"]  # steeper: 9 weights of 100 fields count
    assert exact == pytest.approx(-1, abs=0.1)
    assert stored["facts"]["slope"] == pytest.approx(exact, abs=0.05)


def test_signal_level_draws_the_table_of_the_benchmark(tmp_path):
    rows = [
        {"signal, e-/px": s, "rmse": 0.1 / s, "aleatoric": 0.1 / s, "epistemic": 0.01}
        for s in (3.0, 30.0)
    ]
    table = tmp_path / "uncertainty.json"
    table.write_text(json.dumps({"tables": {"Calibration on test cells": rows}}))
    signal_level.main(["--results", str(tmp_path), "--save_path", str(tmp_path)])
    assert (tmp_path / "signal_level.png").stat().st_size > 5000
    assert list(signal_level.draw(rows).axes[0].lines[2].get_ydata()) == [0.01, 0.01]
    table.write_text("{}")
    with pytest.raises(InputError, match="no table"):
        signal_level.main(["--results", str(tmp_path), "--save_path", str(tmp_path)])


def test_scale_and_lit_pixels_are_those_of_a_result():
    mean = torch.tensor([[-1.0, 0.0], [1.0, 3.0]])
    scale = sr_scale(mean)
    assert scale.apply(mean).flatten().tolist() == [0, 0.25, 0.5, 1]
    assert lit_pixels(mean).flatten().tolist() == [False, True, True, True]


def test_control_shows_shuffled_frames_beside_the_true_order(folder, tmp_path):
    rng = np.random.default_rng(4)
    tifffile.imwrite(tmp_path / "raw.tif", rng.poisson(100.0, (9, 32, 36)).astype(np.uint16))
    tifffile.imwrite(tmp_path / "gt.tif", rng.random((64, 72), np.float32))
    control.main(
        ["--pretrained_G", str(folder), "--device", "cpu", "--precision", "fp32", "--side", "40"]
        + ["--raw", str(tmp_path / "raw.tif"), "--target", str(tmp_path / "gt.tif")]
        + ["--save_path", str(tmp_path / "pictures")]
    )
    picture = matplotlib.image.imread(tmp_path / "pictures" / "control.png")
    assert picture.shape[1] > 3 * picture.shape[0]  # four panels in a row


def test_panels_of_the_control_name_their_scores():
    truth = np.random.default_rng(5).random((32, 32))
    figure = control.panels({"half": truth**2, "truth": truth}, (slice(0, 16), slice(0, 16)))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0].startswith("half, ")
    assert titles[0].endswith(" dB")
    assert titles[1] == "truth"
    assert figure.axes[0].images[0].get_array().shape == (16, 16)
