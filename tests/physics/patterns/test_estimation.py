"""Pattern estimation recovers the microscope that made a stack."""

import math

import pytest
import torch

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, raw_counts
from bayesdl_sim.physics.microscopes import Microscope, random_microscope
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import separate
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.patterns.noise import noise_variance
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.utils.errors import InputError
from tests.physics.conftest import shuffled

torch.set_num_threads(1)

OPTICS = Optics(na=1.35, emission_nm=520.0, pixel_size_nm=62.6, damping=0.5)


def _filaments(shape, seed):
    """Smooth random walks of one pixel's width across the grid."""
    generator = torch.Generator().manual_seed(seed)
    count, steps = 40, 4 * max(shape)
    start = torch.rand(count, 1, generator=generator) * 2 * math.pi
    turn = 0.02 * torch.randn(count, steps, generator=generator)
    heading = start + turn.cumsum(dim=1)
    place = torch.rand(2, count, 1, generator=generator) * torch.tensor(shape).reshape(2, 1, 1)
    track = place + 0.5 * torch.stack([heading.sin(), heading.cos()]).cumsum(dim=2)
    rows, columns = (track[i].round().long() % shape[i] for i in range(2))
    brightness = (0.5 + torch.rand(count, 1, generator=generator)).expand(count, steps)
    image = torch.zeros(shape)
    image.index_put_((rows.flatten(), columns.flatten()), brightness.flatten(), accumulate=True)
    return image


def _illumination(frequency=0.3, start=0.4, sense=1, modulation=0.7, direction=(1, 1, 1)):
    step = 2 * math.pi / 3
    return Illumination(
        frequency=(frequency, 0.99 * frequency, 1.015 * frequency),
        angle=tuple(start + sense * o * math.pi / 3 for o in range(3)),
        phase=tuple(tuple(0.7 * o + direction[o] * p * step for p in range(3)) for o in range(3)),
        modulation=(modulation,) * 3,
    )


def _stack(microscope, size, signal, seed=0):
    grid = grid_for(size)
    expected = expected_frames(_filaments(grid.shape, seed), microscope, grid)
    generator = torch.Generator().manual_seed(seed + 100)
    return raw_counts(expected, signal, microscope, generator)


def _wave(illumination, o):
    f, a = illumination.frequency[o], illumination.angle[o]
    return complex(f * math.cos(a), f * math.sin(a))


def _step_error(estimated, true, o):
    """Largest error of the phase steps in degrees; -k with -phase is the same pattern."""
    a, b = _wave(estimated, o), _wave(true, o)
    sign = 1 if abs(a - b) < abs(a + b) else -1
    errors = []
    for p in (1, 2):
        step = sign * (estimated.phase[o][p] - estimated.phase[o][0])
        errors.append(step - (true.phase[o][p] - true.phase[o][0]))
    return max(abs(math.degrees(math.remainder(e, 2 * math.pi))) for e in errors)


