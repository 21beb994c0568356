"""The misuse gate: a verdict for every result, at a stated false-alarm rate, with its reasons.

Two kinds of evidence. *Findings* are faults of the raw stack that physics names (frames of one
exposure stored twice, fringes in the wrong frames, saturation); they hold for any checkpoint and
are only made where the stack tells enough. *Scores* are numbers that grow with anything unusual;
how large is too large is learned from validation cells, by conformal p-values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.metrics.images import rse
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

__all__ = [
    "ALARM_RATE",
    "GATE_FILE",
    "SCORES",
    "SMALLEST_FIELD",
    "Finding",
    "Gate",
    "Verdict",
    "combined_p_value",
    "findings",
    "judge",
    "read_gate",
    "stack_scores",
    "write_gate",
]

GATE_FILE = "gate.json"
ALARM_RATE = 0.05  # of warnings by scores, on cells like those of the training
TAIL_SHARE = 0.2  # of the cells, whose scores a tail is fitted to
NAMED = 0.7  # of the largest surprise: further reasons that are given
LEAST_CELLS = 19  # the smallest p-value of n cells is 1 / (n + 1)
FORMAT, VERSION = "BayesDL-SIM gate", 1
SMALLEST_FIELD = 64  # raw pixels; smaller ones hold too little of anything
PHASE_TOLERANCE_DEG, PHASE_LIMIT_DEG = 5.0, 20.0
ANGLE_TOLERANCE_DEG, ANGLE_LIMIT_DEG = 6.0, 10.0
SATURATED_TOLERANCE, SATURATED_LIMIT = 0.001, 0.01
DRIFT_TOLERANCE_PX, DRIFT_LIMIT_PX = 0.5, 1.5
DARK = 0.5  # of the median frame
NO_FRINGES = 2e-4  # largest power of fringes over that of wide field: modulation of 2 %, or less
NO_FRINGES_SIGMA = 2.0  # above the noise
LEAST_GROUP = 3  # frames with the same fringes that prove a wrong order
HOT_TOLERANCE = 1e-3
PATTERN_RANGE = (0.17, 0.40)  # cycles per raw pixel, of the training sets
PIXEL_RANGE_NM = (55.0, 100.0)  # of the training sets
CLEAR = 6.0  # confidence of a pattern

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


class Finding(NamedTuple):
    """A fault of the raw stack: `refuse` or warn, and the reason in words."""

    refuse: bool
    reason: str


class Verdict(NamedTuple):
    """`decision` is accept, warn, refuse or not judged (too small a field).

    `p_value` is None where no scores were compared.
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


def findings(
    checks: Mapping[str, Any], field: tuple[int, int], pixel_size_nm: float | None = None
) -> list[Finding]:
    """Faults that the raw checks prove; none where they cannot tell.

    Limits in physical units: phase steps 120 +- 5 degrees (refused beyond 20), orientations
    60 +- 6 (10), saturation 0.1 % (1 %), drift 0.5 pixels (1.5), each after three standard
    errors of the measurement; copies, dark frames and fringes in the wrong frames are refused.

    Args:
        checks: `physics.reconstruction.raw_checks.RawChecks` as a dictionary.
        field: (H, W) that was checked.
    """
    if min(field) < SMALLEST_FIELD:
        return []
    found = [*_frame_faults(checks), *_pattern_faults(checks), *_camera_faults(checks)]
    if pixel_size_nm is not None and not PIXEL_RANGE_NM[0] <= pixel_size_nm <= PIXEL_RANGE_NM[1]:
        found.append(Finding(False, f"pixels of {pixel_size_nm:g} nm, training had 55 to 100 nm"))
    return found


