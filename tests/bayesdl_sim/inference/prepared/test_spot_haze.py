"""The haze of bright spots is found between the structures, and structure is not taken for haze."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.prepared.spot_haze import FOOT, spot_haze
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.spots import dimming

PLACES = ((40, 60), (85, 30))


@pytest.fixture(scope="module", params=["F-actin", "MT", "ER"])
def raw(request):
    """Structures of 15 e-/px or more, (9, 128, 128) counts."""
    scenes = simulated_cells(4711, 30, 2, 128)
    return next(scene.raw[1] for scene in scenes if scene.name == request.param)


def beads(shape, places, times=(1.0, 1.0)):
    """Points blurred by a lens, so many times as bright as one count, (H, W)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = np.zeros(shape)
    for (row, column), height in zip(places, times, strict=False):
        light += height * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 1.3**2))
    return light


def added(raw, share, sigma, places=PLACES, times=(1.0, 1.0)):
    """Counts with beads 20 times as bright as the structure, and the haze of those beads."""
    light = (
        20 * np.percentile(raw.mean(dim=0) - raw.min(), 99.5) * beads(raw.shape[1:], places, times)
    )
    haze = share * gaussian_filter(light, sigma, mode="constant")
    return raw + torch.from_numpy(light + haze).float(), haze


def away_from(places, shape, least, most):
    y, x = np.mgrid[: shape[0], : shape[1]]
    distances = np.min([np.hypot(y - row, x - column) for row, column in places], axis=0)
    return (distances > least) & (distances < most)


def found_in(raw):
    stack = MeasuredFrames(raw)
    return spot_haze(stack, dimming(stack.light)).numpy()


@pytest.mark.parametrize("sigma", [8.0, 14.0])
@pytest.mark.parametrize("count", [1, 2])
def test_most_of_the_haze_is_found(raw, sigma, count):
    places = PLACES[:count]
    hazy, haze = added(raw, 0.6, sigma, places)
    ring = away_from(places, haze.shape, 12, 25)
    # What the foot of the beads takes is no haze, and these beads have none.
    missed = (found_in(hazy) - haze)[ring]
    assert np.sqrt((missed**2).mean()) < 0.45 * np.sqrt((haze[ring] ** 2).mean())


def test_structure_is_not_taken_for_haze(raw):
    places = PLACES[:1]
    clear, _ = added(raw, 0.0, 8.0, places)
    estimate = found_in(clear)[away_from(places, raw.shape[1:], 12, 25)]
    structure = np.percentile(raw.mean(dim=0) - raw.min(), 99.5)
    assert estimate.mean() < 0.1 * structure


def test_a_faint_spot_has_the_haze_of_a_bright_one_in_proportion(raw):
    hazy, _ = added(raw, 0.6, 10.0, times=(2.0, 0.7))
    estimate = found_in(hazy)
    bright, faint = (estimate[row + 12, column] for row, column in PLACES)
    assert 2 < bright / faint < 3.5


def test_the_foot_of_a_lens_falls_with_the_third_power():
    light = 1000 * beads((96, 96), [(48, 48)])
    noise = torch.randn((9, 96, 96), generator=torch.Generator().manual_seed(0))
    stack = MeasuredFrames(100 + torch.from_numpy(light).float() + noise)
    factor = torch.from_numpy(1 - 0.99 * (beads((96, 96), [(48, 48)]) > 1e-4))
    estimate = spot_haze(stack, factor).numpy()
    for distance in (12, 20, 30):
        expected = FOOT * light.sum() / (2 * np.pi * distance**3)
        assert estimate[48, 48 + distance] == pytest.approx(expected, rel=0.15, abs=0.05)


def test_the_network_input_holds_neither_spot_nor_haze(raw, stack_of):
    hazy, haze = added(raw, 0.6, 10.0)
    plain, prepared = PreparedStack(stack_of(raw.numpy())), PreparedStack(stack_of(hazy.numpy()))
    assert plain.haze(0) is None
    shown, frames = prepared.shown(0).numpy(), raw.numpy()
    ring = away_from(PLACES, haze.shape, 12, 20)
    left = np.sqrt(((shown - frames).mean(axis=0)[ring] ** 2).mean())
    assert left < 0.5 * np.sqrt((haze[ring] ** 2).mean())
    # What is dimmed comes down to the dark of the field, not below it.
    assert shown.mean(axis=0)[~ring].min() > prepared.dark(0) - 0.3 * haze.max()
    assert abs(prepared.norm(0).scale - plain.norm(0).scale) < 0.2 * plain.norm(0).scale


def test_without_spots_there_is_no_haze(raw):
    assert spot_haze(MeasuredFrames(raw), None) is None
