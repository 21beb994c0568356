"""Beads and dirt are dimmed to the brightness of the structure; structures stay as they are."""

import pytest
import torch

from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.spots import dimming, field_light, spot_brightness, spot_weight

PLACES = ((20, 30), (60, 80), (90, 15), (70, 40))


@pytest.fixture(scope="module")
def frames():
    """Filaments above their background, (9, 112, 112)."""
    scenes = simulated_cells(311, 6, 1, 112)
    return MeasuredFrames(
        next(scene.raw[0] for scene in scenes if scene.name in ("F-actin", "MT"))
    ).frames


def with_beads(frames, places, times, sigma=1.3):
    """Round spots of light, so many times as bright as the brightest structure.

    A point blurred by a lens has a sigma of 1.3 pixels, an aggregate a larger one.
    """
    rows, columns = (torch.arange(n, dtype=frames.dtype) for n in frames.shape[1:])
    light = torch.zeros_like(frames[0])
    for y, x in places:
        light += torch.exp(-((rows[:, None] - y) ** 2 + (columns[None] - x) ** 2) / (2 * sigma**2))
    return frames + times * float(frames.mean(dim=0).max()) * light


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("times", [6, 30])
def test_beads_come_down_to_the_structure(frames, count, times):
    places = PLACES[:count]
    beaded = with_beads(frames, places, times)
    factor = dimming(field_light(beaded))
    assert spot_brightness(field_light(beaded)) > 4
    brightest = float(frames.mean(dim=0).max())
    assert float((factor * beaded.mean(dim=0)).max()) < 4 * brightest
    far = torch.ones_like(factor, dtype=torch.bool)
    for y, x in places:
        assert float(factor[y, x]) < 3 / times
        far[max(0, y - 14) : y + 15, max(0, x - 14) : x + 15] = False
    assert float(factor[far].min()) > 0.99
    assert float(spot_weight(field_light(beaded))[far].min()) > 0.9


@pytest.mark.parametrize("sigma", [2.0, 3.0, 5.0, 7.0])
@pytest.mark.parametrize("place", [(60, 80), (20, 30)])
def test_aggregates_come_down_to_the_structure(frames, sigma, place):
    factor = dimming(field_light(with_beads(frames, [place], 6, sigma)))
    assert float(factor[place]) < 0.5
    far = torch.ones_like(factor, dtype=torch.bool)
    reach = round(3 * sigma) + 12
    far[max(0, place[0] - reach) : place[0] + reach, max(0, place[1] - reach) :] = False
    assert float(factor[far].min()) > 0.99


def test_a_long_bright_place_is_structure(frames):
    line = [(60, x) for x in range(20, 90, 2)]
    assert dimming(field_light(with_beads(frames, line, 6))) is None


def test_beads_alone_are_structure():
    """Of very different brightness, and nothing else in a field full of them."""
    generator = torch.Generator().manual_seed(3)
    empty = torch.rand((9, 256, 256), generator=generator) * 0.01
    places = torch.randint(10, 246, (40, 2), generator=generator).tolist()
    field = empty
    for number, place in enumerate(places):
        field = field + with_beads(empty, [place], 100 * (1 + number % 4)) - empty
    assert dimming(field_light(field)) is None


@pytest.mark.parametrize("signal", [5.0, 50.0])
def test_a_few_beads_in_noise_are_structure(signal):
    """In dim light the noise of the empty field is no structure that they outshine."""
    generator = torch.Generator().manual_seed(6)
    rows, columns = torch.arange(128.0)[:, None], torch.arange(128.0)
    light = torch.ones(128, 128)
    for y, x in ((50, 37), (64, 23), (90, 45), (97, 123), (109, 8)):
        light += signal * torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 2.0**2))
    counts = torch.poisson(light.expand(9, -1, -1), generator=generator)
    assert dimming(MeasuredFrames(counts).light) is None


def test_structures_are_not_dimmed():
    for scene in simulated_cells(313, 24, 1, 96):
        for raw in scene.raw:
            assert dimming(MeasuredFrames(raw).light) is None, scene.name


def test_beads_beside_each_other_are_spots(frames):
    beads = [(53, 30), (61, 34), (55, 80)]
    factor = dimming(field_light(with_beads(frames, beads, 10)))
    assert factor is not None
    assert all(float(factor[place]) < 0.3 for place in beads)


@pytest.mark.parametrize("chains", [0, 3])
def test_a_bead_among_beads_is_structure_unless_it_outshines_them(chains):
    """Three that touch are a long place, as filaments are."""
    generator = torch.Generator().manual_seed(4)
    empty = torch.rand((9, 128, 128), generator=generator) * 0.01
    field = empty
    places = torch.randint(10, 114, (12, 2), generator=generator).tolist()
    places += [(y + 2 * n, x + 3 * n) for y, x in places[:chains] for n in (1, 2)]
    for y, x in places:
        field = field + with_beads(empty, [(y, x)], 100) - empty
    one = [(64, 64)]
    for times, is_dimmed in ((300, False), (3000, True)):
        light = field_light(field + with_beads(empty, one, times) - empty)
        assert (dimming(light) is not None) == is_dimmed
