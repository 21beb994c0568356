"""The command of the simulator: files that are read back, images as structures, errors."""

import imageio.v3 as iio
import numpy as np
import pytest

from bayesdl_sim.data.formats.tiff import read_image, read_tiff
from bayesdl_sim.dlbi.simulate import main
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json

SMALL = ["--size", "16", "24", "--frames", "12", "--seed", "3"]


def test_files_of_a_movie(tmp_path):
    main(["--save_path", str(tmp_path), *SMALL])
    frames, pixel_size_nm = read_tiff(tmp_path / "movie_1" / "movie.tif")
    assert frames.shape == (12, 16, 24)
    assert frames.dtype == np.uint16
    assert pixel_size_nm == pytest.approx(160)
    truth = read_image(tmp_path / "movie_1" / "fluorophores.tif")
    assert truth.shape == (128, 192)
    coarse = read_image(tmp_path / "movie_1" / "fluorophores_2x.tif")
    assert coarse.shape == (32, 48)
    assert coarse.sum() == truth.sum()
    parameters = read_json(tmp_path / "movie_1" / "parameters.json")
    assert parameters["fluorophore"]["p1"] == 0.21


def test_same_seed_same_bytes(tmp_path):
    for name in ("a", "b"):
        main(["--save_path", str(tmp_path / name), *SMALL])
    for file in ("movie.tif", "fluorophores.tif", "parameters.json"):
        first, second = ((tmp_path / name / "movie_1" / file).read_bytes() for name in "ab")
        assert first == second


def test_images_as_structures(tmp_path):
    picture = np.zeros((60, 90), np.uint8)
    picture[20:40, 30:60] = 200
    iio.imwrite(tmp_path / "square.png", picture)
    main(["--save_path", str(tmp_path / "out"), "--images", str(tmp_path), *SMALL])
    truth = read_image(tmp_path / "out" / "movie_1" / "fluorophores.tif")
    assert truth.sum() > 0
    centre = truth[56:72, 88:104]  # the middle of the square has no edge
    assert centre.sum() == 0


def test_a_folder_without_images(tmp_path):
    with pytest.raises(InputError, match="no image there"):
        main(["--save_path", str(tmp_path / "out"), "--images", str(tmp_path), *SMALL])


def test_an_image_without_edges(tmp_path):
    iio.imwrite(tmp_path / "grey.png", np.full((60, 60), 90, np.uint8))
    with pytest.raises(InputError, match="no edges"):
        main(["--save_path", str(tmp_path / "out"), "--images", str(tmp_path), *SMALL])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--frames", "0"], "frames: expected a positive"),
        (["--size", "15", "60"], "size: expected at least 16 x 16 .* found 15 x 60"),
        (["--frames", "3"], "frames: expected at least 4, as a reconstruction needs, found 3"),
        (["--gain", "0"], "gain: expected a positive"),
        (["--photons", "inf"], "photons: expected a positive"),
        (["--fwhm_px", "nan"], "fwhm_px: expected a positive"),
        (["--seed", "-1"], "seed: expected at least 0, found -1"),
        (["--background_fraction", "-0.5"], "background_fraction: expected 0 to 10000, found -0.5"),
        (["--read_noise", "-1"], "read_noise: expected 0 to 10000"),
        (["--photon_spread", "-1"], "photon_spread: expected 0 to 3"),
        (["--width_jitter", "0.8"], "width_jitter: expected 0 to 0.5, found 0.8"),
        (["--density", "1.5"], "density: expected 0 to 1"),
        (["--offset", "nan"], "offset: expected 0 to 65535"),
    ],
)
def test_impossible_settings(tmp_path, option, words):
    with pytest.raises(InputError, match=words):
        main(["--save_path", str(tmp_path), *SMALL, *option])
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--photons", "1e9"], "are at the limit of the camera, and a reconstruction refuses it"),
        (["--fluorophores_per_px", "1e-6"], "no fluorophore lies in the field"),
    ],
)
def test_movies_that_no_reconstruction_can_use_are_noted(tmp_path, capsys, option, words):
    main(["--save_path", str(tmp_path), *SMALL, *option])
    said = capsys.readouterr().out
    assert f"note: movie_1: {words}" in said or f"% of its values {words}" in said
    assert (tmp_path / "movie_1" / "movie.tif").is_file()


def test_good_movies_pass_without_a_note_and_are_counted(tmp_path, capsys):
    for count, noun in (("1", "1 movie of"), ("2", "2 movies of")):
        main(["--save_path", str(tmp_path / count), *SMALL, "--movies", count])
        said = capsys.readouterr().out
        assert noun in said
        assert "note" not in said
