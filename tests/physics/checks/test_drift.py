"""A sample that moved between the orientations is seen."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bayesdl_sim.physics.checks.drift import drift, local_drift


def test_drift_of_one_orientation_is_seen():
    image = gaussian_filter(np.random.default_rng(1).random((120, 130)), 2.0)
    frames = np.repeat(image[None], 9, axis=0)
    frames[6:] = np.roll(image, (2, -1), axis=(0, 1))
    shift = drift(torch.from_numpy(frames))
    assert shift.largest_px == pytest.approx(np.hypot(2, 1), abs=0.1)
    assert shift.error_px < 0.1
    assert drift(torch.from_numpy(np.repeat(image[None], 9, axis=0))).largest_px == 0.0


def still(seed=1, size=(160, 150)):
    """Nine equal frames of a random texture, (9, H, W)."""
    image = gaussian_filter(np.random.default_rng(seed).random(size), 2.0)
    return torch.from_numpy(np.repeat(image[None], 9, axis=0))


def test_a_corner_that_moves_is_seen_although_the_field_stays():
    frames = still()
    frames[6:, :64, :60] = frames[6:, :64, :60].roll((1, 1), dims=(1, 2))
    frames[6:, -64:, -60:] = frames[6:, -64:, -60:].roll((-1, -1), dims=(1, 2))
    assert drift(frames).largest_px < 0.5
    part = local_drift(frames)
    assert part.largest_px == pytest.approx(np.sqrt(2), abs=0.15)
    assert part.error_px < 0.2


def test_one_corner_alone_is_not_enough():
    frames = still()
    frames[6:, :64, :60] = frames[6:, :64, :60].roll((1, 1), dims=(1, 2))
    part = local_drift(frames)
    assert part.largest_px - 3 * part.error_px < 0.5


def test_no_part_of_a_still_field_moves():
    assert local_drift(still()).largest_px == 0.0


def test_noise_is_no_movement(stand):
    raw = stand(modulation=0.5).stack(size=(128, 144), signal_e=4.0, kind="ER")
    part = local_drift(raw - raw.mean())
    assert part.largest_px - 3 * part.error_px < 0.5


def test_a_small_field_is_not_divided():
    assert local_drift(still(size=(90, 130))).error_px == np.inf
