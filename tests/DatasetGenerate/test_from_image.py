"""A raw stack simulated from an image: right counts, right grids, never over measured data."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from bayesdl_sim.data.formats.otf import MEASURED_OTFS
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.DatasetGenerate import from_image
from bayesdl_sim.metrics.images import pearson
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def image(tmp_path):
    """A cell-like image of 96x128 px with a camera's background, as a file."""
    rng = np.random.default_rng(3)
    structure = gaussian_filter((rng.random((96, 128)) > 0.985).astype(float), 1.5)
    path = tmp_path / "structure.tif"
    tifffile.imwrite(path, (300 + 30000 * structure / structure.max()).astype(np.uint16))
    return path


def simulate(image, folder, *options):
    """Raw stack (9, H, W) in counts, target (2H, 2W) and the written facts."""
    from_image.main(["--image", str(image), "--save_path", str(folder), *options])
    raw = read_stack(folder / "raw.tif").raw[0]
    target = read_tiff(folder / "gt.tif")[0][0]
    return raw, target, json.loads((folder / "parameters.json").read_text(encoding="utf-8"))


def binned(picture):
    height, width = picture.shape
    return picture.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


def test_command_writes_files_that_imagej_and_test_py_read(image, tmp_path):
    command = [sys.executable, "-m", "DatasetGenerate.from_image", "--image", str(image)]
    command += ["--save_path", str(tmp_path / "out"), "--pixel_size_nm", "70"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    stack = read_stack(tmp_path / "out" / "raw.tif")
    assert stack.raw.shape == (1, 9, 48, 64)
    assert stack.pixel_size_nm == pytest.approx(70)
    target, pixel_size_nm = read_tiff(tmp_path / "out" / "gt.tif")
    assert target.shape == (1, 96, 128)
    assert target.dtype == np.float32
    assert pixel_size_nm == pytest.approx(35)
    with tifffile.TiffFile(tmp_path / "out" / "raw.tif") as file:
        assert file.is_imagej
        assert file.pages.first.dtype == np.uint16
        assert len(file.pages) == 9


def test_counts_have_the_requested_signal(image, tmp_path):
    raw, _, facts = simulate(image, tmp_path / "out", "--signal", "200")
    camera = facts["microscope"]["camera"]
    electrons = (raw.mean(axis=0) - camera["offset"]) / camera["gain"]
    low, high = electrons.min(), electrons.max()
    lit = electrons[electrons >= low + 0.1 * (high - low)]
    assert np.median(lit) == pytest.approx(200, rel=0.1)


def test_raw_and_target_show_the_image_at_its_place(image, tmp_path):
    raw, target, _ = simulate(image, tmp_path / "out", "--signal", "500")
    truth = tifffile.imread(image).astype(float)
    assert pearson(target, truth) > 0.9
    assert target.min() >= 0
    assert target.max() == pytest.approx(1.0)
    wide_field = raw.mean(axis=0)
    agreement = pearson(wide_field, gaussian_filter(binned(truth), 1.0))
    assert agreement > 0.9
    for shift in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        moved = np.roll(wide_field, shift, axis=(0, 1))
        assert pearson(moved, gaussian_filter(binned(truth), 1.0)) < agreement


def test_three_phases_of_an_orientation_add_up_to_wide_field(image, tmp_path):
    raw, _, facts = simulate(image, tmp_path / "out", "--signal", "5000")
    light = raw - facts["microscope"]["camera"]["offset"]
    sums = light.reshape(3, 3, *light.shape[1:]).mean(axis=1)
    brightness = facts["microscope"]["illumination"]["brightness"]
    for a, b, ratio in (
        (0, 1, brightness[0] / brightness[1]),
        (0, 2, brightness[0] / brightness[2]),
    ):
        assert pearson(sums[a], sums[b]) > 0.99
        assert sums[a].sum() / sums[b].sum() == pytest.approx(ratio, rel=0.02)
    assert pearson(light[0], light[1]) < 0.99  # but the frames differ


def test_same_seed_same_bytes(image, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        simulate(image, tmp_path / name, "--seed", seed)
    for file in ("raw.tif", "gt.tif", "parameters.json"):
        first = (tmp_path / "a" / file).read_bytes()
        assert first == (tmp_path / "b" / file).read_bytes()
        assert first != (tmp_path / "c" / file).read_bytes() or file == "gt.tif"


def test_a_constant_background_changes_nothing(image, tmp_path):
    brighter = tmp_path / "brighter.tif"
    tifffile.imwrite(brighter, tifffile.imread(image) + np.uint16(1000))
    simulate(image, tmp_path / "a")
    simulate(brighter, tmp_path / "b")
    for file in ("raw.tif", "gt.tif"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_bright_clumps_are_cut_off(image, tmp_path):
    clumped = tifffile.imread(image)
    clumped[40:42, 60:62] = 65535
    path = tmp_path / "clumped.tif"
    tifffile.imwrite(path, clumped)
    _, whole, _ = simulate(path, tmp_path / "a")
    _, cut, facts = simulate(path, tmp_path / "b", "--saturate", "99")
    assert facts["saturate_percentile"] == 99.0
    assert np.median(cut) > 1.2 * np.median(whole)  # its full scale is lower
    limit = np.percentile(clumped, 99)
    expected = np.clip(clumped, np.percentile(clumped, 0.5), limit).astype(float)
    density, _ = from_image.structure_from(clumped, saturate=99)
    assert density == pytest.approx((expected - expected.min()) / np.ptp(expected), abs=1e-6)
    for value in ("0", "101", "nan"):
        with pytest.raises(InputError, match="--saturate is a percentile"):
            simulate(image, tmp_path / "c", "--saturate", value)


def test_facts_name_the_source_but_not_where_it_lay(image, tmp_path):
    _, _, facts = simulate(image, tmp_path / "out", "--seed", "4", "--signal", "12")
    assert facts["image"] == "structure.tif"
    assert len(facts["image_sha256"]) == 64
    assert (facts["seed"], facts["signal_e"]) == (4, 12.0)
    assert facts["otf"] == MEASURED_OTFS[0][0].name
    assert facts["microscope"]["illumination"]["frequency"] == [0.348] * 3
    assert str(tmp_path) not in (tmp_path / "out" / "parameters.json").read_text(encoding="utf-8")


def test_otf_of_ones_own_needs_its_cut_off(image, tmp_path):
    mine = tmp_path / "mine.mrc"
    shutil.copyfile(MEASURED_OTFS[2][0], mine)
    with pytest.raises(InputError, match=r"mine\.mrc .* --na and --emission_nm"):
        simulate(image, tmp_path / "a", "--otf", str(mine))
    options = ("--otf", str(mine), "--na", "1.26", "--emission_nm", "690")
    _, _, facts = simulate(image, tmp_path / "b", *options)
    assert facts["microscope"]["optics"]["cutoff"] == pytest.approx(2 * 1.26 / 690 * 62.6, abs=1e-6)
    known = from_image.optics_from(MEASURED_OTFS[2][0], 62.6)
    assert (known.na, known.emission_nm) == MEASURED_OTFS[2][1:]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((65, 96)), "65x96 px, but even sides"),
        (np.ones((32, 32)), "at least 64 px"),
        (np.ones((64, 64)), "is constant"),
        (np.full((64, 64), np.nan), "NaN or infinite"),
        (np.ones((3, 64, 66)), "holds 3 images"),
    ],
    ids=["odd", "small", "constant", "nan", "stack"],
)
def test_unsuitable_images_are_refused(tmp_path, array, message):
    path = tmp_path / "bad.tif"
    tifffile.imwrite(path, array.astype(np.float32), photometric="minisblack")
    with pytest.raises(InputError, match=message) as caught:
        simulate(path, tmp_path / "out")
    assert "bad.tif" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match="image of the structure: no file"):
        simulate(tmp_path / "none.tif", tmp_path / "out")


