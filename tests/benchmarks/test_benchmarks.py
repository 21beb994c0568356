"""The benchmarks on tiny fields and a tiny random network: every method in every table."""

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import gaussian_filter

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.benchmarks import accuracy, demo, input_pipeline, real, speed, uncertainty
from bayesdl_sim.benchmarks.real import band_correlation, detail_against
from bayesdl_sim.benchmarks.scenes.charts import CHARTS
from bayesdl_sim.benchmarks.scenes.kept_out import SCENARIOS, kept_out_scene
from bayesdl_sim.benchmarks.shared.common import wide_field_images, wiener_images
from bayesdl_sim.benchmarks.shared.detection import (
    CONTROLS,
    EXCESS,
    LOOKS,
    SCORES,
    TRUE_ERROR,
    auroc_interval,
    choose_score,
    detection_table,
    image_scores,
    true_errors,
    with_excess,
)
from bayesdl_sim.benchmarks.shared.panels import brightest_square
from bayesdl_sim.data.formats.tiff_writer import write_map
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.evaluation.scenes import field_patterns, simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import pearson
from bayesdl_sim.metrics.profiles import liveliest_line, profile
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.physics.illumination import patterns
from bayesdl_sim.physics.image_formation import bin_to_camera, expected_frames, grid_for
from bayesdl_sim.physics.microscopes import random_microscope
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError

