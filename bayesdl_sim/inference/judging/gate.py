"""The misuse gate: a verdict for every result, at a stated false-alarm rate, with its reasons.

Two kinds of evidence. *Findings* (see `judging.findings`) are faults of the raw stack that its
physics proves, for any checkpoint. *Scores* are numbers that grow with anything unusual. How large
is too large is learned from validation cells, by conformal p-values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.p_values import combined_p_value
from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.metrics.against_wide_field import rse
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.schema import (
    checked,
    list_of,
    mapping_of,
    number,
    one_of,
    read_record,
    record,
    text,
    whole,
)

__all__ = [
    "ALARM_RATE",
    "GATE_FILE",
    "LEAST_CELLS",
    "NOT_COMPARED",
    "SCORES",
    "SEVERITY",
    "Gate",
    "Verdict",
    "judge",
    "read_gate",
    "stack_scores",
    "write_gate",
]

GATE_FILE = "gate.json"
NOT_COMPARED = "the raw frames show no fault; not compared with validation cells"
ALARM_RATE = 0.05  # of warnings by scores, on cells like those of the training
NAMED = 0.7  # of the largest surprise: further reasons that are given
SEVERITY = ("accept", "not judged", "warn", "refuse")  # of decisions, rising
MOST_SPOKEN = 6  # reasons in a sentence; the record holds all of them
LEAST_CELLS = 19  # the smallest p-value of n cells is 1 / (n + 1)
FORMAT, VERSION = "BayesDL-SIM gate", 2
_COLUMNS = mapping_of(list_of(number(), least=LEAST_CELLS))
_KINDS = {
    "members": list_of(record({"file": text(), "sha256": text()}), least=1),
    "scores": _COLUMNS,
    "by_members": list_of(record({"members": whole(least=1), "scores": _COLUMNS}), least=1),
}

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
    """The verdict on a stack and its result.

    Attributes:
        decision: accept, warn, refuse, or not judged where nothing was compared: a field that is
            too small, members without a gate, or a result that is not there yet.
        p_value: p-value of the scores among validation cells; None where none were compared.
        reasons: sentences for the user, the gravest first.
        time_points: of a series those at fault, counted from 1; none where a fault is that of all.
    """

    decision: str
    p_value: float | None
    reasons: tuple[str, ...]
    time_points: tuple[int, ...] = ()

    def sentence(self) -> str:
        """The verdict as one line."""
        chance = ""
        if self.p_value is not None:
            share = round(100 * self.p_value)
            alike = f"at most {share} in 100 good stacks look as unusual"
            alike = "scores as those of good stacks" if share >= 100 else alike
            chance = f" (p = {self.p_value:.3f}: {alike})"
        reasons = list(self.reasons[:MOST_SPOKEN])
        if len(self.reasons) > MOST_SPOKEN:
            reasons.append(f"and {len(self.reasons) - MOST_SPOKEN} more, see prediction.json")
        return f"{self.decision}{chance}" + (": " if reasons else "") + "; ".join(reasons)


class Gate(NamedTuple):
    """Scores of validation cells: name -> (n,), and the SHA-256 of the members behind them."""

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
        checks: `physics.checks.raw_checks.RawChecks.by_name`.
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


def judge(
    faults: Sequence[Finding],
    scores: Mapping[str, float] | None = None,
    gate: Gate | None = None,
    stacks: int = 1,
) -> Verdict:
    """The verdict over findings and scores.

    Refused by a finding that refuses, warned by any other finding or by `p <= ALARM_RATE`, the rate
    of false alarms on cells like the validation cells. Scores alone never refuse: they measure
    how much a stack differs from simulated cells, as many a good measurement does. Accepted only by
    comparison: without scores or gate, a stack without findings is not judged.

    Args:
        scores: scores of the stack; without them, findings alone decide.
        gate: gate of the members; without it, findings alone decide.
        stacks: number of time points judged together; p is multiplied by it (Bonferroni).
    """
    refuse, warn = any(f.refuse for f in faults), bool(faults)
    reasons, p = [f.reason for f in sorted(faults, key=lambda f: not f.refuse)], None
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
    scores: Sequence[Sequence[Mapping[str, float]]],
    members: Mapping[str, str],
    facts: Mapping[str, Any],
) -> Path:
    """Stores the scores of validation cells beside the members: with all K of them, and with fewer.

    Scores of the raw frames are the same with any member, and are stored once.

    Args:
        scores: per number of members, rising to K, one row per cell.
        members: file name -> SHA-256 of all K members, in their order.
        facts: origin of the cells.

    Raises:
        InputError: too few cells to warn of anything at the stated rate.
    """
    if len(scores[-1]) < LEAST_CELLS:
        raise InputError(
            f"an alarm rate of {ALARM_RATE:.0%} needs {LEAST_CELLS} validation cells or more, "
            f"found {len(scores[-1])}"
        )
    columns = [
        {name: [round(float(row[name]), 6) for row in rows] for name in rows[0]} for rows in scores
    ]
    shared = {n: v for n, v in columns[0].items() if all(c.get(n) == v for c in columns)}
    if len(columns) == 1:
        shared = {}
    path = Path(folder) / GATE_FILE
    payload = {
        "format": FORMAT,
        "version": VERSION,
        "alarm_rate": ALARM_RATE,
        "members": [{"file": name, "sha256": digest} for name, digest in members.items()],
        "scores": shared,
        "by_members": [
            {"members": count, "scores": {n: v for n, v in column.items() if n not in shared}}
            for count, column in enumerate(columns, start=len(members) - len(columns) + 1)
        ],
        "facts": dict(facts),
    }
    write_json(path, payload)
    return path


def read_gate(folder: str | Path, members: Mapping[str, str]) -> Gate | None:
    """The gate of these very members; None where there is none.

    Raises:
        InputError: the file is damaged or was not written by `write_gate`.
    """
    path = Path(folder) / GATE_FILE
    if not path.exists():
        return None
    stored = read_record(path, {"format": one_of(FORMAT), "version": one_of(1, VERSION)}, "gate")
    if stored["version"] == 1:  # of all members alone
        kinds = {"members": mapping_of(text()), "scores": _COLUMNS}
        stored = checked(stored, kinds, path, "gate")
        return _gate(stored["scores"], members, path) if stored["members"] == members else None
    stored = checked(stored, _KINDS, path, "gate")
    stored_members = [(item["file"], item["sha256"]) for item in stored["members"]]
    for entry in stored["by_members"]:
        if dict(stored_members[: entry["members"]]) == dict(members):
            return _gate(stored["scores"] | entry["scores"], members, path)
    return None


def _gate(columns: Mapping[str, list[float]], members: Mapping[str, str], path: Path) -> Gate:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise InputError(
            f"{path} is not a valid gate file: expected as many values of every score, found "
            f"{sorted(lengths)}; make it again with calibrate.py"
        )
    scores = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    return Gate(scores, dict(members))
