"""What is measured of a stack is measured once, and is what the rooms measure alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.data.inputs import input_spec
from bayesdl_sim.data.normalise import min_max_of, normalisation_of
from bayesdl_sim.inference.facts import result_lines
from bayesdl_sim.inference.judging.verdict import findings_in
from bayesdl_sim.inference.large.parts import parts_of
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared import stack as module
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.patterns.measured import MeasuredFrames, measured
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.reconstruction.resimulation import examine
from bayesdl_sim.physics.sensor.missing import missing_pixels

GUESS = {"frames": None, "first_guess": True}


@pytest.fixture
def guess_posterior(guess_members):
    return Posterior.load(guess_members, "cpu", precision="fp32")


@pytest.fixture
def estimates(monkeypatch):
    """Sizes of the fields whose patterns were estimated, anywhere."""
    calls = []

    def counted(raw, *more):
        calls.append(tuple(measured(raw).missing.shape))
        return estimate(raw, *more)

    callers = (
        "inference.prepared.stack",
        "physics.checks.raw_checks",
        "physics.reconstruction.first_guess",
        "physics.reconstruction.resimulation",
    )
    for caller in callers:
        monkeypatch.setattr(f"bayesdl_sim.{caller}.estimate", counted)
    return calls


def test_scales_are_those_of_the_normalisation(stack):
    level = MeasuredFrames(torch.from_numpy(stack.raw[0].astype(np.float32))).level.numpy()
    assert PreparedStack(stack).norm(0) == normalisation_of(level)
    assert PreparedStack(stack, min_max=True).norm(0) == min_max_of(stack.raw[0])


def test_scales_are_measured_once(stack, monkeypatch):
    calls = []
    real = module.normalisation_of
    monkeypatch.setattr(module, "normalisation_of", lambda *a: calls.append(1) or real(*a))
    prepared = PreparedStack(stack)
    assert prepared.norm(0) is prepared.norm(0)
    assert calls == [1]


def test_examination_is_that_of_the_physics(stack):
    prepared, sr = (
        PreparedStack(stack),
        torch.rand(160, 192, generator=torch.Generator().manual_seed(0)),
    )
    examined, expected = prepared.examine(0, sr), examine(torch.from_numpy(stack.raw[0]), sr)
    assert examined.square == expected.square == prepared.whole == prepared.squares(0)[0]
    assert prepared.field == (80, 96)
    assert examined.fine_square == parts_of(prepared, 0)[0].fine_square
    assert examined.checks.fringes.groups == expected.checks.fringes.groups
    assert examined.misfit().keys() == expected.misfit().keys()


def test_patterns_are_estimated_once_for_all_uses(guess_posterior, stack, estimates):
    maps = ("SR", "Epistemic", "Misfit")
    result = guess_posterior.reconstruct(stack, maps)
    assert estimates == [(80, 96)]
    assert result.facts["patterns_estimated_at"] == [1]


def test_patterns_of_a_series_are_estimated_once(guess_posterior, movie, estimates):
    result = guess_posterior.reconstruct(movie, ("SR", "Misfit"))
    assert len(estimates) == 1
    assert not any("moved" in line for line in result_lines(movie, result))


def test_patterns_that_moved_are_estimated_again_and_reported(
    guess_posterior, stack_of, cristae, estimates
):
    """A series whose orientations come in another order from the third time point on."""
    field = cristae[:, :96, :96]
    turned = field[[3, 4, 5, 6, 7, 8, 0, 1, 2]]
    series = stack_of(np.concatenate([field, field, turned, turned]))
    result = guess_posterior.reconstruct(series, ("SR",))
    assert len(estimates) == 2
    assert result.facts["patterns_estimated_at"] == [1, 3]
    text = "\n".join(result_lines(series, result))
    assert "fringe patterns moved: estimated again at time points 3" in text


def test_shared_patterns_change_a_first_guess_by_little(stack_of, cristae):
    """The second exposure of a field, with the patterns of the first."""
    rng, first = np.random.default_rng(0), cristae[:, :96, :96]
    second = rng.poisson(first - 90) + 90.0
    prepared = PreparedStack(stack_of(np.concatenate([first, second])))
    shared, alone = (
        first_guess(prepared.counts(1), patterns)
        for patterns in (prepared.patterns(1), estimate(prepared.counts(1)))
    )
    # patterns(1) was estimated first; from here on, patterns of time point 1 are checked
    assert prepared.estimated == [1]
    assert torch.equal(shared, alone)
    prepared = PreparedStack(stack_of(np.concatenate([first, second])))
    prepared.patterns(0)
    shared = first_guess(prepared.counts(1), prepared.patterns(1))
    assert prepared.estimated == [0]
    assert float((shared - alone).abs().mean()) < 0.05 * float(alone.std())


def test_networks_see_one_background(stack_of, cristae):
    """Offsets of single frames, of up to a twentieth of the light, are taken off."""
    raw = cristae[:, :96, :96].astype(np.float32)
    offsets = np.float32([4, -6, 2, 8, -2, 0, -8, 6, -4])[:, None, None]
    inputs = input_spec({"options": {"in_channels": 13}, "inputs": GUESS})
    seen, expected = (
        PreparedStack(stack_of(counts)).network_input(0, inputs) for counts in (raw + offsets, raw)
    )
    assert float((seen - expected).abs().mean()) < 0.05 * float(expected[:, :9].std())


def test_frames_on_one_level_are_not_measured_again_for_the_guess(stack_of, cristae, monkeypatch):
    """Frames with offsets: their guess is that of the frames as shown to the networks."""
    raw = cristae[:, :96, :96].astype(np.float32)
    raw[3:6] += 8
    searched = []

    def counted(counts):
        searched.append(tuple(counts.shape))
        return missing_pixels(counts)

    monkeypatch.setattr("bayesdl_sim.physics.patterns.measured.missing_pixels", counted)
    prepared = PreparedStack(stack_of(raw))
    guess = torch.from_numpy(prepared.guess(0))
    assert len(searched) == 1
    assert prepared.frames(0).offsets.any()
    expected = first_guess(prepared.shown(0), prepared.patterns(0))
    assert float((guess - expected).abs().max()) < 1e-6 * float(expected.abs().max())


def test_the_released_code_keeps_the_backgrounds(stack_of, cristae):
    raw = cristae[:, :96, :96].astype(np.float32)
    raw[4] += 20
    prepared = PreparedStack(stack_of(raw), min_max=True)
    assert prepared.norm(0) == min_max_of(raw)
    assert torch.equal(prepared.shown(0), torch.from_numpy(raw))


def test_given_optics_reach_the_guess_and_yield_to_clear_fringes(stack):
    fitted = PreparedStack(stack)
    given = replace(fitted.patterns(0).optics, damping=0.5)
    wrong = replace(given, emission_nm=1.4 * given.emission_nm)
    informed, misinformed = (PreparedStack(stack, optics=optics) for optics in (given, wrong))
    assert informed.trusted_optics(0) == given
    assert informed.patterns(0).optics.is_of_lens(given)
    assert findings_in(parts_of(informed, 0)[0]) == findings_in(parts_of(fitted, 0)[0])
    assert misinformed.trusted_optics(0) is None
    assert misinformed.patterns(0).optics.cutoff == pytest.approx(given.cutoff, rel=0.05)
    (warning,) = set(findings_in(parts_of(misinformed, 0)[0])) - set(
        findings_in(parts_of(fitted, 0)[0])
    )
    assert not warning.refuse
    assert "check the three" in warning.reason
    inputs = input_spec({"options": {"in_channels": 13}, "inputs": GUESS})
    guesses = [p.network_input(0, inputs)[:, 9:] for p in (fitted, informed, misinformed)]
    assert not torch.equal(guesses[1], guesses[0])
    torch.testing.assert_close(guesses[2], guesses[0], rtol=0, atol=0.05)


def with_frames(stack, change):
    """The stack with a change made to a copy of its frames (9, H, W)."""
    raw = np.array(stack.raw, np.float32)
    change(raw[0])
    return replace(stack, raw=raw)


def test_a_border_without_data_hardly_changes_what_the_networks_see(stack):
    def cut(frames):
        frames[:, :10] = 0
        frames[:, :, -7:] = 0

    inputs = input_spec({"options": {"in_channels": 13}, "inputs": GUESS})
    whole, prepared = PreparedStack(stack), PreparedStack(with_frames(stack, cut))
    missing = prepared.missing(0)
    assert missing[:10].all()
    assert missing[:, -7:].all()
    assert not missing[10:, :-7].any()
    assert prepared.norm(0).low > 0
    assert prepared.norm(0).high == pytest.approx(whole.norm(0).high, rel=0.1)
    shown, expected = (p.network_input(0, inputs)[0, :, 14:-4, 4:-11] for p in (prepared, whole))
    scale = prepared.norm(0).scale / whole.norm(0).scale
    rest = shown * scale - expected
    assert torch.isfinite(prepared.network_input(0, inputs)).all()
    assert (rest - rest.mean()).abs().mean() < 0.1 * expected.std()


def test_a_dead_column_is_filled_not_shown(stack):
    def kill(frames):
        frames[:, :, 40] = 100

    inputs = input_spec({"options": {"in_channels": 13}, "inputs": GUESS})
    shown = PreparedStack(with_frames(stack, kill)).network_input(0, inputs)[0, :9]
    jump = (shown[..., 40] - (shown[..., 39] + shown[..., 41]) / 2).abs().mean()
    usual = (shown[..., 60] - (shown[..., 59] + shown[..., 61]) / 2).abs().mean()
    assert jump < 1.5 * usual


def test_a_spot_twenty_times_as_bright_does_not_set_the_intensity_scale(stack):
    rows, columns = np.mgrid[: stack.raw.shape[-2], : stack.raw.shape[-1]]
    spot = np.exp(-((rows - 20) ** 2 + (columns - 70) ** 2) / 3)

    def add(frames):
        frames += (20 * (frames.max() - frames.min()) * spot).astype(np.float32)

    usual, spotted = PreparedStack(stack).norm(0), PreparedStack(with_frames(stack, add)).norm(0)
    assert spotted.high < 1.5 * usual.high
    assert normalisation_of(with_frames(stack, add).raw[0]).high > 5 * usual.high
