"""The distribution-informed picture: brightness is the image, colour is the credibility."""

import matplotlib.image
import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from bayesdl_sim.inference.output import informed
from bayesdl_sim.inference.output.informed import informed_colours, write_informed
from bayesdl_sim.utils.errors import InputError
from tests.utils.drawing.conftest import spied


def grid():
    brightness, credible = np.meshgrid(np.linspace(0.1, 1, 10), np.linspace(0, 1, 11))
    return brightness, credible


def test_lightness_is_the_image_whatever_the_credibility():
    brightness, credible = grid()
    lightness = rgb2lab(informed_colours(brightness, credible))[..., 0]
    np.testing.assert_allclose(lightness, 74 * brightness, atol=1.5)


def test_colour_goes_from_orange_over_grey_to_blue():
    doubtful, half, credible = informed_colours(np.ones(3), np.array([0.0, 0.55, 1.0]))
    assert doubtful[0] > doubtful[1] > 1.5 * doubtful[2]
    assert credible[2] > credible[1] > 1.5 * credible[0]
    assert np.ptp(half) < 0.15
    chroma = rgb2lab(informed_colours(np.full(21, 0.8), np.linspace(0, 1, 21)))[..., 2]
    assert (np.diff(chroma) < 0).all()  # b*, yellow to blue: every step shows


def test_black_has_no_colour_and_values_outside_are_cut():
    assert not informed_colours(np.zeros(2), np.array([0.0, 1.0])).any()
    outside = informed_colours(np.array([2.0, -1.0]), np.array([-3.0, 4.0]))
    np.testing.assert_array_equal(outside, informed_colours(np.array([1.0, 0.0]), [0.0, 1.0]))


def test_colours_are_those_of_skimage():
    brightness, credible = np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 40))
    hue = credible[..., None] * [-10.0, -39.0] + (1 - credible[..., None]) * [29.0, 50.0]
    lab = np.dstack([74 * brightness, brightness[..., None] * hue])
    colours = informed_colours(brightness, credible)
    np.testing.assert_allclose(colours, lab2rgb(lab).clip(0, 1), atol=1e-4)


@pytest.mark.parametrize("shape", [(60, 60), (40, 120), (120, 40), (3, 50, 70)])
def test_picture_has_legend_and_scale_bar(tmp_path, monkeypatch, shape):
    drawn = spied(monkeypatch, informed)
    sr = np.linspace(-0.1, 1.2, int(np.prod(shape))).reshape(shape)
    credible = np.random.default_rng(0).random(shape)
    write_informed(tmp_path / "Informed.png", sr, credible, 31.3, "P(|error| < 0.04)")
    assert matplotlib.image.imread(tmp_path / "Informed.png").shape[0] > 300
    (canvas,) = drawn
    (left, top, right, bottom), legend = canvas.pictures
    assert (right - left) / (bottom - top) == pytest.approx(shape[-1] / shape[-2], rel=0.01)
    assert legend[0] > right
    words = [text for text, _ in canvas.texts]
    assert {"P(|error| < 0.04)", "SR intensity"} <= {*words}
    assert any(text.endswith((" nm", " µm")) for text in words)
    assert any("time point 1 of 3" in text for text in words) == (len(shape) == 3)
    width, height = canvas.image.size
    for _, box in canvas.texts:
        assert 0 <= box[0] < box[2] <= width
        assert 0 <= box[1] < box[3] <= height


def test_pixels_have_their_colours(tmp_path, monkeypatch):
    (drawn, size) = (spied(monkeypatch, informed), 100)
    brightness, credible = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size))
    write_informed(tmp_path / "Informed.png", brightness, credible, 31.3)
    left, top, right, bottom = drawn[0].pictures[0]
    step = (right - left) // size
    shown = drawn[0].pixels[top:bottom:step, left:right:step] / 255
    inner = np.s_[:80, :60]  # without the scale bar
    expected = informed_colours(brightness, credible)
    np.testing.assert_allclose(shown[inner], expected[inner], atol=0.01)


@pytest.mark.parametrize("wrong", [np.zeros((4, 5)), np.full((4, 4), np.nan)])
def test_wrong_credibility_is_refused_and_no_file_is_left(tmp_path, wrong):
    with pytest.raises(InputError):
        write_informed(tmp_path / "Informed.png", np.zeros((4, 4)), wrong, None)
    assert not list(tmp_path.iterdir())
