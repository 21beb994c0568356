"""The Wiener reconstruction resolves more than wide field, and puts it in the right place."""

import dataclasses
import math

import pytest
import torch

from bayesdl_sim.metrics.images import affine_fit, quality
from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, raw_counts, target_image
from bayesdl_sim.physics.microscopes import Microscope
from bayesdl_sim.physics.optics import Optics, frequency_grid
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.reconstruction.wiener import (
    filter_settings,
    wide_field_upsampled,
    wiener_sim,
)
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.physics.spots import dimming
from bayesdl_sim.utils.errors import InputError

torch.set_num_threads(1)

OPTICS = Optics(na=1.35, emission_nm=520.0, pixel_size_nm=62.6, damping=0.5)
STEPS = tuple(p * 2 * math.pi / 3 for p in range(3))


def _illumination(modulation=0.7):
    """Phases refer to the first pixel of the field, as they do in a reconstruction."""
    return Illumination(
        frequency=(0.3, 0.297, 0.305),
        angle=(0.4, 0.4 + math.pi / 3, 0.4 + 2 * math.pi / 3),
        phase=tuple(tuple(first + step for step in STEPS) for first in (0.3, 1.0, 2.0)),
        modulation=(modulation,) * 3,
        brightness=(0.9, 1.0, 1.1),
    )


def _on_grid(illumination, grid):
    """The same patterns with phases at the first pixel of the simulation's grid."""
    phases = []
    for o, (f, a) in enumerate(zip(illumination.frequency, illumination.angle, strict=True)):
        way = f * (math.sin(a) * grid.top + math.cos(a) * grid.left) / 2  # cycles
        phases.append(tuple(p - 2 * math.pi * way for p in illumination.phase[o]))
    return dataclasses.replace(illumination, phase=tuple(phases))


