"""The verdict in plain words and colours."""

from __future__ import annotations

from typing import NamedTuple

from bayesdl_sim.inference.output.stack_report import MEANING
from bayesdl_sim.napari.steps.reconstructing import Outcome

__all__ = ["COLOURS", "Banner", "banner_of", "shows_fault"]

COLOURS = {  # background, letters
    "accept": ("#2e7d32", "white"),
    "warn": ("#f9a825", "black"),
    "refuse": ("#c62828", "white"),
    "not judged": ("#546e7a", "white"),
}
HEADLINES = {
    "accept": "Accepted",
    "warn": "Look closer",
    "refuse": "Refused",
    "not judged": "Not judged",
}
NOTHING_MADE = "The raw frames are faulty, so nothing was reconstructed."


class Banner(NamedTuple):
    """What the banner says: a headline, sentences below it, and two colours."""

    headline: str
    sentences: tuple[str, ...]
    background: str
    letters: str


def banner_of(outcome: Outcome) -> Banner:
    """The banner of a stack: verdict first, then its meaning, then every reason."""
    verdict = outcome.verdict
    refused = verdict.decision == "refuse" and outcome.result is None
    sentences = [NOTHING_MADE if refused else MEANING[verdict.decision]]
    sentences += [f"{reason[:1].upper()}{reason[1:]}." for reason in verdict.reasons]
    if verdict.p_value is not None:
        alike = 100 * verdict.p_value
        sentences.append(f"At most {alike:.0f} in 100 good stacks look as unusual as this one.")
    return Banner(HEADLINES[verdict.decision], tuple(sentences), *COLOURS[verdict.decision])


def shows_fault(outcome: Outcome) -> bool:
    """Whether there is something at fault that can be shown."""
    return bool(outcome.findings) and outcome.spectra is not None