torch.set_num_threads(1)
METHODS = (
    "wide field",
    "Wiener, typical optics",
    "Wiener, nominal optics",
    "Wiener, true OTF",
    "BayesDL-SIM",
)
REAL_METHODS = ("wide field", "Wiener", "BayesDL-SIM")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two members of a tiny network with tails."""
    folder = tmp_path_factory.mktemp("members")
    config = network_config("unet", "gauss", in_channels=9, width=4, levels=2, blocks=1)
    for index in (1, 2):
        payload = member_payload(build_network(config, seed=index), {}, {})
        save_checkpoint(member_path(folder, index), payload)
    return folder


@pytest.fixture(scope="module")
def cell():
    (cell,) = simulated_cells(seed=7, cells=1, levels=2, size=64)
    return cell


def options(folder, save_path, *more):
    common = ["--pretrained_G", folder, "--save_path", save_path, "--device", "cpu"]
    return [str(word) for word in [*common, "--precision", "fp32", *more]]


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------- test cells


def test_same_seed_same_cells_and_other_seed_other_cells(cell):
    (again,) = simulated_cells(seed=7, cells=1, levels=2, size=64)
    (other,) = simulated_cells(seed=8, cells=1, levels=2, size=64)
    assert torch.equal(cell.raw, again.raw)
    assert np.array_equal(cell.target, again.target)
    assert not torch.equal(cell.raw, other.raw)


def test_seeds_of_training_sets_are_refused():
    with pytest.raises(InputError, match="trained on"):
        next(simulated_cells(seed=1, cells=1, levels=1, size=32))


def test_field_patterns_are_the_light_that_the_camera_sees():
    """A uniform layer shows the fringes themselves, where the phases say that they are."""
    microscope = random_microscope(torch.Generator().manual_seed(0))
    light = replace(microscope.illumination, frequency=(0.20, 0.21, 0.19), modulation=(1.0,) * 3)
    grid = grid_for((64, 64))
    imaged = expected_frames(torch.ones(grid.shape), replace(microscope, illumination=light), grid)
    stated = bin_to_camera(patterns(field_patterns(light, grid), (128, 128)))
    for frame, fringes in zip(imaged[:, 8:-8, 8:-8], stated[:, 8:-8, 8:-8], strict=True):
        assert pearson(frame.numpy(), fringes.numpy()) > 0.99


# --------------------------------------------------------------------------------- accuracy


def test_perfect_method_gets_perfect_scores(cell):
    methods = {"wide field": wide_field_images, "perfect": lambda scene: [scene.target] * 2}
    records = accuracy.score_scenes([cell], methods)
    assert len(records) == 4
    scores = {row["method"]: row for row in accuracy.mean_by(records, "method")}
    assert scores["perfect"]["psnr"] > 100
    assert scores["perfect"]["ssim"] == pytest.approx(1)
    assert scores["perfect"]["nrmse"] == pytest.approx(0, abs=1e-6)
    assert scores["perfect"]["ssim_legacy"] == pytest.approx(1)
    assert scores["wide field"]["psnr"] < 60


def test_bars_say_yes_to_a_perfect_posterior_and_no_to_wide_field(cell):
    def compare(ours):
        methods = {
            "wide field": wide_field_images,
            "Wiener, typical optics": wiener_images,
            "Wiener, nominal optics": wiener_images,
            "Wiener, true OTF": wiener_images,
            "BayesDL-SIM": ours,
        }
        rows = accuracy.bars(accuracy.score_scenes([cell], methods), {"psnr": 5.0, "ssim": 0.1})
        return [row["holds"] for row in rows]

    assert compare(lambda scene: [scene.target] * 2) == ["yes"] * 8
    assert compare(wide_field_images)[:2] == ["NO"] * 2


def test_accuracy_prints_and_writes_every_method(folder, tmp_path, capsys):
    small = ["--cells", "1", "--levels", "2", "--size", "48", "--oracle", "--border", "2"]
    accuracy.main(options(folder, tmp_path, *small, "--wrong_by", "0.15"))
    printed = capsys.readouterr().out
    informed = ("BayesDL-SIM, nominal optics", "BayesDL-SIM, wrong optics")
    further = (*informed, "Wiener, true OTF and patterns", accuracy.TUNED)
    for method in (*METHODS, *further):
        assert f"| {method} |" in printed
    records = rows_of(tmp_path / "accuracy.csv")
    assert len(records) == 2 * (len(METHODS) + len(further))
    stored = json.loads((tmp_path / "accuracy.json").read_text())
    assert stored["facts"]["members"] == 2
    assert len(stored["tables"]["Mean over all levels"]) == len(METHODS) + len(further)
    assert (tmp_path / "accuracy.md").read_text().strip() in printed


def test_demo_stack_with_its_target(folder, cell, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "raw.tif", cell.raw[1].numpy().astype(np.uint16))
    write_map(tmp_path / "gt.tif", cell.target, None)
    files = ["--raw", tmp_path / "raw.tif", "--target", tmp_path / "gt.tif"]
    demo.main(options(folder, tmp_path, *files))
    printed = capsys.readouterr().out
    assert all(f"| {method} |" in printed for method in METHODS)
    write_map(tmp_path / "gt.tif", cell.target[:-2], None)
    with pytest.raises(InputError, match="twice|expected to be"):
        demo.main(options(folder, tmp_path, *files))


# ------------------------------------------------------------------------------ uncertainty


def test_calibrated_prediction_covers_nine_in_ten(cell):
    targets = uncertainty.normalised_targets(cell)
    assert all(target is not None for target in targets)
    target = torch.stack(targets)
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    sigma = torch.full_like(target, 0.05)
    prediction = Prediction(target + 0.05 * noise, sigma, torch.zeros_like(sigma), sigma)
    records = uncertainty.calibration_records(cell, prediction, 1)
    for row in uncertainty.calibration_table(records, levels=2, cells=1):
        assert row["coverage"] == pytest.approx(0.9, abs=0.01)
        assert row["mean_z2"] == pytest.approx(1, abs=0.05)
        expected = 0.5 * math.log(2 * math.pi * 0.05**2) + 0.5
        assert row["nll"] == pytest.approx(expected, abs=0.03)
        assert row["covers 80-97 %"] == "yes"


def test_target_in_the_units_of_the_frames_follows_the_frames(cell):
    (bright,) = uncertainty.normalised_targets(replace(cell, raw=cell.raw[1:]))
    wide_field = normalisation_of(cell.raw[1]).apply(cell.raw[1]).mean(dim=0)
    assert float(bright.mean()) == pytest.approx(float(wide_field.mean()), abs=0.05)


@pytest.mark.parametrize("control", CONTROLS)
def test_separable_sets_have_an_auroc_of_one_and_a_control_is_never_chosen(control):
    near, far = np.arange(8.0).reshape(4, 2), 10 + np.arange(8.0).reshape(4, 2)
    known = dict.fromkeys(SCORES, far) | {"mean epistemic": near, control: near}
    images = dict.fromkeys(SCORES, near) | {"mean epistemic": far, control: far}
    unknown = dict.fromkeys(SCENARIOS, images)
    assert choose_score(known, unknown) == "mean epistemic"
    rows = detection_table(known, unknown, ["mean epistemic"], 1, bar=0.8)
    assert [row["mean epistemic"] for row in rows] == [1.0] * (len(SCENARIOS) + 3)
    assert {row[">= 0.8"] for row in rows} == {"yes"}
    assert rows[-1]["images"] == 4 * len(SCENARIOS)


def test_interval_of_an_auroc_holds_chance_where_nothing_differs_and_is_tight_where_all_does():
    rng = np.random.default_rng(0)
    same, other = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    low, high = auroc_interval(same, other, rng)
    assert low < 0.5 < high
    assert auroc_interval(same, other + 100, rng) == (1.0, 1.0)
    # three equal levels of a scene tell no more than one
    once = auroc_interval(same[:, :1], other[:, :1] + 1, np.random.default_rng(1))
    thrice = auroc_interval(
        same[:, :1].repeat(3, 1), other[:, :1].repeat(3, 1) + 1, np.random.default_rng(1)
    )
    assert thrice == pytest.approx(once)


def test_scores_are_per_image():
    maps = [torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    scores = image_scores(Prediction(*maps))
    one = image_scores(Prediction(*(image[1:] for image in maps)))
    for name in SCORES:
        assert scores[name][1] == pytest.approx(one[name][0])


def test_true_error_is_zero_for_the_target_itself_and_grows_with_noise(cell):
    target = torch.from_numpy(cell.target)
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    images = torch.stack([3 * target - 1, target + 0.1 * target.std() * noise, noise])[:, None]
    exact, noisy, wrong = true_errors(cell, Prediction(images, images, images, images))[TRUE_ERROR]
    assert exact == pytest.approx(0, abs=1e-5)
    assert exact < noisy < wrong


def test_excess_is_what_the_look_of_an_image_does_not_explain():
    rng = np.random.default_rng(0)
    looks = {name: rng.uniform(0.1, 1, (40, 3)) for name in (*SCORES, *LOOKS)}
    follows = 0.1 * looks["mean aleatoric"] ** 0.7 * looks["contrast"] ** 0.2
    known = looks | {"mean epistemic": follows}
    twice = looks | {"mean epistemic": 2 * follows}
    scores, unknown = with_excess(known, {"photograph": twice})
    np.testing.assert_allclose(scores[EXCESS], 0.0, atol=1e-9)
    np.testing.assert_allclose(unknown["photograph"][EXCESS], np.log(2), atol=1e-9)
    assert set(scores) == {*SCORES, EXCESS}  # looks alone are no score


def test_uncertainty_prints_every_scenario_and_score(folder, tmp_path, capsys):
    small = ["--cells", "2", "--kept_out", "2", "--levels", "1", "--size", "32"]
    uncertainty.main(options(folder, tmp_path, *small))
    printed = capsys.readouterr().out
    names = [*SCENARIOS, "all structures", "all microscopes", "all", *SCORES, EXCESS]
    for name in (*names, TRUE_ERROR):
        assert f"| {name} |" in printed
    assert {"coverage", "mean_z2", "nll"} <= set(rows_of(tmp_path / "uncertainty.csv")[0])


# --------------------------------------------------------------------------------- kept out


@pytest.mark.parametrize("name", SCENARIOS)
def test_kept_out_scenes_are_counts_and_repeat(name):
    scene = kept_out_scene(name, index=1, levels=2, size=40, seed=3)
    assert scene.raw.shape == (2, 9, 40, 40)
    assert torch.isfinite(scene.raw).all()
    assert (scene.raw >= 0).all()
    assert all(normalisation_of(stack).scale > 1 for stack in scene.raw)
    assert torch.equal(scene.raw, kept_out_scene(name, 1, 2, 40, 3).raw)
    assert not torch.equal(scene.raw, kept_out_scene(name, 2, 2, 40, 3).raw)


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_densities_of_any_shape(name):
    for index in range(12):
        image = CHARTS[name]((61, 90), index, torch.Generator().manual_seed(index))
        assert image.shape == (61, 90)
        assert image.dtype == torch.float32
        assert image.min() >= 0
        assert 0 < image.max() <= 1.001


def test_kept_out_microscopes_lie_outside_the_training_range():
    for index in range(4):
        scene = kept_out_scene("wide field fed as SIM", index, 1, 32, 3)
        assert scene.illumination.modulation == (0, 0, 0)
        light = kept_out_scene("pattern 0.10-0.14 cycles/px", index, 1, 32, 3).illumination
        assert 0.10 <= light.mean_frequency <= 0.14
        light = kept_out_scene("two orientations only", index, 1, 32, 3).illumination
        assert light.angle[1] == light.angle[2] != light.angle[0]
        optics = kept_out_scene("cut-off 0.15-0.20 cycles/px", index, 1, 32, 3).optics
        assert 0.15 <= optics.cutoff <= 0.20
        optics = kept_out_scene("cut-off 0.5 cycles/px", index, 1, 32, 3).optics
        assert optics.cutoff == pytest.approx(0.5)


# ------------------------------------------------------------------------- real, speed, input


def test_band_correlation_knows_the_same_structure_from_another():
    rng = np.random.default_rng(0)
    image, other = rng.normal(size=(2, 128, 128))
    assert band_correlation(image, image, 0.2, 0.4) == pytest.approx(1)
    assert band_correlation(image, -image, 0.2, 0.4) == pytest.approx(-1)
    assert abs(band_correlation(image, other, 0.2, 0.4)) < 0.1
    shifted = band_correlation(image, np.roll(image, 2, axis=0), 0.2, 0.4)
    assert shifted < 0.8  # the same structure elsewhere is not agreement


def test_fine_detail_is_a_share_of_that_of_another_image():
    rng = np.random.default_rng(1)
    coarse = gaussian_filter(rng.normal(size=(128, 128)), 12) * 50 + 10
    fine = rng.normal(size=(128, 128))
    lit = np.ones(coarse.shape, bool)
    share, correlation = detail_against(3 * (coarse + 0.5 * fine) + 7, coarse + fine, lit)
    assert share == pytest.approx(0.5, rel=0.05)
    assert correlation == pytest.approx(1, abs=0.02)


def test_zoom_holds_the_brightest_spot():
    image = np.zeros((60, 80))
    image[5, 70] = 1
    rows, columns = brightest_square(image, 20)
    assert rows.stop - rows.start == columns.stop - columns.start == 20
    assert image[rows, columns].max() == 1
    with pytest.raises(InputError, match="zoom"):
        brightest_square(image, 61)


def test_line_runs_across_the_lamellae_of_a_tube():
    rows, columns = np.indices((64, 64))
    guide = np.exp(-(((rows - 32) / 8.0) ** 2))  # a horizontal tube
    line = liveliest_line(guide * (1 + 0.3 * np.sin(columns)), guide)
    assert np.ptp(line.rows) < 0.3 * np.ptp(line.columns)
    assert profile(guide, line).min() > 0.6
    assert profile(columns, line) == pytest.approx(line.columns)


def test_real_writes_numbers_and_a_picture(folder, tmp_path, capsys):
    real.main(options(folder, tmp_path, "--stacks", "cristae"))
    printed = capsys.readouterr().out
    assert all(f"| cristae | {method} |" in printed for method in REAL_METHODS)
    rows = rows_of(tmp_path / "real.csv")
    assert 0.9 < float(rows[0]["RSP"]) <= 1
    assert (tmp_path / "real_cristae.png").stat().st_size > 50_000


def test_released_size_is_four_million_parameters():
    network = speed.released_network()
    assert sum(p.numel() for p in network.parameters()) == 4_096_456
    assert network(torch.zeros(1, 9, 6, 5)).shape == (1, 1, 12, 10)


def test_speed_measures_both_networks_in_both_precisions(folder, tmp_path, capsys, monkeypatch):
    asked = []

    def instead(case, argv):
        asked.append(case)
        cpu = 0.5 if case.startswith(speed.COMMAND) else 4.0
        return {"seconds": 2.0, "CPU seconds": cpu, "peak memory, GB": 0.5}

    monkeypatch.setattr(speed, "in_fresh_process", instead)
    small = ["--size", "48", "--members", "2", "--repeats", "1"]
    speed.main(options(folder, tmp_path, *small))
    printed = capsys.readouterr().out
    cases = (speed.OURS, speed.RELEASED, speed.COMMAND)  # these members have no student
    assert sorted(asked) == sorted(f"{n}:{p}" for n in cases for p in speed.PRECISIONS)
    what = "test.py: times less CPU than 2 members of the released size, fp32"
    assert f"| {what} | 16.00 | >= 13 | yes |" in printed
    assert (
        "| times faster than 2 members of the released size, fp32 | 2.000 | > 1 | yes |" in printed
    )
    assert "largest difference of tiles and whole field, epistemic" in printed


def test_fresh_process_measures_time_and_memory(folder):
    argv = ["--pretrained_G", str(folder), "--size", "32", "--members", "2", "--repeats", "1"]
    cost = speed.in_fresh_process(f"{speed.OURS}:fp32", [*argv, "--threads", "1"])
    assert 0 < cost["seconds"] < 60
    assert 0.05 < cost["peak memory, GB"] < 4


def test_the_whole_command_is_run_on_a_stack_with_fringes(folder, tmp_path, monkeypatch):
    asked = []

    def instead(command, **options):
        done = SimpleNamespace(returncode=0, stdout="", stderr="")
        if "-c" in command:  # stores the compiled modules
            return done
        asked.append(command)
        stack = tifffile.imread(command[command.index("--test_data") + 1])
        assert stack.shape == (9, 32, 32)
        return done

    monkeypatch.setattr(speed.subprocess, "run", instead)
    args = speed.parse_args(["--pretrained_G", str(folder), "--size", "32", "--members", "2"])
    cost = speed.whole_command(args, speed.COMMAND, "bf16")
    assert {"seconds", "CPU seconds", "peak memory, GB"} == {*cost}
    speed.whole_command(args, speed.FAST, "fp32")
    first, second = asked
    assert first[first.index("--members") + 1] == "2"
    assert first[first.index("--precision") + 1] == "bf16"
    assert "--fast" in second
    assert "--members" not in second


def test_failed_measurement_says_why(monkeypatch):
    done = SimpleNamespace(returncode=2, stdout="", stderr="noise\nerror: no posterior members\n")
    monkeypatch.setattr(speed.subprocess, "run", lambda *words, **options: done)
    with pytest.raises(InputError, match="RCAN:fp32 failed: no posterior members"):
        speed.in_fresh_process("RCAN:fp32", [])


def test_input_pipeline_compares_on_one_set(tmp_path, capsys):
    small = ["--cells", "3", "--levels", "1", "--size", "32", "--patches", "6"]
    small += ["--patch_size", "16", "--batch_size", "2", "--save_path", str(tmp_path)]
    input_pipeline.main(small)
    printed = capsys.readouterr().out
    assert "| reader of training, with first guesses |" in printed
    assert "| copy and first guesses are made |" in printed
    assert "| patches are read |" in printed
    rows = rows_of(tmp_path / "input_pipeline.csv")
    assert len(rows) == 4
    assert all(float(row["patches/s"]) > 0 for row in rows)


OWN_MEMORY = """
import sys
import numpy as np
from bayesdl_sim.benchmarks.input_pipeline import own_memory
size = 64 << 17
np.save(sys.argv[1], np.ones(size))
before = own_memory()
mapped = np.load(sys.argv[1], mmap_mode="r")
assert mapped.sum() == mapped.size  # every page was touched
assert own_memory() - before < 8 << 20
held = np.random.default_rng(0).random(4 * size)  # more than what was freed before
assert own_memory() - before > 0.7 * held.nbytes
"""


@pytest.mark.skipif(not input_pipeline.ROLLUP.is_file(), reason="Linux only")
def test_own_memory_counts_arrays_and_not_mapped_files(tmp_path):
    # A process of its own: memory that earlier tests freed would be used again.
    command = [sys.executable, "-c", OWN_MEMORY, str(tmp_path / "a.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------------------- console


def test_bad_options_are_refused_in_words(folder, tmp_path):
    with pytest.raises(InputError, match="--cells"):
        accuracy.main(options(folder, tmp_path, "--cells", "0"))
    with pytest.raises(SystemExit):
        accuracy.main(options(folder, tmp_path, "--cell", "3"))  # no abbreviations
    with pytest.raises(InputError):
        Posterior.load(tmp_path / "nothing")


def test_global_random_state_is_left_alone():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    kept_out_scene("letters", 0, 1, 32, 3)
    next(simulated_cells(seed=7, cells=1, levels=1, size=32))
    speed.released_network()
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002
