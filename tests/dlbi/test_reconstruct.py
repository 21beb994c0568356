"""The command: files that are written, what is given and what is estimated, errors in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.dlbi.reconstruct import main, parse_args
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json

ROOT = Path(__file__).resolve().parents[2]


def run(movie, folder, *options):
    main(["--movie", str(movie), "--save_path", str(folder), "--device", "cpu", *options])


@pytest.fixture(scope="module")
def result(movie_folder, untrained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    run(
        movie_folder / "movie_1" / "movie.tif",
        folder,
        *("--stage", "network", "--pretrained_G", str(untrained), "--precision", "fp32"),
    )
    return folder


def test_maps_on_the_eightfold_grid_with_their_pixel_size(result):
    for name in ("Structure", "Probability", "Uncertainty"):
        (image,), pixel_size_nm = read_tiff(result / f"{name}.tif")
        assert image.shape == (160, 192)
        assert image.dtype == np.float32
        assert pixel_size_nm == pytest.approx(20)
    assert (result / "Overview.png").stat().st_size > 10_000


def test_the_record_says_what_it_was_made_with(result):
    record = read_json(result / "reconstruction.json")
    assert record["frames"] == 40
    assert [stage["stage"] for stage in record["stages"]] == ["moments", "network"]
    assert len(record["stages"][1]["members"][0]["sha256"]) == 64
    assert record["calibration"]["estimated"] == ["fwhm_px", "gain", "offset"]
    assert record["versions"]["torch"]
    assert record["uncertainty"].startswith("standard deviation of the structure between the mem")
    assert [stage["uncertainty"] for stage in record["stages"]] == [
        "not computed for this stage",
        record["uncertainty"],
    ]


def test_same_movie_same_bytes(result, movie_folder, untrained, tmp_path):
    run(
        movie_folder / "movie_1" / "movie.tif",
        tmp_path,
        *("--stage", "network", "--pretrained_G", str(untrained), "--precision", "fp32"),
    )
    for name in ("Structure.tif", "Probability.tif", "Uncertainty.tif"):
        assert (tmp_path / name).read_bytes() == (result / name).read_bytes()


def test_draws_are_whole_numbers_around_the_structure(movie_folder, untrained, tmp_path):
    movie = movie_folder / "movie_1" / "movie.tif"
    members = ("--pretrained_G", str(untrained), "--precision", "fp32")
    run(movie, tmp_path, *members, "--draws", "40")
    drawn, pixel_size_nm = read_tiff(tmp_path / "Draws.tif")
    assert drawn.shape == (40, 160, 192)
    assert drawn.dtype == np.uint16
    assert pixel_size_nm == pytest.approx(20)
    (structure,), _ = read_tiff(tmp_path / "Structure.tif")
    expected = structure.sum(dtype=np.float64)
    sums = drawn.sum(axis=(1, 2))
    assert abs(sums.mean() - expected) < 4 * max(sums.std(), expected**0.5) / 40**0.5
    assert sums.std() > 0
    run(movie, tmp_path, *members)
    assert not (tmp_path / "Draws.tif").exists()  # it would belong to another result


def test_draws_need_the_last_stage(tmp_path):
    options = ["--movie", "m.tif", "--save_path", str(tmp_path), "--draws", "2"]
    with pytest.raises(InputError, match="draws: the stage network has none"):
        parse_args([*options, "--stage", "network"])
    with pytest.raises(InputError, match="draws: expected 0 or more, found -1"):
        parse_args([*options[:-1], "-1"])


def test_given_width_in_nanometres(movie_folder, tmp_path, capsys):
    movie = movie_folder / "movie_1" / "movie.tif"
    run(movie, tmp_path, "--stage", "moments", "--fwhm_nm", "400", "--pixel_size_nm", "160")
    assert "spots 2.50 px (400 nm) wide (given)" in capsys.readouterr().out


def test_a_given_offset_is_used_and_a_contradiction_is_printed(movie_folder, tmp_path, capsys):
    movie = movie_folder / "movie_1" / "movie.tif"
    run(movie, tmp_path, "--stage", "moments", "--offset", "100", "--gain", "20")
    printed = capsys.readouterr().out
    assert "e of light, read noise " in printed
    assert "note: a gain of 20 counts per electron is given, but the noise" in printed
    record = read_json(tmp_path / "reconstruction.json")
    assert record["calibration"]["offset"] == 100
    assert record["calibration"]["shift"] <= 100
    assert any("a gain of 20" in text for text in record["warnings"])
    assert "contradictions" not in record["calibration"]


def test_one_colour_of_two_gives_the_bytes_of_its_own_file(movie_folder, tmp_path):
    frames, _ = read_tiff(movie_folder / "movie_1" / "movie.tif")
    tifffile.imwrite(tmp_path / "one.tif", frames)
    both = np.stack([np.zeros_like(frames), frames], axis=1)
    tifffile.imwrite(tmp_path / "two.ome.tif", both, metadata={"axes": "TCYX"})
    with pytest.raises(InputError, match="holds 2 colours"):
        run(tmp_path / "two.ome.tif", tmp_path / "b", "--stage", "moments")
    run(tmp_path / "one.tif", tmp_path / "a", "--stage", "moments", "--pixel_size_nm", "160")
    options = ("--channel", "2", "--pixel_size_nm", "160")
    run(tmp_path / "two.ome.tif", tmp_path / "b", "--stage", "moments", *options)
    maps = [(tmp_path / name / "Structure.tif").read_bytes() for name in "ab"]
    assert maps[0] == maps[1]


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_an_offset_that_is_no_number(value):
    with pytest.raises(InputError, match="offset: expected a finite number"):
        parse_args(["--movie", "a.tif", "--save_path", "b", "--offset", value])


def test_nanometres_need_a_pixel_size(movie_folder, tmp_path):
    frames, _ = read_tiff(movie_folder / "movie_1" / "movie.tif")
    tifffile.imwrite(tmp_path / "plain.tif", frames)
    with pytest.raises(InputError, match="give pixel_size_nm, too"):
        run(tmp_path / "plain.tif", tmp_path / "out", "--stage", "moments", "--fwhm_nm", "400")


@pytest.mark.parametrize("option", ["gain", "fwhm_nm", "pixel_size_nm"])
@pytest.mark.parametrize("value", ["-1", "0", "inf", "nan"])
def test_impossible_numbers(option, value):
    with pytest.raises(InputError, match=f"{option}: expected a positive number"):
        parse_args(["--movie", "a.tif", "--save_path", "b", f"--{option}", value])


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.full((1, 20, 20), 100, np.uint16), "holds 1 frame"),
        (np.full((30, 20, 20), 100, np.uint16), "all its pixels are equal"),
        (np.full((30, 20, 20, 3), 100, np.uint8), "colour"),
    ],
)
def test_wrong_movies_get_one_line(tmp_path, frames, words):
    colour = {"photometric": "rgb"} if frames.ndim == 4 else {}
    tifffile.imwrite(tmp_path / "movie.tif", frames, **colour)
    with pytest.raises(InputError, match=words):
        run(tmp_path / "movie.tif", tmp_path / "out", "--stage", "moments")


def test_an_error_of_the_command_is_one_line_without_a_traceback(tmp_path):
    tifffile.imwrite(tmp_path / "movie.tif", np.full((1, 20, 20), 100, np.uint16))
    command = [sys.executable, "-m", "dlbi.reconstruct", "--movie", str(tmp_path / "movie.tif")]
    done = subprocess.run(
        [*command, "--save_path", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "holds 1 frame" in line
