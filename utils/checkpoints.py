"""Checkpoints: plain dictionaries of tensors, numbers and text, so that loading runs no code."""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from bayesdl_sim.utils.errors import InputError, require_file, require_folder
from bayesdl_sim.utils.files import atomic_path

__all__ = ["list_members", "load_checkpoint", "load_state", "member_path", "save_checkpoint"]

_FAMILY = "BayesDL-SIM"
_VERSION = 1
_MEMBER_NAME = re.compile(r"member_(\d+)\.pth")


def save_checkpoint(path: str | Path, payload: dict[str, Any]) -> None:
    """Writes a checkpoint, whole or not at all: after a kill the previous one is still there.

    ``payload`` should state its kind (``"format": "BayesDL-SIM member"``) and its ``version``;
    where it does not, it is marked as a ``BayesDL-SIM checkpoint`` of version 1.

    Raises:
        TypeError: when the payload holds anything that `load_checkpoint` would refuse, which is
            better known now than at the end of a long training.
    """
    marked = {"format": f"{_FAMILY} checkpoint", "version": _VERSION, **payload}
    if not str(marked["format"]).startswith(_FAMILY):
        raise TypeError(f"a checkpoint's format begins with {_FAMILY!r}, not {marked['format']!r}")
    # Through memory, because only Python's own file reports a full disk apart from other failures.
    buffer = io.BytesIO()
    torch.save(marked, buffer)
    buffer.seek(0)
    try:
        torch.load(buffer, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        raise TypeError(
            "a checkpoint holds tensors, plain numbers, text, lists and dictionaries only, found "
            f"{refused[1] if refused else error}"
        ) from None
    with atomic_path(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def load_checkpoint(path: str | Path, content: bytes | None = None) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU, without running code that the file may hold.

    Args:
        content: the file's bytes, where they were read already.

    Raises:
        InputError: when the file is missing, truncated, holds code, or is not one of ours.
    """
    path, payload = Path(path), _load(path, content)
    _require_ours(path, payload)
    return payload


def load_state(path: str | Path, content: bytes | None = None) -> dict[str, torch.Tensor]:
    """Reads a bare state dict, such as other programs write, as safely as `load_checkpoint`.

    Args:
        content: the file's bytes, where they were read already.

    Raises:
        InputError: when the file is missing, truncated, holds code, or anything but named tensors.
    """
    payload = _load(path, content)
    if not (isinstance(payload, dict) and payload):
        raise InputError(
            f"checkpoint {path}: expected a state dict, found "
            f"{'an empty one' if payload == {} else f'a {type(payload).__name__}'}; "
            "name another file"
        )
    for name, value in payload.items():
        if not (isinstance(name, str) and isinstance(value, torch.Tensor)):
            raise InputError(
                f"checkpoint {path}: expected a bare state dict (names and tensors), found "
                f"{name!r} with a {type(value).__name__}; name another file"
            )
    return dict(payload)


def _load(path: str | Path, content: bytes | None = None) -> Any:
    if content is None:
        content = require_file(path, "checkpoint").read_bytes()
    if not content:
        raise InputError(f"checkpoint {path} is empty; copy or train it again")
    try:
        _require_undamaged(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle's dialect; our own message follows
            payload = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch names the function that the file would call, or does not recognise the opcode that
        # would call it (0x80 begins a bare pickle).
        opcode = content[0] == 0x80 and "Unsupported operand" in str(error)
        if opcode or "GLOBAL" in str(error):
            raise InputError(
                f"checkpoint {path} holds program code besides numbers and was not opened; "
                f"expected a checkpoint written by train.py of {_FAMILY}"
            ) from None
        raise InputError(_unreadable(path)) from None
    except MemoryError:
        raise
    except Exception:  # a broken file fails in as many ways as there are bytes to lose
        raise InputError(_unreadable(path)) from None
    return payload


def _require_undamaged(content: bytes) -> None:
    """Compares the checksums, which torch writes but does not read: one flipped bit is a weight."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # torch deflates nothing: entries larger than their file are there to fill the memory.
            if sum(entry.file_size for entry in archive.infolist()) > len(content):
                raise zipfile.BadZipFile
            if archive.testzip() is not None:
                raise zipfile.BadZipFile


def _unreadable(path: Path) -> str:
    size = path.stat().st_size
    return (
        f"checkpoint {path} ({size} bytes) is damaged, truncated or no checkpoint at all; "
        "copy or train it again"
    )


def _require_ours(path: Path, payload: Any) -> None:
    if not isinstance(payload, dict):
        raise InputError(
            f"checkpoint {path}: expected a checkpoint written by train.py of {_FAMILY}, "
            f"found a {type(payload).__name__}; name another file"
        )
    kind, version = payload.get("format"), payload.get("version")
    if not (isinstance(kind, str) and kind.startswith(_FAMILY)):
        names = [key[:40] if isinstance(key, str) else type(key).__name__ for key in payload]
        keys = ", ".join(names[:3]) or "nothing"
        raise InputError(
            f"checkpoint {path} is of another network: expected one written by train.py of "
            f"{_FAMILY}, found {len(payload)} entries ({keys} ...); name another file"
        )
    if not (isinstance(version, int) and version == _VERSION):
        description = (
            version if isinstance(version, int) and abs(version) < 10**6 else "something else"
        )
        raise InputError(
            f"checkpoint {path}: expected version {_VERSION}, found {description}; "
            f"use the {_FAMILY} that wrote it, or train it again"
        )


def member_path(folder: str | Path, index: int) -> Path:
    """Path of a posterior draw: ``folder/member_01.pth``, counted from 1."""
    if index < 1:
        raise ValueError(f"members are counted from 1, not {index}")
    return Path(folder) / f"member_{index:02d}.pth"


def list_members(folder: str | Path, training: str = "train.py, step 1") -> list[Path]:
    """The posterior draws in a folder, in the order of their numbers.

    Args:
        training: what trains such members, for the message.

    Raises:
        InputError: when there is no such folder or it holds no member.
    """
    folder = require_folder(folder, "checkpoint folder")
    numbered = [
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := _MEMBER_NAME.fullmatch(path.name))
    ]
    if not numbered:
        raise InputError(
            f"no posterior members in {folder}: expected member_01.pth, member_02.pth, ...; "
            f"train them first ({training}) or name another folder"
        )
    return [path for _, path in sorted(numbered)]
