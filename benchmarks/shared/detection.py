"""From uncertainty maps to one score per image, and how well it detects unknown images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.benchmarks.scenes.kept_out import SCENARIOS
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.metrics.images import auroc, quality

__all__ = [
    "CONTROLS",
    "EXCESS",
    "SCORES",
    "TRUE_ERROR",
    "auroc_interval",
    "choose_score",
    "detection_table",
    "image_scores",
    "true_errors",
    "with_excess",
]

Maps = tuple[Tensor, Tensor, Tensor, Tensor]  # mean, aleatoric, epistemic, total of one image
SMALL = 1e-6
REPEATS = 500  # of a bootstrap
CONTROL = "control: mean intensity"
TRUE_ERROR = "control: the true error (RMSE)"  # an oracle: the score of a perfect error estimate
CONTROLS = (CONTROL, TRUE_ERROR)
EXCESS = "epistemic beyond what the look of the image explains"
EXPLAINED_BY = ("mean aleatoric", "contrast", CONTROL)


def _epistemic(maps: Maps) -> Tensor:
    return maps[2].mean()


def _over_total(maps: Maps) -> Tensor:
    return maps[2].mean() / maps[3].mean().clamp(min=SMALL)


def _over_aleatoric(maps: Maps) -> Tensor:
    return maps[2].mean() / maps[1].mean().clamp(min=SMALL)


def _over_contrast(maps: Maps) -> Tensor:
    return maps[2].mean() / maps[0].std().clamp(min=SMALL)


def _over_intensity(maps: Maps) -> Tensor:
    """Intensities below the background are noise, and are left out."""
    return maps[2].mean() / maps[0].clamp(min=0).mean().clamp(min=SMALL)


def _high(maps: Maps) -> Tensor:
    return maps[2].flatten().quantile(0.95)


def _pixel_ratio(maps: Maps) -> Tensor:
    return (maps[2] / maps[3].clamp(min=SMALL)).mean()


def _lit(maps: Maps) -> Tensor:
    """Over the brightest fifth of the pixels, so that an empty background does not dilute it."""
    return maps[2][maps[0] >= maps[0].flatten().quantile(0.8)].mean()


def _aleatoric(maps: Maps) -> Tensor:
    return maps[1].mean()


def _contrast(maps: Maps) -> Tensor:
    return maps[0].std()


def _brightness(maps: Maps) -> Tensor:
    """No uncertainty at all: how well would the appearance of an image alone detect the unknown?"""
    return maps[0].mean()


# The higher, the less the image resembles the training set. Each is a number per image, of any
# size.
SCORES: dict[str, Callable[[Maps], Tensor]] = {
    "mean epistemic": _epistemic,
    "epistemic / total": _over_total,
    "epistemic / aleatoric": _over_aleatoric,
    "epistemic / contrast": _over_contrast,
    "epistemic / intensity": _over_intensity,
    "95th percentile of epistemic": _high,
    "mean of the pixels' epistemic / total": _pixel_ratio,
    "epistemic of the lit pixels": _lit,
    CONTROL: _brightness,
}
# Not scores, but image-level features that the epistemic uncertainty usually follows.
LOOKS = {"mean aleatoric": _aleatoric, "contrast": _contrast}


def image_scores(prediction: Prediction) -> dict[str, list[float]]:
    """`SCORES` and `LOOKS` of every image of a batch: name -> one number per image."""
    images = list(zip(*prediction, strict=True))
    measured = {**SCORES, **LOOKS}
    return {name: [float(score(maps)) for maps in images] for name, score in measured.items()}


def true_errors(scene: Scene, prediction: Prediction) -> dict[str, list[float]]:
    """`TRUE_ERROR` of every image of a scene: its RMSE after an affine fit to the target.

    It is in units of the target's range, as `sigma` is in units of the image's. Relative to the
    target's mean square, the error of every bright image would be small.
    """
    images = prediction.mean[:, 0].numpy()
    return {TRUE_ERROR: [10 ** (-quality(image, scene.target).psnr / 20) for image in images]}


def with_excess(
    known: Mapping[str, np.ndarray], unknown: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Adds the score `EXCESS`, and removes the entries of `LOOKS`.

    `excess = log e - (b0 + b1 log a + b2 log c + b3 log i)`, e and a the mean epistemic and
    aleatoric uncertainty, c the contrast and i the mean intensity; b by least squares over the
    even scenes of the test cells. No kept-out image is used for it.
    """

    def design(scores: Mapping[str, np.ndarray]) -> np.ndarray:
        logs = [np.log(np.clip(scores[name], SMALL, None)) for name in EXPLAINED_BY]
        return np.stack([np.ones_like(logs[0]), *logs], axis=-1)

    def log_epistemic(scores: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.log(np.clip(scores["mean epistemic"], SMALL, None))

    x, y = design(known)[::2], log_epistemic(known)[::2]
    fitted = np.linalg.lstsq(x.reshape(-1, x.shape[-1]), y.ravel(), rcond=None)[0]

    def complete(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        excess = log_epistemic(scores) - design(scores) @ fitted
        kept = {name: scores[name] for name in scores if name not in LOOKS}
        return kept | {EXCESS: excess}

    return complete(known), {name: complete(scores) for name, scores in unknown.items()}


def choose_score(
    known: Mapping[str, np.ndarray], unknown: Mapping[str, Mapping[str, np.ndarray]]
) -> str:
    """The score, controls aside, of the best mean AUROC over the scenarios, on the even scenes.

    Args:
        known: score -> (scenes, levels) of test cells.
        unknown: scenario -> score -> (scenes, levels).
    """

    def worth(score: str) -> float:
        return float(
            np.mean([auroc(known[score][::2], images[score][::2]) for images in unknown.values()])
        )

    return max((score for score in known if score not in CONTROLS), key=worth)


def auroc_interval(
    known: np.ndarray, unknown: np.ndarray, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the AUROC: whole scenes are redrawn, on both sides.

    Args:
        known, unknown: (scenes, levels); the levels of a scene are not independent.
    """

    def redrawn(scores: np.ndarray) -> np.ndarray:
        return scores[rng.integers(len(scores), size=len(scores))].ravel()

    values = [auroc(redrawn(known), redrawn(unknown)) for _ in range(REPEATS)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def detection_table(
    known: Mapping[str, np.ndarray],
    unknown: Mapping[str, Mapping[str, np.ndarray]],
    scores: Sequence[str],
    first: int,
    bar: float | None = None,
) -> list[dict[str, Any]]:
    """AUROC per scenario, then of all structures, all microscopes and all together.

    Args:
        first: 0 for the even scenes, 1 for the odd ones.
        bar: adds the interval of the first score, and whether that score reaches the bar.
    """
    rng = np.random.default_rng(0)
    kinds = {name: SCENARIOS[name].kind for name in unknown}
    groups = {name: [name] for name in unknown}
    for kind in dict.fromkeys(kinds.values()):
        groups[f"all {kind}s"] = [name for name in unknown if kinds[name] == kind]
    groups["all"] = list(unknown)
    rows = []
    for title, names in groups.items():
        row: dict[str, Any] = {"kept out of training": title}
        row["images"] = sum(unknown[name][scores[0]][first::2].size for name in names)
        for score in scores:
            positive = np.concatenate([unknown[name][score][first::2].ravel() for name in names])
            row[score] = auroc(known[score][first::2], positive)
        if bar is not None:
            positive = np.concatenate([unknown[name][scores[0]][first::2] for name in names])
            low, high = auroc_interval(known[scores[0]][first::2], positive, rng)
            row["95 % interval"] = f"{low:.2f}-{high:.2f}"
            row[f">= {bar:g}"] = "yes" if row[scores[0]] >= bar else "NO"
        rows.append(row)
    return rows
