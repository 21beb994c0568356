"""evaluate.py from a data set to a report, and the calibration from calibrate.py to test.py."""

import csv
import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation.predicting import labels
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("report.html", "summary.json", "metrics.csv", "uncertainty.csv")
CHARTS = ("reliability.png", "sparsification.png", "z.png", "psnr.png", "ssim.png")
DECILES = ("deciles_intensity.png", "deciles_signal.png")
EXAMPLES = ("example_1_images.png", "example_1_uncertainty.png")
FILES = (*TABLES, *CHARTS, *DECILES, *EXAMPLES)


@pytest.fixture(scope="session")
def evaluate():
    """The script's `main`."""
    return runpy.run_path(str(ROOT / "evaluate.py"))["main"]


@pytest.fixture(scope="session")
def calibrate():
    """The script's `main`."""
    return runpy.run_path(str(ROOT / "calibrate.py"))["main"]


@pytest.fixture(scope="session")
def infer():
    """The `main` of test.py; by path, since `import test` is the standard library's."""
    return runpy.run_path(str(ROOT / "test.py"))["main"]


def save_members(folder, count, likelihood="gauss"):
    """Members near the upsampled wide field, with a constant log-variance."""
    config = network_config("unet", likelihood, in_channels=9, width=8, levels=1, blocks=1)
    for index in range(1, count + 1):
        network = build_network(config, seed=index)
        with torch.no_grad():
            for weight in network.trunk.parameters():
                weight *= 0.3
            if network.tail is not None:
                generator = torch.Generator().manual_seed(index)
                network.tail.output.weight.normal_(0, 0.3, generator=generator)
        payload = member_payload(network, {"kind": "sgld", "temperature": 1.0}, {"sample": "x"})
        save_checkpoint(member_path(folder, index), payload)


@pytest.fixture
def posterior(tmp_path):
    """Two small members with tails."""
    folder = tmp_path / "members"
    save_members(folder, 2)
    return folder


def options(root, posterior, *more):
    words = ["--root_dir", root, "--pretrained_G", posterior, "--device", "cpu"]
    return [str(word) for word in [*words, "--precision", "fp32", "--pixels", 2000, *more]]


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_report_of_a_small_set(evaluate, small_set, posterior, tmp_path, capsys):
    other = tmp_path / "other"
    save_members(other, 1, likelihood="")
    out = tmp_path / "my report"
    evaluate(options(small_set, posterior, "--save_path", out, "--compare", other))
    printed = capsys.readouterr().out
    assert [name for name in FILES if not (out / name).is_file()] == []

    tree = DatasetTree(small_set)
    (cell,) = tree.spec.splits["test"]
    rows = rows_of(out / "metrics.csv")
    methods = ["BayesDL-SIM", "other", "wide field", "Wiener SIM", "Richardson-Lucy"]
    methods.append("BayesDL-SIM, frames shuffled")
    assert [(int(r["cell"]), int(r["level"]), r["method"]) for r in rows] == [
        (cell, level, method) for level in (1, 2) for method in methods
    ]
    for row in rows:
        assert row["structure"] == "F-actin"
        assert 5 < float(row["psnr"]) < 60
        assert 0 < float(row["ms_ssim"]) <= 1
        assert float(row["frc_nm"]) == pytest.approx(
            float(row["frc_px"]) * float(row["sr_pixel_nm"])
        )
    scores = rows_of(out / "uncertainty.csv")
    assert len(scores) == 2 * 4  # the member that states no uncertainty has no row
    for row in scores:
        assert 0 <= float(row["coverage_0.5"]) <= float(row["coverage_0.9"]) <= 1
        assert float(row["ause"]) >= -1e-9
    constant = [row for row in scores if row["method"] == "one constant"]
    assert all(abs(float(row["aurg"])) < 1e-6 for row in constant)

    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["cells"] == [cell]
    assert {row["what"] for row in summary["tables"]["Bars"]} >= {"mean z^2"}
    assert "NOT MET" in printed or "met" in printed
    gains = summary["tables"]["Fringe gain, PSNR in dB"]
    assert [row["level"] for row in gains] == [1, 2]

    page = (out / "report.html").read_text(encoding="utf-8")
    assert "http:" not in page
    assert "https:" not in page
    assert not re.search(r'src="(?!data:image/png;base64,)', page)
    assert page.count("data:image/png;base64,") == len(list(out.glob("*.png"))) == 11


