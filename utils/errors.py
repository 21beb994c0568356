"""Errors in the user's words: what was expected, what was found, in which file, what to do."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import signal
import sys
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = [
    "InputError",
    "Terminated",
    "in_plain_words",
    "is_out_of_memory",
    "is_short_write",
    "out_of_memory_says",
    "printable",
    "require_file",
    "require_folder",
    "run_script",
    "strict_bool",
    "writable_folder",
]

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_NO_ANSWER = (errno.EIO, errno.ESTALE)  # of a drive that fails, or of a network that is gone
_NOT_SHOWN = ("Cc", "Cs", "Cf")  # control characters, lone surrogates, direction marks


class InputError(ValueError):
    """A mistake in the user's input, explained in one line that a microscopist understands.

    Control characters in it, which come from names of files, are made visible.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(message))


class Terminated(BaseException):
    """The process was asked to end."""


def printable(text: object) -> str:
    """A text with its control characters and broken code points written out, as `\\x1b`.

    File names may hold anything; printed as they are, they could colour or clear a terminal.
    """
    return "".join(_visible(character) for character in str(text))


def _visible(character: str) -> str:
    if character in "\n\t" or not unicodedata.category(character).startswith(_NOT_SHOWN):
        return character
    return character.encode("unicode_escape").decode("ascii")


def run_script(main: Callable[[], None]) -> None:
    """Runs a script's ``main`` and turns every mistake of the user into one line.

    An `InputError`, a full disk, a missing right and a lack of memory end with exit code 2 and
    ``error: ...`` on stderr, without a traceback; Ctrl-C ends with 130. SIGTERM, which schedulers
    of a cluster send before they kill, ends with 143, and what was begun is put away as for Ctrl-C.
    Anything else is a fault of the program, and keeps its traceback.
    """
    try:
        with _terminable():
            main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Terminated:
        print("terminated", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except Exception as error:
        message = in_plain_words(error)
        if message is None:
            raise
        print(f"error: {printable(message)}", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated` in this process, once; a second one ends it where it is."""
    process = os.getpid()

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() == process:
            raise Terminated
        os.kill(os.getpid(), signal.SIGTERM)  # a child, forked from this one

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is a lack of memory, of Python, of NumPy or of torch on any device."""
    # Allocators' errors are known by name and text, so that torch is not imported here.
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def is_short_write(error: OSError) -> bool:
    """Whether NumPy wrote less than it should, which is all that it reports of a full disk."""
    return error.errno is None and _SHORT_WRITE.search(str(error)) is not None


@contextlib.contextmanager
def out_of_memory_says(advice: str) -> Iterator[None]:
    """One line with what to do, instead of a traceback."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(advice) from None


def in_plain_words(error: Exception) -> str | None:
    """One line for the errors that the user can correct; None for a fault of the program."""
    if isinstance(error, InputError):
        return " ".join(str(error).split())
    if is_out_of_memory(error):
        return (
            "not enough memory: use smaller batches, patches or tiles, or a smaller field, "
            "or close other programs"
        )
    if not isinstance(error, OSError):
        return None
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"disk full{where}: free some space or choose another folder, then run it again"
    if is_short_write(error):
        return "disk full: free some space or choose another folder, then run it again"
    if error.errno == errno.EFBIG:  # FAT32 ends at 4 GB, and an administrator may set a limit
        return (
            f"the file is larger than its drive or your limit allows{where}: choose another folder"
        )
    if error.errno in _NO_ANSWER:
        return f"the drive does not answer{where} ({error.strerror}): check it, then run it again"
    if error.errno == errno.EROFS or isinstance(error, PermissionError):
        return f"permission denied{where}: choose a folder in which you may read and write"
    if isinstance(error, FileExistsError):
        return f"exists already{where}: choose another name, or a folder instead of a file"
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        return f"{error.strerror or error}{where}: check the path"
    return None


def strict_bool(text: str) -> bool:
    """Type of a command-line switch that is written out: ``True`` or ``False``, in any case.

    ``type=bool`` would read the text ``False`` as true, since it is not empty.
    """
    known = {"true": True, "false": False}
    if text.strip().lower() not in known:
        raise argparse.ArgumentTypeError(f"expected True or False, found {text!r}")
    return known[text.strip().lower()]


def require_file(path: str | Path, what: str) -> Path:
    """The path, if it is a file; `InputError` that names ``what`` it should be otherwise."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{what}: expected a file, found the folder {path}; name a file in it")
    if not path.is_file():
        raise InputError(f"{what}: no file {path}; {_nearest_folder(path)}")
    return path


def require_folder(path: str | Path, what: str) -> Path:
    """The path, if it is a folder; `InputError` that names ``what`` it should be otherwise."""
    path = Path(path)
    if path.is_file():
        raise InputError(f"{what}: expected a folder, found the file {path}; name its folder")
    if not path.is_dir():
        raise InputError(f"{what}: no folder {path}; {_nearest_folder(path)}")
    return path


def writable_folder(path: str | Path) -> Path:
    """Makes the folder, and proves now, not after the work, that it can be written.

    Raises:
        InputError: when it cannot be made or nothing can be written in it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"can it be written?")
            probe.flush()
    except FileExistsError:
        raise InputError(f"expected a folder, found the file {path}; choose another name") from None
    except OSError as error:
        raise InputError(
            f"cannot write in the folder {path} ({error.strerror}); choose another folder"
        ) from None
    return path


def _nearest_folder(path: Path) -> str:
    """Tells which part of a wrong path is still right."""
    for parent in path.absolute().parents:
        if parent.is_dir():
            return f"the path is right up to {parent}"
    return "check the path"
