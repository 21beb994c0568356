"""The verdict in plain words and colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bayesdl_sim.napari.steps.reconstructing import Outcome

__all__ = ["COLOURS", "Banner", "banner_for", "banner_of", "shows_fault"]

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
    """Contents of the banner: a headline, sentences below it, and two colours."""

    headline: str
    sentences: tuple[str, ...]
    background: str
    letters: str


def banner_of(outcome: Outcome) -> Banner:
    """The banner of a stack: verdict first, then its meaning, then every reason."""
    verdict = outcome.verdict
    return banner_for(*verdict[:3], made=outcome.result is not None)


def banner_for(decision: str, p_value: float | None, reasons: Sequence[str], made: bool) -> Banner:
    """The banner of a verdict.

    Args:
        decision, p_value, reasons: see `gate.Verdict`; any other decision is shown as it is called.
        made: whether there is a result.
    """
    # Loaded only here, where a stack was judged and it is known already: it brings PyTorch along.
    from bayesdl_sim.inference.output.stack_report import MEANING

    refused = decision == "refuse" and not made
    sentences = [NOTHING_MADE if refused else MEANING.get(decision, "")]
    sentences += [f"{reason[:1].upper()}{reason[1:]}." for reason in reasons]
    if p_value is not None:
        share = round(100 * p_value)
        alike = f"At most {share} in 100 good stacks look as unusual as this."
        sentences.append(alike if share < 100 else "Its scores are those of good stacks.")
    headline = HEADLINES.get(decision, decision.capitalize())
    colours = COLOURS.get(decision, COLOURS["not judged"])
    return Banner(headline, tuple(sentence for sentence in sentences if sentence), *colours)


def shows_fault(outcome: Outcome) -> bool:
    """Whether there is something at fault that can be shown."""
    return bool(outcome.findings) and outcome.spectra is not None
