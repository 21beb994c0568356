"""Pictures keep their shape and their letters."""

from itertools import combinations

import matplotlib.image
import numpy as np
import pytest

from bayesdl_sim.utils import pictures
from bayesdl_sim.utils.pictures import Panel, write_overview, write_picture


def ramp(height: int = 30, width: int = 50) -> np.ndarray:
    return np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)


@pytest.fixture
def figures(monkeypatch) -> list:
    """The figures that were drawn."""
    drawn = []

    class Spy(pictures.Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            drawn.append(self)

    monkeypatch.setattr(pictures, "Figure", Spy)
    return drawn


@pytest.mark.parametrize(
    ("width", "pixel_size_nm", "length_nm", "text"),
    [
        (1004, 31.3, 5000, "5 µm"),
        (240, 32.5, 2000, "2 µm"),
        (128, 31.3, 1000, "1 µm"),
        (64, 31.3, 500, "500 nm"),
        (1004, None, 200, "200 px"),
        (240, None, 50, "50 px"),
        (3, None, 1, "1 px"),
    ],
)
def test_scale_bar_is_a_round_number_near_a_fifth(width, pixel_size_nm, length_nm, text):
    length, found = pictures._scale_bar(width, pixel_size_nm)
    assert found == text
    assert length * (pixel_size_nm or 1) == pytest.approx(length_nm)


def shown_texts(figure) -> list:
    texts = [text for axes in figure.axes for text in (axes.title, *axes.texts, axes.yaxis.label)]
    return [text for text in texts if text.get_text()]


def assert_readable(figure) -> None:
    """Every text lies inside the picture, is at least 9 screen pixels high, and overlaps none."""
    boxes = [text.get_window_extent() for text in shown_texts(figure)]
    boxes += [
        tick.label2.get_window_extent()
        for axes in figure.axes
        for tick in axes.yaxis.get_major_ticks()
        if tick.label2.get_visible() and tick.label2.get_text() and axes.axison
    ]
    for box in boxes:
        assert box.height >= 9
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_overview_has_units_and_a_heading_in_lines(tmp_path, figures):
    heading = "verdict: warn: " + "the sample moved between the orientations; " * 8
    panels = {"SR": Panel(ramp(60, 60), "normalised SR intensity"), "Credibility": ramp(60, 60)}
    write_overview(tmp_path / "a.png", panels, 31.3, heading)
    (figure,) = figures
    (words,) = figure.texts
    box = words.get_window_extent()
    assert box.x1 < figure.bbox.x1
    assert box.y0 > max(axes.title.get_window_extent().y1 for axes in figure.axes)
    assert " ".join(words.get_text().split()) == heading.strip()
    assert figure.axes[1].get_ylabel() == "normalised SR intensity"


def test_a_border_that_says_nothing_is_hatched(tmp_path, figures):
    write_picture(tmp_path / "a.png", ramp(40, 60), "Contradicted", 65.0, border=10)
    axes = figures[0].axes[0]
    boxes = [patch.get_bbox() for patch in axes.patches if patch.get_hatch()]
    covered = np.zeros((40, 60), bool)
    for box in boxes:
        rows, columns = (
            slice(round(a + 0.5), round(b + 0.5)) for a, b in (box.intervaly, box.intervalx)
        )
        covered[rows, columns] = True
    expected = np.ones((40, 60), bool)
    expected[10:-10, 10:-10] = False
    np.testing.assert_array_equal(covered, expected)
    write_picture(tmp_path / "b.png", ramp(40, 60), "SR", 65.0)
    assert not [patch for patch in figures[1].axes[0].patches if patch.get_hatch()]


@pytest.mark.parametrize("shape", [(120, 120), (60, 200), (400, 130), (41, 57)])
def test_picture_keeps_the_aspect_and_is_readable(tmp_path, figures, shape):
    write_picture(
        tmp_path / "a.png", ramp(*shape) * 0.1, "Aleatoric", 31.3, "standard deviation", "viridis"
    )
    (figure,) = figures
    box = figure.axes[0].get_window_extent()
    assert box.width / box.height == pytest.approx(shape[1] / shape[0], rel=0.01)
    assert_readable(figure)
    assert {text.get_text() for text in shown_texts(figure)} >= {"Aleatoric", "standard deviation"}
    assert matplotlib.image.imread(tmp_path / "a.png").shape[0] > 100
    (bar,) = figure.axes[0].patches
    nanometres, unit = figure.axes[0].texts[0].get_text().split()
    expected = float(nanometres) * (1000 if unit == "µm" else 1)
    assert bar.get_width() * 31.3 == pytest.approx(expected)


def test_picture_of_a_time_series_says_which_time_point(tmp_path, figures):
    series = np.stack([ramp(), 5 + ramp()])
    write_picture(tmp_path / "a.png", series, "SR of cell_$1$", None)
    (figure,) = figures
    assert figure.axes[0].get_title() == "SR of cell_$1$ (time point 1 of 2)"
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), series[0])
    assert figure.axes[0].texts[0].get_text() == "10 px"


def test_overview_shows_one_field_at_one_scale(tmp_path, figures):
    panels = {
        "Wide field": 1e4 * ramp(100, 100),
        "SR": ramp(200, 200),
        "Aleatoric": 0.01 * ramp(200, 200),
        "Epistemic": 1e-5 * ramp(200, 200),
    }
    write_overview(tmp_path / "a.png", panels, 31.3)
    (figure,) = figures
    axes, bars = figure.axes[::2], figure.axes[1::2]
    assert [one.get_title() for one in axes] == list(panels)
    assert len(bars) == 4
    assert len({round(one.get_window_extent().width, 3) for one in axes}) == 1
    texts = {one.texts[0].get_text() for one in axes}
    assert len(texts) == 1
    # the same length of the field, in the pixels of each panel
    lengths = [one.patches[0].get_width() for one in axes]
    np.testing.assert_allclose(lengths, [lengths[1] / 2, *[lengths[1]] * 3])
    assert [one.images[0].get_cmap().name for one in axes] == ["magma"] * 2 + ["viridis"] * 2
    assert_readable(figure)


def test_one_hot_pixel_does_not_dim_the_picture(tmp_path, figures):
    image = ramp(100, 100)
    image[3, 3] = 1000
    write_picture(tmp_path / "a.png", image, "SR", None)
    assert figures[0].axes[0].images[0].get_clim()[1] < 1.1


def test_constant_map_can_be_drawn(tmp_path):
    write_picture(tmp_path / "a.png", np.zeros((40, 40)), "Epistemic", None)
    assert (tmp_path / "a.png").stat().st_size > 1000
