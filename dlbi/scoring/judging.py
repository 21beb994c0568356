"""Scores every stage and every baseline on a case, and writes the numbers as tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.dlbi.blinking import FINE
from bayesdl_sim.dlbi.scoring.baselines import (
    MEAN_ITERATIONS,
    deconvolved_mean,
    deconvolved_variance,
    mean_image,
)
from bayesdl_sim.dlbi.scoring.cases import Case
from bayesdl_sim.dlbi.scoring.scores import (
    calibration_error,
    matched_blur,
    paper_scores,
    truth_scores,
)
from bayesdl_sim.dlbi.stages.baseline import run_stages_or_baseline
from bayesdl_sim.dlbi.stages.records import Settings
from bayesdl_sim.metrics.against_wide_field import rse, rsp
from bayesdl_sim.utils.pictures import write_overview

__all__ = ["COLUMNS", "Judged", "judge", "tables", "write_pictures"]

COLUMNS = (
    ("psnr", "PSNR@80, dB", "{:.2f}"),
    ("ssim", "SSIM@80", "{:.3f}"),
    ("ncc", "NCC@80", "{:.3f}"),
    ("frc_nm", "FRC, nm", "{:.0f}"),
    ("paper_psnr", "PSNR as published", "{:.1f}"),
    ("paper_ssim", "SSIM as published", "{:.3f}"),
    ("rsp", "RSP", "{:.3f}"),
    ("rse", "RSE", "{:.4f}"),
    ("ece", "ECE", "{:.4f}"),
    ("ece_above", "ECE above 0.1", "{:.3f}"),
    ("sum_p", "sum p / occupied", "{:.2f}"),
    ("seconds", "seconds", "{:.1f}"),
)
ABOVE = 0.1  # probability from which a pixel is part of the structure, for the second error


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Scores of a case.

    Args:
        name: name of the case.
        scores: method -> score -> value; the scores of a probability only of the stages.
        images: (8H, 8W) of each method, and the truth.
        fine_nm: side of a fine pixel.
    """

    name: str
    scores: dict[str, dict[str, float]]
    images: dict[str, NDArray]
    fine_nm: float


def judge(case: Case, settings: Settings) -> Judged:
    """Runs and scores all stages and all baselines on a case."""
    prepared, results = run_stages_or_baseline(case.movie, settings)
    moments, width = prepared.moments, case.fwhm_px
    plain: dict[str, Callable[[], NDArray]] = {
        "mean image": lambda: mean_image(moments),
        f"Richardson-Lucy of the mean, {MEAN_ITERATIONS} iterations, true width": (
            lambda: deconvolved_mean(moments, width)
        ),
        "Richardson-Lucy of the variance, true width": (
            lambda: deconvolved_variance(moments, width)
        ),
    }
    scores, images = {}, {"truth": case.fluorophores}
    for name, method in plain.items():
        started = time.process_time()
        images[name] = method()
        seconds = time.process_time() - started
        scores[name] = _scores(images[name], case, moments.mean.numpy(), seconds)
    spent = 0.0
    for result in results:
        spent += result.seconds
        images[result.name] = result.structure
        scores[result.name] = _scores(result.structure, case, moments.mean.numpy(), spent)
        scores[result.name] |= _of_probability(result.probability, case.fluorophores > 0)
    return Judged(name=case.name, scores=scores, images=images, fine_nm=case.fine_nm)


def _of_probability(probability: NDArray, occupied: NDArray) -> dict[str, float]:
    """Calibration errors, and the sum of the probabilities over the number of occupied pixels.

    A score that the case does not define (no pixel above `ABOVE`, none occupied) is left out.
    """
    scores = {"ece": calibration_error(probability, occupied)[0]}
    if (probability > ABOVE).any():
        scores["ece_above"] = calibration_error(probability, occupied, above=ABOVE)[0]
    if occupied.any():
        scores["sum_p"] = float(probability.sum(dtype=np.float64) / occupied.sum())
    return scores


def _scores(image: NDArray, case: Case, mean: NDArray, seconds: float) -> dict[str, float]:
    truth = truth_scores(image, case.fluorophores, case.fine_nm)
    paper_psnr, paper_ssim = paper_scores(image, case.fluorophores)
    # For SQUIRREL, the structure is averaged over blocks to the camera's grid.
    height, width = mean.shape
    coarse = image.reshape(2 * height, FINE // 2, 2 * width, FINE // 2).mean(axis=(1, 3))
    scaled = (mean - mean.min()) / max(float(np.ptp(mean)), 1e-12)
    return {
        **truth._asdict(),
        "paper_psnr": paper_psnr,
        "paper_ssim": paper_ssim,
        "rsp": rsp(coarse, scaled),
        "rse": rse(coarse, scaled),
        "seconds": seconds,
    }


def tables(judged: list[Judged]) -> str:
    """Markdown: means over the cases by group, then PSNR and NCC of each case, the worst marked."""
    groups: dict[str, list[Judged]] = {}
    for case in judged:
        groups.setdefault(case.name.split()[0], []).append(case)
    if len(groups) == len(judged):  # names without groups
        groups = {"all": judged}
    titles = [title for _, title, _ in COLUMNS]
    lines = [f"| method | {' | '.join(titles)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for method in judged[0].scores:
        cells = [
            " / ".join(_mean(cases, method, key, form) for cases in groups.values())
            for key, _, form in COLUMNS
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    lines += ["", f"(means over {' / '.join(groups)})", ""]
    lines += [
        "| case | " + " | ".join(judged[0].scores) + " |",
        "|---" * (1 + len(judged[0].scores)) + "|",
    ]
    last = list(judged[0].scores)[-1]
    worst = min(judged, key=lambda case: case.scores[last]["ncc"])
    for case in judged:
        cells = [f"{score['psnr']:.2f}, {score['ncc']:.3f}" for score in case.scores.values()]
        name = f"**{case.name}** (worst)" if case is worst else case.name
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "(PSNR@80 in dB, NCC@80)"])


def _mean(cases: list[Judged], method: str, key: str, form: str) -> str:
    values = [case.scores[method][key] for case in cases if key in case.scores[method]]
    return form.format(np.mean(values)) if values else "-"


def write_pictures(folder: Path, case: Judged) -> None:
    """Writes one picture of a case: truth and every method at a resolution of 80 nm."""
    panels = {}
    for name, image in case.images.items():
        blurred, _ = matched_blur(image, case.images["truth"], case.fine_nm)
        panels[name.split(",")[0]] = blurred
    file = case.name.replace(",", "").replace(" ", "_")
    write_overview(folder / f"{file}.png", panels, case.fine_nm)
