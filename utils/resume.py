"""Continuing after an interruption: the states of all moving parts of a run in one file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bayesdl_sim.utils.checkpoints import load_checkpoint, save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.schema import anything, checked, mapping_of, whole

__all__ = ["load_progress", "refuse_used_folder", "require_same", "save_progress"]

_KINDS = {name: mapping_of(anything()) for name in ("identity", "progress", "states")}
_UNFIT = (
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
)
_REASON_LENGTH = 200  # characters of torch's own message


def save_progress(
    path: Path, parts: Mapping[str, Any], identity: Mapping[str, Any], **progress: Any
) -> None:
    """Writes the state of every part, atomically.

    Args:
        path: path of the file.
        parts: objects with `state_dict` (network, optimiser, schedule, sampler), by name.
        identity: the settings that decide the result, nested as `require_same` takes them.
        progress: numbers and texts that record how far the run is.
    """
    states = {name: part.state_dict() for name, part in parts.items()}
    payload = {"identity": dict(identity), "progress": progress, "states": states}
    save_checkpoint(path, payload)


def load_progress(
    path: Path, parts: Mapping[str, Any], identity: Mapping[str, Any], counts: Sequence[str] = ()
) -> dict[str, Any]:
    """Puts the stored states back into the parts and returns the progress.

    Args:
        counts: entries of the progress that are whole numbers.

    Raises:
        InputError: another setting than in the interrupted run, by name; a file that does not hold
            the state of every part, or whose states do not fit them.
    """
    payload = checked(load_checkpoint(path), _KINDS, path, "progress")
    checked(payload["progress"], {name: whole(0) for name in counts}, path, "progress")
    require_same(payload["identity"], identity, str(path))
    states = payload["states"]
    missing = sorted(set(parts) - set(states))
    if missing:
        raise InputError(
            f"{path} does not hold the state of the {missing[0]}: it is from an earlier version, "
            "or damaged; delete the folder to start again, or choose another"
        )
    for name, part in parts.items():
        try:
            part.load_state_dict(states[name])
        except _UNFIT as error:
            reason = " ".join(str(error).split())[:_REASON_LENGTH]
            raise InputError(
                f"{path}: the state of the {name} does not fit this run ({reason}); delete the "
                "folder to start again, or choose another"
            ) from None
    return payload["progress"]


def require_same(stored: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    """Compares the settings of an interrupted run with those of the one that resumes it.

    Args:
        stored, now: theme -> setting -> plain value; a text that begins with `sha256:` stands for
            the content of what a path names.
        where: file or folder of the interrupted run, for the message.

    Raises:
        InputError: the first setting that differs, by name.
    """
    before, after = dict(_flat(stored)), dict(_flat(now))
    for key in [*after, *before]:
        old, new = before.get(key, "unknown"), after.get(key, "unknown")
        if _equal(old, new):
            continue
        name = key[-1]
        if str(new).startswith("sha256:") and str(old).startswith("sha256:"):
            change = f"{name}: what it names has other content now than when {where} was begun"
        else:
            change = f"{name}: {where} was begun with {name} {_short(old)}, now it is {_short(new)}"
        raise InputError(
            f"{change}; resume with the same settings and data, or start again without resume"
        )


def _short(value: Any) -> str:
    """A value on one line; a damaged file may hold a tensor instead."""
    return " ".join(str(value).split())[:_REASON_LENGTH]


def _equal(old: Any, new: Any) -> bool:
    """Whether two plain values are the same; a damaged file may hold a tensor instead."""
    return not isinstance(old, torch.Tensor) and bool(old == new)


def refuse_used_folder(folder: Path) -> None:
    """`InputError` if a folder holds members: those of two runs would pass for one posterior.

    Hidden files, which a killed run may leave, do not count.
    """
    used = sorted(path.name for path in folder.glob("*.pth") if not path.name.startswith("."))
    if used:
        raise InputError(
            f"{folder} already holds {used[0]} of an earlier run: continue it with resume, choose "
            "another exp_name, or delete the folder to start again"
        )


def _flat(identity: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for theme, values in identity.items():
        if not isinstance(values, Mapping):
            yield (theme, theme), values
            continue
        for name, value in values.items():
            yield (theme, name), value
