"""The description of a result, for programs and for the terminal."""

from dataclasses import replace

import numpy as np

from bayesdl_sim.inference.facts import lit, member_words, result_lines, stack_facts, warnings_of
from bayesdl_sim.inference.settings import CHANGES, DEFAULT_MAPS


def test_stack_facts_lead_back_to_counts(posterior, stack):
    result = posterior.reconstruct(stack)
    facts = result.facts
    assert facts["source"]["frame_size"] == [80, 96]
    assert facts["channels"] == ["SR", "Aleatoric", "Epistemic", "Total", "Credibility"]
    assert facts["not_modelled"] == []
    counts = facts["normalisation"]["sr_counts"]
    low, high = counts["low"], counts["high"]
    np.testing.assert_allclose(low + (high - low) * result.sr, result.scale.invert(result.sr))
    assert len(facts["normalisation"]["raw_counts_per_time_point"]) == 1
    released = replace(result, released=True)
    released_facts = stack_facts(posterior.prepare(stack), released)
    assert "each time point" in released_facts["normalisation"]["meaning"]


def test_lines_give_size_widths_and_changes(posterior, movie):
    lines = result_lines(movie, posterior.reconstruct(movie, (*DEFAULT_MAPS, *CHANGES)))
    text = "\n".join(lines)
    for words in (
        "3 time points of 9 frames of 64x72 px, pixel 65 nm",
        "epistemic",
        "credibility",
        "from one time point to the next",
        "electrons above background in a lit pixel of a frame",
    ):
        assert words in text
    unknown = replace(movie, pixel_size_nm=None)
    assert (
        "of unknown size (set pixel_size_nm)"
        in result_lines(unknown, posterior.reconstruct(unknown))[0]
    )


def test_credibility_is_that_of_the_lit_pixels(posterior, stack):
    result = posterior.reconstruct(stack)
    sr = np.zeros((1, 10, 10), np.float32)
    sr[0, :2] = 1.0
    credible = np.ones((1, 10, 10), np.float32)
    credible[0, :2] = 0.25
    shown = replace(result, sr=sr, channels={"SR": sr, "Credibility": credible})
    assert lit(sr).sum() == 20
    assert "lit pixels (the brightest fifth) 0.25" in "\n".join(result_lines(stack, shown))


def test_the_folder_of_members_is_named_without_its_place(posterior):
    assert posterior.facts["checkpoint"]["folder"] == posterior.folder.name
    assert "/" not in posterior.facts["checkpoint"]["folder"]


def test_the_contradicted_share_leaves_the_border_out(posterior, stack):
    result = posterior.reconstruct(stack)
    image = np.zeros((1, 80, 96), np.float32)
    image[:, :10], image[:, :, -10:] = 9.0, -9.0
    image[:, 40:46, 40:50] = -6.0
    lines = result_lines(stack, result.with_further({"Contradicted": image}))
    assert f"{60 / (60 * 76):.2%} of the field, without its 10 pixels" in "\n".join(lines)


def test_members_in_words(posterior):
    assert member_words(posterior.members) == "2 members (sgld, temperature 2)"
    assert member_words(posterior.members[:1]) == "1 member (sgld, temperature 2)"
    assert warnings_of(posterior.members, "total_variance") == []
    (warning,) = warnings_of(posterior.members, "released")
    assert "trained with percentiles" in warning
