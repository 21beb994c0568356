"""A stack through the members, time point by time point, onto one intensity scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.change import MemberImage, change_between, marked
from bayesdl_sim.bayes.likelihoods import standard_deviation
from bayesdl_sim.bayes.prediction import Prediction, predict
from bayesdl_sim.bayes.released import predict_released
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.inference.beside_spots import undimmed, unexplained_light
from bayesdl_sim.inference.gaps import fine, first_kept, gaps_of
from bayesdl_sim.inference.judging.look import why_no_counts
from bayesdl_sim.inference.judging.verdict import judged_times
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.settings import CHANGES
from bayesdl_sim.utils.console.progress import Report
from bayesdl_sim.utils.errors import InputError

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = [
    "CONVENTIONS",
    "Earlier",
    "known_deviations",
    "predict_stack",
    "require_usable",
    "to_counts",
    "to_sr_scale",
]

CONVENTIONS = {"total_variance": predict, "released": predict_released}
Outputs = list[Any]  # of the members, for one time point


@dataclass
class Earlier:
    """What a change needs of the previous time point.

    Attributes:
        images: mean and variance of each member, in counts; empty before the first time point, and
            after one that is left out.
        factor: factor of the calibration there, of each pixel or of all.
        gaps: pixels (1, H, W) without data there; None where all hold some.
        left_out: there is such a time point, but it has no result: no change from it is known.
    """

    images: list[MemberImage] = field(default_factory=list)
    factor: NDArray[np.float32] | float = 0.0
    gaps: NDArray[np.bool_] | None = None
    left_out: bool = False


def predict_stack(
    posterior: Posterior,
    prepared: PreparedStack,
    progress: Report,
    changes: float | None = None,
    scale: Normalisation | None = None,
    earlier: Earlier | None = None,
    leave_out: Callable[[], frozenset[int]] | None = None,
) -> Reconstruction:
    """Posterior predictive of every time point, on one intensity scale unless released.

    Every time point is predicted once. Deviations are calibrated last; what the verdict compares
    with validation cells is kept as predicted. Frames that hold no counts are not predicted.

    Args:
        changes: level of the credible interval of Change and Changed; None leaves them out.
        scale: counts at 0 and 1; None: smallest and largest value of the mean of these time points.
        earlier: the time point before these, for their changes; the last of these takes its place.
        leave_out: gives the time points that are left out of the result, and so of its scale.

    Raises:
        InputError: the members predict nothing that can be shown.
    """
    stack, released = prepared.stack, posterior.convention == "released"
    times, _, height, width = stack.raw.shape
    maps = {
        name: np.empty((times, 2 * height, 2 * width), np.float32) for name in Prediction._fields
    }
    began, judged, epistemic, factors = time.perf_counter(), judged_times(prepared), {}, []
    steps: list[tuple[NDArray, NDArray]] = []
    earlier = Earlier() if earlier is None else earlier
    empty = [t for t in range(times) if why_no_counts(prepared, t) is not None]
    for t in range(times):
        if t in empty:
            factors.append(None)
            steps += [_unknown(maps["mean"][t])] if changes is not None and t > 0 else []
            earlier.images, earlier.left_out = [], True
            continue
        outputs = _Outputs(posterior, prepared, t, progress)
        keep: Outputs | None = None if changes is None else []
        predictor = CONVENTIONS[posterior.convention]
        prediction = predictor(outputs.functions(keep), outputs.shown, posterior.likelihood)
        factor = posterior.calibration.factors(prediction, prepared.signal_e(t))[0, 0]
        factors.append(float(factor.mean()))
        if keep is not None:
            later = _in_counts(prepared, t, keep, posterior.likelihood)
            if earlier.images or earlier.left_out:
                steps.append(_change(earlier, later, factor, changes))
            earlier.images, earlier.factor, earlier.left_out = later, factor, False
        if t in judged:
            epistemic[t] = prediction.epistemic[0, 0].cpu().numpy()
        _store(maps, t, undimmed(prepared, t, prediction), factor)
        if not released:
            _point_to_counts(prepared, t, maps, epistemic)
    for image in maps.values():
        image[empty] = image[min({*range(times)} - {*empty})]  # which their gaps then replace
    require_usable(maps, stack.source)
    scales = [None if t in empty else prepared.norm(t) for t in range(times)]
    prepared.left_out = frozenset() if leave_out is None else leave_out()
    scale = _common_scale(prepared, [*maps.values(), *epistemic.values()], scale, released)
    known = {name: maps[name] for name in known_deviations(posterior)}
    return Reconstruction(
        sr=maps["mean"],
        **known,
        scale=scale,
        pixel_size_nm=None if stack.pixel_size_nm is None else stack.pixel_size_nm / 2,
        further=_change_maps(steps, scale),
        wide_field=scale.apply(stack.raw.mean(axis=1)),
        raw_scales=scales,
        factors=factors,
        judged_epistemic=epistemic if "epistemic" in known else {},
        seconds=time.perf_counter() - began,
        released=released,
    )


def _common_scale(
    prepared: PreparedStack, images: list[NDArray], scale: Normalisation | None, released: bool
) -> Normalisation:
    """The scale of all time points; images in counts are brought to it, but not released ones."""
    if released:
        return prepared.norm(first_kept(prepared))
    return to_sr_scale(images, gaps_of(prepared), scale)


class _Outputs:
    """The outputs of the members for one time point, computed and reported one by one."""

    def __init__(
        self, posterior: Posterior, prepared: PreparedStack, t: int, progress: Report
    ) -> None:
        self.shown = prepared.network_input(t, posterior.inputs)
        self.members, self.progress = posterior.functions, progress
        self.done, self.total = t * len(self.members), len(prepared) * len(self.members)

    def functions(self, keep: Outputs | None) -> Iterator[Callable]:
        """The members, each reported once it has been used; their outputs are added to `keep`."""
        for number, member in enumerate(self.members, start=self.done + 1):

            def function(raw: torch.Tensor, member: Callable = member) -> Any:
                output = member(raw)
                if keep is not None:
                    keep.append(output)
                return output

            yield function
            self.progress(number, self.total, "members")


def _unknown(like: NDArray) -> tuple[NDArray, NDArray]:
    """A change (2H, 2W) from or to a time point without a result, which its gaps then replace."""
    return np.zeros_like(like), np.zeros_like(like)


def _store(maps: dict[str, NDArray], t: int, prediction: Prediction, factor: NDArray) -> None:
    """Copies a prediction to the maps of its time point, with calibrated deviations."""
    for name, image in prediction._asdict().items():
        image = image[0, 0].cpu().numpy()
        maps[name][t] = image if name == "mean" else factor * image


def _point_to_counts(
    prepared: PreparedStack, t: int, maps: Mapping[str, NDArray], epistemic: Mapping[int, NDArray]
) -> None:
    """The maps of one time point in counts, in which they compare; in place.

    Before the network, each time point has a scale of its own.
    """
    point_maps = {name: image[t] for name, image in maps.items()}
    judged = {"judged": epistemic[t]} if t in epistemic else {}
    to_counts(point_maps | judged, prepared.norm(t))
    _widen(point_maps, unexplained_light(prepared, t, point_maps["mean"]))


def _widen(maps: Mapping[str, NDArray], deviation: NDArray | None) -> None:
    """Adds a deviation, in the units of the maps, to the epistemic and the total one; in place."""
    if deviation is not None:
        for name in ("epistemic", "total"):
            np.hypot(maps[name], deviation, out=maps[name])


def to_counts(maps: Mapping[str, NDArray], norm: Normalisation) -> None:
    """Maps of one time point, the mean and deviations, from the scale of its networks; in place."""
    for image in maps.values():
        image *= norm.scale
    mean = maps["mean"]
    mean += norm.low


def _in_counts(
    prepared: PreparedStack, t: int, outputs: Outputs, likelihood: str
) -> list[MemberImage]:
    """Mean and variance of each member on the scale of the counts, which time points share."""
    norm, images = prepared.norm(t), []
    for mean, parameters in outputs:
        deviation = standard_deviation(likelihood, parameters)
        alone = Prediction(mean.float(), deviation, torch.zeros_like(deviation), deviation)
        alone = undimmed(prepared, t, alone)
        variance = (norm.scale * alone.total).square()
        images.append(MemberImage(norm.scale * alone.mean + norm.low, variance))
    return images


def _change(
    earlier: Earlier, later: list[MemberImage], factor: NDArray, level: float
) -> tuple[NDArray, NDArray]:
    """Difference in counts, and its sign where it is certain, (2H, 2W) each.

    Args:
        factor: factor of the calibration; of two time points the larger counts, so that a change
            is marked only beyond doubt.
    """
    if earlier.left_out:
        return _unknown(later[0].mean[0, 0].cpu().numpy())
    change = change_between(earlier.images, later)
    factors = torch.as_tensor(np.maximum(earlier.factor, factor), device=change.total.device)
    certain = marked(change.difference, factors * change.total, level)
    difference = change.difference[0, 0].cpu().numpy()
    return difference, np.sign(difference) * certain[0, 0].cpu().numpy()


def _change_maps(
    steps: Sequence[tuple[NDArray, NDArray]], scale: Normalisation
) -> dict[str, NDArray]:
    if not steps:
        return {}
    difference, certain = (np.stack(images) for images in zip(*steps, strict=True))
    difference /= np.float32(scale.scale)
    return dict(zip(CHANGES, (difference, certain), strict=True))


def known_deviations(posterior: Posterior) -> list[str]:
    """The deviations that the members predict: a map of zeros would read as certainty."""
    names = ["aleatoric"] if posterior.has_tail else []
    names += ["epistemic"] if posterior.has_epistemic else []
    return [*names, "total"] if posterior.states_total else names


def require_usable(maps: dict[str, NDArray], source: object) -> None:
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


def to_sr_scale(
    counts: Sequence[NDArray], gaps: NDArray | None = None, scale: Normalisation | None = None
) -> Normalisation:
    """Counts -> normalised SR intensity, `(x - low) / (high - low)` over all time points.

    Args:
        counts: the mean first, then deviations; changed in place, since of a long time series the
            maps are the largest thing in memory.
        gaps: see `gaps.gaps_of`; they do not count.
        scale: scale to use; None: smallest and largest value of the mean.
    """
    mean = counts[0]
    if scale is None:
        values = mean if gaps is None else mean[~fine(gaps)]
        scale = Normalisation(float(values.min()), float(values.max()))
    mean -= np.float32(scale.low)
    for image in counts:
        image /= np.float32(scale.scale)
    return scale
