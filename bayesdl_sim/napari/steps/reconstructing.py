"""Takes one stack from its frames to its verdict, in parts with progress that can be cancelled."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.facts import result_lines
from bayesdl_sim.inference.fringes import fringe_facts, fringe_spectra
from bayesdl_sim.inference.judging.findings import SMALLEST_FIELD, Finding
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.judging.look import why_no_counts
from bayesdl_sim.inference.judging.verdict import findings_in, judged_times
from bayesdl_sim.inference.large.parts import parts_of
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.settings import DEFAULT_MAPS, MISFIT, MapSettings
from bayesdl_sim.napari.steps.banner import Banner, banner_of, shows_fault
from bayesdl_sim.napari.steps.layers import LayerData, result_layers
from bayesdl_sim.napari.steps.trust import TrustMaps
from bayesdl_sim.utils.console.progress import Report

__all__ = ["PARTS", "Finished", "Outcome", "finished", "maps_of", "reconstruct", "shipped"]

PARTS = ("posterior", "fringes", "members", "re-simulation")
_OPENING = Lock()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome for a stack.

    Attributes:
        stack: the stack, with its frames in the order that was used.
        verdict: verdict of the result, or of the frames alone where they were refused.
        findings: faults of the first time point that has any.
        time: that time point.
        spectra: (3, h, w) of it, see `fringes.fringe_spectra`.
        patterns: its patterns, see `fringes.fringe_facts`; None where none were looked for.
        result: the reconstruction; None where the frames were refused.
        lines: the findings, as sentences.
    """

    stack: RawStack
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    time: int = 0
    spectra: NDArray | None = None
    patterns: dict[str, Any] | None = None
    result: Reconstruction | None = None
    lines: tuple[str, ...] = ()

    @property
    def is_forced(self) -> bool:
        """Whether it was reconstructed although its frames were refused."""
        return self.result is not None and self.verdict.decision == "refuse"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """An outcome with all that the window shows of it, made beside the window's thread."""

    outcome: Outcome
    banner: Banner
    fault: bool
    layers: tuple[LayerData, ...]
    trust: TrustMaps | None


@cache
def _shipped() -> Posterior:
    return Posterior.shipped()


def shipped() -> Posterior:
    """The shipped posterior, opened once; safe to call from several threads."""
    with _OPENING:
        return _shipped()


@cache
def _freeze_garbage() -> None:
    """Excludes what is loaded by now from Python's garbage collection, once.

    PyTorch brings some hundred thousand objects that live as long as the program. Each full search
    through them holds every thread, the window's too, for a quarter of a second.
    """
    gc.freeze()


def maps_of(stack: RawStack) -> tuple[str, ...]:
    """The maps that the plugin shows; a field that is too small has no misfit."""
    fits = min(stack.raw.shape[-2:]) >= SMALLEST_FIELD
    return DEFAULT_MAPS + (MISFIT if fits else ())


def reconstruct(
    stack: RawStack,
    opener: Callable[[], Posterior],
    progress: Report,
    *,
    settings: MapSettings | None = None,
    forced: bool = False,
) -> Outcome:
    """Judges the frames, and reconstructs the stack unless they are refused.

    Args:
        opener: opens the posterior.
        progress: called with (done, total, part) as the work goes on; raises `Stopped` to end it.
        forced: reconstruct what is refused, too.

    Raises:
        InputError: a stack that cannot be one.
        Stopped: as `progress` raises it.
    """
    progress(0, 1, "posterior")
    posterior = opener()
    _freeze_garbage()
    progress(1, 1, "posterior")
    prepared = posterior.prepare(stack)
    faults, time = _faults(prepared, progress)
    verdict = posterior.judge(prepared)
    if verdict.decision == "refuse" and not forced:
        spectra, patterns = _fringes(prepared, time)
        return Outcome(
            stack=stack,
            verdict=verdict,
            findings=tuple(faults),
            time=time,
            spectra=spectra,
            patterns=patterns,
        )
    progress(0, len(prepared) * len(posterior.members), "members")
    settings = replace(settings or MapSettings(), force=forced)
    result = posterior.reconstruct(prepared, maps_of(stack), progress, settings=settings)
    spectra, patterns = _fringes(prepared, time)
    return Outcome(
        stack=stack,
        verdict=result.verdict,
        findings=tuple(faults),
        time=time,
        spectra=spectra,
        patterns=patterns,
        result=result,
        lines=tuple(result_lines(stack, result)),
    )


def finished(
    stack: RawStack, opener: Callable[[], Posterior], progress: Report, forced: bool = False
) -> Finished:
    """`reconstruct`, and what is shown of it."""
    outcome = reconstruct(stack, opener, progress, forced=forced)
    layers, trust, result = (), None, outcome.result
    if result is not None:
        layers = tuple(result_layers(result, stack.name))
        if result.total is not None:
            trust = TrustMaps(
                name=stack.name,
                sr=_one_or_series(result.sr),
                total=_one_or_series(result.total),
                raw_pixel_nm=stack.pixel_size_nm,
            )
    return Finished(
        outcome=outcome,
        banner=banner_of(outcome),
        fault=shows_fault(outcome),
        layers=layers,
        trust=trust,
    )


def _one_or_series(image: NDArray) -> NDArray:
    return image[0] if len(image) == 1 else image


def _faults(prepared: PreparedStack, progress: Report) -> tuple[list[Finding], int]:
    """Findings and number of the first time point that is refused, else that has any, else 0."""
    times, candidates = judged_times(prepared), []
    for number, t in enumerate(times):
        progress(number, len(times), "fringes")
        if why_no_counts(prepared, t) is not None:
            continue
        faults = [fault for part in parts_of(prepared, t) for fault in findings_in(part)]
        candidates.append((not any(finding.refuse for finding in faults), not faults, t, faults))
    progress(1, 1, "fringes")
    *_, time, faults = min(candidates, key=lambda item: item[:3], default=(True, True, 0, []))
    return faults, time


def _fringes(prepared: PreparedStack, time: int) -> tuple[NDArray | None, dict[str, Any] | None]:
    """Spectra and patterns of a time point; of a series, those that hold at it."""
    rows = fringe_facts(prepared)
    if not rows:
        return None, None
    earlier_rows = [row for row in rows if row["time_point"] <= time + 1]
    return fringe_spectra(prepared.counts(time, prepared.squares(time)[0])), (earlier_rows or rows)[
        -1
    ]
