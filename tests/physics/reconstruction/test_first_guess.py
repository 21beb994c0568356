"""The first guess knows no microscope, and is better than wide field on any that has fringes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.metrics.images import pearson, quality
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, raw_counts, target_image
from bayesdl_sim.physics.microscopes import random_microscope
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.reconstruction.first_guess import (
    BLOCK_MARGIN,
    FAINTEST,
    block_guess,
    block_settings,
    first_guess,
)
from bayesdl_sim.physics.reconstruction.wiener import (
    filter_settings,
    wide_field_upsampled,
    wiener_sim,
)
from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.utils.pieces.spans import blocks_of, doubled

torch.set_num_threads(1)


def stack(seed, modulation, signal_e, size=128):
    """F-actin in a random microscope: counts (9, H, W), target (2H, 2W)."""
    generator = torch.Generator().manual_seed(seed)
    microscope = random_microscope(generator)
    light = replace(microscope.illumination, modulation=(modulation,) * 3)
    microscope = replace(microscope, illumination=light)
    grid = grid_for((size, size))
    structure = draw("F-actin", grid.shape, microscope.optics.pixel_size_nm / 2, generator)
    raw = raw_counts(expected_frames(structure, microscope, grid), signal_e, microscope, generator)
    return raw, target_image(structure, microscope, grid).numpy()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_better_than_wide_field_on_microscopes_it_is_not_told_about(seed):
    raw, target = stack(seed, modulation=0.7, signal_e=150.0)
    guess = quality(first_guess(raw).numpy(), target).psnr
    assert guess > quality(wide_field_upsampled(raw).numpy(), target).psnr + 1.0


def test_without_fringes_it_is_the_wide_field_deconvolved():
    raw, _ = stack(4, modulation=0.0, signal_e=150.0)
    shown = first_guess(raw).numpy()
    assert pearson(shown, wide_field_upsampled(raw).numpy()) > 0.95
    patterns = estimate(raw)
    assert max(patterns.probability) < 0.3
    light = replace(patterns.illumination, modulation=(FAINTEST,) * 3)
    assert pearson(shown, wiener_sim(raw, patterns.optics, light).numpy()) > 0.999


def test_counts_in_counts_out():
    raw, _ = stack(5, modulation=0.6, signal_e=100.0, size=64)
    guess = first_guess(raw)
    assert guess.shape == (128, 128)
    assert guess.dtype == torch.float32
    np.testing.assert_allclose(first_guess(3 * raw + 50), 3 * guess, rtol=1e-2, atol=1.0)


def test_patterns_handed_in_give_the_same_bits():
    raw, _ = stack(6, modulation=0.6, signal_e=60.0, size=64)
    assert torch.equal(first_guess(raw), first_guess(raw, estimate(raw)))


@pytest.mark.parametrize("times", [2.0, 6.0, 25.0])
def test_one_bright_spot_leaves_the_rest_of_the_field_alone(stand, times):
    microscope = stand(modulation=0.4)
    away = (slice(0, 170), slice(0, 256))  # the spot is in row 105, column 40
    target = microscope.target().numpy()[away]
    plain = quality(first_guess(microscope.stack(signal_e=60.0)).numpy()[away], target).psnr
    spotted = microscope.with_spot(times, (105, 40), signal_e=60.0)
    assert quality(first_guess(spotted).numpy()[away], target).psnr > plain - 0.5


@pytest.mark.parametrize("gap", ["border", "columns", "padding", "dead line"])
def test_pixels_without_data_leave_the_rest_of_the_field_alone(stand, gap):
    microscope = stand(modulation=0.4)
    raw, target = microscope.stack(signal_e=60.0), microscope.target().numpy()
    plain = first_guess(raw).numpy()
    if gap == "border":
        raw[:, :14], raw[:, :, :6] = 0, 0
    elif gap == "columns":
        raw[:, :, -16:] = float("nan")
    elif gap == "dead line":
        raw[:, 64] = 100
    else:
        raw = torch.nn.functional.pad(raw, (17, 17, 17, 17))
    image = first_guess(raw).numpy()
    image = image[34:-34, 34:-34] if gap == "padding" else image
    for part in ((slice(60, 122), slice(60, 200)), (slice(136, 200), slice(60, 200))):
        before, now = (quality(i[part], target[part]).psnr for i in (plain, image))
        assert now > before - 0.5


def test_hot_pixels_leave_the_field_alone(stand):
    microscope = stand(modulation=0.4)
    raw, target = microscope.stack(signal_e=60.0), microscope.target().numpy()
    plain = quality(first_guess(raw).numpy(), target).psnr
    hot = torch.rand(128, 128, generator=torch.Generator().manual_seed(2)) < 0.002
    raw[:, hot] = 4000.0
    assert quality(first_guess(raw).numpy(), target).psnr > plain - 0.3


def test_negative_counts_of_a_calibrated_camera_are_taken(stand):
    raw = stand().stack(signal_e=60.0)
    shifted = first_guess((raw - 100.0) / 2.0)
    assert float((raw - 100.0).min()) < 0
    np.testing.assert_allclose(2.0 * shifted, first_guess(raw), rtol=1e-2, atol=1.0)


def test_optics_that_are_known_are_used(stand):
    microscope = stand(0.28, 0.25, damping=0.4)
    raw, target = microscope.stack(signal_e=100.0), microscope.target().numpy()
    scores = [
        quality(first_guess(raw, optics=optics).numpy(), target).psnr
        for optics in (None, microscope.optics, replace(microscope.optics, pixel_size_nm=95.0))
    ]
    assert scores[1] > scores[0] - 0.3
    assert scores[1] > scores[2] + 1.0


def test_blocks_with_the_settings_of_the_field_are_its_guess():
    raw, _ = stack(7, modulation=0.6, signal_e=60.0, size=224)
    patterns = estimate(raw)
    whole = first_guess(raw, patterns)
    background = filter_settings(raw, patterns.optics, patterns.illumination).background
    settings = block_settings(raw, patterns, background)
    image, level = torch.empty_like(whole), MeasuredFrames(raw).level
    none_missing = torch.zeros(224, 224, dtype=torch.bool)
    for block in blocks_of((224, 224), 112, BLOCK_MARGIN):
        light, missing = patterns.within(block.read), none_missing[block.read]
        part = block_guess(level[:, *block.read], light, settings, missing)
        image[*map(doubled, block.write)] = part[*map(doubled, block.keep)]
    unit = float(whole.quantile(0.999) - whole.quantile(0.001))
    difference = (image - whole) / unit
    assert float(difference.square().mean().sqrt()) < 1e-3
    assert float(difference.abs().max()) < 5e-3


def test_a_background_and_gaps_handed_in_are_used():
    raw, _ = stack(8, modulation=0.6, signal_e=60.0, size=64)
    patterns = estimate(raw)
    settings = filter_settings(raw, patterns.optics, patterns.illumination)
    darker = block_settings(raw, patterns, settings.background - 50)
    guesses = [block_guess(raw, patterns, some).mean() for some in (settings, darker)]
    assert float(guesses[1] - guesses[0]) == pytest.approx(50 * 0.9, rel=0.3)
    gap = torch.zeros(64, 64, dtype=torch.bool)
    gap[20:40, 20:40] = True
    holed = raw.masked_fill(gap, 0.0)
    assert torch.equal(
        block_guess(holed, patterns, settings, gap),
        block_guess(raw.masked_fill(gap, 7e4), patterns, settings, gap),
    )
