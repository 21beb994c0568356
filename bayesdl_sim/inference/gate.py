"""The misuse gate: a verdict for every result, at a stated false-alarm rate, with its reasons.

Two kinds of evidence. *Findings* (`inference.findings`) are faults of the raw stack that physics
names; they hold for any checkpoint. *Scores* are numbers that grow with anything unusual; how large
is too large is learned from validation cells, by conformal p-values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.findings import Finding
from bayesdl_sim.metrics.images import rse
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

__all__ = [
    "ALARM_RATE",
    "GATE_FILE",
    "SCORES",
    "Gate",
    "Verdict",
    "combined_p_value",
    "judge",
    "read_gate",
    "stack_scores",
    "write_gate",
]

GATE_FILE = "gate.json"
NOT_COMPARED = "the raw frames show no fault; not compared with validation cells"
ALARM_RATE = 0.05  # of warnings by scores, on cells like those of the training
TAIL_SHARE = 0.2  # of the cells, whose scores a tail is fitted to
NAMED = 0.7  # of the largest surprise: further reasons that are given
LEAST_CELLS = 19  # the smallest p-value of n cells is 1 / (n + 1)
FORMAT, VERSION = "BayesDL-SIM gate", 1

SCORES = {
    "snr": "the signal is weaker against the noise than in validation cells",
    "fringe_share": "the frames differ less than the fringes of validation cells make them",
    "pattern": "the fringe patterns are unclear for so bright a stack",
    "unexplained": "the result, sent back through the microscope, does not give the frames",
    "fringes_unexplained": "the fringes of the frames do not fit the result",
    "invented": "the result holds local structure that the frames do not, or lacks some",
    "epistemic": "the members of the posterior disagree unusually",
    "epistemic_p95": "the members of the posterior disagree unusually in places",
    "rse": "at wide field's resolution the result is not the wide field",
    "drift": "the sample moved between the orientations",
    "flicker": "the brightness changes between the frames of one orientation",
    "coarse": "fine structure is missing: out of focus, or another pixel size",
    "fine": "finer structure than any training cell had: another pixel size or optics",
}


class Verdict(NamedTuple):
    """What to think of a stack and its result.

    Attributes:
        decision: accept, warn, refuse, or not judged where nothing was compared: a field that is
            too small, members without a gate, or a result that is not there yet.
        p_value: of the scores among those of validation cells; None where none were compared.
        reasons: in words, the gravest first.
    """

    decision: str
    p_value: float | None
    reasons: tuple[str, ...]

    def sentence(self) -> str:
        """The verdict as one line."""
        chance = "" if self.p_value is None else f" (p = {self.p_value:.3f})"
        return f"{self.decision}{chance}" + (": " if self.reasons else "") + "; ".join(self.reasons)


class Gate(NamedTuple):
    """What validation cells scored: name -> (n,), and the SHA-256 of the members they went to."""

    scores: dict[str, NDArray[np.float64]]
    members: dict[str, str]


def stack_scores(
    checks: Mapping[str, Any],
    misfit: Mapping[str, float],
    wide_field: NDArray,
    mean: NDArray,
    epistemic: NDArray | None,
) -> dict[str, float]:
    """One number per kind of evidence, larger where it is less usual: the keys of `SCORES`.

    Args:
        checks: `physics.reconstruction.raw_checks.RawChecks` as a dictionary.
        misfit: `unexplained`, `fringes_unexplained` and `invented` of the re-simulation.
        wide_field: (H, W), mean of the nine frames.
        mean: (2H, 2W), posterior mean, any linear units.
        epistemic: (2H, 2W), in the same units; None for a single member, which has none.
    """
    brightness = np.reshape(checks["brightness"], (3, 3))
    flicker = brightness.std(axis=1) / brightness.mean(axis=1)
    scores = {
        "snr": -checks["snr"],
        "fringe_share": -checks["fringe_share"],
        # The brighter a stack, the clearer its fringes should be.
        "pattern": -float(np.median(checks["confidence"]))
        / (1 + math.log1p(max(checks["snr"], 0))),
        **{name: misfit[name] for name in ("unexplained", "fringes_unexplained", "invented")},
        "rse": rse(mean, wide_field) / max(float(np.std(wide_field)), 1e-12),
        "drift": checks["drift_px"] - checks["drift_error_px"],
        "flicker": float(flicker.max()),
        "coarse": -checks["fine_share"],
        "fine": checks["fine_share"],
    }
    if epistemic is not None:
        contrast = max(float(np.std(mean)), 1e-12)
        scores["epistemic"] = float(np.mean(epistemic)) / contrast
        scores["epistemic_p95"] = float(np.percentile(epistemic, 95)) / contrast
    return scores


def combined_p_value(
    calibration: Mapping[str, NDArray], scores: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    """Conformal p-value of a stack over all its scores together.

    Per score, the n cells and the stack itself give each of them a surprise, about `-log` of the
    share that scores as high (`_surprise`); the largest of its surprises is the number t_i of a
    cell, t of the stack. Then

        p = #{i: t_i >= t} / (n + 1),   the stack counted as well.

    Everything is computed from the n + 1 symmetrically: if the stack is
    exchangeable with the cells, `P(p <= alpha) <= alpha`, for any number of scores, however they
    depend on each other.

    Args:
        calibration: name -> (n,), one stack per cell.
        scores: name -> score of the stack; the names of `calibration`.

    Returns:
        p, and the surprise of each score.

    Source: Vovk, Gammerman, Shafer, Algorithmic learning in a random world (2005), chapter 2, for
    conformal p-values; the combination is this project's.
    """
    names = sorted(calibration)
    if names != sorted(scores):
        raise InputError(f"the gate knows the scores {names}, found {sorted(scores)}")
    table = np.array([_surprise([*calibration[name], scores[name]]) for name in names])
    largest = table.max(axis=0)
    p = float((largest >= largest[-1]).mean())
    return p, dict(zip(names, table[:, -1].tolist(), strict=True))


def _surprise(values: Sequence[float]) -> NDArray[np.float64]:
    """`-log(share of values as high)`; in the highest fifth along an exponential tail.

    Ranks alone would tie: of n cells and many scores, most of the highest ranks are in different
    cells. The tail's length is the mean excess over its start, so heavy tails surprise less.
    """
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    beyond = finite.max() + 10 * max(float(np.ptp(finite)), 1e-12) if finite.size else 1.0
    values = np.nan_to_num(values, nan=beyond, posinf=beyond, neginf=-beyond)
    share = (len(values) - np.searchsorted(np.sort(values), values)) / len(values)
    start = np.quantile(values, 1 - TAIL_SHARE)
    excess = values - start
    tail = excess > 0
    length = excess[tail].mean() if tail.any() else 1.0
    return np.where(tail, -math.log(TAIL_SHARE) + excess / length, -np.log(share))


def judge(
    found: Sequence[Finding],
    scores: Mapping[str, float] | None = None,
    gate: Gate | None = None,
    stacks: int = 1,
) -> Verdict:
    """The verdict over findings and scores.

    Refused by a finding that refuses, warned by any other finding or by `p <= ALARM_RATE`, the rate
    of false alarms on cells like the validation cells. Scores alone never refuse: they say that a
    stack is unlike simulated cells, and so is many a good measurement. Accepted only by comparison:
    without scores or gate, a stack without findings is not judged.

    Args:
        scores, gate: of the stack and of the members; without them findings alone decide.
        stacks: that are judged together (time points); p is multiplied by it (Bonferroni).
    """
    refuse, warn = any(f.refuse for f in found), bool(found)
    reasons, p = [f.reason for f in sorted(found, key=lambda f: not f.refuse)], None
    if scores is not None and gate is not None:
        p, single = combined_p_value(gate.scores, scores)
        p = min(1.0, stacks * p)
        warn = warn or p <= ALARM_RATE
        if p <= ALARM_RATE:
            ranked = sorted(single, key=single.__getitem__, reverse=True)
            reasons += [SCORES[n] for n in ranked[:3] if single[n] >= NAMED * single[ranked[0]]]
    fine = "accept" if p is not None else "not judged"
    decision = "refuse" if refuse else "warn" if warn else fine
    if decision == "not judged":
        reasons.append(NOT_COMPARED)
    return Verdict(decision, p, tuple(dict.fromkeys(reasons)))


def write_gate(
    folder: str | Path,
    rows: Sequence[Mapping[str, float]],
    members: Mapping[str, str],
    facts: Mapping[str, Any],
) -> Path:
    """Stores the scores of validation cells beside the members, one row per cell.

    Args:
        members: file name -> SHA-256 of the members that the scores were measured with.
        facts: where the cells came from.

    Raises:
        InputError: too few cells to warn of anything at the stated rate.
    """
    if len(rows) < LEAST_CELLS:
        raise InputError(
            f"an alarm rate of {ALARM_RATE:.0%} needs {LEAST_CELLS} validation cells or more, "
            f"found {len(rows)}"
        )
    path = Path(folder) / GATE_FILE
    scores = {name: [round(float(row[name]), 6) for row in rows] for name in rows[0]}
    write_json(
        path,
        {
            "format": FORMAT,
            "version": VERSION,
            "alarm_rate": ALARM_RATE,
            "members": dict(members),
            "scores": scores,
            "facts": dict(facts),
        },
    )
    return path


def read_gate(folder: str | Path, members: Mapping[str, str]) -> Gate | None:
    """The gate of these very members; None where there is none.

    Raises:
        InputError: the file is damaged or was not written by `write_gate`.
    """
    path = Path(folder) / GATE_FILE
    if not path.exists():
        return None
    stored = read_json(path)
    if stored.get("format") != FORMAT or stored.get("version") != VERSION:
        raise InputError(f"{path}: expected a {FORMAT} of version {VERSION}; fit it again")
    if stored["members"] != dict(members):
        return None
    scores = {name: np.asarray(values, np.float64) for name, values in stored["scores"].items()}
    return Gate(scores, dict(members))
