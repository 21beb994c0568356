"""What is measured of raw frames: once, by the functions that measure it, and errors in words."""

import math
from dataclasses import replace

import pytest
import torch

from bayesdl_sim.physics.checks.raw_checks import raw_checks
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns import measured as module
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.patterns.measured import MeasuredFrames, background_of, measured
from bayesdl_sim.physics.patterns.noise import noise_bins, noise_variance
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.reconstruction.resimulation import resimulate_field
from bayesdl_sim.physics.sensor.hot import cooled, dead_pixels, hot_pixels
from bayesdl_sim.physics.sensor.missing import filled, missing_pixels, validity
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def raw(stand):
    """Counts with a gap, a hot and a dead pixel."""
    raw = stand().stack((64, 80), signal_e=100.0)
    raw[:, :, -8:] = float("nan")
    raw[:, 20, 30] += 40 * raw[:, :, :-8].max()
    return raw


def test_each_step_continues_the_one_before(raw):
    stack = MeasuredFrames(raw)
    missing = missing_pixels(raw)
    whole = filled(raw, missing)
    usable = cooled(whole, hot_pixels(whole) | dead_pixels(whole))
    assert torch.equal(stack.missing, missing)
    assert torch.equal(stack.usable, usable)
    assert bool(stack.hot[20, 30])
    assert stack.background == background_of(usable.mean(dim=0)[~missing])
    assert torch.equal(stack.frames, usable - stack.background)
    assert torch.equal(stack.validity, validity(missing))
    expected = noise_variance(stack.frames, TYPICAL_OPTICS, stack.validity)
    assert stack.noise(TYPICAL_OPTICS) == expected
    for ours, theirs in zip(
        stack.noise_bins, noise_bins(stack.frames, stack.validity), strict=True
    ):
        assert (ours == theirs).all()


@pytest.mark.parametrize(("signal_e", "gain"), [(8.0, 1.0), (60.0, 1.0), (60.0, 3.5), (300.0, 0.5)])
def test_the_signal_is_that_of_the_exposure_whatever_the_gain(stand, signal_e, gain):
    raw = gain * (stand().stack((96, 112), signal_e=signal_e) - 100.0) + 150.0
    stack = MeasuredFrames(raw)
    assert stack.signal_e == pytest.approx(signal_e, rel=0.3)
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(112.0), indexing="ij")
    bead_e = 2000 * torch.exp(-((y - 30) ** 2 + (x - 40) ** 2) / (2 * 1.8**2)).expand(9, -1, -1)
    bead = gain * torch.poisson(bead_e, generator=torch.Generator().manual_seed(1))
    assert MeasuredFrames(raw + bead).signal_e == pytest.approx(stack.signal_e, rel=0.3)


def test_without_a_gain_the_signal_is_not_known():
    raw = torch.randn(9, 64, 64, generator=torch.Generator().manual_seed(0))
    rows = torch.linspace(0, 900, 64)[:, None]
    falling = rows + 30.0 * raw / (1 + rows / 100)  # noise that falls with the brightness
    assert math.isnan(MeasuredFrames(falling + 200).signal_e)


def test_nothing_is_measured_twice_for_estimate_guess_checks_and_resimulation(raw, monkeypatch):
    calls = []
    names = ("missing_pixels", "hot_pixels", "dead_pixels", "spot_weight", "noise_variance")
    for name in names:
        real = getattr(module, name)
        counted = lambda *words, name=name, real=real: calls.append(name) or real(*words)  # noqa: E731
        monkeypatch.setattr(module, name, counted)
    stack = MeasuredFrames(raw)
    patterns = estimate(stack)
    guess = first_guess(stack, patterns)
    checks = raw_checks(stack, patterns=patterns)
    comparison = resimulate_field(stack, guess, patterns=patterns)
    assert sorted(calls) == sorted(names)
    monkeypatch.undo()
    assert patterns == estimate(raw)
    assert torch.equal(guess, first_guess(raw, patterns))
    assert checks.by_name() == raw_checks(raw, patterns=patterns).by_name()
    assert torch.equal(comparison.chi2, resimulate_field(raw, guess, patterns=patterns).chi2)


def test_optics_of_one_empty_band_share_its_noise(raw, monkeypatch):
    calls, real = [], module.noise_variance
    monkeypatch.setattr(module, "noise_variance", lambda *words: calls.append(1) or real(*words))
    stack = MeasuredFrames(raw)
    blunt = replace(TYPICAL_OPTICS, emission_nm=1.1 * TYPICAL_OPTICS.emission_nm)
    assert stack.noise(TYPICAL_OPTICS) == stack.noise(blunt)
    sharp = replace(TYPICAL_OPTICS, pixel_size_nm=1.4 * TYPICAL_OPTICS.pixel_size_nm)
    stack.noise(sharp)
    assert len(calls) == 2


def test_the_same_counts_are_equal_wherever_they_lie(raw):
    stack = MeasuredFrames(raw)
    assert measured(stack) is stack
    assert stack.equals(MeasuredFrames(raw.clone()))
    other = raw.clone()
    other[0, 0, 0] += 1
    assert not stack.equals(MeasuredFrames(other))
    assert not stack.equals(MeasuredFrames(raw[:, :32]))
    assert not stack.equals(MeasuredFrames(raw.to("meta")))


@pytest.mark.parametrize("shape", [(8, 64, 64), (9, 15, 64), (64, 64)])
def test_what_is_no_stack_is_refused(shape):
    with pytest.raises(InputError, match="expected a raw stack"):
        MeasuredFrames(torch.ones(shape)).frames  # noqa: B018
