"""What a caller in Python hands over, checked before anything is measured of it."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.data.frames import FramesOnDisk
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.utils.errors import InputError

__all__ = ["require_stack", "stacks_of"]

AXES = "(T, 9, H, W): time points, frames, rows, columns"


def require_stack(stack: Any) -> RawStack:
    """The stack itself, if it is one that can be measured.

    The number and size of the frames are checked where they are used. Frames that are read as they
    are needed are checked by their reader.

    Raises:
        InputError: no `RawStack`; frames in other axes, complex, infinite or without any value; a
            pixel size that is no positive number.
    """
    if not isinstance(stack, RawStack):
        raise InputError(
            f"stack: expected a RawStack, found {type(stack).__name__}: read a file with "
            "read_stack(path); frames in memory become one by bayesdl_sim.data.stacks.RawStack("
            f"raw=..., pixel_size_nm=..., name=..., source=...), whose raw is {AXES}"
        )
    size = stack.pixel_size_nm
    if size is not None and not (isinstance(size, Real) and 0 < size < np.inf):
        raise InputError(f"pixel_size_nm: expected a positive number or None, found {size!r}")
    if not isinstance(stack.raw, FramesOnDisk):
        _require_frames(stack.raw, str(stack.source))
    return stack


def _require_frames(raw: Any, source: str) -> None:
    if not isinstance(raw, np.ndarray | Tensor) or raw.ndim != 4 or not len(raw):
        found = getattr(raw, "shape", type(raw).__name__)
        raise InputError(f"{source}: expected raw frames {AXES}; found {_words(found)}")
    frames = _as_array(raw)
    if frames.dtype.kind == "c":
        raise InputError(f"{source}: holds complex values, but camera counts were expected")
    if frames.dtype.kind == "f":
        if np.isinf(frames).any():
            raise InputError(
                f"{source}: holds infinite values, but camera counts were expected; pixels without "
                "data are NaN"
            )
        empty = np.isnan(frames).all(axis=(-2, -1))
        if empty.any():
            t, frame = np.argwhere(empty)[0] + 1
            raise InputError(
                f"{source}: frame {frame} of time point {t} holds no data (NaN in every pixel): "
                "leave this time point out"
            )


def stacks_of(raw: Any) -> Iterator[RawStack]:
    """The stacks of a batch of counts (B, 9, H, W), a tensor or an array of any type.

    Raises:
        InputError: other axes, or as `require_stack` says.
    """
    source = Path("the batch")
    if not isinstance(raw, np.ndarray | Tensor) or raw.ndim != 4 or not len(raw):
        found = getattr(raw, "shape", type(raw).__name__)
        raise InputError(
            f"raw: expected a batch of counts (B, 9, H, W), found {_words(found)}; a single stack "
            "is raw[None]"
        )
    for one in _as_array(raw)[:, None]:
        yield require_stack(RawStack(raw=one, pixel_size_nm=None, name=str(source), source=source))


def _as_array(raw: NDArray[Any] | Tensor) -> NDArray[Any]:
    if isinstance(raw, np.ndarray):
        return raw
    raw = raw.detach().cpu()
    return (raw.float() if raw.dtype == torch.bfloat16 else raw).numpy()  # NumPy lacks bfloat16


def _words(found: Any) -> str:
    return found if isinstance(found, str) else str(tuple(found))
