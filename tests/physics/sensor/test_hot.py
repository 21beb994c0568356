"""Hot pixels are found, cooled and never confused with the sharpest points of a lens."""

import pytest
import torch

from bayesdl_sim.physics.optics import Optics, apply_otf, otf
from bayesdl_sim.physics.sensor.hot import (
    SPECKLED,
    cooled,
    dead_pixels,
    hot_pixels,
    isolated_pixels,
)


def counts(light, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2.0 * torch.poisson(light.expand(9, *light.shape).contiguous(), generator=generator)


def test_hot_pixels_and_pairs_are_found():
    raw = counts(torch.full((80, 90), 30.0))
    places = [(10, 10), (10, 11), (40, 0), (79, 89), (30, 60)]
    for value, (y, x) in zip((4000, 900, 500, 2000, 400), places, strict=True):
        raw[:, y, x] += value
    assert sorted(map(tuple, hot_pixels(raw).nonzero().tolist())) == sorted(places)


def test_isolated_pixels_of_a_mean_are_the_hot_pixels_of_the_frames():
    raw = counts(torch.full((40, 40), 30.0))
    raw[:, 20, 20] += 200  # 3.3 times the light beside it, of which the offset is taken away
    mean = raw.mean(dim=0)
    before = mean.clone()
    assert torch.equal(isolated_pixels(mean, SPECKLED), hot_pixels(raw))
    assert torch.equal(mean, before)
    assert bool(isolated_pixels(mean, SPECKLED)[20, 20])
    assert not bool(isolated_pixels(mean, 1000.0).any())


@pytest.mark.parametrize("share", [0.0005, 0.005])
def test_many_hot_pixels_do_not_hide_each_other(share):
    raw = counts(torch.full((128, 128), 50.0))
    hot = torch.rand(128, 128, generator=torch.Generator().manual_seed(1)) < share
    raw[:, hot] = 4000.0
    mask = hot_pixels(raw)
    assert float(mask[hot].float().mean()) > 0.97
    assert not bool(mask[~hot].any())


@pytest.mark.parametrize("beside", [(0.5, 0.0), (1.5, 0.5), (-0.5, 1.0)])
def test_points_that_the_border_cuts_are_light(beside):
    """A point centred about the edge of the field: two of its pixels lie side by side in it."""
    place = torch.arange(60.0)
    row, column = 30.5 + beside[1], 59.0 + beside[0]
    spot = torch.exp(-((place[:, None] - row) ** 2 + (place - column) ** 2) / (2 * 1.1**2))
    raw = counts(20.0 + 1500.0 * spot)
    assert not bool(hot_pixels(raw).any())


def test_points_of_the_sharpest_lens_are_light():
    points = torch.zeros(256, 256)
    points[20::24, 20::24] = 1.0
    points[20::24, 31::24] = 0.6
    sharp = apply_otf(points, otf(Optics(1.4, 700.0, 100.0), (256, 256)))  # 0.40 cycles per pixel
    light = torch.nn.functional.avg_pool2d(sharp[None, None], 2)[0, 0].clamp(min=0)
    raw = counts(5.0 + 2000.0 * light / light.max())
    assert not bool(hot_pixels(raw).any())


def test_cooled_pixels_are_like_their_neighbours():
    raw = counts(torch.full((60, 60), 100.0))
    harmed = raw.clone()
    harmed[:, 5, 5], harmed[:, 5, 6], harmed[:, 0, 0] = 9000.0, 8000.0, 7000.0
    hot = hot_pixels(harmed)
    healthy = cooled(harmed, hot)
    assert int(hot.sum()) == 3
    assert float((healthy[:, hot] - 200.0).abs().max()) < 60
    assert torch.equal(healthy[:, ~hot], raw[:, ~hot])


def test_without_hot_pixels_nothing_changes():
    raw = counts(torch.full((40, 40), 100.0))
    assert cooled(raw, hot_pixels(raw)) is raw
    assert not bool(hot_pixels(torch.full((9, 32, 32), 100.0)).any())


def test_single_dead_pixels_are_found_in_the_light_only():
    light = torch.full((64, 64), 4.0)
    light[16:48, 16:48] = 60.0
    raw = 100.0 + counts(light).round()
    raw[:, 20, 30] = raw[:, 40, 41] = 100.0
    raw[:, 5, 5] = 0.0
    mask = dead_pixels(raw)
    assert sorted(map(tuple, mask.nonzero().tolist())) == [(5, 5), (20, 30), (40, 41)]
    assert not bool(dead_pixels(counts(torch.full((64, 64), 0.3)).round()).any())


def test_the_offset_of_the_camera_does_not_count_as_light():
    raw = counts(torch.full((40, 40), 30.0))
    raw[:, 20, 20] += 200
    assert torch.equal(hot_pixels(raw + 5000.0), hot_pixels(raw))
