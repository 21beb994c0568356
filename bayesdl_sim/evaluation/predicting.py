"""A posterior under evaluation: opened with its calibration, and what it predicts for a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from bayesdl_sim.bayes.calibration.image_features import brightness_of, features_of
from bayesdl_sim.bayes.likelihoods import standard_deviation
from bayesdl_sim.bayes.prediction import Prediction, predict, predict_nested
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.evaluation.baselines import DECONVOLVED, WIDE_FIELD, WIENER
from bayesdl_sim.evaluation.cases import Case
from bayesdl_sim.evaluation.fringes import SHUFFLED, TRUE_PATTERNS
from bayesdl_sim.evaluation.scoring import OURS, Sample, mixture_draws
from bayesdl_sim.inference.beside_spots import brightened, undimmed
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "Evaluated",
    "PosteriorSettings",
    "Sampling",
    "labels",
    "nested_samples",
    "open_posterior",
    "predict_case",
    "prepared_case",
    "require_uncertainty",
    "states_uncertainty",
]

SMALLEST_SIGMA = 1e-6  # normalised intensity


@dataclass(frozen=True, kw_only=True)
class PosteriorSettings:
    """How the members of a folder are run.

    Attributes:
        device: auto, cpu, cuda or cuda:n.
        precision: auto, fp32 or bf16.
        tile: side of a tile, raw pixels.
    """

    device: str = "auto"
    precision: str = "auto"
    tile: int = 512


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The pixels that stand for a stack: at most so many, drawn with this seed."""

    pixels: int = 16384
    seed: int = 0


class Evaluated(NamedTuple):
    """A posterior under the name that the report gives it."""

    label: str
    posterior: Posterior


def open_posterior(
    folder: Path, label: str, settings: PosteriorSettings, calibration: str | Path | None = None
) -> Evaluated:
    """Opens the members and their calibration, and prints what they are.

    Args:
        calibration: a file, "none", or None for the one beside the members.
    """
    posterior = Posterior.load(folder, **asdict(settings), calibration=calibration)
    print("\n".join(f"{label}: {note}" for note in posterior.notes))
    return Evaluated(label, posterior)


def states_uncertainty(posterior: Posterior) -> bool:
    """False for a single member without a tail."""
    return posterior.has_tail or posterior.has_epistemic


def require_uncertainty(posterior: Posterior) -> None:
    """`InputError` for members that state no uncertainty at all."""
    if not states_uncertainty(posterior):
        raise InputError(
            "one member without an uncertainty tail states no uncertainty: fit a tail with "
            "train.py --train_type uncertainty_tail, or draw more members"
        )


