"""The simulated microscope obeys the physics it claims to follow."""

import math

import pytest
import torch

from bayesdl_sim.physics.illumination import Illumination, patterns
from bayesdl_sim.physics.image_formation import (
    bin_to_camera,
    blur,
    excite,
    expected_frames,
    grid_for,
    lit_median,
    raw_counts,
    target_image,
)
from bayesdl_sim.physics.microscopes import (
    CUTOFF_RANGE,
    PATTERN_RANGE,
    Microscope,
    biosr_microscope,
    random_microscope,
)
from bayesdl_sim.physics.optics import Optics, apply_otf, frequency_grid, otf, target_otf
from bayesdl_sim.physics.sensor.camera import Camera, CameraMaps, expose

torch.set_num_threads(1)

IDEAL = Optics(na=1.35, emission_nm=520.0, pixel_size_nm=62.6, damping=0.5)
MEASURED = Optics(
    na=1.35,
    emission_nm=520.0,
    pixel_size_nm=62.6,
    radial_otf=tuple(math.exp(-i / 60) for i in range(257)),  # noise-like beyond the cut-off
    radial_step_per_um=0.0312,
)
STEPS = tuple(p * 2 * math.pi / 3 for p in range(3))
SHAPE = (120, 96)


def _illumination(modulation=0.8):
    return Illumination(
        frequency=(0.31, 0.3, 0.29),
        angle=(0.2, 1.25, 2.3),
        phase=tuple(tuple(first + step for step in STEPS) for first in (0.1, 0.9, 2.0)),
        modulation=(modulation,) * 3,
        brightness=(0.9, 1.0, 1.1),
    )


def _structure(shape, seed=0):
    dots = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return (dots - 0.97).clamp(min=0.0)


@pytest.mark.parametrize("optics", [IDEAL, MEASURED])
def test_otf_is_one_at_zero_and_zero_beyond_the_cut_off(optics):
    transfer, frequency = otf(optics, SHAPE), frequency_grid(SHAPE)
    assert transfer.shape == (120, 49)
    assert float(transfer[0, 0]) == pytest.approx(1.0, abs=1e-6)
    assert float(transfer[frequency >= optics.cutoff].abs().max()) == 0.0
    assert float(transfer[frequency < 0.9 * optics.cutoff].min()) > 0.0
    along = transfer[0, :]
    assert bool((along[1:] <= along[:-1] + 1e-6).all())


def test_cut_off_is_two_na_over_wavelength_in_cycles_per_pixel():
    assert IDEAL.cutoff == pytest.approx(2 * 1.35 / 520 * 62.6)


def test_target_support_is_the_extended_one_and_its_image_never_negative():
    transfer, frequency = target_otf(IDEAL, 0.3, SHAPE), frequency_grid(SHAPE)
    extended = IDEAL.cutoff + 0.3
    assert float(transfer[0, 0]) == pytest.approx(1.0, abs=1e-6)
    assert float(transfer[frequency >= extended].abs().max()) == 0.0
    assert float(transfer[frequency < 0.95 * extended].min()) > 0.0
    point = torch.zeros(SHAPE)
    point[60, 48] = 1.0
    image = apply_otf(point, transfer)
    assert float(image.min()) > -1e-3 * float(image.max())


def test_three_phases_of_one_orientation_add_up_to_wide_field():
    structure, illumination = _structure(SHAPE), _illumination()
    transfer = otf(IDEAL, SHAPE)
    frames = bin_to_camera(blur(excite(structure, patterns(illumination, SHAPE)), transfer))
    wide_field = bin_to_camera(blur(structure[None], transfer))[0]
    for o in range(3):
        mean = frames[3 * o : 3 * o + 3].mean(dim=0) / illumination.brightness[o]
        assert torch.allclose(mean, wide_field, atol=1e-4 * float(wide_field.max()))


def test_patterns_have_their_frequency_modulation_and_brightness():
    shape = (512, 512)
    light = patterns(_illumination(), shape)
    for o, frame in enumerate(light[::3]):
        assert float(frame.mean()) == pytest.approx((0.9, 1.0, 1.1)[o], rel=0.01)
        contrast = (frame.max() - frame.min()) / (frame.max() + frame.min())
        assert float(contrast) == pytest.approx(0.8, abs=0.01)
        window = torch.hann_window(512)[:, None] * torch.hann_window(512)
        power = torch.fft.rfft2((frame - frame.mean()) * window).abs()
        at = frequency_grid(shape).flatten()[power.argmax()]
        assert float(at) == pytest.approx((0.31, 0.3, 0.29)[o], abs=0.004)


def test_pattern_phase_is_that_at_the_centre_of_the_first_raw_pixel():
    light = patterns(_illumination(), (16, 16))
    # The centre of raw pixel (0, 0) lies between fine pixels 0 and 1, where the mean is taken.
    at_centre = bin_to_camera(light)[:, 0, 0]
    for o in range(3):
        for p in range(3):
            phase = _illumination().phase[o][p]
            expected = (0.9, 1.0, 1.1)[o] * (1 + 0.8 * math.cos(phase))
            assert float(at_centre[3 * o + p]) == pytest.approx(expected, abs=0.1)


def test_binning_keeps_the_place_of_a_structure():
    # A spot at fine pixel (y, x) lies at ((y + 0.5) / 2 - 0.5, ...) raw pixels.
    transfer = otf(IDEAL, (96, 96))
    for y, x in [(40, 50), (41, 50), (40, 51), (43, 47)]:
        structure = torch.zeros(96, 96)
        structure[y, x] = 1.0
        image = bin_to_camera(blur(structure[None], transfer))[0]
        rows, columns = torch.arange(48.0)[:, None], torch.arange(48.0)[None]
        near = (rows - y / 2).abs().le(6) & (columns - x / 2).abs().le(6)
        image = image * near
        assert float((image * rows).sum() / image.sum()) == pytest.approx(y / 2 - 0.25, abs=0.06)
        assert float((image * columns).sum() / image.sum()) == pytest.approx(x / 2 - 0.25, abs=0.06)


