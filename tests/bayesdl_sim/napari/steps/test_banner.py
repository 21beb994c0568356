"""The banner of every verdict: its colour, its words, and the sentences for a refused stack."""

import pytest

from bayesdl_sim.inference.judging.verdict import SEVERITY
from bayesdl_sim.napari.steps.banner import COLOURS, HEADLINES, banner_for


def test_every_decision_has_a_headline_and_a_colour_of_its_own():
    assert set(COLOURS) == set(HEADLINES) == set(SEVERITY)
    assert len({background for background, _ in COLOURS.values()}) == len(COLOURS)


@pytest.mark.parametrize("decision", SEVERITY)
def test_reasons_are_sentences_below_the_meaning(decision):
    banner = banner_for(decision, None, ("the sample moved", "2 frames are dark"), made=True)
    assert banner.headline == HEADLINES[decision]
    assert (banner.background, banner.letters) == COLOURS[decision]
    assert banner.sentences[1:] == ("The sample moved.", "2 frames are dark.")
    assert banner.sentences[0].endswith(".")


def test_chance_is_given_in_a_hundred():
    banner = banner_for("accept", 0.54, (), made=True)
    assert banner.sentences[-1] == "At most 54 in 100 good stacks look as unusual as this."


def test_banner_of_a_refused_stack_depends_on_its_result():
    assert "nothing was reconstructed" in banner_for("refuse", None, (), made=False).sentences[0]
    assert "because it was forced" in banner_for("refuse", None, (), made=True).sentences[0]


def test_what_could_not_be_read_is_grey():
    banner = banner_for("not readable", None, ("no TIFF",), made=False)
    assert (banner.headline, banner.sentences) == ("Not readable", ("No TIFF.",))
    assert banner.background == COLOURS["not judged"][0]
