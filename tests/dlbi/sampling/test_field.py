"""The field: projections and exchanges of light against whole images."""

import numpy as np
import pytest

from bayesdl_sim.dlbi.fhmm import spot_images
from bayesdl_sim.dlbi.sampling.field import Field, camera_position, pixel_width
from tests.dlbi.toys import misfit

WIDTH, BACKGROUND = 1.1, 4.0
SHAPE = (14, 16)
PLACES = np.array([[50, 60], [3, 4], [111, 127]])  # in the middle and at two corners
ANCHORS = np.rint(camera_position(PLACES)).astype(int)


@pytest.fixture
def movie():
    return np.random.default_rng(0).poisson(BACKGROUND, size=(6, *SHAPE)).astype(float)


def image_of(field, padded):
    """(T, H, W) of a padded array."""
    side = field.side
    full = padded.reshape(SHAPE[0] + 2 * side, SHAPE[1] + 2 * side, -1)
    return np.moveaxis(full[side:-side, side:-side], 2, 0)


def test_fine_pixels_tile_camera_pixels():
    assert camera_position(np.arange(8)).mean() == pytest.approx(0)
    assert camera_position(np.arange(8, 16)).mean() == pytest.approx(1)


def test_sampled_width_is_that_of_pixel_integration():
    from scipy.special import ndtr

    pixels = np.arange(-12, 13)
    integrated = np.diff(ndtr((np.arange(-12, 14) - 0.5) / 1.0))
    assert pixel_width(1.0) ** 2 == pytest.approx((integrated * pixels**2).sum(), rel=1e-6)


def test_projections_are_inner_products_with_whole_spots(movie):
    field = Field(movie, BACKGROUND, WIDTH)
    view = field.view(ANCHORS)
    fields, gram = field.project(view, field.spots(PLACES, view.anchors))
    spots = spot_images(camera_position(PLACES), 1.0, WIDTH, SHAPE)
    weights = image_of(field, field.weights)
    unexplained = (movie - BACKGROUND) * weights
    np.testing.assert_allclose(gram, np.einsum("nhw,thw->nt", spots**2, weights), rtol=0.01)
    np.testing.assert_allclose(
        fields, np.einsum("nhw,thw->nt", spots, unexplained), atol=0.01 * np.abs(fields).max()
    )


def test_light_put_on_is_taken_from_the_residual(movie):
    field = Field(movie, BACKGROUND, WIDTH)
    before = image_of(field, field.weighted).copy()
    view = field.view(ANCHORS)
    spots = field.spots(PLACES, view.anchors)
    light = np.random.default_rng(1).random((3, 6)).astype(np.float32) * 100
    light[0, 2] = 0
    dark = np.zeros_like(light)
    field.exchange(view, (spots, dark), (spots, light))
    images = spot_images(camera_position(PLACES), 1.0, WIDTH, SHAPE)
    expected = before - np.einsum("nt,nhw->thw", light, images) * image_of(field, field.weights)
    np.testing.assert_allclose(image_of(field, field.weighted), expected, atol=0.1)
    field.exchange(view, (spots, light), (spots, dark))
    np.testing.assert_allclose(image_of(field, field.weighted), before, atol=1e-4)


def test_silent_frames_say_nothing(movie):
    silent = np.array([False, True, False, False, True, False])
    field = Field(movie, BACKGROUND, WIDTH, silent=silent)
    view = field.view(ANCHORS)
    fields, gram = field.project(view, field.spots(PLACES, view.anchors))
    assert np.all(fields[:, silent] == 0)
    assert np.all(gram[:, silent] == 0)
    assert np.all(gram[:, ~silent] > 0)


def test_misfit_of_pure_noise_is_one():
    movie = np.random.default_rng(0).poisson(50.0, size=(40, 30, 30)).astype(float)
    assert misfit(Field(movie, 50.0, WIDTH)) == pytest.approx(1, abs=0.15)


def test_noise_adds_to_the_variance(movie):
    plain, noisy = (Field(movie, BACKGROUND, WIDTH, noise=noise) for noise in (0.0, 3.0))
    inner = image_of(plain, plain.weights), image_of(noisy, noisy.weights)
    np.testing.assert_allclose(1 / inner[1] - 1 / inner[0], 9.0, rtol=1e-4)


@pytest.mark.parametrize("background", [0.0, 1e-8])
def test_weights_are_finite_without_background(background):
    movie = np.zeros((6, *SHAPE))
    movie[2, 5, 5] = 7
    field = Field(movie, background, WIDTH)
    assert np.all(np.isfinite(field.weights))
    assert np.all(np.isfinite(field.weighted))
    assert field.weights.max() == pytest.approx(12)  # one over the variance of rounding
