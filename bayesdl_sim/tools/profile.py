"""The super-resolved profile along a line of a result, with its interval band.

The picture goes beside the result as `Profile.png`. With the raw stack, its wide field is drawn
too, after the affine fit along the line that is nearest to the super-resolved profile.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdl_sim.bayes.credibility import interval
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.metrics.profiles import Line, line_between, profile
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.errors import InputError, require_folder
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.pictures import display_limits, draw_scale_bar
from bayesdl_sim.utils.schema import list_of, optional, read_record, text

__all__ = ["Result", "draw", "read_result", "write_profile"]

CHANNELS = "Channels.ome.tif"
DPI = 120
POINTS = 9.0  # height of the letters on the image


class Result(NamedTuple):
    """One time point of a result: SR and total (2H, 2W), and the size of their pixels."""

    sr: NDArray
    total: NDArray
    pixel_size_nm: float | None


def read_result(folder: Path, time: int) -> Result:
    """SR and total uncertainty of a folder that test.py wrote.

    Raises:
        InputError: no complete result, no total uncertainty in it, or no such time point.
    """
    folder = require_folder(folder, "result")
    facts = {"channels": optional(list_of(text()))}
    names = read_record(folder / "prediction.json", facts, "result").get("channels", [])
    if not {"SR", "Total"} <= set(names):
        raise InputError(
            f"{folder} has no total uncertainty (channels: {', '.join(names)}): a profile with an "
            "interval needs members with uncertainty tails, and more than one"
        )
    images, pixel_size_nm = read_tiff(folder / CHANNELS)
    times = len(images) // len(names)
    if not 0 <= time < times:
        raise InputError(f"time: {folder} has the time points 0 to {times - 1}, found {time}")
    here = dict(zip(names, images[time * len(names) :], strict=False))
    return Result(here["SR"], here["Total"], pixel_size_nm)


def draw(result: Result, line: Line, level: float, wide_field: NDArray | None = None) -> Figure:
    """The image with the line on it, and the profile with the band of its interval.

    Args:
        level: probability of the interval.
        wide_field: (2H, 2W), any units.
    """
    size = result.pixel_size_nm
    apart = float(np.hypot(line.rows[1] - line.rows[0], line.columns[1] - line.columns[0]))
    along = np.arange(len(line.rows)) * apart * (1 if size is None else size / 1000)
    ours, total = (torch.from_numpy(profile(x, line)) for x in (result.sr, result.total))
    lower, upper = (end.numpy() for end in interval(ours, total, level))
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.7))
    low, high = display_limits(result.sr)
    left.imshow(result.sr, cmap="magma", vmin=low, vmax=high)
    left.plot(line.columns, line.rows, color="cyan", linewidth=1.5)
    left.plot(line.columns[0], line.rows[0], "o", color="cyan", markersize=4)
    left.set_axis_off()
    draw_scale_bar(left, result.sr.shape, size, POINTS)
    right.fill_between(
        along, lower, upper, color="tab:red", alpha=0.2, linewidth=0, label=f"{level:.0%} interval"
    )
    right.plot(along, ours.numpy(), color="tab:red", label="super-resolved")
    if wide_field is not None:
        right.plot(along, _fitted(profile(wide_field, line), ours.numpy()), color="tab:gray",
                   label="wide field, fitted")  # fmt: skip
    unit = "px" if size is None else "µm"
    right.set(xlabel=f"along the line, from the dot, {unit}", ylabel="normalised SR intensity")
    right.set_xlim(0, along[-1])
    right.grid(alpha=0.3)
    right.legend(frameon=False)
    return figure


def _fitted(values: NDArray, target: NDArray) -> NDArray:
    """The affine function of the values nearest to the target in least squares."""
    terms = np.stack([values, np.ones_like(values)], axis=1)
    return terms @ np.linalg.lstsq(terms, target, rcond=None)[0]


def clicked_line(sr: NDArray) -> tuple[float, float, float, float]:
    """Two clicks on the image as (Y0, X0, Y1, X1); needs a display.

    Raises:
        InputError: there is no display, or the window was closed before the second click.
    """
    # pyplot only here: it opens windows, which nothing else may do.
    from matplotlib import pyplot

    if pyplot.get_backend().lower() not in {name.lower() for name in _interactive()}:
        raise InputError("no display to click on: give the line as Y0 X0 Y1 X1")
    low, high = display_limits(sr)
    pyplot.imshow(sr, cmap="magma", vmin=low, vmax=high)
    pyplot.title("click the two ends of the line")
    places = pyplot.ginput(2, timeout=0)
    pyplot.close()
    if len(places) != 2:
        raise InputError(
            "expected two clicks, the ends of the line; or give the line as Y0 X0 Y1 X1"
        )
    (x0, y0), (x1, y1) = places
    return y0, x0, y1, x1


def _interactive() -> list[str]:
    registry = mpl.backends.backend_registry
    return registry.list_builtin(mpl.backends.BackendFilter.INTERACTIVE)


def wide_field_of(path: Path, time: int, shape: tuple[int, ...]) -> NDArray:
    """The wide field of one time point of the raw stack on the grid of the result."""
    raw = read_stack(path).raw
    if time >= len(raw) or tuple(2 * n for n in raw.shape[-2:]) != tuple(shape):
        raise InputError(
            f"{path} does not fit the result: expected frames of half its {shape[0]}x{shape[1]} px "
            f"at time point {time}, found {len(raw)} time point(s) of "
            f"{raw.shape[-2]}x{raw.shape[-1]} px"
        )
    return wide_field_upsampled(torch.from_numpy(raw[time])).numpy()


def write_profile(
    folder: Path,
    ends: tuple[float, float, float, float] | None = None,
    raw: Path | None = None,
    level: float = 0.9,
    time: int = 0,
    path: Path | None = None,
) -> Path:
    """Reads a result, takes the line, writes the picture.

    Args:
        folder: of the result.
        ends: (Y0, X0, Y1, X1) in pixels of the super-resolved image; None: two clicks.
        raw: stack of the result, whose wide field is drawn too.
        level: probability of the interval.
        time: time point, from 0.
        path: of the PNG; None: `Profile.png` in the folder.

    Returns:
        The path of the PNG.

    Raises:
        InputError: no complete result, a line outside the image, or another stack.
    """
    result = read_result(folder, time)
    y0, x0, y1, x1 = ends or clicked_line(result.sr)
    height, width = result.sr.shape
    if not (0 <= min(y0, y1) <= max(y0, y1) < height and 0 <= min(x0, x1) <= max(x0, x1) < width):
        raise InputError(
            f"line: expected places inside the image of {height} rows and {width} columns, "
            f"found ({y0:g}, {x0:g}) and ({y1:g}, {x1:g})"
        )
    wide_field = None if raw is None else wide_field_of(raw, time, result.sr.shape)
    figure = draw(result, line_between((y0, x0), (y1, x1)), level, wide_field)
    path = path or folder / "Profile.png"
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=DPI)
    return path
