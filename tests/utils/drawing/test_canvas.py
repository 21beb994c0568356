"""Shapes lie where they are said to, with smooth edges, and letters fill the box that is given."""

import numpy as np
import pytest
from PIL import Image

from bayesdl_sim.utils.drawing.canvas import Canvas, text_width


def dark(canvas):
    """How much of each pixel is covered by black, 0..1."""
    return 1 - canvas.pixels.mean(axis=-1) / 255


def test_area_covers_what_its_corners_enclose():
    canvas = Canvas(60, 40)
    canvas.area([(10, 5), (50, 5), (10, 25)], "black")
    covered = dark(canvas)
    assert covered.sum() == pytest.approx(400, rel=0.04)
    assert covered[6, 12] == 1
    assert not covered[26:].any()
    assert ((covered > 0.2) & (covered < 0.8)).sum() >= 15  # its edge is smooth


def test_area_lets_half_through():
    canvas = Canvas(20, 20)
    canvas.area([(0, 0), (20, 0), (20, 20), (0, 20)], "black", 0.5)
    np.testing.assert_allclose(dark(canvas), 0.5, atol=0.01)


def test_line_is_broken_where_a_place_is_unknown():
    canvas = Canvas(100, 20)
    x = np.arange(100.0)
    y = np.where((x > 40) & (x < 60), np.nan, 10.0)
    canvas.line(np.stack([x, y], axis=1), "black", 2)
    columns = dark(canvas).sum(axis=0)
    np.testing.assert_allclose(columns[5:35], 2, atol=0.6)
    assert not columns[45:56].any()
    np.testing.assert_allclose(columns[65:95], 2, atol=0.6)


def test_shapes_stay_within_a_box_and_the_picture():
    canvas = Canvas(50, 50)
    canvas.circle((25, 25), 20, "black", 3, inside=(25, 0, 50, 50))
    assert not dark(canvas)[:, :25].any()
    assert dark(canvas)[25, 43:47].max() == 1
    canvas.line([(-500, 10), (500, 10)], "black", 2)
    canvas.circle((-100, -100), 20, "black", 3)


def test_circle_in_dashes_has_gaps():
    whole, dashed = Canvas(100, 100), Canvas(100, 100)
    whole.circle((50, 50), 40, "black", 2)
    dashed.circle((50, 50), 40, "black", 2, dashes=20)
    assert dark(whole).sum() == pytest.approx(2 * np.pi * 40 * 2, rel=0.1)
    assert dark(dashed).sum() == pytest.approx(0.7 * dark(whole).sum(), rel=0.1)


@pytest.mark.parametrize("anchor", ["ls", "ms", "rs", "lm", "mm", "rm", "la", "ma"])
def test_letters_fill_the_box_that_is_given(anchor):
    canvas = Canvas(200, 100)
    left, top, right, bottom = canvas.text((100, 50), "gµ 5°", 20, anchor)
    rows, columns = np.nonzero(dark(canvas) > 0.1)
    assert left - 1 <= columns.min() <= columns.max() <= right + 1
    assert top - 1 <= rows.min() <= rows.max() <= bottom + 1
    assert right - left == pytest.approx(text_width("gµ 5°", 20), abs=4)


def test_upright_words_are_centred_and_read_from_below():
    canvas, flat = Canvas(60, 200), Canvas(200, 60)
    left, top, right, bottom = canvas.upright((30, 100), "abcdefg", 20)
    assert (left + right) / 2 == pytest.approx(30, abs=1)
    assert (top + bottom) / 2 == pytest.approx(100, abs=1)
    assert bottom - top == pytest.approx(text_width("abcdefg", 20), abs=4)
    box = flat.text((20, 40), "abcdefg", 20)
    ours = dark(canvas)[top:bottom, left:right]
    ink = dark(flat)[round(box[1]) : round(box[3]), round(box[0]) : round(box[2])]
    assert np.rot90(ours, -1).sum() == pytest.approx(ink.sum(), rel=0.05)


def test_outline_makes_letters_readable_on_any_ground():
    canvas = Canvas(100, 40)
    canvas.text((50, 30), "5 µm", 20, "ms", "white", 2)
    assert (dark(canvas) > 0.9).sum() > 50


def test_png_is_what_was_drawn(tmp_path):
    canvas = Canvas(30, 20)
    canvas.rectangle((5, 5, 15, 10), "red", "blue", 2)
    canvas.hatch((20, 0, 30, 20))
    canvas.save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), canvas.pixels)
    assert canvas.pixels[7, 10].tolist() == [255, 0, 0]
    assert canvas.pixels[4, 10].tolist() == [0, 0, 255]
    assert not (canvas.pixels[:, 20:] == 255).any()