def test_raw_and_target_show_the_same_place():
    grid = grid_for((40, 33))
    structure = torch.zeros(grid.shape)
    structure[grid.top + 31, grid.left + 42] = 1.0
    microscope = Microscope(IDEAL, _illumination(0.0), Camera())
    raw = expected_frames(structure, microscope, grid).mean(dim=0)
    target = target_image(structure, microscope, grid)
    assert raw.shape == (40, 33)
    assert target.shape == (80, 66)
    assert divmod(int(target.argmax()), 66) == (31, 42)
    assert divmod(int(raw.argmax()), 33) == (15, 21)
    assert float(target.max()) == pytest.approx(1.0)


def test_camera_variance_against_mean_has_the_gain_as_slope():
    camera = Camera(gain=2.2, offset=100.0, read_noise_e=1.5)
    generator = torch.Generator().manual_seed(0)
    means, variances = [], []
    for electrons in (0.0, 5.0, 20.0, 80.0, 200.0):
        counts = expose(torch.full((200, 200), electrons), camera, generator)
        means.append(float(counts.mean()))
        variances.append(float(counts.var()))
    assert means[0] == pytest.approx(100.0, abs=0.1)
    slope = (variances[-1] - variances[0]) / (means[-1] - means[0])
    assert slope == pytest.approx(2.2, rel=0.03)
    for mean, variance in zip(means, variances, strict=True):
        # 1/12: rounding to whole counts
        expected = 2.2 * (mean - 100.0) + (2.2 * 1.5) ** 2 + 1 / 12
        assert variance == pytest.approx(expected, rel=0.04)


def test_counts_are_whole_saturate_and_follow_measured_maps():
    generator = torch.Generator().manual_seed(0)
    bright = expose(torch.full((8, 8), 1e5), Camera(), generator)
    assert bool((bright == 65535).all())
    maps = CameraMaps(torch.full((64, 64), 1.5), torch.full((64, 64), 90.0), torch.ones(64, 64))
    maps.variance[10, 11] = 1e4  # a hot pixel
    counts = expose(torch.zeros(200, 64, 64), Camera(), generator, maps)
    assert bool((counts == counts.round()).all())
    assert float(counts.mean()) == pytest.approx(90.0, abs=0.2)
    assert float(counts[:, 10, 11].std()) > 30 * float(counts[:, 20, 20].std())


def test_signal_level_is_the_median_of_the_lit_pixels():
    grid = grid_for((64, 64))
    microscope = Microscope(IDEAL, _illumination(), Camera(gain=2.0, offset=100.0))
    expected = expected_frames(_structure(grid.shape), microscope, grid)
    assert float(lit_median(expected.mean(dim=0))) == pytest.approx(1.0, rel=1e-5)
    raw = raw_counts(expected, 50.0, microscope, torch.Generator().manual_seed(0))
    electrons = (raw - 100.0).mean(dim=0) / 2.0
    lit = expected.mean(dim=0) > 0.5
    ratio = float(electrons[lit].mean() / expected.mean(dim=0)[lit].mean())
    assert ratio == pytest.approx(50.0, rel=0.02)


def test_haze_and_background_lower_the_contrast_of_the_fringes():
    grid = grid_for((64, 64))
    even = torch.ones(grid.shape)
    contrast = []
    for fraction, background in [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)]:
        microscope = Microscope(IDEAL, _illumination(), Camera(), fraction, 500.0, background)
        frame = expected_frames(even, microscope, grid)[0]
        contrast.append(float((frame.max() - frame.min()) / (frame.max() + frame.min())))
    assert contrast[1] == pytest.approx(contrast[0] * 0.9 / 1.4, rel=0.02)
    assert contrast[2] < 0.75 * contrast[0]


def test_same_seed_gives_the_same_counts_and_leaves_the_global_state():
    grid = grid_for((48, 50))
    torch.manual_seed(7)
    before = torch.get_rng_state()
    stacks = []
    for seed in (3, 3, 4):
        generator = torch.Generator().manual_seed(seed)
        microscope = random_microscope(generator)
        expected = expected_frames(_structure(grid.shape), microscope, grid)
        stacks.append(raw_counts(expected, 20.0, microscope, generator))
    assert torch.equal(stacks[0], stacks[1])
    assert not torch.equal(stacks[0], stacks[2])
    assert torch.equal(before, torch.get_rng_state())


def test_random_microscopes_stay_within_the_measured_ranges():
    generator = torch.Generator().manual_seed(0)
    senses = set()
    for _ in range(100):
        microscope = random_microscope(generator, measured=[MEASURED])
        light = microscope.illumination
        assert CUTOFF_RANGE[0] <= microscope.optics.cutoff <= CUTOFF_RANGE[1]
        for f in light.frequency:
            assert 0.9 * PATTERN_RANGE[0] < f < 1.1 * PATTERN_RANGE[1]
        assert all(0 < m <= 1 for m in light.modulation)
        turn = math.remainder(light.angle[1] - light.angle[0], math.pi)
        assert abs(abs(turn) - math.pi / 3) < 0.2
        senses.add(turn > 0)
    assert senses == {True, False}


def test_the_fixed_microscope_is_that_of_the_public_stacks():
    light = biosr_microscope(torch.Generator().manual_seed(0)).illumination
    assert light.mean_frequency == pytest.approx(0.348, abs=0.002)
    assert light.angle[0] == pytest.approx(1.48)
