"""The cut-off of optics that nobody told, from the fringes."""

import pytest

from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.cutoff import with_cutoff
from bayesdl_sim.physics.patterns.estimation import estimate
from tests.physics.conftest import shuffled


@pytest.mark.parametrize(("cutoff", "frequency"), [(0.29, 0.26), (0.34, 0.30), (0.38, 0.28)])
def test_cut_off_is_fitted(stand, cutoff, frequency):
    raw = stand(cutoff, frequency, damping=0.4).stack(signal_e=200.0)
    assert estimate(raw).optics.cutoff == pytest.approx(cutoff, abs=0.02)


def test_without_fringes_the_typical_cut_off_is_left(stand):
    raw = shuffled(stand(0.28, 0.25).stack(signal_e=100.0))
    assert estimate(raw).optics.cutoff == pytest.approx(TYPICAL_OPTICS.cutoff, abs=0.015)


def test_optics_that_are_known_stay(stand):
    microscope = stand(0.30, 0.26)
    assert estimate(microscope.stack(), microscope.optics).optics == microscope.optics


def test_a_cut_off_is_typical_optics_with_another_pixel():
    optics = with_cutoff(0.29)
    assert optics.cutoff == pytest.approx(0.29)
    assert (optics.na, optics.damping) == (TYPICAL_OPTICS.na, TYPICAL_OPTICS.damping)
