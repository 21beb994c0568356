"""One stack part by part: good, refused, forced, stopped; the banner and the pictures of each."""

import numpy as np
import pytest

from bayesdl_sim.napari.steps.banner import COLOURS, banner_of, shows_fault
from bayesdl_sim.napari.steps.figures import fault_picture, patterns_picture, profile_picture
from bayesdl_sim.napari.steps.opening import entries_of, opened
from bayesdl_sim.napari.steps.reconstructing import PARTS, reconstruct
from bayesdl_sim.napari.steps.stopping import Stopped
from bayesdl_sim.utils.errors import InputError

RED = (198, 40, 40)  # "#c62828"


@pytest.fixture
def outcome_of(opener, silent):
    return lambda path, **more: reconstruct(opened(entries_of(path)[0]), opener, silent, **more)


def test_good_stack_reports_every_part_and_ends_with_a_result(good, opener):
    steps = []
    outcome = reconstruct(opened(entries_of(good)[0]), opener, lambda *step: steps.append(step))
    assert list(dict.fromkeys(part for _, _, part in steps)) == list(PARTS)
    assert all(done <= total for done, total, _ in steps)
    last = {part: (done, total) for done, total, part in steps}
    assert all(done == total for done, total in last.values())
    assert outcome.verdict.decision == "not judged"  # these members have no gate
    assert set(outcome.result.further) == {"Contradicted", "Misfit"}
    assert outcome.spectra.shape[0] == 3
    assert any("fringes found in 3 of 3" in line for line in outcome.lines)


def test_small_field_has_no_misfit(write, frames, outcome_of):
    outcome = outcome_of(write("small.tif", frames[:, :48, :48]))
    assert outcome.result.further == {}
    assert banner_of(outcome).headline == "Not judged"


def test_refused_stack_names_the_frames_and_makes_nothing(refused, outcome_of):
    outcome = outcome_of(refused)
    assert outcome.result is None
    assert outcome.findings[0].frames == (8, 9)
    banner = banner_of(outcome)
    assert (banner.headline, banner.background) == ("Refused", COLOURS["refuse"][0])
    assert banner.sentences[0].endswith("nothing was reconstructed.")
    assert "Frames 8 and 9 are copies of one exposure." in banner.sentences
    assert shows_fault(outcome)


def test_forced_stack_has_a_result_and_stays_red(refused, outcome_of):
    outcome = outcome_of(refused, forced=True)
    assert outcome.result is not None
    banner = banner_of(outcome)
    assert banner.headline == "Refused"
    assert "only because it was forced" in banner.sentences[0]


def test_dark_frame_is_named(write, frames, outcome_of):
    dark = frames.copy()
    dark[4] = dark[4] // 8
    faults = outcome_of(write("dark.tif", dark)).findings
    assert (5,) in [finding.frames for finding in faults]


def test_progress_that_raises_ends_the_work(good, opener):
    def stop_at_members(done, total, part):
        if part == "members" and done == 1:
            raise Stopped

    with pytest.raises(Stopped):
        reconstruct(opened(entries_of(good)[0]), opener, stop_at_members)


def reds(picture):
    return int((np.abs(picture[..., :3].astype(int) - RED).max(axis=-1) < 12).sum())


def test_picture_of_a_fault_frames_it_in_red(refused, good, outcome_of):
    shown, clean = fault_picture(outcome_of(refused)), fault_picture(outcome_of(good))
    assert shown.dtype == np.uint8
    assert shown.shape == clean.shape
    assert reds(shown) > reds(clean) + 1000


def test_pictures_of_patterns_and_profile(good, outcome_of):
    outcome = outcome_of(good)
    assert patterns_picture(outcome.spectra, outcome.patterns).std() > 10
    sr, total = outcome.result.sr[0], outcome.result.total[0]
    picture = profile_picture(sr, total, 32.5, ((10.0, 5.0), (90.0, 120.0)))
    other = profile_picture(sr, total, 32.5, ((90.0, 5.0), (10.0, 120.0)))
    assert (picture != other).any()
    with pytest.raises(InputError, match="too short"):
        profile_picture(sr, total, 32.5, ((10.0, 5.0), (10.5, 5.0)))