def _frame_faults(checks: Mapping[str, Any]) -> list[Finding]:
    """Copies, dark frames, and fringes that the order of the frames does not expect."""
    found = []
    if checks["copies"]:
        pairs = ", ".join(f"{a} and {b}" for a, b in checks["copies"][:3])
        more = " and others" if len(checks["copies"]) > 3 else ""
        found.append(Finding(True, f"frames {pairs}{more} are copies of one exposure"))
    dark = [str(f + 1) for f, light in enumerate(checks["brightness"]) if light < DARK]
    if dark:
        found.append(Finding(True, f"frame {' and '.join(dark)} is dark or missing"))
    groups = [g for g in checks["groups"] if len(g) >= LEAST_GROUP]
    mixed = [g for g in groups if len({(frame - 1) // 3 for frame in g}) > 1]
    if mixed:
        named = " and ".join("(" + ", ".join(map(str, group)) + ")" for group in mixed)
        order = " (the order of phases first, then orientations?)" if _phase_major(mixed) else ""
        found.append(
            Finding(
                True,
                f"frames {named} show the same fringes, but belong to different orientations: "
                f"wrong order, or an orientation is missing{order}",
            )
        )
    return found


def _phase_major(groups: Sequence[Sequence[int]]) -> bool:
    return all(len({(frame - 1) % 3 for frame in group}) == 1 for group in groups)


def _pattern_faults(checks: Mapping[str, Any]) -> list[Finding]:
    found = []
    for step, error in zip(checks["phase_step_deg"], checks["phase_step_error_deg"], strict=True):
        reason = f"phase steps deviate by {step:.0f} +- {error:.0f} degrees from 120"
        found += _beyond(step, error, PHASE_TOLERANCE_DEG, PHASE_LIMIT_DEG, reason)
    angle = checks["angle_error_deg"]
    if math.isfinite(angle):
        reason = f"the angle between orientations deviates by {angle:.0f} degrees from 60"
        found += _beyond(angle, 0.5, ANGLE_TOLERANCE_DEG, ANGLE_LIMIT_DEG, reason)
    no_excess = checks["fringe_sigma"] < NO_FRINGES_SIGMA
    if not checks["groups"] and no_excess and checks["fringe_share"] < NO_FRINGES:
        found.append(
            Finding(True, "the nine frames differ by noise only: no fringes (wide field?)")
        )
    if min(checks["confidence"]) > CLEAR:
        low, high = min(checks["frequency"]), max(checks["frequency"])
        if low < 0.98 * PATTERN_RANGE[0] or high > 1.02 * PATTERN_RANGE[1]:
            found.append(
                Finding(
                    False,
                    f"pattern frequency {low:.2f}-{high:.2f} cycles per pixel, training had "
                    f"{PATTERN_RANGE[0]:g}-{PATTERN_RANGE[1]:g}",
                )
            )
    return found


def _camera_faults(checks: Mapping[str, Any]) -> list[Finding]:
    found = []
    share = checks["saturated_share"]
    found += _beyond(
        share, 0.0, SATURATED_TOLERANCE, SATURATED_LIMIT, f"{share:.1%} of the values are saturated"
    )
    drift, error = checks["drift_px"], max(checks["drift_error_px"], 0.1)
    reason = f"the sample moved by {drift:.1f} +- {error:.1f} pixels between the orientations"
    found += _beyond(drift, error, DRIFT_TOLERANCE_PX, DRIFT_LIMIT_PX, reason)
    if checks["hot_share"] > HOT_TOLERANCE:
        found.append(Finding(False, f"{checks['hot_share']:.2%} of the pixels are hot"))
    return found


def _beyond(
    value: float, error: float, tolerance: float, limit: float, reason: str
) -> list[Finding]:
    if value - 3 * error > limit:
        return [Finding(True, reason)]
    return [Finding(False, reason)] if value - 3 * error > tolerance else []


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

    Everything is computed from the n + 1 in a way that does not tell them apart: if the stack is
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
    stack is unlike simulated cells, and so is many a good measurement.

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
    decision = "refuse" if refuse else "warn" if warn else "accept"
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
