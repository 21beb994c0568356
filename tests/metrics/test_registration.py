"""A shift of half a pixel between conventions is found, undone, and no longer costs anything."""

import numpy as np
import pytest
from scipy.ndimage import fourier_shift, gaussian_filter

from bayesdl_sim.metrics.images import quality
from bayesdl_sim.metrics.registration import register
from bayesdl_sim.utils.errors import InputError


def lines(size=128, seed=0):
    """Fine bright lines on a dark field, as a reconstruction shows them."""
    rng = np.random.default_rng(seed)
    image = np.zeros((size, size))
    x = np.arange(size)
    for _ in range(12):
        y = rng.uniform(0, size) + rng.normal(0, 0.5) * x + 6 * np.sin(x / rng.uniform(8, 20))
        rows = np.rint(y).astype(int)
        inside = (rows >= 0) & (rows < size)
        image[rows[inside], x[inside]] += rng.uniform(0.5, 1.5)
    return gaussian_filter(image, 1.4)


def moved(image, rows, columns):
    return np.fft.ifft2(fourier_shift(np.fft.fft2(image), (rows, columns))).real


@pytest.mark.parametrize(("rows", "columns"), [(0.5, 0.5), (-0.5, 0.0), (1.0, -0.7), (0.2, 0.1)])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_shift_is_found_and_undone(rows, columns, noise):
    image = lines()
    other = moved(image, rows, columns) + noise * np.random.default_rng(1).normal(size=image.shape)
    result = register(3 * other - 7, image)
    error = 0.1 if noise else 0.03  # pixels; the noise is a fifth of the brightest lines
    assert result.shift_px == pytest.approx((-rows, -columns), abs=error)
    assert result.image.shape == result.reference.shape == (120, 120)
    before = quality(other[4:-4, 4:-4], image[4:-4, 4:-4]).psnr
    after = quality(result.image, result.reference).psnr
    gain = 4 if noise == 0 else 0
    assert after > before + gain
    assert "moved by" in result.sentence()


def test_half_a_pixel_costs_what_the_module_says():
    """The numbers of the docstring, on lines as wide as the resolution."""
    image = lines()
    cost = quality(register(image, image).image, image[4:-4, 4:-4]).psnr
    shifted = quality(moved(image, 0.5, 0.5)[4:-4, 4:-4], image[4:-4, 4:-4]).psnr
    assert cost > 60
    assert shifted < 35


def test_what_lies_right_is_not_touched():
    image = lines()
    result = register(2 * image + 1, image)
    assert result.shift_px == (0, 0)
    np.testing.assert_array_equal(result.image, (2 * image + 1)[4:-4, 4:-4])
    assert result.sentence() == "no shift between image and reference"


def test_larger_shifts_and_other_images_are_left_alone():
    image = lines()
    for other in (np.roll(image, 4, axis=0), np.random.default_rng(0).normal(size=image.shape)):
        assert register(other, image).shift_px == (0, 0)


def test_pixels_without_data_stay_without():
    image = lines()
    other = moved(image, 0.5, 0.5)
    other[:20] = np.nan
    result = register(other, image)
    assert result.shift_px == pytest.approx((-0.5, -0.5), abs=0.1)
    assert np.isnan(result.image[:15]).all()
    assert np.isfinite(result.image[18:]).all()


@pytest.mark.parametrize("shapes", [((64, 64), (64, 62)), ((16, 64), (16, 64))])
def test_sizes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(InputError, match="the same size of at least 17 pixels"):
        register(np.zeros(shapes[0]), np.zeros(shapes[1]))