def labels(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by their name, or by their whole path where two have the same name."""
    names = [folder.name for folder in folders]
    fixed = {OURS, WIDE_FIELD, WIENER, DECONVOLVED, SHUFFLED, TRUE_PATTERNS}
    return {
        str(folder) if names.count(folder.name) > 1 or folder.name in fixed else folder.name: folder
        for folder in folders
    }


def predict_case(case: Case, evaluated: Evaluated, sampling: Sampling) -> tuple[Prediction, Sample]:
    """Maps (2H, 2W) in the case's intensities, uncalibrated, and the sampled pixels."""
    index, posterior = _sampled_pixels(case, sampling), evaluated.posterior
    outputs: list[tuple[NDArray, NDArray]] = []

    def recorded(function: Callable) -> Callable:
        def apply(raw: Tensor) -> tuple[Tensor, Tensor | None]:
            mean, parameters = function(raw)
            values = mean.float().cpu().numpy().ravel()[index]
            deviation = np.zeros_like(values)
            if parameters is not None:
                sigma = standard_deviation(posterior.likelihood, parameters)
                deviation = sigma.float().cpu().numpy().ravel()[index]
            outputs.append((values, deviation))
            return mean, parameters

        return apply

    members, prepared = map(recorded, posterior.functions), prepared_case(case, posterior)
    shown = prepared.network_input(0, posterior.inputs)
    prediction = undimmed(prepared, 0, predict(members, shown, posterior.likelihood))
    maps = _in_case_units(prediction, case, prepared, evaluated.label)
    factor, offset = _to_case(case, prepared)
    means, sigmas = map(np.stack, zip(*outputs, strict=True))
    dimming = prepared.fine_dimming(0)
    if dimming is not None:
        spots = dimming.cpu().numpy().ravel()[index]
        means, sigmas = brightened(prepared, 0, means, spots), sigmas / spots
    rng = np.random.default_rng([sampling.seed, case.cell, case.level, 1])
    draws = mixture_draws(factor * means + offset, factor * sigmas, rng)
    return maps, replace(_sample(case, maps, prepared, index), draws=draws)


def nested_samples(case: Case, evaluated: Evaluated, sampling: Sampling) -> list[Sample]:
    """The sampled pixels as the first member alone, the first two, and so on predict them.

    Without draws, and in float32, since there is one sample per number of members.
    """
    index, posterior = _sampled_pixels(case, sampling), evaluated.posterior
    prepared = prepared_case(case, posterior)
    shown = prepared.network_input(0, posterior.inputs)
    nested = predict_nested(posterior.functions, shown, posterior.likelihood)
    predictions = (undimmed(prepared, 0, prediction) for prediction in nested)
    maps = (_in_case_units(one, case, prepared, evaluated.label) for one in predictions)
    return [_sample(case, prediction, prepared, index, np.float32) for prediction in maps]


def prepared_case(case: Case, posterior: Posterior) -> PreparedStack:
    """The stack of a case, prepared for a posterior, on its own intensity scale."""
    stack = RawStack(
        raw=case.raw[None],
        pixel_size_nm=case.pixel_size_nm,
        name=case.name,
        source=Path(case.name),
    )
    return posterior.prepare(stack)


def _to_case(case: Case, prepared: PreparedStack) -> tuple[float, float]:
    """Factor and offset from the intensities of the networks to those of the case."""
    norm = prepared.norm(0)
    return norm.scale / case.norm.scale, (norm.low - case.norm.low) / case.norm.scale


def _in_case_units(
    prediction: Prediction, case: Case, prepared: PreparedStack, label: str
) -> Prediction:
    """Maps (2H, 2W) in the case's intensities.

    Raises:
        InputError: one of them is not finite.
    """
    factor, offset = _to_case(case, prepared)
    mean, *deviations = (image[0, 0].float().cpu().numpy() for image in prediction)
    maps = Prediction(factor * mean + offset, *(factor * image for image in deviations))
    if not all(np.isfinite(image).all() for image in maps):
        raise InputError(f"{case.name}: {label} predicts values that are not finite")
    return maps


def _sample(
    case: Case,
    maps: Prediction,
    prepared: PreparedStack,
    index: NDArray[np.int64],
    dtype: DTypeLike = np.float64,
) -> Sample:
    """The sampled pixels of the maps of one stack."""
    target, mean, sigma = (
        image.ravel()[index].astype(dtype) for image in (case.target, maps.mean, maps.total)
    )
    return Sample(
        cell=case.cell,
        level=case.level,
        signal_e=case.signal_e,
        target=target,
        mean=mean,
        sigma=np.maximum(sigma, SMALLEST_SIGMA),
        structure=case.structure,
        features=features_of(*maps[:3], prepared.signal_e(0)),
        brightness=brightness_of(maps.mean).ravel()[index],
    )


def _sampled_pixels(case: Case, sampling: Sampling) -> NDArray[np.int64]:
    """Numbers of the pixels that stand for a stack; all of a small one."""
    size = case.target.size
    if size <= sampling.pixels:
        return np.arange(size)
    rng = np.random.default_rng([sampling.seed, case.cell, case.level])
    return np.sort(rng.choice(size, sampling.pixels, replace=False))
