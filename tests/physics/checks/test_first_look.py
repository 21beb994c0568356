"""The first look: quiet on a good cell at any light, and sure of what ruins a time point."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.physics.checks.first_look import first_look

OFFSET, READ_NOISE = 100.0, 2.0


@pytest.fixture(scope="module")
def cristae():
    """The counts (9, 120, 120) of a cell of the demo data."""
    path = Path(__file__).resolve().parents[3] / "data" / "cristae" / "raw.tif"
    return tifffile.imread(path)[:, :120, :120].astype(np.float64)


def exposure(cristae, photons=1.0, seed=0):
    """A cell of the demo data with fresh noise, (9, H, W) counts."""
    rng = np.random.default_rng(seed)
    light = np.clip(cristae - np.percentile(cristae, 1), 0, None) * photons
    noise = rng.normal(OFFSET, READ_NOISE, light.shape)
    return torch.from_numpy((rng.poisson(light) + noise).astype(np.float32))


def dark(raw, frames, seed=1):
    noise = np.random.default_rng(seed).normal(OFFSET, READ_NOISE, raw.shape).astype(np.float32)
    darkened = raw.clone()
    darkened[frames] = torch.from_numpy(noise)[frames]
    return darkened


@pytest.mark.parametrize("photons", [0.03, 0.3, 3.0])
def test_good_frames_show_nothing(cristae, photons):
    look = first_look(exposure(cristae, photons))
    assert 0.7 < min(look.brightness) <= max(look.brightness) < 1.4
    assert (look.copies, look.saturated_share) == ((), 0.0)
    assert look.moved_px == 0


def test_dark_and_bright_frames_stand_out_at_any_offset(cristae):
    raw = dark(exposure(cristae), [4])
    assert abs(first_look(raw).brightness[4]) < 0.1
    raw[4] += 500
    assert abs(first_look(raw).brightness[4]) < 0.1
    raw = dark(exposure(cristae), [0, 1, 2, 3, 4, 5])
    assert max(first_look(raw).brightness[:6]) < 0.1
    raw = exposure(cristae)
    raw[7] = OFFSET + 4 * (raw[7] - OFFSET)
    assert first_look(raw).brightness[7] == pytest.approx(4, rel=0.2)


def test_hot_pixels_are_no_light(cristae):
    raw = exposure(cristae)
    blank = dark(raw, list(range(9)))
    places = torch.from_numpy(np.random.default_rng(2).integers(8, 56, (2, 20)))
    blank[:, places[0], places[1]] = 60000.0
    assert first_look(blank).contrast < 0.05 * first_look(raw).contrast


def test_copies_cut_values_and_motion_are_measured(cristae):
    raw = exposure(cristae)
    assert first_look(raw[[0, 1, 2, 3, 3, 5, 6, 7, 8]]).copies == ((4, 5),)
    assert first_look(raw.clamp(max=float(raw.quantile(0.9)))).saturated_share > 0.05
    moved = torch.cat([raw[:3], raw[3:6].roll(4, dims=2), raw[6:]])
    assert first_look(moved).moved_px == 4


def test_pixels_without_data_change_little(cristae):
    raw = exposure(cristae)
    gaps = raw.clone()
    gaps[:, :3] = torch.nan
    look = first_look(gaps)
    assert look.contrast == pytest.approx(first_look(raw).contrast, rel=0.2)
    assert min(look.brightness) > 0.7


def test_of_a_large_field_the_brightest_part_is_looked_at():
    rng = np.random.default_rng(3)
    raw = torch.from_numpy(rng.normal(OFFSET, READ_NOISE, (9, 540, 700)).astype(np.float32))
    raw[:, 20:28, 660:668] += 4000
    raw[5, 20:28, 660:668] = OFFSET
    assert abs(first_look(raw).brightness[5]) < 0.1
