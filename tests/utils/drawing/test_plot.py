"""Numbers lie where the axes say, and ticks stand beside their places."""

import numpy as np
import pytest

from bayesdl_sim.utils.drawing.plot import Plot
from tests.utils.drawing.conftest import SpyCanvas


@pytest.fixture
def plot():
    canvas = SpyCanvas(300, 200)
    return Plot(canvas=canvas, box=(60, 10, 260, 110), x=(0.0, 4.0), y=(-1.0, 1.0), size=12)


def test_places_of_the_corners(plot):
    places = plot.places([0.0, 4.0, 2.0], [-1.0, 1.0, 0.0])
    np.testing.assert_allclose(places, [(60, 110), (260, 10), (160, 60)])


def test_line_and_band_are_drawn_there_and_nowhere_else(plot):
    x = np.linspace(0, 4, 50)
    plot.band(x, np.full(50, -0.5), np.where(x > 2, np.nan, 0.5), "black", 1.0)
    ink = (plot.canvas.pixels[..., 0] < 128).nonzero()
    assert (ink[0].min(), ink[0].max()) == pytest.approx((35, 84), abs=1)
    assert (ink[1].min(), ink[1].max()) == pytest.approx((60, 159), abs=3)
    plot.line(x, 5 * x - 10, "black")
    outside = np.ones((200, 300), bool)
    outside[10:110, 60:260] = False
    assert (plot.canvas.pixels[outside] == 255).all()


def test_ticks_stand_beside_their_places_and_the_name_beyond(plot):
    plot.below([1.0, 2.0], "time")
    plot.beside([-1.0, 0.0], "light")
    boxes = dict(plot.canvas.texts)
    for words, x in (("1", 110), ("2", 160), ("time", 160)):
        assert (boxes[words][0] + boxes[words][2]) / 2 == pytest.approx(x, abs=2)
        assert boxes[words][1] > 110
    assert (boxes["−1"][1] + boxes["−1"][3]) / 2 == pytest.approx(110, abs=3)
    assert boxes["−1"][2] < 60
    assert boxes["light"][2] < boxes["−1"][0]
    assert boxes["light"][0] >= 0


def test_power_of_ten_stands_above_the_ticks():
    canvas = SpyCanvas(300, 200)
    plot = Plot(canvas=canvas, box=(60, 30, 160, 130), x=(0.0, 1.0), y=(0.0, 5e-5), size=12)
    plot.beside([2e-5, 4e-5], "a name longer than the picture is high", right=True)
    boxes = dict(canvas.texts)
    assert boxes["1e−5"][3] < 30
    assert min(boxes["2"][0], boxes["4"][0]) > 160
    (name,) = [box for words, box in canvas.texts if words.startswith("a name")]
    assert name[1] >= 0
    assert name[3] <= 200
