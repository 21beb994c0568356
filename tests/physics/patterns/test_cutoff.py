"""The cut-off of unknown optics, and the aberrations of known ones, from the fringes."""

import math
from dataclasses import replace

import pytest
import torch

from bayesdl_sim.physics.optics import TYPICAL_OPTICS, otf_at
from bayesdl_sim.physics.patterns.cutoff import differ, with_cutoff
from bayesdl_sim.physics.patterns.estimation import estimate
from tests.physics.conftest import shuffled


@pytest.mark.parametrize(("cutoff", "frequency"), [(0.29, 0.26), (0.34, 0.30), (0.38, 0.28)])
def test_cut_off_is_fitted(stand, cutoff, frequency):
    raw = stand(cutoff, frequency, damping=0.4).stack(signal_e=200.0)
    assert estimate(raw).optics.cutoff == pytest.approx(cutoff, abs=0.02)


def test_without_fringes_the_typical_cut_off_is_left(stand):
    raw = shuffled(stand(0.28, 0.25).stack(signal_e=100.0))
    assert estimate(raw).optics.cutoff == pytest.approx(TYPICAL_OPTICS.cutoff, abs=0.015)


@pytest.mark.parametrize("damping", [0.25, 0.4, 0.7])
def test_of_known_optics_the_aberrations_are_fitted(stand, damping):
    microscope = stand(0.30, 0.26, damping=damping)
    found = estimate(microscope.stack(signal_e=200.0), microscope.optics.nominal).optics
    assert found.is_of_lens(microscope.optics)
    assert math.log(found.damping) == pytest.approx(math.log(damping), abs=0.25)


def test_a_measured_transfer_function_stays(stand):
    microscope = stand(0.30, 0.26)
    step = 1000 * microscope.optics.cutoff / microscope.optics.pixel_size_nm / 20  # per um
    curve = otf_at(microscope.optics, torch.linspace(0, microscope.optics.cutoff, 21))
    measured = replace(microscope.optics, radial_otf=tuple(curve.tolist()), radial_step_per_um=step)
    assert estimate(microscope.stack(), measured).optics == measured


@pytest.mark.parametrize("factor", [0.75, 1.3])
def test_optics_that_clear_fringes_contradict_are_fitted(stand, factor):
    microscope = stand(0.31, 0.28, damping=0.4)
    wrong = replace(microscope.optics, emission_nm=factor * microscope.optics.emission_nm)
    raw = microscope.stack(signal_e=200.0)
    assert estimate(raw, wrong).optics.cutoff == pytest.approx(0.31, abs=0.02)


def test_without_fringes_nothing_contradicts_the_optics_that_are_given(stand):
    raw = shuffled(stand(0.28, 0.25).stack(signal_e=100.0))
    given = with_cutoff(0.38)
    used = estimate(raw, given).optics
    assert used.is_of_lens(given)
    assert used.damping == pytest.approx(given.damping, rel=0.05)


@pytest.mark.parametrize(
    ("given", "fitted", "expected"),
    [(0.30, 0.33, False), (0.30, 0.35, True), (0.40, 0.34, True), (0.22, 0.265, False)],
)
def test_cut_offs_differ_by_more_than_a_fit_errs(given, fitted, expected):
    """0.22 lies beyond the cut-offs that a fit tries, the lowest of which is 0.26."""
    assert differ(with_cutoff(given), with_cutoff(fitted)) is expected


def test_a_cut_off_is_typical_optics_with_another_pixel():
    optics = with_cutoff(0.29)
    assert optics.cutoff == pytest.approx(0.29)
    assert (optics.na, optics.damping) == (TYPICAL_OPTICS.na, TYPICAL_OPTICS.damping)
