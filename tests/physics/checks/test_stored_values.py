"""What camera and storage did to a stack shows in the values, and only where it was done."""

import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter, white_tophat

from bayesdl_sim.physics.checks.noise_spectrum import noise_colour
from bayesdl_sim.physics.checks.stored_values import (
    are_stretched,
    clipped_share,
    common_minimum,
    copies,
    grey_step,
    median_ties,
    neighbour_ties,
    saturated_share,
)
from bayesdl_sim.physics.patterns.measured import MeasuredFrames


@pytest.fixture(scope="module")
def good(stand):
    return stand(modulation=0.4).stack(size=(144, 144), signal_e=120.0, kind="MT")


def copied(raw):
    stack = MeasuredFrames(raw)
    return copies(stack.beyond_any_lens, stack.frames)


def test_a_good_stack_has_none_of_it(good):
    assert saturated_share(good) == clipped_share(good) == 0.0
    assert copied(good) == ()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
def test_a_background_that_was_cut_is_measured(good, share):
    floor = float(good.flatten().quantile(share))
    assert clipped_share((good - floor).clamp(min=0)) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("mean", [0.7, 2.0, 8.0, 60.0, 2000.0])
def test_photon_counts_of_a_dim_field_are_not_called_clipped(mean):
    """They hold many true zeros, and as many ones, twos, ..."""
    y, x = torch.meshgrid(torch.arange(64) / 64, torch.arange(64) / 64, indexing="ij")
    light = mean * (0.5 + 0.5 * torch.sin(9 * x) * torch.cos(7 * y)) + 0.4
    frames = torch.poisson(light.expand(9, -1, -1), generator=torch.Generator().manual_seed(1))
    assert clipped_share(frames) == 0.0


def test_saturation_is_measured(good):
    top = float(good.flatten().quantile(0.97))
    assert saturated_share(good.clamp(max=top)) == pytest.approx(0.03, abs=0.01)


def test_copies_are_found_through_other_gain_and_offset(good):
    raw = good.clone()
    raw[7] = 0.8 * raw[2] + 30
    assert copied(raw) == ((3, 8),)


def test_fixed_hot_pixels_are_no_copies(good):
    raw = good.clone()
    raw[:, torch.rand(144, 144, generator=torch.Generator().manual_seed(3)) < 0.004] = 3000.0
    assert copied(raw) == ()


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_smoothed_frames_are_no_copies_and_hold_no_noise_but_that_of_rounding(stand, sigma):
    raw = stand(modulation=0.4).stack((144, 144), 40.0, kind="MT")
    smooth = torch.stack([torch.from_numpy(gaussian_filter(f.numpy(), sigma)) for f in raw]).round()
    assert copied(smooth) == ()
    assert grey_step(smooth) == grey_step(raw) == 1.0
    assert noise_colour(MeasuredFrames(smooth).frames, 0.33, 1.0).rounding > 0.9
    assert noise_colour(MeasuredFrames(raw).frames, 0.33, 1.0).rounding < 0.1


@pytest.mark.parametrize("signal_e", [15.0, 120.0, 400.0])
def test_neighbours_after_a_median_filter_have_the_same_value(stand, signal_e):
    def ties(raw):
        frames = MeasuredFrames(raw).frames
        return neighbour_ties(raw, frames.mean(dim=0), grey_step(raw))

    raw = stand(modulation=0.6).stack((144, 144), signal_e, kind="MT")
    assert ties(raw) < 1.3
    low, high = float(raw.min()), float(raw.max())
    assert ties((255 * (raw - low) / (high - low)).round()) < 1.7
    assert ties(0.371 * raw) < 1.3
    assert ties(torch.stack([torch.from_numpy(median_filter(f.numpy(), 3)) for f in raw])) > 2.0


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("signal_e", [10.0, 100.0])
def test_replaced_outliers_have_the_median_of_their_neighbours(stand, signal_e, size):
    raw = stand(modulation=0.6).stack((144, 144), signal_e, kind="ER")
    assert median_ties(raw) < 1.06
    assert median_ties((37.3 * raw).round()) < 1.06  # stretched to 16 bits
    median = torch.from_numpy(median_filter(raw.numpy(), (1, size, size)))
    outliers = raw - median > 0.1 * (raw.max() - raw.min())
    assert outliers.float().mean() > 0.003
    assert median_ties(torch.where(outliers, median, raw)) > 1.1


def test_few_grey_values_tell_nothing_about_medians(good):
    assert median_ties((good / 20).round()) == 1.0


@pytest.mark.parametrize("kind", ["MT", "Mitochondria"])
def test_a_top_hat_leaves_the_same_smallest_value_everywhere(stand, kind):
    raw = stand(modulation=0.6).stack((144, 144), 60.0, kind=kind)
    assert common_minimum(raw, 1.0) < 0.2
    flat = torch.from_numpy(white_tophat(raw.numpy(), (1, 21, 21)))
    assert common_minimum(flat, 1.0) > 0.95
    assert common_minimum((flat / 20).round(), 1.0) == 0.0  # hardly any value below the median


def test_values_that_were_never_rounded_have_no_ties(good):
    noise = torch.rand(good.shape, generator=torch.Generator().manual_seed(1))
    assert neighbour_ties(good + noise, good.mean(dim=0), grey_step(good + noise)) == 1.0


def test_frames_that_were_stretched_one_by_one_are_told_from_all_others(good):
    values = good.flatten(1)
    low, high = values.min(dim=1, keepdim=True).values, values.max(dim=1, keepdim=True).values
    assert are_stretched((255 * (values - low) / (high - low)).round())
    assert not are_stretched(values)
    assert not are_stretched((255 * (values - low.min()) / (high.max() - low.min())).round())
    saturated = values.clamp(max=float(high.min()))
    saturated[:, 4567], saturated[:, 1234] = saturated.max(), saturated.min()  # a bead, a dead spot
    assert not are_stretched(saturated)
