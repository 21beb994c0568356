"""A stack through the members, time point by time point, onto one intensity scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.change import marked, predict_series
from bayesdl_sim.bayes.prediction import Prediction, predict
from bayesdl_sim.bayes.released import predict_released
from bayesdl_sim.data.inputs import FirstGuess, InputSpec, stack_input
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.inference.maps import CHANGES, Progress
from bayesdl_sim.inference.prepared import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.verdict import judged_times
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.utils.errors import InputError

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = ["CONVENTIONS", "FIRST_GUESS", "network_input", "predict_stack", "with_changes"]

CONVENTIONS = {"total_variance": predict, "released": predict_released}
FIRST_GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)


def network_input(prepared: PreparedStack, t: int, inputs: InputSpec) -> torch.Tensor:
    """What the networks are shown of one time point, (1, F, H, W)."""
    raw = prepared.stack.raw[t]
    # The released code divides in float64 and rounds once, when it makes a tensor.
    raw = raw.astype(np.float64) if prepared.min_max else raw
    return stack_input(raw, prepared.norm(t), inputs, FIRST_GUESS)[None]


def predict_stack(
    posterior: Posterior, prepared: PreparedStack, progress: Progress
) -> Reconstruction:
    """Posterior predictive of every time point, on one intensity scale unless released.

    Raises:
        InputError: the members predict nothing that can be shown.
    """
    stack, released = prepared.stack, posterior.convention == "released"
    times, _, height, width = stack.raw.shape
    shape = (times, 2 * height, 2 * width)
    maps = {name: np.empty(shape, np.float32) for name in Prediction._fields}
    factors, began, judged, epistemic = [], time.perf_counter(), judged_times(prepared), {}
    total = times * len(posterior.functions)
    for t in range(times):
        shown, norm = network_input(prepared, t, posterior.inputs), prepared.norm(t)
        done = t * len(posterior.functions)
        functions = _counted(posterior.functions, done, total, progress)
        prediction = CONVENTIONS[posterior.convention](functions, shown, posterior.likelihood)
        factors += posterior.calibration.factors(prediction)
        for name, image in posterior.calibration.apply(prediction)._asdict().items():
            maps[name][t] = image[0, 0].cpu().numpy()
        if t in judged:
            rows, columns = prepared.fine_square(t)
            epistemic[t] = prediction.epistemic[0, 0, rows, columns].cpu().numpy()
        if not released:
            # Each time point has its own scale before the network; in counts they compare.
            for image in maps.values():
                image[t] *= norm.scale
            maps["mean"][t] += norm.low
            if t in judged:
                epistemic[t] *= norm.scale
    _require_usable(maps, stack.source)
    scales = [prepared.norm(t) for t in range(times)]
    scale = scales[0] if released else _to_sr_scale([*maps.values(), *epistemic.values()])
    known = _known(posterior)
    return Reconstruction(
        sr=maps["mean"],
        **{name: maps[name] for name in known},
        scale=scale,
        pixel_size_nm=None if stack.pixel_size_nm is None else stack.pixel_size_nm / 2,
        wide_field=scale.apply(stack.raw.mean(axis=1)),
        raw_scales=scales,
        factors=factors,
        judged_epistemic=epistemic if "epistemic" in known else {},
        seconds=time.perf_counter() - began,
        released=released,
    )


def _known(posterior: Posterior) -> list[str]:
    """The deviations that the members can tell: a map of zeros would read as certainty."""
    known = ["aleatoric"] if posterior.has_tail else []
    known += ["epistemic"] if len(posterior.members) > 1 else []
    return [*known, "total"] if len(known) == 2 else known


def with_changes(
    result: Reconstruction,
    posterior: Posterior,
    prepared: PreparedStack,
    level: float,
    progress: Progress,
) -> Reconstruction:
    """Adds the change from each time point to the next, and where it is certain.

    Two time points at a time, so that memory does not grow with the series.
    """
    maps: dict[str, list[NDArray]] = {name: [] for name in CHANGES}
    steps = len(prepared) - 1
    earlier = network_input(prepared, 0, posterior.inputs)
    # Of two time points, the larger factor: a change is marked only beyond doubt.
    for t, factor in enumerate(map(max, pairwise(result.factors)), start=1):
        later = network_input(prepared, t, posterior.inputs)
        norms = [prepared.norm(t - 1), prepared.norm(t)]
        scales, lows = [norm.scale for norm in norms], [norm.low for norm in norms]
        both = torch.cat([earlier, later])
        _, change = predict_series(posterior.functions, both, scales, lows, posterior.likelihood)
        certain = marked(change.difference, factor * change.total, level)
        difference = change.difference[0, 0].cpu().numpy() / np.float32(result.scale.scale)
        maps["Change"].append(difference)
        maps["Changed"].append(np.sign(difference) * certain[0, 0].cpu().numpy())
        earlier = later
        progress(t, steps, "changes")
    return result.with_further({name: np.stack(images) for name, images in maps.items()})


def _counted(
    functions: Iterable[Callable], done: int, total: int, progress: Progress
) -> Iterator[Callable]:
    """The functions, each reported once it has been used."""
    for number, function in enumerate(functions, start=done + 1):
        yield function
        progress(number, total, "members")


def _require_usable(maps: dict[str, NDArray], source: object) -> None:
    """`InputError` if the members predict nothing that could be shown."""
    low, high = float(maps["mean"].min()), float(maps["mean"].max())
    if not (np.isfinite((low, high)).all() and high > low):
        raise InputError(
            f"{source}: the members predict a constant or not finite image; the training of these "
            "members went wrong: choose others"
        )
    infinite = float((~np.isfinite(maps["aleatoric"])).mean())
    if infinite:
        raise InputError(
            f"{source}: at {infinite:.2%} of the pixels the uncertainty tail gives no finite "
            "standard deviation (a Student-t has none for two degrees of freedom or fewer): use "
            "the convention released, or fit the tails again"
        )


def _to_sr_scale(counts: list[NDArray]) -> Normalisation:
    """Counts -> normalised SR intensity, `(x - low) / (high - low)` over all time points.

    Args:
        counts: the mean first, then deviations; changed in place, since of a long time series the
            maps are the largest thing in memory.
    """
    mean = counts[0]
    scale = Normalisation(float(mean.min()), float(mean.max()))
    mean -= np.float32(scale.low)
    for image in counts:
        image /= np.float32(scale.scale)
    return scale
