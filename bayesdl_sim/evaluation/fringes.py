"""The contribution of the fringes: the posterior without them, and with the true patterns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.evaluation.cases import Case
from bayesdl_sim.evaluation.scoring import OURS
from bayesdl_sim.inference.beside_spots import undimmed
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.series import CONVENTIONS
from bayesdl_sim.physics.fringeless import shuffled
from bayesdl_sim.physics.illumination import ORIENTATIONS, Illumination
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate

__all__ = [
    "SHUFFLED",
    "TRUE_PATTERNS",
    "fringe_gain",
    "fringe_images",
    "posterior_mean",
    "share_of_gain",
    "with_true_patterns",
]

SHUFFLED = f"{OURS}, frames shuffled"
TRUE_PATTERNS = f"{OURS}, true patterns"
LEAST_GAIN_DB = 0.1  # of the true patterns, for a share of it to mean anything


def fringe_images(
    case: Case, posterior: Posterior, generator: torch.Generator
) -> dict[str, NDArray[np.float32]]:
    """The posterior mean of a stack without its fringes, and with the true patterns.

    Args:
        generator: draws the order in which every pixel's nine values are shuffled.

    Returns:
        Method -> (2H, 2W) in the intensities of `normalisation_of`. True patterns where they are
        known and the networks are shown a first guess.
    """
    raw = torch.from_numpy(case.raw)
    images = {SHUFFLED: posterior_mean(posterior, shuffled(raw, generator))}
    if case.illumination is not None and posterior.inputs.first_guess:
        patterns = with_true_patterns(estimate(raw), case.illumination)
        images[TRUE_PATTERNS] = posterior_mean(posterior, raw, patterns)
    return images


def posterior_mean(
    posterior: Posterior, raw: Tensor, patterns: Estimate | None = None
) -> NDArray[np.float32]:
    """The mean (2H, 2W) of a posterior whose first guess is made with given patterns.

    In the intensities of `normalisation_of`, those of the target.

    Args:
        raw: counts (9, H, W).
        patterns: patterns of the stack; None: estimated.
    """
    frames, source = raw.numpy(), Path("the stack")
    stack = RawStack(raw=frames[None], pixel_size_nm=None, name=source.name, source=source)
    prepared = posterior.prepare(stack)
    norm = prepared.norm(0)
    if patterns is not None:
        prepared.restore(0, norm, patterns, 0)
    shown = prepared.network_input(0, posterior.inputs)
    predict = CONVENTIONS[posterior.convention]
    prediction = undimmed(prepared, 0, predict(posterior.functions, shown, posterior.likelihood))
    mean = prediction.mean[0, 0].float().cpu().numpy()
    return normalisation_of(frames).apply(norm.low + norm.scale * mean)


def with_true_patterns(patterns: Estimate, light: Illumination) -> Estimate:
    """The estimate with the true patterns, which are known in simulations only, and no error."""
    certain, none = (1.0,) * ORIENTATIONS, (0.0,) * ORIENTATIONS
    return replace(patterns, illumination=light, probability=certain, phase_error=none)


def fringe_gain(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Gain of the true order of the frames over shuffled ones, level by level, PSNR in dB.

    The share is relative to the gain of the true patterns.

    Args:
        rows: rows of image quality, one per stack and method.

    Returns:
        Nothing where no stack has been shuffled.
    """
    levels: dict[int, dict[str, list[float]]] = {}
    signals: dict[int, list[float]] = {}
    for row in rows:
        if row["method"] in (OURS, SHUFFLED, TRUE_PATTERNS):
            columns = levels.setdefault(row["level"], {})
            columns.setdefault(row["method"], []).append(row["psnr"])
            signals.setdefault(row["level"], []).append(row["signal_e"])
    table = []
    for level, columns in sorted(levels.items()):
        if SHUFFLED not in columns:
            continue
        without, measured = (float(np.mean(columns[name])) for name in (SHUFFLED, OURS))
        line = {"level": level, "signal, e-/px": float(np.median(signals[level]))}
        line |= {"frames shuffled": without, "as measured": measured}
        line |= {"fringe gain": measured - without}
        if TRUE_PATTERNS in columns:
            true_gain = float(np.mean(columns[TRUE_PATTERNS]))
            line |= {
                "true patterns": true_gain,
                "share": share_of_gain(without, measured, true_gain),
            }
        table.append(line)
    return table


def share_of_gain(shuffled_db: float, measured_db: float, true_db: float) -> float:
    """Share of the gain of true patterns that the measured ones give; NaN where there is none."""
    possible = true_db - shuffled_db
    return (measured_db - shuffled_db) / possible if possible > LEAST_GAIN_DB else math.nan
