"""Pictures keep their shape and their letters."""

from itertools import combinations

import matplotlib.image
import numpy as np
import pytest

from bayesdl_sim.utils import pictures
from bayesdl_sim.utils.pictures import Panel, scale_bar, write_overview, write_picture
from tests.utils.drawing.conftest import SpyCanvas, spied


def ramp(height: int = 30, width: int = 50) -> np.ndarray:
    return np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)


@pytest.fixture
def canvases(monkeypatch) -> list[SpyCanvas]:
    """The canvases that were drawn on."""
    return spied(monkeypatch, pictures)


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
    length, label = scale_bar(width, pixel_size_nm)
    assert label == text
    assert length * (pixel_size_nm or 1) == pytest.approx(length_nm)


def assert_readable(canvas) -> None:
    """Every text lies inside the picture, is at least 7 screen pixels high, and overlaps none."""
    boxes = [box for _, box in canvas.texts]
    width, height = canvas.image.size
    for left, top, right, bottom in boxes:
        assert max(bottom - top, right - left) >= 7
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]


def overlap(a, b) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def words_of(canvas) -> list[str]:
    return [words for words, _ in canvas.texts]


def test_overview_has_units_and_a_heading_in_lines(tmp_path, canvases):
    heading = "verdict: warn: " + "the sample moved between the orientations; " * 8
    panels = {"SR": Panel(ramp(60, 60), "normalised SR intensity"), "Credibility": ramp(60, 60)}
    write_overview(tmp_path / "a.png", panels, 31.3, heading)
    (canvas,) = canvases
    lines = words_of(canvas)[: words_of(canvas).index("SR")]
    assert len(lines) > 1
    assert " ".join(lines) == heading.strip()
    assert "normalised SR intensity" in words_of(canvas)
    assert_readable(canvas)


def test_a_border_that_says_nothing_is_hatched(tmp_path, canvases):
    write_picture(tmp_path / "a.png", ramp(40, 60), "Contradicted", 65.0, border=10)
    left, top, right, bottom = canvases[0].pictures[0]
    covered = np.zeros((40, 60), bool)
    for box in canvases[0].hatched:
        rows = [round((y - top) * 40 / (bottom - top)) for y in box[1::2]]
        columns = [round((x - left) * 60 / (right - left)) for x in box[::2]]
        covered[slice(*rows), slice(*columns)] = True
    expected = np.ones((40, 60), bool)
    expected[10:-10, 10:-10] = False
    np.testing.assert_array_equal(covered, expected)
    write_picture(tmp_path / "b.png", ramp(40, 60), "SR", 65.0)
    assert not canvases[1].hatched


@pytest.mark.parametrize("shape", [(120, 120), (60, 200), (400, 130), (41, 57)])
def test_picture_keeps_the_aspect_and_is_readable(tmp_path, canvases, shape):
    write_picture(
        tmp_path / "a.png", ramp(*shape) * 0.1, "Aleatoric", 31.3, "standard deviation", "viridis"
    )
    (canvas,) = canvases
    left, top, right, bottom = canvas.pictures[0]
    assert (right - left) / (bottom - top) == pytest.approx(shape[1] / shape[0], rel=0.01)
    assert_readable(canvas)
    assert {*words_of(canvas)} >= {"Aleatoric", "standard deviation"}
    assert matplotlib.image.imread(tmp_path / "a.png").shape[0] > 100
    (bar,) = [box for box, colour in canvas.rectangles if colour == "white"]
    (text,) = [words for words in words_of(canvas) if words.endswith(("nm", "µm"))]
    number, unit = text.split()
    expected = float(number) * (1000 if unit == "µm" else 1)
    scale = (right - left) / shape[1]
    assert (bar[2] - bar[0]) / scale * 31.3 == pytest.approx(expected)


def test_colours_are_those_of_the_values(tmp_path, canvases):
    image = ramp(100, 100)
    write_picture(tmp_path / "a.png", image, "SR", None, cmap="viridis", limits=(0.0, 1.0))
    (canvas,) = canvases
    left, top = canvas.pictures[0][:2]
    shown = canvas.pixels[top : top + 600 : 6, left : left + 600 : 6]
    expected = matplotlib.colormaps["viridis"](image)[..., :3]
    inner = np.s_[:90, :70]  # without the scale bar
    np.testing.assert_allclose(shown[inner] / 255, expected[inner], atol=1 / 255)


def test_picture_of_a_time_series_says_which_time_point(tmp_path, canvases):
    series = np.stack([ramp(), 5 + ramp()])
    write_picture(tmp_path / "a.png", series, "SR of cell_$1$", None)
    write_picture(tmp_path / "b.png", series[0], "SR of cell_$1$", None)
    assert "SR of cell_$1$ (time point 1 of 2)" in words_of(canvases[0])
    assert "10 px" in words_of(canvases[0])
    left, top, right, bottom = canvases[0].pictures[0]
    shown = [canvas.pixels[top:bottom, left:right] for canvas in canvases]
    np.testing.assert_array_equal(*shown)


def test_overview_shows_one_field_at_one_scale(tmp_path, canvases):
    panels = {
        "Wide field": 1e4 * ramp(100, 100),
        "SR": ramp(200, 200),
        "Aleatoric": 0.01 * ramp(200, 200),
        "Epistemic": 1e-5 * ramp(200, 200),
    }
    write_overview(tmp_path / "a.png", panels, 31.3)
    (canvas,) = canvases
    assert [words for words in words_of(canvas) if words in panels] == list(panels)
    images = canvas.pictures[::2]  # each is followed by its colour bar
    assert len(canvas.pictures) == 8
    assert {right - left for left, _, right, _ in images} == {560}
    texts = [words for words in words_of(canvas) if words.endswith(("nm", "µm"))]
    assert len(texts) == 4
    assert len({*texts}) == 1
    bars = [box for box, colour in canvas.rectangles if colour == "white"]
    assert len({round(right - left, 3) for left, _, right, _ in bars}) == 1
    corner = [canvas.pixels[images[n][1] + 1, images[n][0] + 1] for n in (1, 2)]
    for colour, name in zip(corner, ("magma", "viridis"), strict=True):
        np.testing.assert_allclose(colour / 255, matplotlib.colormaps[name](0.0)[:3], atol=0.01)
    assert_readable(canvas)


def test_one_hot_pixel_does_not_dim_the_picture(tmp_path, canvases):
    image = ramp(100, 100)
    write_picture(tmp_path / "a.png", image, "SR", None)
    image[3, 3] = 1000
    write_picture(tmp_path / "b.png", image, "SR", None)
    calm, hot = (canvas.pixels[100:400, 100:400].astype(int) for canvas in canvases)
    assert abs(calm - hot).max() <= 3


def test_constant_map_can_be_drawn(tmp_path):
    write_picture(tmp_path / "a.png", np.zeros((40, 40)), "Epistemic", None)
    assert (tmp_path / "a.png").stat().st_size > 1000