def test_calibration_goes_from_calibrate_to_test(
    calibrate, infer, small_set, posterior, tmp_path, capsys
):
    calibrate(options(small_set, posterior, "--gate_cells", "0"))
    printed = capsys.readouterr().out
    assert "no finite interval can keep it with 1 cells" in printed
    path = posterior / "calibration.json"
    file = read_json(path)
    assert [item["file"] for item in file["members"]] == ["member_01.pth", "member_02.pth"]
    assert file["fitted_on"]["cell_numbers"] == DatasetTree(small_set).spec.splits["validation"]
    alone, stored = file["by_members"]
    assert (alone["members"], stored["members"]) == (1, 2)
    assert [entry["factor"] for entry in stored["conformal"]] == [None, None, None]

    frames = DatasetTree(small_set).raw_folder(1, 2)

    def maps(name, *more):
        words = ["--test_data", frames, "--pretrained_G", posterior, "--device", "cpu"]
        words += ["--precision", "fp32", "--save_path", tmp_path / name, *more]
        infer([str(word) for word in words])
        facts = read_json(tmp_path / name / "prediction.json")
        files = {path.stem: tifffile.imread(path) for path in (tmp_path / name).glob("*.tif")}
        return facts, files

    facts, plain = maps("plain", "--calibration", "none")
    assert facts["calibration"]["applied"] is False
    assert "Lower" not in plain
    facts, channels = maps("calibrated", "--interval", "0.9")
    assert "standard deviations x" in capsys.readouterr().out
    assert facts["calibration"]["scale"] == pytest.approx(stored["scale"])
    for name in ("Aleatoric", "Epistemic"):
        np.testing.assert_allclose(channels[name], stored["scale"] * plain[name], rtol=1e-5)
    np.testing.assert_array_equal(channels["SR"], plain["SR"])
    assert channels["Lower"].dtype == np.float32
    total = np.sqrt(channels["Aleatoric"] ** 2 + channels["Epistemic"] ** 2)
    width = facts["interval"]["high"] - facts["interval"]["low"]
    np.testing.assert_allclose(
        channels["Upper"] - channels["Lower"], width * total, rtol=1e-3, atol=1e-6
    )
    assert "without a guarantee" in facts["interval"]["meaning"]
    # a call without --interval leaves no bounds of an earlier one
    maps("calibrated")
    assert not (tmp_path / "calibrated" / "Upper.tif").exists()

    # the first member alone has a calibration of its own, and with it a total uncertainty
    facts, one = maps("one", "--members", "1", "--interval", "0.9")
    assert facts["calibration"]["scale"] == pytest.approx(alone["scale"])
    assert facts["channels"][:3] == ["SR", "Aleatoric", "Total"]
    assert facts["not_modelled"] == ["Epistemic"]
    width = facts["interval"]["high"] - facts["interval"]["low"]
    np.testing.assert_allclose(
        one["Upper"] - one["Lower"], width * one["Aleatoric"], rtol=1e-3, atol=1e-6
    )

    # a factor by image-level features, here the same for every image
    features = {"weights": [0.5] + [0.0] * 4, "low": [-9.0] * 4, "high": [9.0] * 4}
    write_json(path, {**file, "by_members": [alone, {**stored, "by_features": features}]})
    facts, channels = maps("with_features")
    assert facts["deviations_multiplied_by"] == [pytest.approx(stored["scale"] * np.exp(0.25))]
    for name in ("Aleatoric", "Epistemic"):
        expected = facts["deviations_multiplied_by"][0] * plain[name]
        np.testing.assert_allclose(channels[name], expected, rtol=1e-5)

    save_members(posterior, 3)  # another posterior now
    facts, channels = maps("other")
    assert "WARNING: uncertainties are not calibrated" in capsys.readouterr().out
    assert facts["calibration"]["applied"] is False
    with pytest.raises(InputError, match="fitted for 1 to 2 other member"):
        maps("named", "--calibration", posterior / "calibration.json")


def test_stored_calibration_is_used_by_the_report(
    evaluate, calibrate, small_set, posterior, tmp_path
):
    calibrate(options(small_set, posterior, "--gate_cells", "0"))
    path = posterior / "calibration.json"
    file = read_json(path)
    changed = {**file["by_members"][1], "scale": 3.5, "probability_map": None}
    write_json(path, {**file, "by_members": [file["by_members"][0], changed]})
    arguments = ("--save_path", tmp_path / "out", "--classical", "False", "--max_stacks", "1")
    evaluate(options(small_set, posterior, *arguments))
    rows = {row["method"]: row for row in rows_of(tmp_path / "out" / "uncertainty.csv")}
    ratio = [
        float(rows[f"BayesDL-SIM, {words}"]["mean_z2"]) for words in ("as predicted", "calibrated")
    ]
    assert ratio[0] / ratio[1] == pytest.approx(3.5**2)
    assert "stored with the members" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert len(rows_of(tmp_path / "out" / "metrics.csv")) == 2


