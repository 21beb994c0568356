"""Patterns of a part are corrected by the blocks of the field, over many periods of error."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.physics.illumination import Illumination, patterns
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.physics.patterns.known.constancy import FringeResponse, fringe_response
from bayesdl_sim.physics.patterns.known.refinement import refined
from bayesdl_sim.utils.pieces.spans import blocks_of

SIZE, BLOCK = (192, 1024), 128
PHASES = (0.3, 0.3 + 2 * np.pi / 3, 0.3 + 4 * np.pi / 3)
LIGHT = Illumination(
    frequency=(0.21, 0.22, 0.205),
    angle=(0.2, 0.2 + np.pi / 3, 0.2 + 2 * np.pi / 3),
    phase=(PHASES,) * 3,
    modulation=(0.8,) * 3,
    brightness=(1.0,) * 3,
)


@pytest.fixture(scope="module")
def frames():
    """Nine frames of a rough sample, as the lens passes it, without noise but rounding."""
    generator = torch.Generator().manual_seed(1)
    fine = patterns(LIGHT, (2 * SIZE[0], 2 * SIZE[1]), "cpu")
    sample = torch.rand((2 * SIZE[0], 2 * SIZE[1]), generator=generator) ** 8
    light = torch.nn.functional.avg_pool2d((sample * fine)[:, None], 2)[:, 0]
    return torch.poisson(2000 * light, generator=generator)


def estimate_of(light):
    return Estimate(
        illumination=light,
        confidence=(20.0,) * 3,
        evidence=50.0,
        probability=(1.0,) * 3,
        frequency_error=(2e-4,) * 3,
        phase_error=(0.05,) * 3,
        modulation_error=(0.1,) * 3,
        optics=TYPICAL_OPTICS,
    )


def first_phases(light, place):
    """Phase of the first frame of each orientation at one pixel."""
    return np.array(light.seen_from(*place).phase)[:, 0]


@pytest.mark.parametrize("start", [0.0002, -0.0002, np.pi - 0.0002])
def test_a_correction_may_turn_the_wave_vector_past_the_axis(start):
    """Fringes of a stand that is aligned with the camera."""
    middle = (96.0, 512.0)
    known = replace(LIGHT, angle=(start, *LIGHT.angle[1:])).seen_from(-96.0, -512.0)
    true = replace(LIGHT, angle=(start - 0.0005, *LIGHT.angle[1:])).seen_from(-96.0, -512.0)
    responses = []
    for block in blocks_of(SIZE, BLOCK, 0):
        place = tuple((part.start + part.stop) / 2 for part in block.write)
        errors = first_phases(true, place) - first_phases(known, place)
        gain = tuple(0.4 * np.exp(1j * errors))
        responses.append((place, FringeResponse(gain, *((0.01,) * 3,) * 3)))
    corrected = refined(estimate_of(known), middle, responses).illumination
    for place in ((0, 0), (191, 0), (96, 900)):
        shown, expected = (np.cos(first_phases(light, place)) for light in (corrected, true))
        np.testing.assert_allclose(shown, expected, atol=0.02)
    assert 0 <= corrected.angle[0] <= np.pi


def answers_to(known, frames):
    responses = []
    for block in blocks_of(SIZE, BLOCK, 0):
        light = known.within(block.write).illumination
        middle = tuple((part.start + part.stop) / 2 for part in block.write)
        responses.append((middle, fringe_response(frames[:, *block.write], light)))
    return responses


def test_an_error_of_a_period_over_the_field_is_taken_off(frames):
    off = tuple(k + 0.0006 for k in LIGHT.frequency)  # 0.6 periods over 1024 pixels
    wrong = estimate_of(replace(LIGHT, frequency=off))
    middle = (96.0, 128.0)
    turned = []  # right in the middle of the part, as an estimate of it is
    for true, false in zip(
        estimate_of(LIGHT).within((slice(96, 97), slice(128, 129))).illumination.phase,
        wrong.within((slice(96, 97), slice(128, 129))).illumination.phase,
        strict=True,
    ):
        turned.append(tuple(p + t - f for p, t, f in zip(PHASES, true, false, strict=True)))
    wrong = replace(wrong, illumination=replace(wrong.illumination, phase=tuple(turned)))
    corrected = refined(wrong, middle, answers_to(wrong, frames)).illumination
    np.testing.assert_allclose(corrected.frequency, LIGHT.frequency, atol=3e-5)
    np.testing.assert_allclose(corrected.angle, LIGHT.angle, atol=3e-4)
    after = answers_to(replace(wrong, illumination=corrected), frames)
    before = answers_to(wrong, frames)
    phases = [np.abs(np.angle([a.gain for _, a in some])).max() for some in (before, after)]
    assert phases[0] > 2.0
    assert phases[1] < 0.2


def test_right_patterns_stay_and_blocks_without_fringes_say_nothing(frames):
    known = estimate_of(LIGHT)
    corrected = refined(known, (96.0, 128.0), answers_to(known, frames)).illumination
    np.testing.assert_allclose(corrected.frequency, LIGHT.frequency, atol=1e-5)
    dark = torch.poisson(torch.full((9, *SIZE), 50.0), generator=torch.Generator().manual_seed(2))
    same = refined(known, (96.0, 128.0), answers_to(known, dark)).illumination
    np.testing.assert_allclose(same.phase, known.illumination.phase, atol=1e-12)
    np.testing.assert_allclose(same.frequency, known.illumination.frequency, atol=1e-12)


def test_few_clear_blocks_suffice(frames):
    """Of a field with structure at one place only, fewer than the first circle takes."""
    known = replace(estimate_of(LIGHT), phase_error=(0.5,) * 3)
    wrong = replace(known, illumination=LIGHT.seen_from(0.0, 0.1))
    few = answers_to(wrong, frames)[:2]
    corrected = refined(wrong, (64.0, 64.0), few).illumination
    error = [
        np.abs(
            np.angle(np.exp(1j * (first_phases(light, (64, 64)) - first_phases(LIGHT, (64, 64)))))
        )
        for light in (wrong.illumination, corrected)
    ]
    assert error[0].max() > 0.08
    assert error[1].max() < 0.2 * error[0].max()
