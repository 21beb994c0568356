"""Patterns that moved are noticed, those that did not are kept, at any brightness."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.patterns.known.constancy import (
    fringe_response,
    fringes_appeared,
    patterns_hold,
)

SIZE = 96
WAVES = ((0.22, 0.3), (0.22, 0.3 + math.pi / 3), (0.22, 0.3 + 2 * math.pi / 3))


def stack(signal=300.0, turn=0.0, stretch=1.0, depth=0.6, seed=0):
    """Points under fringes, seen through a lens: (9, H, W) counts.

    Args:
        turn: of all phases, rad.
        stretch: of the wave vectors.
    """
    rng = np.random.default_rng(1)
    sample = np.zeros((SIZE, SIZE))
    rows, columns = rng.integers(0, SIZE, (2, 400))
    np.add.at(sample, (rows, columns), rng.random(400))
    y, x = np.mgrid[:SIZE, :SIZE]
    fy, fx = np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)[None]
    lens = np.clip(1 - np.hypot(fy, fx) / 0.32, 0, None)
    frames = []
    for k, angle in WAVES:
        for step in range(3):
            phase = turn + 2 * math.pi * step / 3 + 0.7
            place = k * stretch * (x * math.cos(angle) + y * math.sin(angle))
            lit = sample * (1 + depth * np.cos(2 * math.pi * place + phase))
            frames.append(np.fft.ifft2(np.fft.fft2(lit) * lens).real.clip(0))
    frames = np.array(frames)
    expected = signal * frames / np.percentile(frames, 99) + 5
    return torch.from_numpy(np.random.default_rng(seed).poisson(expected).astype(np.float32))


@pytest.fixture(scope="module")
def first():
    raw = stack()
    light = estimate(raw).illumination
    return light, fringe_response(raw, light)


def test_fringes_answer_with_their_modulation_and_no_phase(first):
    _, response = first
    assert all(response.clear)
    for gain in response.gain:
        assert abs(math.atan2(gain.imag, gain.real)) < 0.1
        assert 0.02 < abs(gain) < 0.3  # 0.3: half the modulation, before the lens


@pytest.mark.parametrize("signal", [30.0, 300.0, 3000.0])
def test_the_same_patterns_hold_at_any_brightness(first, signal):
    light, before = first
    for seed in range(1, 6):
        assert patterns_hold(before, fringe_response(stack(signal, seed=seed), light))


@pytest.mark.parametrize(
    "change", [{"turn": 0.5}, {"turn": math.pi}, {"stretch": 1.03}, {"depth": 0.1}]
)
def test_what_moved_is_noticed(first, change):
    light, before = first
    for seed in range(1, 6):
        assert not patterns_hold(before, fringe_response(stack(seed=seed, **change), light))


def test_patterns_that_were_never_clear_do_not_hold(first):
    light, clear = first
    unclear = clear._replace(error=tuple(1.0 for _ in clear.error))
    assert unclear.clear == (False,) * 3
    assert not patterns_hold(unclear, fringe_response(stack(seed=1), light))


def test_the_error_is_that_of_repeated_exposures():
    light = estimate(stack()).illumination
    responses = [fringe_response(stack(30.0, seed=seed), light) for seed in range(24)]
    spread = np.std([response.gain[0].real for response in responses])
    assert np.mean([response.error[0] for response in responses]) == pytest.approx(spread, rel=0.6)


def test_one_orientation_that_moved_is_enough(first):
    light, before = first
    angle = (light.angle[0] + 0.1, *light.angle[1:])
    moved = replace(light, angle=angle)  # the stack has the old one
    assert not patterns_hold(before, fringe_response(stack(seed=1), moved))


def without_fringes(raw, kind):
    """The stack with its second orientation dark, all noise, or lit evenly."""
    rng, raw = np.random.default_rng(5), raw.clone()
    lit = raw[3:6]
    even = lit.mean(dim=0).expand(3, -1, -1)
    frames = {
        "dark": lambda: rng.normal(5, 2, lit.shape),
        "noise": lambda: rng.normal(float(lit.mean()), float(lit.std()), lit.shape),
        "even": lambda: rng.poisson(even.numpy()),
    }[kind]()
    raw[3:6] = torch.from_numpy(np.asarray(frames, np.float32))
    return raw


@pytest.mark.parametrize("kind", ["dark", "noise", "even"])
def test_fringes_that_come_back_are_noticed(kind):
    lost = without_fringes(stack(), kind)
    light = estimate(lost).illumination
    before = fringe_response(lost, light)
    assert before.clear == (True, False, True)
    assert patterns_hold(before, fringe_response(stack(seed=1), light))
    assert fringes_appeared(before, fringe_response(stack(seed=1), light))
    still_lost = without_fringes(stack(seed=2), kind)
    assert not fringes_appeared(before, fringe_response(still_lost, light))


def test_unclear_fringes_of_dim_stacks_do_not_appear():
    light = estimate(stack(300.0)).illumination
    responses = [fringe_response(stack(2.0, seed=seed), light) for seed in range(12)]
    assert not all(all(response.clear) for response in responses)
    for before, now in zip(responses, responses[1:], strict=False):
        assert not fringes_appeared(before, now)
