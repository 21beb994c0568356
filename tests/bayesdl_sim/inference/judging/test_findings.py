"""Findings: each fault is named, and nothing is claimed without enough evidence."""

import pytest

from bayesdl_sim.inference.judging.findings import findings
from bayesdl_sim.physics.checks.agreement.banding import Banding
from bayesdl_sim.physics.checks.agreement.displacement import Displacement
from bayesdl_sim.physics.checks.agreement.stray_light import StrayLight
from bayesdl_sim.physics.checks.agreement.whole_frames import MovedFrame

FIELD = (128, 128)
NO_STRAY = StrayLight(slope=1.0, plane=0.6, changing=0.1, changing_sigma=5.0)
HUM, STILL = Banding(80.0, 12.3, 0.03), Banding(5.0, 4.0, 0.004)
TORN, LOST = Displacement(5, 91, (6, 0), 1.8), Displacement(2, 40, (0, -3), 1.2)
GOOD = {
    "confidence": (12.0, 11.0, 13.0),
    "frequency": (0.24, 0.24, 0.25),
    "modulation": (0.6, 0.6, 0.6),
    "angle_error_deg": 1.0,
    "groups": ((1, 2, 3), (4, 5, 6), (7, 8, 9)),
    "order_doubtful": False,
    "phase_step_deg": (4.0, 6.0, 3.0),
    "phase_step_error_deg": (4.0, 5.0, 4.0),
    "fringe_share": 0.03,
    "fringe_sigma": 80.0,
    "offset_share": 0.02,
    "saturated_share": 0.0,
    "copies": (),
    "displaced": (),
    "moved": MovedFrame(3, 0.2, 0.05),
    "brightness": (1.0, 1.01, 0.99, 0.8, 0.8, 0.81, 1.1, 1.1, 1.1),
    "drift_px": 0.1,
    "drift_error_px": 0.05,
    "local_drift_px": 0.2,
    "local_drift_error_px": 0.1,
    "hot_share": 0.0,
    "dead_share": 0.0,
    "snr": 9.0,
    "fine_share": 0.02,
    "missing": "",
    "clipped_share": 0.0,
    "noise_exponent": 1.0,
    "noise_exponent_error": 0.02,
    "stored_gamma": float("nan"),
    "noise_colour": 1.0,
    "noise_colour_error": 0.02,
    "coarse_noise": 1.0,
    "coarse_noise_error": 0.05,
    "middle_noise": 1.05,
    "middle_noise_error": 0.03,
    "noise_rounding": 0.1,
    "ties": 1.0,
    "median_ties": 1.02,
    "common_minimum": 0.1,
    "line_noise": (1.1, 0.9),
    "stray": NO_STRAY,
    "bands": (Banding(4.0, 7.0, 0.004), Banding(6.0, 3.0, 0.002)),
    "stretched": False,
    "pattern_probability": (1.0, 0.99, 1.0),
    "cutoff": 0.32,
}


def test_nothing_is_found_in_a_good_stack():
    assert findings(GOOD, FIELD, 65.0) == []