def _filaments(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    count, steps = 40, 4 * max(shape)
    start = torch.rand(count, 1, generator=generator) * 2 * math.pi
    heading = start + 0.02 * torch.randn(count, steps, generator=generator).cumsum(dim=1)
    place = torch.rand(2, count, 1, generator=generator) * torch.tensor(shape).reshape(2, 1, 1)
    track = place + 0.5 * torch.stack([heading.sin(), heading.cos()]).cumsum(dim=2)
    rows, columns = (track[i].round().long() % shape[i] for i in range(2))
    image = torch.zeros(shape)
    ones = torch.ones(count * steps)
    image.index_put_((rows.flatten(), columns.flatten()), ones, accumulate=True)
    return image


def _case(size=(96, 96), signal=200.0, modulation=0.7, structure=None, seed=0):
    grid = grid_for(size)
    illumination = _illumination(modulation)
    microscope = Microscope(OPTICS, _on_grid(illumination, grid), Camera(), background=0.05)
    structure = _filaments(grid.shape, seed) if structure is None else structure
    expected = expected_frames(structure, microscope, grid)
    raw = raw_counts(expected, signal, microscope, torch.Generator().manual_seed(seed))
    return raw, illumination, target_image(structure, microscope, grid).numpy()


def _psnr(image, target):
    return quality(image.numpy(), target).psnr


@pytest.mark.parametrize("size", [(96, 96), (101, 84)])
def test_filaments_beat_wide_field(size):
    raw, _, target = _case(size)
    image = wiener_sim(raw, OPTICS)
    assert image.shape == (2 * size[0], 2 * size[1])
    assert image.dtype == torch.float32
    assert _psnr(image, target) > _psnr(wide_field_upsampled(raw), target) + 4


@pytest.mark.parametrize("signal", [2.0, 20.0, 400.0])
def test_the_measured_parameter_is_near_the_best_constant(signal):
    raw, illumination, target = _case(signal=signal)
    constants = [0.0003, 0.001, 0.003, 0.01, 0.1]
    best = max(_psnr(wiener_sim(raw, OPTICS, illumination, w), target) for w in constants)
    assert _psnr(wiener_sim(raw, OPTICS, illumination), target) > best - 0.3


def test_estimated_patterns_are_nearly_as_good_as_known_ones():
    raw, illumination, target = _case(size=(128, 128))
    known, estimated = wiener_sim(raw, OPTICS, illumination), wiener_sim(raw, OPTICS)
    assert _psnr(estimated, target) > _psnr(known, target) - 1.0


def test_points_keep_their_place_and_get_narrower():
    grid = grid_for((48, 40))
    structure = torch.zeros(grid.shape)
    row, column = 41, 30  # in the field's super-resolution pixels; an odd and an even one
    structure[grid.top + row, grid.left + column] = 1.0
    raw, illumination, _ = _case((48, 40), 400.0, structure=structure)
    image = wiener_sim(raw, OPTICS, illumination).double()
    wide = wide_field_upsampled(raw).double() - 100.0
    window = (slice(row - 12, row + 13), slice(column - 12, column + 13))
    assert divmod(int(image.argmax()), image.shape[1]) == (row, column)
    for axis in (0, 1):
        place = torch.arange(-12.0, 13.0, dtype=torch.float64)
        profile = image[window].clamp(min=0).sum(dim=1 - axis)
        assert abs(float((profile * place).sum() / profile.sum())) < 0.3
    half = [int((i > 0.5 * i.max()).sum()) for i in (image, wide)]
    assert half[0] < 0.55 * half[1]


@pytest.mark.parametrize(("borders", "limit"), [(False, 6.0), (True, 2.5)])
def test_borders_stay_clean(borders, limit):
    # Light and fringes that end at a border would ring without the mirrored margin.
    grid = grid_for((64, 64))
    raw, illumination, target = _case((64, 64), 400.0, structure=_filaments(grid.shape, 2) + 0.5)
    image = wiener_sim(raw, OPTICS, illumination, borders=borders)
    error = affine_fit(image.numpy(), target) - target
    rim, middle = error.copy(), error[16:-16, 16:-16]
    rim[8:-8, 8:-8] = 0
    share = 1 - (112 / 128) ** 2
    assert (rim**2).mean() / share < limit * (middle**2).mean()


def test_nothing_lies_beyond_the_extended_support():
    raw, illumination, _ = _case((64, 64))
    image = wiener_sim(raw, OPTICS, illumination)
    window = torch.hann_window(128)[:, None] * torch.hann_window(128)
    power = torch.fft.rfft2(image * window).abs() ** 2
    beyond = frequency_grid((128, 128)) > OPTICS.cutoff + illumination.mean_frequency + 0.04
    assert float(power[beyond].sum() / power.sum()) < 1e-6


def test_counts_keep_their_scale():
    raw, illumination, _ = _case(signal=400.0)
    image = wiener_sim(raw, OPTICS, illumination)
    above = raw.mean(dim=0).flatten()
    above = above - above.kthvalue(round(0.01 * len(above))).values
    assert float(image.mean()) == pytest.approx(float(above.mean()), rel=0.05)


@pytest.mark.parametrize("value", ["no fringes", "constant"])
def test_stacks_without_fringes_do_not_crash(value):
    raw = torch.full((9, 50, 41), 100.0) if value == "constant" else _case((50, 41), 50, 0.0)[0]
    image = wiener_sim(raw, OPTICS)
    assert image.shape == (100, 82)
    assert bool(torch.isfinite(image).all())


def test_options_change_what_they_say():
    raw, illumination, _ = _case((64, 64))
    usual = wiener_sim(raw, OPTICS, illumination, wiener=0.01)
    hard = wiener_sim(raw, OPTICS, illumination, wiener=0.01, apodisation=False)
    frequency = frequency_grid((128, 128))
    extended = OPTICS.cutoff + illumination.mean_frequency
    rim = (frequency > 0.7 * extended) & (frequency < extended)
    fine = [float(torch.fft.rfft2(i).abs()[rim].square().sum()) for i in (usual, hard)]
    assert fine[1] > 4 * fine[0]
    with pytest.raises(InputError, match="wiener"):
        wiener_sim(raw, OPTICS, illumination, wiener=0.0)


def test_wide_field_is_the_interpolated_mean():
    ramp = torch.arange(20.0)[None, None, :].expand(9, 16, 20)
    wide = wide_field_upsampled(ramp)
    assert wide.shape == (32, 40)
    # align_corners=False: pixel j of the fine grid lies at (j + 0.5) / 2 - 0.5 raw pixels
    expected = (torch.arange(40) + 0.5) / 2 - 0.5
    # 0.06: a cubic with torch's coefficient of -0.75 does not follow a ramp exactly
    assert torch.allclose(wide[10, 6:-6], expected[6:-6], atol=0.06)


@pytest.mark.parametrize(("times", "place"), [(10, (40, 50)), (20, (64, 90))])
def test_the_filter_of_a_stack_with_a_dimmed_spot_is_that_without_it(stand, times, place):
    one = stand(modulation=0.5)
    plain, raw = one.stack(), one.with_spot(times, place)
    factor = dimming(MeasuredFrames(raw).light)
    low = float(plain.min())
    shown = low + factor * (raw - low)
    known, corrected, unaware = (
        filter_settings(frames, one.optics, one.light, dimmed).law.slope
        for frames, dimmed in ((plain, None), (shown, factor), (shown, None))
    )
    assert corrected == pytest.approx(known, abs=0.05)
    assert abs(unaware - known) > 0.15
