"""A single frame that moved is measured to a third of a pixel, and drift is none."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import shift

from bayesdl_sim.physics.checks.agreement.correlations import row_correlations
from bayesdl_sim.physics.checks.agreement.whole_frames import moved_frame
from bayesdl_sim.physics.patterns.measured import MeasuredFrames

torch.set_num_threads(1)


def exposed(expected, signal_e=60.0):
    """Counts (9, H, W) of expected frames."""
    light = signal_e * torch.as_tensor(np.asarray(expected)).float().clamp(min=0)
    return 2 * torch.poisson(light, generator=torch.Generator().manual_seed(5)) + 100


def moved_in(raw):
    return moved_frame(*row_correlations(MeasuredFrames(raw).frames))


@pytest.mark.parametrize("kind", ["F-actin", "ER", "CCPs"])
@pytest.mark.parametrize("step", [(1.0, 0.0), (-0.5, 0.6), (0.0, -2.0)])
def test_a_frame_that_moved_is_measured(stand, kind, step):
    expected = stand().expected((112, 120), kind, 2).numpy()
    expected[4] = shift(expected[4], step, mode="nearest")
    found = moved_in(exposed(expected))
    assert found.frame == 5
    assert found.moved_px == pytest.approx(math.hypot(*step), abs=0.35)
    assert found.error_px < 0.2


@pytest.mark.parametrize("kind", ["F-actin", "ER", "CCPs"])
def test_drift_between_the_orientations_moves_no_single_frame(stand, kind):
    expected = stand().expected((112, 120), kind, 2).numpy()
    expected[6:] = [shift(frame, (0.7, 0.4), mode="nearest") for frame in expected[6:]]
    found = moved_in(exposed(expected))
    assert found.moved_px - 3 * found.error_px < 0.3


def test_dim_frames_are_not_measured(stand):
    assert moved_in(exposed(stand().expected((96, 96), "ER", 2), 0.3)).error_px == math.inf
