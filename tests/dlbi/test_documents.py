"""The page of the system and the code say the same."""

from pathlib import Path

from bayesdl_sim.dlbi.movies.drift import LARGEST_PX, LARGEST_STEP_PX
from bayesdl_sim.dlbi.movies.survey import BLOCKS
from bayesdl_sim.dlbi.scoring.scores import BLUR_NM, LARGEST_BLUR
from bayesdl_sim.dlbi.stages.pipeline import OF_BAYES, OF_MOMENTS, OF_NETWORK
from bayesdl_sim.dlbi.stages.preparing import FIRST_FRAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dlbi.md"


def test_limits_of_the_page_are_those_of_the_code():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for words in (
        f"at most the first {FIRST_FRAMES} frames",
        f"moves by more than {LARGEST_PX:g} pixels, by more than {LARGEST_STEP_PX:g} pixel from",
        f"All scores are taken at {BLUR_NM:g} nm",
        f"whichever Gaussian up to {LARGEST_BLUR:g} times that width",
    ):
        assert words in text
    assert BLOCKS == 8
    assert "displacements of the eight blocks" in text


def test_the_page_says_what_every_uncertainty_is():
    text = PAGE.read_text(encoding="utf-8")
    for definition in (OF_MOMENTS, OF_NETWORK, OF_BAYES):
        subject = definition.split(", which")[0].split(" of the network")[0]
        assert subject in text