@pytest.mark.parametrize(
    ("change", "refuse", "words"),
    [
        ({"copies": ((1, 2),)}, True, "copies of one exposure"),
        ({"brightness": (1.0, 1.0, 0.1, *[1.0] * 6)}, True, "frame 3 is dark"),
        ({"moved": MovedFrame(5, 1.0, 0.1)}, False, "frame 5 lies 1.0 +- 0.1 pixels from"),
        ({"moved": MovedFrame(5, 3.0, 0.1)}, True, "frame 5 lies 3.0 +- 0.1 pixels from"),
        ({"displaced": (TORN,)}, True, "frame 5 is torn: its rows from about 91 on lie 6 pixels"),
        ({"displaced": (TORN, *[LOST] * 4)}, True, "3 pixels upwards of their place"),
        ({"displaced": (LOST,)}, False, "frame 2 seems torn: its rows from about 40 on"),
        ({"displaced": (TORN, *[LOST] * 4)}, True, "and 2 more frames"),
        ({"brightness": (0.2, 1.0, 0.1, *[1.0] * 6)}, True, "frames 1 and 3 are dark"),
        ({"groups": ((1, 4, 7), (2, 5, 8))}, True, "order of phases first"),
        ({"groups": ((1, 2, 3), (4, 5, 6, 7, 8, 9))}, True, "an orientation is missing"),
        ({"phase_step_deg": (60.0, 5.0, 5.0)}, True, "60 +- 4 degrees from 120"),
        ({"phase_step_deg": (22.0, 5.0, 5.0)}, False, "22 +- 4 degrees from 120"),
        ({"angle_error_deg": 20.0}, True, "between orientations"),
        ({"groups": (), "fringe_sigma": 0.3, "fringe_share": 1e-5}, True, "no fringes"),
        ({"saturated_share": 0.05}, True, "saturated"),
        ({"saturated_share": 0.002}, False, "saturated"),
        ({"drift_px": 3.0}, True, "moved by 3.0"),
        ({"drift_px": 1.0}, False, "moved by 1.0"),
        ({"local_drift_px": 3.0}, False, "parts of the sample moved by 3.0"),
        ({"hot_share": 0.01}, False, "hot"),
        ({"stray": NO_STRAY._replace(plane=0.95)}, False, "background slopes by 100% of the light"),
        ({"stray": NO_STRAY._replace(changing_sigma=60.0)}, False, "changes between the frames by"),
        ({"bands": (HUM, STILL)}, False, "the rows carry bands of about 12 pixels"),
        ({"bands": (STILL, HUM)}, False, "the columns carry bands"),
        ({"bands": (HUM, STILL), "line_noise": (9.0, 1.0)}, False, "rows of the camera have"),
        ({"offset_share": 0.2}, False, "background differs between the frames by 20%"),
        ({"dead_share": 0.01}, False, "dead"),
        ({"missing": "a border of 12 rows holds no data"}, False, "12 rows"),
        ({"clipped_share": 0.2}, False, "20% of the values are clipped"),
        ({"noise_exponent": 0.75, "stored_gamma": 0.8}, False, "a gamma of about 0.8"),
        ({"noise_exponent": 1.15, "stored_gamma": 1.2}, False, "a gamma of about 1.2"),
        ({"noise_exponent": 3.4, "noise_exponent_error": 0.5}, False, "were the frames filtered"),
        ({"noise_exponent": 0.0}, False, "were the frames filtered"),
        ({"noise_colour": 0.5, "noise_exponent": 0.0}, False, "denoised or interpolated"),
        (
            {"noise_colour": 0.1, "copies": ((1, 2), (1, 3), (2, 3), (4, 5))},
            False,
            "denoised or interpolated",
        ),
        ({"noise_colour": 1.6}, False, "denoised or interpolated"),
        (
            {"noise_rounding": 0.97, "noise_colour": 0.9},
            False,
            "fine noise but that of rounding",
        ),
        ({"middle_noise": 1.5}, False, "1.5 times as much as the noise of fine detail explains"),
        ({"middle_noise": 1.5, "common_minimum": 0.9}, False, "were the frames deconvolved"),
        ({"median_ties": 1.4, "coarse_noise": 0.8}, False, "were outliers removed"),
        ({"common_minimum": 1.0}, False, "a local background subtracted"),
        ({"coarse_noise": 0.5, "noise_exponent": 0.0}, False, "were the frames sharpened"),
        ({"ties": 2.5, "noise_colour": 0.6}, False, "a median filter"),
        ({"line_noise": (1.0, 6.0)}, False, "the columns of the camera have offsets"),
        ({"line_noise": (6.0, 1.0)}, False, "the rows of the camera have offsets"),
        ({"stretched": True}, False, "stretched by itself"),
        ({"pattern_probability": (0.1, 0.2, 0.0)}, False, "no fringes were used"),
        ({"pattern_probability": (1.0, 0.2, 1.0)}, False, "frames 4 to 6 show no fringes"),
        ({"frequency": (0.155, 0.155, 0.156)}, False, "pattern frequency"),
    ],
)
def test_fault_is_named(change, refuse, words):
    (fault,) = findings(GOOD | change, FIELD)
    assert fault.refuse is refuse
    assert words in fault.reason


