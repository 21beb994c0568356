"""Pixels that hold no data: borders of a registration, padding, dead rows, NaN edges.

They are the same in all nine frames, which noise never is, or end in a step that no lens makes
(`patches`). A Fourier transform spreads their edges over the whole field, so they are filled
smoothly before any, and left out of every estimate. What one frame lacks, none can be used for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from bayesdl_sim.physics.sensor.interpolation import interpolated, narrow_gaps
from bayesdl_sim.physics.sensor.patches import SMALLEST, flat_pixels, patches_of_one_value
from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = [
    "describe_missing",
    "filled",
    "missing_in_bands",
    "missing_pixels",
    "validity",
]

MOST = 0.9  # of the field: beyond it, the stack is constant and nothing can be left out
CLIPPED = 0.1  # of the share of patches: values elsewhere that are as small
REACHES = (0.7, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0)  # raw pixels, of the means that fill a gap
EDGE = 3.0  # raw pixels over which data beside a gap gain weight
MOST_RUNS = 5  # of lines, that are named
ENOUGH = 0.2  # of a Gaussian's weight within the data


def missing_pixels(raw: Tensor) -> Tensor:
    """Mask of the pixels that hold no data: (H, W), true where they do not.

    A pixel without data is not finite in some frame, or belongs to a patch of at least 12 pixels
    that have one and the same value in all nine frames, or in a frame where the patch ends in a
    step (`patches`): a border of one orientation, a scale bar, a time stamp. Saturated structure is
    data, and so are patches of a background that was cut at its smallest value.

    Args:
        raw: (9, H, W) counts.
    """
    return missing_in_bands(lambda: [raw])


def missing_in_bands(bands: Callable[[], Iterable[Tensor]]) -> Tensor:
    """`missing_pixels` of a field that is read band by band: (H, W).

    Args:
        bands: gives the field's rows from the first to the last, (9, h, W) each, at every call.
    """
    planes = [(~torch.isfinite(raw).all(dim=0), (raw == raw[:1]).all(dim=0)) for raw in bands()]
    broken, constant = (torch.cat(parts) for parts in zip(*planes, strict=True))
    constant &= ~broken
    gaps = _in_all_frames(bands, broken, constant) | _in_some_frame(bands, broken)
    missing = broken | torch.from_numpy(gaps).to(broken.device)
    if float(missing.float().mean()) < MOST or not (gaps.any() or bool(constant.any())):
        return missing
    return torch.zeros_like(broken)


def _in_all_frames(
    bands: Callable[[], Iterable[Tensor]], broken: Tensor, constant: Tensor
) -> NDArray[np.bool_]:
    """Patches (H, W) of one value in all frames, but for saturation and a cut background."""
    gaps = np.zeros(tuple(constant.shape), bool)
    if not bool(constant.any()):
        return gaps
    first = torch.cat([raw[0] for raw in bands()])
    smallest, largest = _limits(bands(), broken)
    values, candidates = first.detach().cpu().numpy(), constant.cpu().numpy()
    # Most gaps have one value; a few values are looked at, so that noise costs no time.
    levels, counts = np.unique(values[candidates], return_counts=True)
    for level in levels[np.argsort(-counts)][:16]:
        if level == largest and len(levels) + int((~candidates).any()) > 1:
            continue
        labels, _ = ndimage.label(candidates & (values == level))
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        patches = (sizes >= SMALLEST)[labels]
        if level == smallest and _is_clipped(bands(), torch.from_numpy(patches), level):
            continue
        gaps |= patches
    return gaps


def _in_some_frame(bands: Callable[[], Iterable[Tensor]], broken: Tensor) -> NDArray[np.bool_]:
    """Patches (H, W) of one value in any frame that end in a step, see `patches`."""
    gaps = np.zeros(tuple(broken.shape), bool)
    if broken.ndim != 2:  # other shapes are refused later
        return gaps
    unusable = broken.cpu().numpy()
    for number in _with_flat_pixels(bands()):
        frame = torch.cat([raw[number] for raw in bands()]).detach().cpu().numpy()
        gaps |= patches_of_one_value(frame, unusable)
    return gaps


def _with_flat_pixels(bands: Iterable[Tensor]) -> list[int]:
    """Numbers of the frames that hold neighbours of one value at all: few of bright stacks do."""
    found: set[int] = set()
    for band in _overlapping(bands):
        frames = band.detach().cpu().numpy()
        found |= {number for number, frame in enumerate(frames) if flat_pixels(frame).any()}
    return sorted(found)


def _overlapping(bands: Iterable[Tensor]) -> Iterator[Tensor]:
    """Each band with the rows before it to which a run of one value may go on."""
    before = None
    for raw in bands:
        band = raw if before is None else torch.cat([before, raw], dim=1)
        yield band
        before = band[:, -(SMALLEST - 1) :]


def _limits(bands: Iterable[Tensor], broken: Tensor) -> tuple[float, float]:
    """The smallest and the largest value of the pixels that are not broken."""
    ends, row = [], 0
    for raw in bands:
        kept = raw[:, ~broken[row : row + raw.shape[1]]]
        ends += [(float(kept.min()), float(kept.max()))] if kept.numel() else []
        row += raw.shape[1]
    low, high = zip(*ends, strict=True)
    return min(low), max(high)


def _is_clipped(bands: Iterable[Tensor], patches: Tensor, level: float) -> bool:
    """Whether the pixels beside patches of the smallest value touch it, too: a cut background."""
    hits = count = row = 0
    for raw in bands:
        beside = raw[:, ~patches[row : row + raw.shape[1]].to(raw.device)]
        hits, count = hits + int((beside == level).sum()), count + beside.numel()
        row += raw.shape[1]
    return count > 0 and hits / count > CLIPPED * float(patches.float().mean())


def filled(frames: Tensor, missing: Tensor) -> Tensor:
    """Frames whose pixels without data continue the field.

    In a gap of a few pixels, light and fringes are interpolated (`interpolation.interpolated`).
    Elsewhere each pixel takes the Gaussian mean of the data around it, of the smallest reach that
    finds enough.

    Args:
        frames: (n, H, W); what stands in the missing pixels does not matter.
        missing: (H, W).

    Returns:
        (n, H, W), equal to `frames` where there are data; `frames` itself where nothing is missing.
    """
    if not bool(missing.any()):
        return frames
    return interpolated(_smoothly_filled(frames, missing), missing, narrow_gaps(missing))


def _smoothly_filled(frames: Tensor, missing: Tensor) -> Tensor:
    data = (~missing).to(frames)
    known = torch.where(missing, 0.0, frames)
    result, left = known.clone(), missing.clone()
    for reach in REACHES:
        weight = gaussian(data, reach, mirrored=False)
        within = left & (weight > (ENOUGH if reach < REACHES[-1] else 1e-6))
        if bool(within.any()):
            mean = gaussian(known, reach, mirrored=False) / weight.clamp(min=1e-6)
            result = torch.where(within, mean, result)
            left = left & ~within
        if not bool(left.any()):
            return result
    rest = known.sum(dim=(1, 2), keepdim=True) / data.sum().clamp(min=1)
    return torch.where(left, rest, result)


def validity(missing: Tensor) -> Tensor | None:
    """Weight of each pixel: 0 without data, rising to 1 over a few pixels around; None: all data.

    Args:
        missing: (H, W), the pixels without data.
    """
    if not bool(missing.any()):
        return None
    near = (2.5 * gaussian(missing.float(), EDGE, mirrored=False)).clamp(max=1.0)
    near = torch.where(near < 1e-4, 0.0, near)
    return torch.where(missing, 0.0, (1 - near).square())


def describe_missing(missing: Tensor, held: str = "no data") -> str:
    """Description of the missing pixels in a microscopist's words; empty if there are none.

    "a border of 12 rows and 9 columns holds no data", "columns 57-58, 90 hold no data", "3 % of the
    pixels hold no data".

    Args:
        missing: (H, W).
        held: what those pixels hold.
    """
    mask = missing.detach().cpu().numpy()
    if not mask.any():
        return ""
    rows, columns = mask.all(axis=1), mask.all(axis=0)
    parts, left = [], mask & ~rows[:, None] & ~columns[None]
    borders = []
    for name, lines in (("row", rows), ("column", columns)):
        first, last = _run(lines), _run(lines[::-1])
        if first or last:
            widths = "+".join(str(n) for n in (first, last) if n)
            borders.append(f"{widths} {name}{'' if widths == '1' else 's'}")
        runs = _runs(lines, first, len(lines) - last)
        if runs:
            spans = [f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:MOST_RUNS]]
            more = f" and {len(runs) - MOST_RUNS} more" if len(runs) > MOST_RUNS else ""
            plural = len(runs) > 1 or runs[0][0] < runs[0][1]
            numbered = f"{name}{'s' * plural} {', '.join(spans)}{more}"
            parts.append(f"{numbered} {'hold' if plural else 'holds'} {held}")
    if borders:
        parts.insert(0, f"a border of {' and '.join(borders)} holds {held}")
    if left.any():
        parts.append(f"{100 * left.mean():.2g} % of the pixels hold {held}")
    return "; ".join(parts)


def _run(lines: np.ndarray) -> int:
    """Number of lines that are missing from the start on."""
    return int(np.argmin(lines)) if not lines.all() else len(lines)


def _runs(lines: np.ndarray, first: int, stop: int) -> list[tuple[int, int]]:
    """First and last number, from 1, of each run of missing lines from `first` to `stop`."""
    steps = np.diff(np.concatenate([[0], lines[first:stop].astype(int), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(first + int(a) + 1, first + int(b)) for a, b in zip(starts, ends, strict=True)]