def _check(estimated, true):
    for o in range(3):
        estimated_wave, wave = _wave(estimated, o), _wave(true, o)
        assert min(abs(estimated_wave - wave), abs(estimated_wave + wave)) < 1e-3
        assert abs(estimated.frequency[o] - true.frequency[o]) < 1e-3
        turn = math.remainder(estimated.angle[o] - true.angle[o], math.pi)
        assert abs(math.degrees(turn)) < 0.3
        assert _step_error(estimated, true, o) < 5.0
        assert estimated.modulation[o] == pytest.approx(true.modulation[o], rel=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_random_microscopes_are_recovered(seed):
    size = [(128, 128), (120, 150), (131, 97)][seed % 3]
    generator = torch.Generator().manual_seed(seed)
    microscope = random_microscope(generator)
    estimated = estimate(_stack(microscope, size, 400.0, seed), microscope.optics)
    _check(estimated.illumination, microscope.illumination)
    assert min(estimated.confidence) > 6


@pytest.mark.parametrize(("start", "sense"), [(0.0, 1), (1.48, -1), (2.6, 1)])
def test_any_start_angle_sense_and_direction_of_the_phases(start, sense):
    true = _illumination(start=start, sense=sense, direction=(1, -1, 1))
    raw = _stack(Microscope(OPTICS, true, Camera()), (121, 96), 400.0)
    _check(estimate(raw, OPTICS).illumination, true)


def test_phase_refers_to_the_first_pixel_of_the_field():
    true = _illumination()
    grid = grid_for((128, 128))
    raw = _stack(Microscope(OPTICS, true, Camera()), (128, 128), 400.0)
    estimated = estimate(raw, OPTICS).illumination
    for o in range(3):
        a, b = _wave(estimated, o), _wave(true, o)
        sign = 1 if abs(a - b) < abs(a + b) else -1
        # The pattern's own origin is the first pixel of the simulation's grid. Compared in the
        # middle of the field, where an error of the wave vector does not count.
        middle = complex(63.5, 63.5)
        there = true.phase[o][0] + 2 * math.pi * _dot(b, middle + complex(grid.left, grid.top) / 2)
        here = sign * (estimated.phase[o][0] + 2 * math.pi * _dot(a, middle))
        assert abs(math.degrees(math.remainder(here - there, 2 * math.pi))) < 8


def _dot(a, b):
    return a.real * b.real + a.imag * b.imag


def test_haze_does_not_lower_the_modulation():
    true = _illumination(frequency=0.27, modulation=0.6)
    hazy = Microscope(OPTICS, true, Camera(), haze_fraction=0.6, haze_sigma_nm=800.0)
    estimated = estimate(_stack(hazy, (128, 128), 400.0), OPTICS).illumination
    for depth in estimated.modulation:
        assert depth == pytest.approx(0.6, rel=0.15)


def test_brightness_and_exposure_of_frames_are_found():
    true = _illumination()
    true = Illumination(true.frequency, true.angle, true.phase, true.modulation, (0.8, 1.0, 1.2))
    microscope = Microscope(OPTICS, true, Camera())
    raw = _stack(microscope, (128, 128), 400.0)
    flicker = torch.tensor([0.97, 1.02, 1.01, 1.03, 0.98, 0.99, 1.0, 0.97, 1.03]).reshape(9, 1, 1)
    raw = (raw - microscope.camera.offset) * flicker + microscope.camera.offset
    estimated = estimate(raw, OPTICS).illumination
    assert estimated.brightness == pytest.approx((0.8, 1.0, 1.2), abs=0.04)
    _check(estimated, true)


def test_dim_stacks_are_found_by_the_fan_of_their_orientations():
    true = _illumination(frequency=0.25, modulation=0.6)
    raw = _stack(Microscope(OPTICS, true, Camera()), (160, 160), 5.0)
    estimated = estimate(raw, OPTICS).illumination
    for o in range(3):
        estimated_wave, wave = _wave(estimated, o), _wave(true, o)
        assert min(abs(estimated_wave - wave), abs(estimated_wave + wave)) < 3e-3


@pytest.mark.parametrize("kind", ["no fringes", "constant", "noise"])
def test_stacks_without_fringes_give_a_guess_with_low_confidence(kind):
    raw = torch.full((9, 64, 80), 100.0)
    if kind == "noise":
        raw = raw + torch.randn(raw.shape, generator=torch.Generator().manual_seed(1))
    if kind == "no fringes":
        flat = Microscope(OPTICS, _illumination(modulation=0.0), Camera())
        raw = _stack(flat, (96, 96), 100.0)
    estimated = estimate(raw, OPTICS)
    assert max(estimated.confidence) < 6
    numbers = [*estimated.illumination.frequency, *estimated.illumination.modulation]
    assert all(math.isfinite(n) and n > 0 for n in numbers)
    assert all(0.1 < f < 0.5 for f in estimated.illumination.frequency)


def test_bands_add_up_to_the_frames():
    frames = torch.rand(9, 20, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    phase = ((0.1, 2.3, 4.4), (0.0, -2.0, 2.2), (1.0, 3.0, 5.2))
    zero, first = separate(frames, phase)
    for o in range(3):
        for p in range(3):
            shift = torch.exp(torch.tensor(1j * phase[o][p]))
            again = zero[o] + 2 * (first[o] * shift).real
            assert torch.allclose(again, frames[3 * o + p], atol=1e-5)


def test_noise_is_measured_beyond_the_cut_off():
    camera = Camera(gain=2.0, offset=100.0, read_noise_e=2.0)
    microscope = Microscope(OPTICS, _illumination(), camera)
    raw = _stack(microscope, (128, 128), 50.0)
    electrons = (float(raw.mean()) - 100.0) / 2.0
    expected = 4.0 * (electrons + 4.0)
    assert noise_variance(MeasuredFrames(raw).frames, OPTICS) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("shape", [(8, 64, 64), (9, 64), (9, 12, 64)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match=r"\(9, H, W\)"):
        estimate(torch.ones(shape), OPTICS)


def test_stacks_without_finite_values_are_refused():
    raw = torch.full((9, 32, 32), float("nan"))
    raw[:, 3, 4] = 1.0
    with pytest.raises(InputError, match="finite"):
        estimate(raw, OPTICS)


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_pixels_without_data_do_not_decide_on_the_patterns(stand, value):
    raw = stand().stack(signal_e=60.0)
    whole = estimate(raw)
    raw[:, :10], raw[:, :, -14:], raw[:, :, 50] = value, value, value
    part = estimate(raw)
    for o in range(3):
        assert abs(_wave(part.illumination, o) - _wave(whole.illumination, o)) < 1e-3
    assert min(part.probability) > 0.95
    assert part.illumination.modulation == pytest.approx(whole.illumination.modulation, abs=0.1)


def test_patterns_within_a_part_are_those_of_the_part_alone():
    true = _illumination()
    raw = _stack(Microscope(OPTICS, true, Camera()), (128, 128), 400.0)
    part = (slice(9, 121), slice(22, 128))
    moved = estimate(raw, OPTICS).within(part).illumination
    alone = estimate(raw[:, part[0], part[1]], OPTICS).illumination
    for o in range(3):
        middle = complex(52.5, 55.5)  # of the part: an error of the wave vector does not count
        there, here = (
            light.phase[o][0] + 2 * math.pi * _dot(_wave(light, o), middle)
            for light in (moved, alone)
        )
        assert abs(math.degrees(math.remainder(here - there, 2 * math.pi))) < 6


def test_probability_tells_fringes_from_shuffled_frames(stand):
    raw = stand(0.34, 0.31, modulation=0.4).stack(signal_e=20.0)
    real, control = estimate(raw), estimate(shuffled(raw))
    assert min(real.probability) > 0.95
    assert max(control.probability) < 0.05
    assert real.evidence > 20 > 0.5 > control.evidence


@pytest.mark.parametrize("kind", ["F-actin", "MT"])
def test_fringes_beyond_the_wide_field_cut_off_are_found_and_trusted(stand, kind):
    microscope = stand(0.3255, 0.348, modulation=0.45)  # as TIRF-SIM at 488 nm
    estimated = estimate(microscope.stack(size=(160, 160), signal_e=80.0, kind=kind))
    for o in range(3):
        wave, (ky, kx) = _wave(estimated.illumination, o), microscope.wave(o)
        assert min(abs(wave - complex(kx, ky)), abs(wave + complex(kx, ky))) < 0.5 / 160
    assert min(estimated.probability) > 0.95


def test_errors_shrink_with_light_and_cover_the_truth(stand):
    microscope = stand()
    dim, bright = (estimate(microscope.stack(signal_e=s)) for s in (6.0, 200.0))
    for name in ("frequency_error", "phase_error", "modulation_error"):
        assert sum(getattr(bright, name)) < 0.5 * sum(getattr(dim, name))
    for o in range(3):
        wave, (ky, kx) = _wave(dim.illumination, o), microscope.wave(o)
        away = min(abs(wave - complex(kx, ky)), abs(wave + complex(kx, ky)))
        assert away < 5 * dim.frequency_error[o]
        assert abs(dim.illumination.modulation[o] - 0.6) < 4 * dim.modulation_error[o]
