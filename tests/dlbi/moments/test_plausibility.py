"""Given quantities: used, refused where they are impossible, and compared with the movie."""

import math

import pytest
import torch

from bayesdl_sim.dlbi.moments.calibration import calibrate
from bayesdl_sim.dlbi.moments.deconvolution import density_of
from bayesdl_sim.dlbi.moments.plausibility import contradictions, gain_is_measured
from bayesdl_sim.utils.errors import InputError

FWHM_PX, GAIN, OFFSET, READ_NOISE_E = 2.6, 2.0, 100.0, 1.5  # of the cell in conftest.py


def test_right_values_are_not_contradicted(cell):
    given = calibrate(cell[1], fwhm_px=FWHM_PX, gain=GAIN, offset=OFFSET)
    assert given.contradictions == ()
    assert calibrate(cell[1]).contradictions == ()


def test_the_offset_bounds_the_line_of_the_noise(cell):
    """The variance at the offset is that of the read noise, which is not negative."""
    free = calibrate(cell[1])
    low = calibrate(cell[1], offset=free.shift - 60)
    assert low.shift == pytest.approx(free.shift - 60, abs=1e-3)
    assert low.gain < free.gain
    assert low.read_noise_e == pytest.approx(0, abs=0.01)
    high = calibrate(cell[1], offset=free.shift + 20)
    assert high.shift == pytest.approx(free.shift)
    assert high.read_noise_e == pytest.approx(math.sqrt(20 / free.gain), rel=1e-3)
    assert free.read_noise_e is None


def test_the_offset_bounds_the_shift_of_a_given_gain(cell):
    free = calibrate(cell[1], gain=2 * GAIN)
    bound = calibrate(cell[1], gain=2 * GAIN, offset=OFFSET)
    assert free.shift > OFFSET
    assert (bound.gain, bound.shift) == (2 * GAIN, OFFSET)


def test_an_offset_that_the_noise_contradicts(cell):
    (text,) = calibrate(cell[1], offset=-400.0).contradictions
    assert text.startswith("an offset of -400 counts is given, but the noise vanishes near")


def test_an_offset_above_the_darkest_pixels(cell):
    low = float(cell[1].mean.quantile(0.01))
    (text,) = calibrate(cell[1], offset=low + 40).contradictions
    assert text.endswith(f"but the darkest pixels have {low:.1f} on average")


def test_a_gain_and_a_width_that_the_movie_contradicts(cell):
    width, gain = calibrate(cell[1], fwhm_px=4.5, gain=0.1).contradictions
    assert width.startswith("spots 4.50 px wide are given, but those of the movie seem 2.")
    assert gain.startswith("a gain of 0.1 counts per electron is given, but the noise of the movie")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gain": math.inf}, "gain: expected a finite number"),
        ({"gain": 0.0}, "gain: expected a positive number"),
        ({"offset": math.nan}, "offset: expected a finite number"),
        ({"offset": 1e9}, "offset: expected the counts of a pixel without light, found 1e\\+09"),
        ({"fwhm_px": 0.1}, "is 0.1 camera pixels, 1.4 to 7.1 expected: check fwhm_nm"),
        ({"fwhm_px": 40.0}, "is 40 camera pixels, 1.4 to 7.1 expected"),
    ],
)
def test_impossible_values(cell, given, words):
    with pytest.raises(InputError, match=words):
        calibrate(cell[1], **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give fwhm_nm or gain or offset in place"),
        ({"fwhm_px": 2.6, "gain": 2.0, "offset": 100.0}, "check fwhm_nm, gain and offset"),
    ],
)
def test_advice_names_only_what_was_estimated(cell, given, words, monkeypatch):
    from bayesdl_sim.dlbi.moments import deconvolution

    real = deconvolution.richardson_lucy

    def diverging(*args, **options):
        solution, kept = real(*args, **options)
        return solution._replace(light=solution.light * torch.nan), kept

    calibration = calibrate(cell[1], **given)
    monkeypatch.setattr(deconvolution, "richardson_lucy", diverging)
    with pytest.raises(InputError, match=words):
        density_of(cell[1], calibration, iterations=30)


@pytest.mark.parametrize(("fwhm_px", "measured"), [(1.8, False), (2.2, True), (4.0, True)])
def test_a_right_gain_is_not_contradicted_where_narrow_spots_hide_the_noise(
    cell, fwhm_px, measured
):
    """Narrow spots pass the filter that should leave the noise of the camera alone."""
    given = calibrate(cell[1], gain=GAIN)
    found = {"fwhm_px": fwhm_px, "gain": 3 * GAIN, "shift": OFFSET}
    assert gain_is_measured(fwhm_px) == measured
    assert len(contradictions(cell[1], given, found)) == measured


def test_a_width_at_the_limit_of_the_fit_is_none():
    assert not gain_is_measured(7.06)
    assert gain_is_measured(6.0)
