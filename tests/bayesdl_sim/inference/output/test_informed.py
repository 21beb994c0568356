"""The distribution-informed picture: brightness is the image, colour is the credibility."""

import matplotlib.image
import numpy as np
import pytest
from skimage.color import rgb2lab

from bayesdl_sim.inference.output import informed
from bayesdl_sim.inference.output.informed import informed_colours, write_informed
from bayesdl_sim.utils.errors import InputError


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


@pytest.mark.parametrize("shape", [(60, 60), (40, 120), (120, 40), (3, 50, 70)])
def test_picture_has_legend_and_scale_bar(tmp_path, monkeypatch, shape):
    drawn = []

    class Spy(informed.Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            drawn.append(self)

    monkeypatch.setattr(informed, "Figure", Spy)
    sr = np.linspace(-0.1, 1.2, int(np.prod(shape))).reshape(shape)
    credible = np.random.default_rng(0).random(shape)
    write_informed(tmp_path / "Informed.png", sr, credible, 31.3, "P(|error| < 0.04)")
    assert matplotlib.image.imread(tmp_path / "Informed.png").shape[0] > 300
    image, legend = drawn[0].axes
    box = image.get_window_extent()
    assert box.width / box.height == pytest.approx(shape[-1] / shape[-2], rel=0.01)
    assert legend.get_xlabel() == "P(|error| < 0.04)"
    assert legend.get_ylim()[0] < 0
    assert [text.get_text()[-2:] for text in image.texts][0] in ("nm", "µm")
    assert ("time point 1 of 3" in image.get_title("left")) == (len(shape) == 3)
    texts = [image._left_title, legend.xaxis.label, legend.yaxis.label, *legend.get_yticklabels()]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert all(b.x0 >= 0 and b.x1 <= drawn[0].bbox.x1 and b.y0 >= 0 for b in boxes)
    first = sr[0] if sr.ndim == 3 else sr
    assert image.images[0].get_array().shape == (*first.shape, 3)


@pytest.mark.parametrize("wrong", [np.zeros((4, 5)), np.full((4, 4), np.nan)])
def test_wrong_credibility_is_refused_and_no_file_is_left(tmp_path, wrong):
    with pytest.raises(InputError):
        write_informed(tmp_path / "Informed.png", np.zeros((4, 4)), wrong, None)
    assert not list(tmp_path.iterdir())
