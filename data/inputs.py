"""Inputs of a network: the frames of a stack, normalised, and a first guess of the result."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.data.layouts import FRAMES
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "NINE_FRAMES",
    "FirstGuess",
    "InputSpec",
    "chosen_frames",
    "input_spec",
    "network_input",
    "require_inputs",
]

SUB_PIXELS = 4  # of the doubled grid in a raw pixel


class InputSpec(NamedTuple):
    """The channels of a network's input; stored with its weights.

    Attributes:
        frames: None for all nine. Else the wide field and these frames, numbered from 1; an empty
            tuple is the wide field alone.
        first_guess: whether a first guess of the result follows, in four channels: the sub-pixels
            (0, 0), (0, 1), (1, 0), (1, 1) of the doubled grid.
    """

    frames: tuple[int, ...] | None = None
    first_guess: bool = False

    @property
    def averaged(self) -> int:
        """Number of leading channels whose mean is the wide field."""
        return FRAMES if self.frames is None else 1

    @property
    def channels(self) -> int:
        """Number of input channels."""
        frames = FRAMES if self.frames is None else 1 + len(self.frames)
        return frames + SUB_PIXELS * self.first_guess

    def describe(self) -> str:
        """The channels for people."""
        if self.frames is None:
            shown = "all nine frames"
        elif not self.frames:
            shown = "the wide field alone"
        else:
            shown = f"the wide field and frames {', '.join(map(str, self.frames))}"
        return shown + (" and a first guess" if self.first_guess else "")

    def to_config(self) -> dict[str, Any]:
        """The spec as a checkpoint stores it."""
        frames = None if self.frames is None else list(self.frames)
        return {"frames": frames, "first_guess": self.first_guess}


NINE_FRAMES = InputSpec()


class FirstGuess(NamedTuple):
    """Function that makes a first guess, handed in by the rooms that compute it.

    Attributes:
        make: counts (9, H, W) of a whole stack -> counts above background (2H, 2W); takes what
            is known of the stack as keywords.
        version: changes when `make` does, so that guesses that were kept are made again.
    """

    make: Callable[..., Tensor]
    version: int

    def normalised(self, raw: np.ndarray, norm: Normalisation, **known: Any) -> np.ndarray:
        """The guess of a whole stack of counts on the scale of its frames: float32 (2H, 2W)."""
        counts = torch.from_numpy(np.array(raw, np.float32))
        return self.make(counts, **known).numpy() / np.float32(norm.scale)


def chosen_frames(mode: str | None, frames: str | None) -> tuple[int, ...] | None:
    """The `frames` of an `InputSpec` in the words of the released command line.

    Args:
        mode: "SISR" for the wide field alone; "SIM" or None.
        frames: numbers from 1 with commas between, such as "1,2,3"; all nine, or None, are the
            nine frames without a wide field, and an empty text is the wide field alone.

    Raises:
        InputError: not such numbers.
    """
    if mode == "SISR" or (frames is not None and not frames.strip()):
        return ()
    if frames is None:
        return None
    numbers = [int(word) if word.strip().isdecimal() else 0 for word in frames.split(",")]
    chosen = tuple(sorted(set(numbers)))
    if len(chosen) < len(numbers) or not 1 <= chosen[0] <= chosen[-1] <= FRAMES:
        raise InputError(
            f"input_frames: found {frames!r}, expected numbers from 1 to {FRAMES} with commas "
            "between, each once, such as 1,2,3"
        )
    return None if len(chosen) == FRAMES else chosen


def require_inputs(spec: InputSpec, mode: str | None, frames: str | None) -> None:
    """Checks a stored spec against the command line, where that names any frames (`chosen_frames`).

    Raises:
        InputError: the network was trained on other frames.
    """
    if mode is None and frames is None:
        return
    requested = chosen_frames(mode, frames)
    any_frames = mode == "SIM" and frames is None and spec.frames != ()
    if not (any_frames or requested == spec.frames):
        raise InputError(
            f"the members were trained on {spec.describe()}, but input_frames and SISR_or_SIM "
            f"ask for {InputSpec(requested).describe()}: leave them out, or choose other members"
        )


def input_spec(network: dict[str, Any], where: object = "the checkpoint") -> InputSpec:
    """The spec of a stored network configuration; without an entry, it takes the nine frames.

    Args:
        network: the configuration.
        where: the file that it comes from, for the message.

    Raises:
        InputError: an entry that this version does not have, or that does not fit the network.
    """
    config, channels = network.get("inputs"), network["options"].get("in_channels", FRAMES)
    entries = {"frames": None, "first_guess": False} if config is None else config
    frames = entries.get("frames", 0) if isinstance(entries, dict) else 0
    listed = isinstance(frames, (list, tuple)) and all(
        type(frame) is int and 1 <= frame <= FRAMES for frame in frames
    )
    if not ((frames is None or listed) and isinstance(entries.get("first_guess"), bool)):
        raise InputError(
            f"{where}: unknown network input {str(config)[:60]!r}: expected 'frames' (none or "
            f"numbers 1-{FRAMES}) and 'first_guess'; use the version that wrote the checkpoint"
        )
    spec = InputSpec(None if frames is None else tuple(frames), entries["first_guess"])
    if spec.channels != channels:
        raise InputError(
            f"{where} holds a network for {channels} input channels, but a stack of {FRAMES} "
            f"frames gives it {spec.channels}; name another folder"
        )
    return spec


def network_input(frames: np.ndarray, guess: np.ndarray | None, spec: InputSpec) -> np.ndarray:
    """The channels of a stack or crop: (9, h, w), (2h, 2w) -> float32 (F, h, w).

    Args:
        frames: normalised.
        guess: normalised; None where the spec has none.
    """
    frames = np.asarray(frames, np.float32)
    height, width = frames.shape[-2:]
    if spec.frames is not None:
        chosen = [frame - 1 for frame in spec.frames]
        frames = np.concatenate([frames.mean(axis=0, keepdims=True), frames[chosen]])
    if not spec.first_guess:
        return frames
    # (2h, 2w) -> (h, 2, w, 2) -> (2, 2, h, w) -> (4, h, w)
    coarse = np.asarray(guess, np.float32).reshape(height, 2, width, 2).transpose(1, 3, 0, 2)
    return np.concatenate([frames, coarse.reshape(SUB_PIXELS, height, width)])
