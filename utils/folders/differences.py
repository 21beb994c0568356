"""What makes two records of settings differ, in a few words for a message."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

__all__ = ["difference"]

_SHA256 = re.compile(r"(sha256:)?[0-9a-f]{64}")
_LENGTH = 80  # characters of a value that a message shows
UNKNOWN = "settings that were not recorded"


def difference(there: Mapping[str, Any] | None, here: Mapping[str, Any] | None) -> str:
    """The first setting that differs, with both values, such as `delta (there 0.04, here 0.1)`.

    Args:
        there: settings of the other work, nested; None where they were not recorded.
        here: settings of this work, in the order in which they are compared.
    """
    return (there and here and _first(there, here, ())) or UNKNOWN


def _first(there: Mapping[str, Any], here: Mapping[str, Any], path: tuple[str, ...]) -> str:
    for name in dict.fromkeys([*here, *there]):
        old, new = there.get(name), here.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            return _first(old, new, (*path, name))
        return f"{' '.join((*path, name))} ({_values(old, new)})"
    return ""


def _values(there: Any, here: Any) -> str:
    if isinstance(there, list) and isinstance(here, list):
        there, here = _others(there, here), _others(here, there)
    hashes = [_SHA256.fullmatch(str(value)) for value in (there, here)]
    if any(hashes):
        return "other content" if all(hashes) else f"{'there' if hashes[0] else 'here'} only"
    return f"there {_short(there)}, here {_short(here)}"


def _others(items: list[Any], without: list[Any]) -> str:
    """The items that are not in another list."""
    return ", ".join(str(item) for item in items if item not in without) or "not"


def _short(value: Any) -> str:
    words = "none" if value is None else str(value)
    return textwrap.shorten(words, _LENGTH, placeholder=" ...")