WRONG_ORDER = {"groups": ((1, 8, 9), (2, 4, 7), (3, 5, 6)), "order_doubtful": True}


def test_a_doubtful_order_is_no_reason_to_refuse_where_no_fringes_are_used():
    order, unused = findings(GOOD | WRONG_ORDER | {"pattern_probability": (0.1,) * 3}, FIELD)
    assert "seem to show the same fringes" in order.reason
    assert "no fringes were used" in unused.reason
    assert not order.refuse
    assert not unused.refuse
    (order,) = findings(GOOD | WRONG_ORDER, FIELD)
    assert order.refuse


@pytest.mark.parametrize(
    "change",
    [
        {
            "groups": (),
            "phase_step_deg": (),
            "phase_step_error_deg": (),
            "angle_error_deg": float("nan"),
            "confidence": (3.0, 3.1, 2.9),
        },
        {"phase_step_deg": (40.0, 5.0, 5.0), "phase_step_error_deg": (14.0, 4.0, 4.0)},
        {
            "drift_px": 8.0,
            "drift_error_px": 5.0,
            "local_drift_px": 3.0,
            "local_drift_error_px": 1.0,
        },
        {"groups": ((1, 4), (7, 8, 9))},
        {"groups": (), "fringe_sigma": 0.3, "fringe_share": 0.02},
    ],
    ids=["dim", "uncertain phases", "uncertain drift", "two frames", "noise hides fringes"],
)
def test_nothing_is_claimed_without_enough_evidence(change):
    assert findings(GOOD | change, FIELD) == []


def test_small_field_and_unusual_pixel_size():
    assert findings(GOOD | {"copies": ((1, 2),)}, (40, 128)) == []
    (fault,) = findings(GOOD, FIELD, 200.0)
    assert not fault.refuse
    assert "200 nm" in fault.reason


@pytest.mark.parametrize(
    "change",
    [
        {"clipped_share": 0.001},
        {"noise_exponent": float("nan"), "noise_exponent_error": float("inf")},
        {"noise_exponent": 0.6, "noise_exponent_error": 0.2},
        {"noise_exponent": 0.92},
        {"noise_exponent": 1.06, "noise_exponent_error": 0.01},
        {"noise_exponent": 0.0, "snr": 1.5},
        {"noise_exponent": 1.5, "stored_gamma": 1.5, "snr": 3.0},
        {"noise_colour": 0.5, "noise_colour_error": 0.1},
        {"coarse_noise": 0.6, "coarse_noise_error": 0.1},
        {"coarse_noise": 3.0, "coarse_noise_error": 0.1},
        {"noise_rounding": 0.5, "ties": 1.5, "line_noise": (2.5, 2.5)},
        {"noise_colour": float("nan"), "noise_colour_error": float("inf")},
        {"pattern_probability": (0.1, 0.9, 0.2)},
        {"pattern_probability": (1.0, 0.2, 1.0), "confidence": (12.0, 3.0, 5.5)},  # dim
    ],
)
def test_what_the_values_do_not_prove_is_not_claimed(change):
    assert findings(GOOD | change, FIELD) == []


def test_resolution_without_fringes_is_that_of_the_lens():
    (fault,) = findings(GOOD | {"pattern_probability": (0.0, 0.0, 0.0)}, FIELD, 64.0)
    assert "about 200 nm" in fault.reason
