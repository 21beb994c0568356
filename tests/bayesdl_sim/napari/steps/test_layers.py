"""Places, colours and contrast of layers, as numbers."""

import numpy as np
import pytest

from bayesdl_sim.inference.output.map_kinds import MAPS
from bayesdl_sim.napari.steps.layers import COLOURS, MARK, layer_of, map_layers, place_of


@pytest.mark.parametrize("finer", [1, 2, 8])
def test_a_finer_grid_covers_the_same_field(finer):
    place, raw = place_of(65.0, finer), place_of(65.0)
    edges = [p.offset - p.scale / 2 for p in (place, raw)]
    assert edges[0] == pytest.approx(edges[1])
    assert finer * place.scale == pytest.approx(raw.scale)
    assert raw == (0.065, 0.0, "um")


def test_without_a_pixel_size_lengths_are_in_raw_pixels():
    assert place_of(None) == (1.0, 0.0, "pixel")
    assert place_of(None, 2) == (0.5, -0.25, "pixel")


def test_axes_of_one_element_are_left_out_and_the_others_are_named():
    place = place_of(65.0)
    image, options, _ = layer_of(np.zeros((9, 1, 4, 5)), "raw", "x", place)
    assert image.shape == (9, 4, 5)
    assert options["axis_labels"] == ("frame", "y", "x")
    image, options, _ = layer_of(np.zeros((9, 3, 4, 5)), "raw", "x", place)
    assert options["axis_labels"] == ("frame", "time", "y", "x")
    image, options, _ = layer_of(np.zeros((3, 4, 5)), "SR", "x", place)
    assert options["axis_labels"] == ("time", "y", "x")
    assert len(options["scale"]) == len(options["translate"]) == len(options["units"]) == 3


def test_a_change_is_shown_around_zero():
    change = np.linspace(-1, 3, 400, dtype=np.float32).reshape(20, 20)
    low, high = layer_of(change, "Change", "x", place_of(None))[1]["contrast_limits"]
    assert low == -high
    assert high == pytest.approx(3, abs=0.02)


def test_pixels_without_data_do_not_spoil_the_contrast():
    image = np.full((8, 8), np.nan, np.float32)
    image[2:6, 2:6] = np.arange(16).reshape(4, 4)
    low, high = layer_of(image, "SR", "x", place_of(None))[1]["contrast_limits"]
    assert 0 <= low < high <= 15


def test_an_even_image_has_two_different_limits():
    low, high = layer_of(np.ones((4, 4), np.float32), "SR", "x", place_of(None))[1][
        "contrast_limits"
    ]
    assert low < high


def test_maps_cover_each_other_in_one_order_whatever_that_of_the_result():
    images = {kind: np.zeros((1, 4, 4), np.float32) for kind in (*MAPS, "Total", "Draw 1")}
    orders = []
    for names in (list(images), list(images)[::-1]):
        layers = map_layers({name: images[name] for name in names}, "x", 65.0, {})
        orders.append([options["metadata"][MARK]["kind"] for _, options, _ in layers])
    assert orders[0][-1] == orders[1][-1] == "SR"
    assert [k for k in orders[0] if k in COLOURS] == [k for k in orders[1] if k in COLOURS]
    assert set(orders[0]) == set(images)
