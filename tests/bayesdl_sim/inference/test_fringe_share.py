"""The share of the detail that fringes carry, against members whose share is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.data.inputs import InputSpec
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.fringe_share import beyond_wide_field, fringe_share, share_of
from bayesdl_sim.inference.fringes import fringe_sentence
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.fringeless import shuffled

INPUTS = InputSpec(first_guess=True)


def wave(frequency, size=96):
    """A plane wave on the doubled grid, in cycles per raw pixel."""
    return torch.cos(2 * math.pi * frequency * torch.arange(size) / 2).expand(size, size)


@pytest.fixture(scope="module")
def prepared():
    (scene,) = simulated_cells(82, 1, 1, 96)
    return PreparedStack(scene.stack())


def first_guess_member(shown):
    """A member that gives back its first guess: channels 9 to 12 are the sub-pixels."""
    return torch.nn.functional.pixel_shuffle(shown[:, 9:], 2), None


def wide_field_member(shown):
    mean = shown[:, :9].mean(dim=1, keepdim=True)
    return torch.nn.functional.interpolate(mean, scale_factor=2, mode="bicubic"), None


def test_only_frequencies_beyond_the_cutoff_count():
    fine, coarse = wave(0.45), wave(0.2)
    assert share_of(coarse + fine, coarse, 0.3) == pytest.approx(1.0, abs=0.01)
    assert share_of(coarse + fine, fine, 0.3) == pytest.approx(0.0, abs=0.01)
    assert share_of(fine, 0.5 * fine, 0.3) == pytest.approx(0.25, abs=1e-6)
    assert share_of(fine, -fine, 0.3) == 1.0
    assert share_of(torch.zeros(32, 32), fine[:32, :32], 0.3) is None
    spectrum = beyond_wide_field(fine, 0.3)
    assert float(spectrum[0, :14].abs().max()) == 0.0


def test_the_share_is_what_the_error_loses():
    """Posterior means of a Gaussian: detail known by fringes with one noise, without by another."""
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(size=(2, 200, 200)), 0.7
    measured = truth + noise * rng.normal(size=truth.shape)
    blurred = measured + 1.5 * rng.normal(size=truth.shape)  # less is known
    images = [x / (1 + v) for x, v in ((measured, noise**2), (blurred, noise**2 + 1.5**2))]
    for d, d0, t in zip(*images, truth, strict=True):
        spectra = [beyond_wide_field(torch.from_numpy(x), 0.3) for x in (d, d0, t)]
        power = [float((spectra[i] - spectra[2]).abs().square().sum()) for i in (0, 1)]
        true = (power[1] - power[0]) / float(spectra[0].abs().square().sum())
        assert share_of(*map(torch.from_numpy, (d, d0)), 0.3) == pytest.approx(true, abs=0.03)


def test_a_filter_that_uses_fringes_has_a_share_and_wide_field_has_none(prepared):
    assert fringe_share(first_guess_member, prepared, INPUTS) > 0.5
    assert fringe_share(wide_field_member, prepared, INPUTS) < 1e-6


def test_the_same_stack_has_the_same_share(prepared):
    shares = {fringe_share(first_guess_member, prepared, INPUTS) for _ in range(2)}
    assert len(shares) == 1


def test_large_fields_are_judged_by_their_middle(monkeypatch, prepared):
    monkeypatch.setattr("bayesdl_sim.inference.fringe_share.SIDE", 64)
    sizes = []

    def member(shown):
        sizes.append(tuple(shown.shape))
        return first_guess_member(shown)

    assert fringe_share(member, prepared, INPUTS) > 0.5
    assert sizes == [(1, 13, 64, 64)] * 2


def test_the_control_keeps_every_count():
    raw = torch.randint(100, 200, (9, 20, 20)).float()
    control = shuffled(raw, torch.Generator().manual_seed(0))
    assert torch.equal(control.sort(dim=0).values, raw.sort(dim=0).values)
    assert not torch.equal(control, raw)


def test_a_result_states_it_beside_its_fringes(posterior, stack, tmp_path):
    result = posterior.reconstruct(stack)
    share = result.fringe_share
    assert 0 <= share <= 1
    assert result.facts["fringe_share"] == pytest.approx(share, abs=1e-4)
    words = fringe_sentence(result.facts["patterns"], share)
    assert words.endswith(
        f"they carry {100 * share:.0f} % of the detail beyond the cut-off of wide field"
    )
    result.save(tmp_path)
    assert words in (tmp_path / "report.html").read_text(encoding="utf-8")
    prepared = posterior.prepare(stack)
    doubtful = replace(prepared.patterns(0), probability=(0.1, 0.0, 0.5))
    prepared.restore(0, prepared.norm(0), doubtful, 0)
    without = posterior.reconstruct(prepared)
    assert without.fringe_share is None
    assert "they carry" not in fringe_sentence(without.facts["patterns"], None)