def test_measured_data_is_never_replaced(image, tmp_path):
    (tmp_path / "raw.tif").write_bytes(b"measured")
    with pytest.raises(InputError, match=r"already holds raw\.tif"):
        simulate(image, tmp_path)
    assert (tmp_path / "raw.tif").read_bytes() == b"measured"


@pytest.mark.parametrize("option", ["--signal", "--pixel_size_nm", "--na", "--emission_nm"])
@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan"])
def test_impossible_numbers_are_refused(option, value):
    with pytest.raises(InputError, match=f"{option}: expected a positive number"):
        from_image.parse_args(["--image", "a.tif", "--save_path", "b", option, value])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pixel_size_nm", "1000"), "a cut-off of 5.465 cycles per pixel, expected 0.1 to 0.5"),
        (("--pixel_size_nm", "0.065"), "pixels of 0.065 nm give a cut-off of 0.000"),
        (("--na", "140"), "na: expected 0.1 to 1.7, found 140"),
        (("--emission_nm", "0.525"), "wavelength_nm: expected 300 to 1000 nm, found 0.525"),
        (
            ("--signal", "1e9"),
            r"signal: with 1e\+09 electrons .* are saturated, at 65535: choose",
        ),
    ],
)
def test_numbers_of_a_wrong_unit_are_refused(image, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        simulate(image, tmp_path / "out", *options)
    assert not list(tmp_path.glob("out/*.tif"))


def test_sharpening_gives_content_that_the_image_lacks(image, tmp_path):
    _, plain, facts = simulate(image, tmp_path / "a")
    assert facts["sharpen_steps"] == 0
    _, sharp, facts = simulate(image, tmp_path / "b", "--sharpen", "10")
    assert facts["sharpen_steps"] == 10
    assert pearson(plain, sharp) > 0.8  # at the same place

    def fine(picture):
        spectrum = np.abs(np.fft.rfft2(picture)) ** 2
        radius = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(128)[None])
        return spectrum[radius > 0.17].sum() / spectrum.sum()

    assert fine(sharp) > 1.5 * fine(plain)
    with pytest.raises(InputError, match="--sharpen: expected 0 or more"):
        simulate(image, tmp_path / "c", "--sharpen", "-1")


def test_a_part_of_the_image_can_be_taken(image, tmp_path):
    _, part, facts = simulate(image, tmp_path / "a", "--crop", "10", "32", "64", "96")
    assert facts["crop"] == [10, 32, 64, 96]
    assert part.shape == (64, 96)
    assert pearson(part, tifffile.imread(image)[10:74, 32:128].astype(float)) > 0.9
    with pytest.raises(InputError, match="crop: expected"):
        simulate(image, tmp_path / "b", "--crop", "40", "32", "64", "96")
    with pytest.raises(InputError, match="crop: expected"):
        simulate(image, tmp_path / "b", "--crop", "-1", "0", "64", "64")
