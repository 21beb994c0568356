"""Raw checks find what was done to simulated stacks, and nothing in good ones."""

import math
from dataclasses import replace

import pytest
import torch

from bayesdl_sim.physics.checks.raw_checks import raw_checks
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, raw_counts
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.frames.fringe_search import search_fringes
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.patterns.noise import noise_line
from bayesdl_sim.physics.structures.mixture import draw
from tests.physics.conftest import LIGHT, MICROSCOPE, STEP

torch.set_num_threads(1)

SIZE = 128


def stack(microscope=MICROSCOPE, signal=150.0, shift=0):
    """(9, H, W) counts of a network; `shift` raw pixels of motion in each orientation."""
    grid = grid_for((SIZE, SIZE))
    structure = draw("ER", grid.shape, 32.5, torch.Generator().manual_seed(3))
    frames = [
        expected_frames(structure.roll(2 * shift * o, dims=1), microscope, grid)[3 * o : 3 * o + 3]
        for o in range(3)
    ]
    return raw_counts(torch.cat(frames), signal, microscope, torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def good():
    return stack()


@pytest.fixture(scope="module")
def checks(good):
    return raw_checks(good)


def test_good_stack_is_described_as_it_was_made(checks):
    assert sorted(checks.fringes.groups) == [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
    assert min(checks.fringes.confidence) > 6
    assert checks.fringes.frequency == pytest.approx(LIGHT.frequency, abs=2e-3)
    assert checks.fringes.angle_error_deg < 2
    for step, error in zip(
        checks.fringes.phase_step_deg, checks.fringes.phase_step_error_deg, strict=True
    ):
        assert step < 3 * error
    assert checks.storage.copies == ()
    assert checks.storage.saturated_share == checks.sensor.hot_share == 0
    assert checks.light.drift_px < 0.3
    assert checks.fringes.fringe_sigma > 10
    assert checks.light.brightness == pytest.approx((1.0,) * 9, abs=0.05)


def test_gain_and_signal_are_measured_from_the_noise(checks):
    assert checks.sensor.gain == pytest.approx(1.7, rel=0.2)
    assert 100 < checks.light.signal_e < 200


@pytest.mark.parametrize(
    ("order", "group"),
    [
        ([0, 3, 6, 1, 4, 7, 2, 5, 8], (1, 4, 7)),  # phases first
        ([0, 1, 3, 2, 4, 5, 6, 7, 8], (1, 2, 4)),  # two frames swapped
    ],
)
def test_frames_are_grouped_by_their_fringes_in_any_order(good, order, group):
    assert group in raw_checks(good[order]).fringes.groups


def test_repeated_orientation_is_one_group_of_six():
    names = ("frequency", "angle", "phase")
    repeated = {name: tuple(getattr(LIGHT, name)[o] for o in (0, 1, 1)) for name in names}
    checks = raw_checks(stack(replace(MICROSCOPE, illumination=replace(LIGHT, **repeated))))
    assert (4, 5, 6, 7, 8, 9) in checks.fringes.groups


def test_wrong_phase_steps_are_measured():
    phase = tuple((o, o, o + STEP) for o in range(3))
    checks = raw_checks(stack(replace(MICROSCOPE, illumination=replace(LIGHT, phase=phase))))
    assert len(checks.fringes.phase_step_deg) == 3
    for step, error in zip(
        checks.fringes.phase_step_deg, checks.fringes.phase_step_error_deg, strict=True
    ):
        assert step == pytest.approx(120, abs=max(3 * error, 15))


def test_wide_field_has_no_fringes():
    dark = replace(LIGHT, modulation=(0.0, 0.0, 0.0))
    checks = raw_checks(stack(replace(MICROSCOPE, illumination=dark)))
    assert checks.fringes.groups == ()
    assert checks.fringes.fringe_sigma < 3
    assert checks.fringes.fringe_share < 1e-3


def test_dim_stack_is_not_judged():
    assert raw_checks(stack(signal=1.0)).fringes.groups == ()


def test_drift_between_orientations_in_pixels():
    checks = raw_checks(stack(shift=1))
    assert checks.light.drift_px == pytest.approx(2.0, abs=0.3)
    assert checks.light.drift_error_px < 0.3


def test_copies_are_found_even_brighter_and_with_another_offset(good):
    raw = good.clone()
    raw[5] = 1.3 * raw[1] + 40
    assert raw_checks(raw).storage.copies == ((2, 6),)


def test_saturation_is_the_share_that_was_cut(good):
    top = good.flatten().quantile(0.95)
    assert raw_checks(good.clamp(max=float(top))).storage.saturated_share == pytest.approx(
        0.05, abs=0.02
    )


def test_hot_pixels_are_counted_and_are_no_copies(good):
    where = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(1)) < 0.003
    checks = raw_checks(good + where * 3 * good.max())
    assert checks.sensor.hot_share == pytest.approx(float(where.double().mean()), rel=0.35)
    assert checks.storage.copies == ()


def test_dark_frame_and_bleaching(good):
    raw = good.clone()
    raw[4] = raw.min()
    assert raw_checks(raw).light.brightness[4] < 0.1
    fading = 100 + (good - 100) * torch.linspace(1, 0.6, 9)[:, None, None]
    assert raw_checks(fading).light.bleaching == pytest.approx(0.4, abs=0.08)


def test_defocus_takes_the_fine_share(checks):
    blurred = torch.nn.functional.avg_pool2d(stack()[None], 5, stride=1, padding=2)[0]
    assert raw_checks(blurred).light.fine_share < 0.5 * checks.light.fine_share


def test_noise_line_of_a_camera_that_is_known():
    generator = torch.Generator().manual_seed(0)
    light = 205 + 195 * torch.cos(torch.arange(SIZE) * 2 * math.pi / SIZE)
    light = light.repeat(SIZE, 1).expand(9, SIZE, SIZE)
    frames = 2.0 * torch.poisson(light, generator=generator)
    frames = frames + 6.0 * torch.randn(frames.shape, generator=generator)
    level, gain = noise_line(frames.double())
    assert gain == pytest.approx(2.0, rel=0.1)
    assert 0 < level < 150  # 36


def test_groups_do_not_depend_on_the_brightness_of_frames(good):
    frames = (good - 100).double() * torch.linspace(0.8, 1.2, 9)[:, None, None]
    groups = search_fringes(MeasuredFrames(frames), TYPICAL_OPTICS).groups()
    assert sorted(group.frames for group in groups) == [(0, 1, 2), (3, 4, 5), (6, 7, 8)]


@pytest.mark.parametrize("modulation", [0.1, 0.2])
@pytest.mark.parametrize("pair", [(0, 3), (2, 7), (4, 8)])
def test_exchanged_frames_show_at_low_modulation(stand, modulation, pair):
    raw = stand(0.34, 0.30, modulation=modulation).stack(size=(160, 160), signal_e=150.0)
    order = list(range(9))
    order[pair[0]], order[pair[1]] = pair[1], pair[0]
    groups = raw_checks(raw[order]).fringes.groups
    assert any(len({(frame - 1) // 3 for frame in group}) > 1 for group in groups)
    right = raw_checks(raw).fringes.groups
    assert all(len({(frame - 1) // 3 for frame in group}) == 1 for group in right)


@pytest.mark.parametrize("seed", range(3))
def test_dim_frames_in_the_right_order_are_never_called_wrong(stand, seed):
    raw = stand(0.34, 0.30, modulation=0.2).stack(size=(128, 128), signal_e=12.0, seed=seed)
    groups = raw_checks(raw).fringes.groups
    assert all(len({(frame - 1) // 3 for frame in group}) == 1 for group in groups)


def test_gaps_hot_pixels_and_spots_are_reported(good):
    raw = good.clone()
    raw[:, -8:], raw[:, 40, 50], raw[:, 41, 50] = 0, 9000, 8000
    checks = raw_checks(raw)
    assert checks.sensor.missing == "a border of 8 rows holds no data"
    assert checks.sensor.missing_share == pytest.approx(8 / SIZE)
    assert checks.sensor.hot_share == pytest.approx(2 / SIZE**2)
    assert checks.storage.copies == ()
    assert checks.light.spot < 4
    assert min(checks.fringes.pattern_probability) > 0.9
    raw[:, 60:64, 60:64] += 20 * good.max()
    assert raw_checks(raw).light.spot > 10


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_what_gaps_are_filled_with_is_not_taken_for_a_filter(stand, value):
    raw = stand().stack((144, 144), signal_e=80.0)
    whole, gap = raw_checks(raw).storage, torch.zeros(144, 144, dtype=torch.bool)
    rows, columns = torch.meshgrid(torch.arange(144), torch.arange(144), indexing="ij")
    gap[rows + columns < 90] = True
    holed = raw_checks(raw.masked_fill(gap, value)).storage
    assert holed.ties == pytest.approx(whole.ties, abs=0.05)
    assert holed.median_ties == pytest.approx(whole.median_ties, abs=0.05)
    assert abs(holed.noise_colour - 1) < 4 * holed.noise_colour_error
    assert holed.noise_rounding < 2 * whole.noise_rounding + 0.01
    assert holed.coarse_noise > 1 - 4 * holed.coarse_noise_error


def test_saturation_below_a_flat_field_correction_is_the_share_that_was_cut(good):
    top = float(good.flatten().quantile(0.97))
    gain = 1 + 0.01 * torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    assert raw_checks((gain * good).round()).storage.saturated_share == 0.0
    corrected = raw_checks((gain * good.clamp(max=top)).round())
    assert corrected.storage.saturated_share == pytest.approx(0.03, abs=0.005)


@pytest.mark.parametrize("value", [None, 65535.0])
def test_a_scale_bar_is_named_and_neither_saturation_nor_a_copy(good, value):
    raw = good.clone()
    raw[:, 110:112, 90:110] = good.max() if value is None else value
    checks = raw_checks(raw)
    assert checks.sensor.missing == "0.24 % of the pixels hold no data (text or a scale bar?)"
    assert checks.storage.saturated_share == 0.0
    assert checks.storage.copies == ()


def test_a_black_border_of_one_orientation_is_named(good):
    raw = good.clone()
    raw[3:6, :, :3] = 0.0
    checks = raw_checks(raw)
    assert checks.sensor.missing == "a border of 3 columns holds no data"
    assert checks.storage.clipped_share == 0.0
