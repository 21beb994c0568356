"""A sample that moved between the orientations is seen."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bayesdl_sim.physics.checks.drift import drift


def test_drift_of_one_orientation_is_seen():
    image = gaussian_filter(np.random.default_rng(1).random((120, 130)), 2.0)
    frames = np.repeat(image[None], 9, axis=0)
    frames[6:] = np.roll(image, (2, -1), axis=(0, 1))
    shift = drift(torch.from_numpy(frames))
    assert shift.largest_px == pytest.approx(np.hypot(2, 1), abs=0.1)
    assert shift.error_px < 0.1
    assert drift(torch.from_numpy(np.repeat(image[None], 9, axis=0))).largest_px == 0.0
