"""Plain methods, and the cases that all are judged on."""

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.moments.imaging import imaging_of
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.scoring.baselines import deconvolved_mean, deconvolved_variance, mean_image
from bayesdl_sim.dlbi.scoring.cases import STANDARD, cases_of, standard_cases
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA
from bayesdl_sim.utils.errors import InputError

FWHM_PX = 2.5


@pytest.fixture(scope="module")
def point():
    """Moments of a single emitter that is on in half of the frames, without noise."""
    imaging = imaging_of((16, 16), FWHM_PX / FWHM_PER_SIGMA)
    fine = torch.zeros(imaging.fine_shape)
    fine[32 + 60, 32 + 70] = 1000
    spot = imaging.forward(fine)
    on = (torch.rand((60, 1, 1), generator=torch.Generator().manual_seed(0)) < 0.5).float()
    return moments_of(spot * on + 5)


@pytest.mark.parametrize("method", [deconvolved_mean, deconvolved_variance])
def test_a_point_becomes_a_point_in_its_place(point, method):
    image = method(point, FWHM_PX, 200)
    assert image.shape == (128, 128)
    y, x = np.unravel_index(image.argmax(), image.shape)
    assert abs(y - 60) <= 1
    assert abs(x - 70) <= 1
    near = image[56:65, 66:75].sum()
    assert near > 0.9 * image.sum()


def test_more_iterations_are_sharper(point):
    peaks = [deconvolved_mean(point, FWHM_PX, n).max() for n in (10, 50, 200)]
    assert peaks == sorted(peaks)


def test_mean_image_repeats_camera_pixels(point):
    image = mean_image(point)
    assert image.shape == (128, 128)
    assert np.ptp(image[:8, :8]) == 0
    assert image[60, 70] == pytest.approx(float(point.mean[7, 8]))


def test_standard_cases_repeat_and_cover_what_was_asked():
    first, second = (next(standard_cases(count=1)) for _ in range(2))
    assert torch.equal(first.movie.counts, second.movie.counts)
    assert first.fluorophores.shape == (480, 480)
    other = next(standard_cases(count=1, seed=5))
    assert not torch.equal(first.movie.counts, other.movie.counts)
    names = [name for name, *_ in STANDARD]
    assert sum(name.startswith("mt") for name in names) == 4
    assert sum(name.startswith("tub") for name in names) == 4
    for switching in ("white", "bleaching", "sparse"):
        assert sum(switching in name for name in names) >= 2


def test_labelling_is_a_factor_of_the_fluorophores():
    plain, dense = (
        next(standard_cases(count=1, labelling=factor)).fluorophores.sum() for factor in (1, 2)
    )
    assert dense / plain == pytest.approx(2, rel=0.1)


def test_cases_of_a_folder(movie_folder):
    cases = list(cases_of(movie_folder))
    assert [case.name for case in cases] == ["movie_1", "movie_2"]
    assert cases[0].fine_nm == 20
    assert cases[0].fwhm_px == pytest.approx(2.4)
    assert cases[0].fluorophores.shape == (160, 192)


def test_a_truth_of_another_size(movie_folder, tmp_path):
    from bayesdl_sim.data.formats.tiff_writer import write_map

    folder = tmp_path / "movie_1"
    folder.mkdir()
    for name in ("movie.tif", "parameters.json"):
        (folder / name).write_bytes((movie_folder / "movie_1" / name).read_bytes())
    write_map(folder / "fluorophores.tif", np.zeros((32, 32)), 20.0)
    with pytest.raises(InputError, match="8 times the size"):
        list(cases_of(tmp_path))
