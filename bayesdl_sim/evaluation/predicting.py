"""A posterior under evaluation: opened with its calibration, and what it predicts for a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.bayes.calibration.image_features import look_of
from bayesdl_sim.bayes.calibration.recalibration import Calibration, find_calibration
from bayesdl_sim.bayes.likelihoods import standard_deviation
from bayesdl_sim.bayes.prediction import Prediction, predict
from bayesdl_sim.data.inputs import FirstGuess, input_spec, stack_input
from bayesdl_sim.data.normalise import Normalisation, min_max_of
from bayesdl_sim.evaluation.baselines import DECONVOLVED, WIDE_FIELD, WIENER
from bayesdl_sim.evaluation.cases import Case
from bayesdl_sim.evaluation.scoring import OURS, Sample, mixture_draws
from bayesdl_sim.models.members import MemberFacts, describe_members, hashes_of, member_functions
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "Evaluated",
    "PosteriorSettings",
    "Sampling",
    "labels",
    "open_posterior",
    "predict_case",
    "require_uncertainty",
]

FIRST_GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)
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


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The members of a folder under the name that the report gives them.

    Attributes:
        label: in tables and figures.
        functions: one per member, network input -> its output.
        members: what they are.
        calibration: stored beside the members; None where none is applied.
    """

    label: str
    functions: list[Callable]
    members: list[MemberFacts]
    calibration: Calibration | None = None

    @property
    def likelihood(self) -> str:
        """What the tail's maps parametrise."""
        return self.members[0].network["likelihood"] or "gauss"

    @property
    def states_uncertainty(self) -> bool:
        """False for a single member without a tail."""
        return bool(self.members[0].network["likelihood"]) or len(self.members) > 1

    @property
    def hashes(self) -> dict[str, str]:
        """File name -> SHA-256 of the members."""
        return hashes_of(self.members)


def open_posterior(
    folder: Path, label: str, settings: PosteriorSettings, calibration: str | Path | None = None
) -> Evaluated:
    """Checks the members, finds their calibration, and prints both.

    Args:
        calibration: a file, "none", or None for the one beside the members.
    """
    device = choose_device(settings.device)
    members = describe_members(folder)
    dtype = choose_precision(settings.precision, device)
    functions = member_functions(folder, device, dtype, settings.tile, keep=True)
    print(f"{label}: {len(members)} member(s) of {folder}; {device}")
    found, words = find_calibration(folder, calibration, hashes_of(members))
    print(words)
    return Evaluated(label=label, functions=functions, members=members, calibration=found)


def require_uncertainty(posterior: Evaluated) -> None:
    """`InputError` for members that state no uncertainty at all."""
    if not posterior.states_uncertainty:
        raise InputError(
            "one member without an uncertainty tail states no uncertainty: fit a tail with "
            "train.py --train_type uncertainty_tail, or draw more members"
        )


def labels(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by their name, or by their whole path where two have the same name."""
    names = [folder.name for folder in folders]
    taken = {OURS, WIDE_FIELD, WIENER, DECONVOLVED}
    return {
        str(folder) if names.count(folder.name) > 1 or folder.name in taken else folder.name: folder
        for folder in folders
    }


def predict_case(case: Case, posterior: Evaluated, sampling: Sampling) -> tuple[Prediction, Sample]:
    """Maps (2H, 2W) in the case's intensities, uncalibrated, and the sampled pixels."""
    index = _sampled_pixels(case, sampling)
    kept: list[tuple[NDArray, NDArray]] = []

    def recorded(function: Callable) -> Callable:
        def apply(raw: Tensor) -> tuple[Tensor, Tensor | None]:
            mean, parameters = function(raw)
            values = mean.float().cpu().numpy().ravel()[index]
            deviation = np.zeros_like(values)
            if parameters is not None:
                sigma = standard_deviation(posterior.likelihood, parameters)
                deviation = sigma.float().cpu().numpy().ravel()[index]
            kept.append((values, deviation))
            return mean, parameters

        return apply

    frames, norm = _network_input(case, posterior)
    prediction = predict(map(recorded, posterior.functions), frames, posterior.likelihood)
    factor = norm.scale / case.norm.scale
    offset = (norm.low - case.norm.low) / case.norm.scale
    mean, *deviations = (image[0, 0].float().cpu().numpy() for image in prediction)
    maps = Prediction(factor * mean + offset, *(factor * image for image in deviations))
    if not all(np.isfinite(image).all() for image in maps):
        raise InputError(f"{case.name}: {posterior.label} predicts values that are not finite")
    means, sigmas = (factor * np.stack(values) for values in zip(*kept, strict=True))
    rng = np.random.default_rng([sampling.seed, case.cell, case.level, 1])
    sample = Sample(
        case.cell,
        case.level,
        case.signal_e,
        case.target.ravel()[index].astype(np.float64),
        maps.mean.ravel()[index].astype(np.float64),
        np.maximum(maps.total.ravel()[index].astype(np.float64), SMALLEST_SIGMA),
        mixture_draws(means + offset, sigmas, rng),
        case.structure,
        look_of(maps.mean, maps.total),
    )
    return maps, sample


def _network_input(case: Case, posterior: Evaluated) -> tuple[Tensor, Normalisation]:
    """What the networks see of a stack, (1, F, H, W), and the scale of what they answer."""
    min_max = posterior.members[0].training.get("normalisation") == "min-max"
    norm = min_max_of(case.raw) if min_max else case.norm
    inputs = input_spec(posterior.members[0].network)
    return stack_input(case.raw, norm, inputs, FIRST_GUESS)[None], norm


def _sampled_pixels(case: Case, sampling: Sampling) -> NDArray[np.int64]:
    """Numbers of the pixels that stand for a stack; all of a small one."""
    size = case.target.size
    if size <= sampling.pixels:
        return np.arange(size)
    rng = np.random.default_rng([sampling.seed, case.cell, case.level])
    return np.sort(rng.choice(size, sampling.pixels, replace=False))
