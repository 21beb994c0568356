"""What camera and storage did to a stack shows in the values, and only where it was done."""

import pytest
import torch

from bayesdl_sim.physics.patterns.bands import prepare
from bayesdl_sim.physics.reconstruction.camera_checks import (
    clipped_share,
    copies,
    saturated_share,
)


@pytest.fixture(scope="module")
def good(stand):
    return stand(modulation=0.4).stack(size=(144, 144), signal_e=120.0, kind="MT")


def test_a_good_stack_has_none_of_it(good):
    assert saturated_share(good) == clipped_share(good) == 0.0
    assert copies(prepare(good)) == ()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
def test_a_background_that_was_cut_is_measured(good, share):
    floor = float(good.flatten().quantile(share))
    assert clipped_share((good - floor).clamp(min=0)) == pytest.approx(share, abs=0.03)


def test_saturation_is_measured(good):
    top = float(good.flatten().quantile(0.97))
    assert saturated_share(good.clamp(max=top)) == pytest.approx(0.03, abs=0.01)


def test_copies_are_found_through_other_gain_and_offset(good):
    raw = good.clone()
    raw[7] = 0.8 * raw[2] + 30
    assert copies(prepare(raw)) == ((3, 8),)


def test_fixed_hot_pixels_are_no_copies(good):
    raw = good.clone()
    raw[:, torch.rand(144, 144, generator=torch.Generator().manual_seed(3)) < 0.004] = 3000.0
    assert copies(prepare(raw)) == ()
