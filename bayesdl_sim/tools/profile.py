"""The super-resolved profile along a line of a result, with its interval band.

The picture takes the place of the result's `Profile.png`, which test.py draws along the row of the
brightest point. A later call of test.py leaves it there. With the raw stack, its wide field is
drawn too.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import torch
from numpy.typing import NDArray

from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.inference.output.map_kinds import CHANNELS
from bayesdl_sim.inference.output.names import STORE
from bayesdl_sim.inference.output.profile_picture import PROFILE, write_profile_picture
from bayesdl_sim.metrics.profiles import line_between
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.errors import InputError, require_folder
from bayesdl_sim.utils.report.contrast import display_limits
from bayesdl_sim.utils.schema import list_of, optional, read_record, text

__all__ = ["Result", "read_result", "write_profile"]


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
    if (folder / STORE).is_dir() and not (folder / CHANNELS).is_file():
        raise InputError(
            f"{folder} is a result of --format zarr, but a profile is taken from TIFF files: run "
            "test.py on a part of the field without it, or open the store in napari"
        )
    images, pixel_size_nm = read_tiff(folder / CHANNELS)
    times = len(images) // len(names)
    if not 0 <= time < times:
        raise InputError(f"time: {folder} has the time points 0 to {times - 1}, found {time}")
    maps = dict(zip(names, images[time * len(names) :], strict=False))
    return Result(maps["SR"], maps["Total"], pixel_size_nm)


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
        folder: folder of the result.
        ends: (Y0, X0, Y1, X1) in pixels of the super-resolved image; None: two clicks.
        raw: stack of the result, whose wide field is drawn too.
        level: probability of the interval.
        time: time point, from 0.
        path: path of the PNG; None: `Profile.png` in the folder.

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
            f"line: expected points inside the image of {height} rows and {width} columns, "
            f"found ({y0:g}, {x0:g}) and ({y1:g}, {x1:g})"
        )
    wide_field = None if raw is None else wide_field_of(raw, time, result.sr.shape)
    line = line_between((y0, x0), (y1, x1))
    path = path or folder / PROFILE
    write_profile_picture(path, *result[:2], line, result.pixel_size_nm, level, wide_field)
    return path