def test_a_bad_stack_does_not_stop_the_others(evaluate, small_set, posterior, tmp_path, capsys):
    root = tmp_path / "set"
    shutil.copytree(small_set, root, ignore=shutil.ignore_patterns(".cache"))
    tree = DatasetTree(root)
    (cell,) = tree.spec.splits["test"]
    tree.raw_paths(cell, 1)[4].write_bytes(b"no image")
    out = tmp_path / "out"
    arguments = options(root, posterior, "--save_path", out, "--classical", "False")
    with pytest.raises(SystemExit) as ended:
        run_script(lambda: evaluate(arguments))
    assert ended.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: 1 of 2 stacks could not be evaluated")
    assert str(out / "report.html") in error
    assert f"cell {cell}, level 1" in (out / "report.html").read_text(encoding="utf-8")
    assert [row["level"] for row in rows_of(out / "metrics.csv")] == ["2", "2"]


def test_classical_images_are_not_left_out_without_a_word(
    evaluate, small_set, posterior, tmp_path, capsys
):
    root = tmp_path / "measured"
    shutil.copytree(small_set, root, ignore=shutil.ignore_patterns(".cache"))
    record = read_json(root / "dataset.json")
    del record["details"]["cells"]  # measured sets state no microscope
    write_json(root / "dataset.json", record)
    words = options(root, posterior, "--max_stacks", "1", "--save_path")
    evaluate([*words, str(tmp_path / "without")])
    note = (
        "Wiener SIM and Richardson-Lucy are left out for 1 of 1 stacks, whose microscope the set "
        "does not state: give na, wavelength_nm, pixel_size_nm"
    )
    assert note in capsys.readouterr().out
    assert note in (tmp_path / "without" / "report.html").read_text(encoding="utf-8")
    lens = ["--na", "1.4", "--emission_nm", "525", "--pixel_size_nm", "65"]
    evaluate([*words, str(tmp_path / "with"), *lens])
    assert "left out for" not in capsys.readouterr().out
    rows = {row["method"]: row for row in rows_of(tmp_path / "with" / "metrics.csv")}
    assert {"Wiener SIM", "Richardson-Lucy"} <= set(rows)
    assert float(rows["Wiener SIM"]["sr_pixel_nm"]) == 32.5


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "--save_path"),
        (("--save_path", "x", "--na", "1.4"), "na and wavelength_nm"),
        (("--save_path", "x", "--cells", "99"), "cell 99 is not in"),
        (("--save_path", "x", "--cells", "1-2", "--calibration_cells", "2"), "choose one"),
        (("--save_path", "x", "--pixels", "3"), "--pixels: expected at least 100"),
        (("--calibrate",), "python calibrate.py"),
    ],
)
def test_wrong_wishes_end_with_one_line(evaluate, small_set, posterior, capsys, more, words):
    with pytest.raises(SystemExit) as ended:
        run_script(lambda: evaluate(options(small_set, posterior, *more)))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error


def test_members_without_any_uncertainty_cannot_be_calibrated(calibrate, small_set, tmp_path):
    save_members(tmp_path / "one", 1, likelihood="")
    with pytest.raises(InputError, match="states no uncertainty"):
        calibrate(options(small_set, tmp_path / "one"))


def test_calibration_needs_cells_of_the_set(calibrate, small_set, posterior):
    with pytest.raises(InputError, match="cell 50 is not in"):
        calibrate(options(small_set, posterior, "--cells", "50"))


def test_interval_needs_a_total_uncertainty(infer, small_set, tmp_path):
    save_members(tmp_path / "one", 1)
    stack = DatasetTree(small_set).raw_folder(1, 1)
    words = ["--test_data", stack, "--pretrained_G", tmp_path / "one"]
    words += ["--save_path", tmp_path / "out", "--interval"]
    with pytest.raises(InputError, match="total uncertainty"):
        infer([str(word) for word in [*words, 0.9]])
    with pytest.raises(InputError, match=r"0\.5 to 0\.99"):
        infer([str(word) for word in [*words, 90]])


def test_checkpoints_of_one_name_are_kept_apart():
    paths = [Path("a/pretrained_G"), Path("b/pretrained_G"), Path("c/mine"), Path("wide field")]
    assert labels(paths) == {
        str(paths[0]): paths[0],
        str(paths[1]): paths[1],
        "mine": paths[2],
        "wide field": paths[3],
    }
