"""The contribution of fringes, measured against frames without any, and with true patterns."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bayesdl_sim.data.inputs import InputSpec
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation.cases import CaseSettings, read_case
from bayesdl_sim.evaluation.fringes import (
    SHUFFLED,
    TRUE_PATTERNS,
    fringe_gain,
    fringe_images,
    posterior_mean,
    share_of_gain,
    with_true_patterns,
)
from bayesdl_sim.evaluation.scoring import OURS
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.reconstruction.first_guess import first_guess


@pytest.fixture
def case(small_set):
    return read_case(DatasetTree(small_set), 1, 2, CaseSettings())


@pytest.fixture
def guessing():
    """A posterior whose mean is its first guess."""

    def member(shown):
        return torch.nn.functional.pixel_shuffle(shown[:, 9:], 2), None

    return SimpleNamespace(
        prepare=PreparedStack,
        inputs=InputSpec(frames=None, first_guess=True),
        functions=[member],
        device=torch.device("cpu"),
        convention="total_variance",
        likelihood="gauss",
    )


def test_true_patterns_are_those_of_the_frames(case):
    """The Wiener filter is better with them than with fringes moved by a pixel."""
    raw = torch.from_numpy(case.raw)
    patterns = estimate(raw, case.optics)
    right = first_guess(raw, with_true_patterns(patterns, case.illumination), case.optics)
    other = first_guess(
        raw, with_true_patterns(patterns, case.illumination.seen_from(0.7, 0.9)), case.optics
    )
    scores = [quality(image.numpy(), case.target).psnr for image in (right, other)]
    assert scores[0] > scores[1] + 1


def test_images_without_fringes_and_with_true_ones(case, guessing):
    images = fringe_images(case, guessing, torch.Generator().manual_seed(0))
    assert list(images) == [SHUFFLED, TRUE_PATTERNS]
    scale = np.float32(normalisation_of(case.raw).scale)
    raw = torch.from_numpy(case.raw)
    truly = first_guess(raw, with_true_patterns(estimate(raw), case.illumination)).numpy() / scale
    np.testing.assert_allclose(images[TRUE_PATTERNS], truly, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        posterior_mean(guessing, raw), first_guess(raw).numpy() / scale, rtol=1e-4, atol=1e-4
    )
    again = fringe_images(case, guessing, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(images[SHUFFLED], again[SHUFFLED])


def test_true_patterns_need_known_patterns(case, guessing):
    measured = SimpleNamespace(raw=case.raw, illumination=None)
    images = fringe_images(measured, guessing, torch.Generator().manual_seed(0))
    assert list(images) == [SHUFFLED]


def rows(level, signal_e, **psnr):
    return [
        {"level": level, "signal_e": signal_e, "method": method, "psnr": value}
        for method, value in psnr.items()
    ]


def test_gain_is_that_over_shuffled_frames_and_its_share_that_of_true_patterns():
    table = fringe_gain(
        rows(1, 5.0, **{OURS: 30.0, SHUFFLED: 30.0, TRUE_PATTERNS: 30.05})
        + rows(2, 50.0, **{OURS: 34.0, SHUFFLED: 31.0, TRUE_PATTERNS: 35.0, "wide field": 20.0})
        + rows(2, 70.0, **{OURS: 36.0, SHUFFLED: 31.0, TRUE_PATTERNS: 37.0})
    )
    dim, bright = table
    assert math.isnan(dim["share"])
    assert bright["signal, e-/px"] == 60.0
    assert bright["fringe gain"] == pytest.approx(4.0)
    assert bright["share"] == pytest.approx(4 / 5)
    assert share_of_gain(31.0, 35.0, 36.0) == pytest.approx(4 / 5)


def test_no_table_where_nothing_was_shuffled():
    assert fringe_gain(rows(1, 5.0, **{OURS: 30.0, "wide field": 20.0})) == []
