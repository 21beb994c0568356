"""The poses of the field in which members are shown it: errors that depend on it average out.

A network that was trained with all poses of the square should answer alike in each. It does not
quite, and how it differs is another in each pose. Members that are shown poses of their own differ
by that, too: their mean is nearer to the truth, and their spread says more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from bayesdl_sim.models.bayesdl import BayesDL, Output
from bayesdl_sim.models.unet import pad_to_multiple
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.pieces.poses import POSES, turn, turn_back
from bayesdl_sim.utils.schema import read_record, text, whole

__all__ = [
    "POSES_FILE",
    "UPRIGHT",
    "are_posed",
    "in_poses",
    "note_poses",
    "poses_of",
    "shown",
    "turn_input",
]

POSES_FILE = "posterior.json"  # beside the members
FORMAT, VERSION = "BayesDL-SIM posterior", 1
UPRIGHT = (0,)
FINE = 2  # pixels of the doubled grid in a raw one, along an axis


def note_poses(folder: str | Path, turned: bool, each: int = 1) -> None:
    """Notes beside the members of a folder whether each of them is shown poses of its own.

    Args:
        turned: whether their training showed them the field in all poses; else an earlier note is
            taken away.
        each: number of poses that each member is shown, 1 to 8; its outputs are averaged.
    """
    path = Path(folder) / POSES_FILE
    if turned:
        record = {"format": FORMAT, "version": VERSION, "poses_of_each_member": each}
        write_json(path, record)
    else:
        path.unlink(missing_ok=True)


def are_posed(folder: str | Path) -> bool:
    """Whether the members of a folder are shown poses of their own."""
    return (Path(folder) / POSES_FILE).is_file()


def poses_of(folder: str | Path, number: int) -> tuple[int, ...]:
    """The poses in which a member of a folder is shown the field; upright without a note.

    Args:
        number: of the member, from 0.

    Raises:
        InputError: a damaged file.
    """
    if not are_posed(folder):
        return UPRIGHT
    path = Path(folder) / POSES_FILE
    kinds = {"format": text(), "version": whole(), "poses_of_each_member": whole(least=1)}
    stored = read_record(path, kinds, "posterior")
    each = stored["poses_of_each_member"]
    if (stored["format"], stored["version"]) != (FORMAT, VERSION) or each > POSES:
        raise InputError(
            f"{path}: expected a {FORMAT!r} of version {VERSION} with 1 to {POSES} poses of each "
            "member; copy it again from where the members came from"
        )
    return tuple((number * each + further) % POSES for further in range(each))


def shown(raw: Tensor, pose: int, config: dict[str, Any], stride: int) -> Tensor:
    """A network's input (B, F, H, W) in a pose; the sub-pixels of a first guess change places.

    It is filled up to whole strides before it is turned, as the network would fill it: the coarse
    grids of a tile then remain those of the whole field.

    Args:
        config: configuration of the network.
        stride: of the network, raw pixels.
    """
    if pose == 0:
        return raw
    first_guess = (config.get("inputs") or {}).get("first_guess", False)
    return turn_input(pad_to_multiple(raw, stride), pose, first_guess)


def turn_input(raw: Tensor, pose: int, first_guess: bool) -> Tensor:
    """Channels (B, F, H, W) in a pose; with a first guess, the last four are its sub-pixels."""
    if not first_guess:
        return turn(raw, pose)
    frames, guess = raw[:, : -(FINE**2)], raw[:, -(FINE**2) :]
    fine = turn(pixel_shuffle(guess, FINE), pose)
    return torch.cat([turn(frames, pose), pixel_unshuffle(fine, FINE)], dim=1)


def _upright(output: Output, pose: int, size: tuple[int, int]) -> Output:
    """What the network gives for the input of `shown`, as of the field of (H, W) raw pixels."""
    if pose == 0:
        return output
    height, width = (FINE * side for side in size)
    mean, log_var = (
        None if image is None else turn_back(image, pose)[..., :height, :width] for image in output
    )
    return Output(mean, log_var)


def in_poses(
    network: BayesDL,
    raw: Tensor,
    poses: Sequence[int],
    apply: Callable[[BayesDL, Tensor], Output] = lambda network, raw: network(raw),
) -> Output:
    """Shows a network its input (B, F, H, W) in some poses; the mean of what it answers.

    Args:
        apply: how the network is applied to an input.
    """
    size, outputs = (raw.shape[-2], raw.shape[-1]), []
    for pose in poses:
        turned = shown(raw, pose, network.config, network.stride)
        outputs.append(_upright(apply(network, turned), pose, size))
    return _mean(outputs)


def _mean(outputs: list[Output]) -> Output:
    """Mean over poses: of the means, and of the variances."""
    if len(outputs) == 1:
        return outputs[0]
    mean = torch.stack([output.mean for output in outputs]).mean(dim=0)
    if outputs[0].log_var is None:
        return Output(mean, None)
    log_vars = torch.stack([output.log_var for output in outputs])
    return Output(mean, log_vars.logsumexp(dim=0) - math.log(len(outputs)))
