"""Beads and dirt are dimmed to the brightness of the structure; structures stay as they are."""

import pytest
import torch

from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.spots import dimming, spot_brightness, spot_weight

PLACES = ((20, 30), (60, 80), (90, 15), (70, 40))


@pytest.fixture(scope="module")
def frames():
    """Filaments above their background, (9, 112, 112)."""
    scenes = simulated_cells(311, 6, 1, 112)
    return MeasuredFrames(
        next(scene.raw[0] for scene in scenes if scene.name in ("F-actin", "MT"))
    ).frames


def with_beads(frames, places, times):
    """Points of light blurred by a lens, so many times as bright as the brightest structure."""
    rows, columns = (torch.arange(n, dtype=frames.dtype) for n in frames.shape[1:])
    light = torch.zeros_like(frames[0])
    for y, x in places:
        light += torch.exp(-((rows[:, None] - y) ** 2 + (columns[None] - x) ** 2) / (2 * 1.3**2))
    return frames + times * float(frames.mean(dim=0).max()) * light


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("times", [6, 30])
def test_beads_come_down_to_the_structure(frames, count, times):
    places = PLACES[:count]
    beaded = with_beads(frames, places, times)
    factor = dimming(beaded)
    assert spot_brightness(beaded) > 4
    brightest = float(frames.mean(dim=0).max())
    assert float((factor * beaded.mean(dim=0)).max()) < 4 * brightest
    far = torch.ones_like(factor, dtype=torch.bool)
    for y, x in places:
        assert float(factor[y, x]) < 3 / times
        far[max(0, y - 14) : y + 15, max(0, x - 14) : x + 15] = False
    assert float(factor[far].min()) > 0.99
    assert float(spot_weight(beaded)[far].min()) > 0.9


def test_structures_are_not_dimmed():
    for scene in simulated_cells(313, 24, 1, 96):
        for raw in scene.raw:
            assert dimming(MeasuredFrames(raw).frames) is None, scene.name
