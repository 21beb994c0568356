"""Checks the content of a JSON file before anything of it is used.

A damaged or hand-edited file must end in one line that names the file, the entry and what was
expected there, not in a traceback of the code that happens to use the entry first. A kind is a
function `(value, place) -> value` that returns the value or raises; kinds nest:

    read_record(path, {"factor": number(above=0), "members": list_of(text(), least=1)})
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json

__all__ = [
    "Kind",
    "Misfit",
    "anything",
    "checked",
    "flag",
    "list_of",
    "mapping_of",
    "maybe",
    "number",
    "one_of",
    "optional",
    "read_record",
    "record",
    "text",
    "whole",
]

Kind = Callable[[Any, str], Any]
SHOWN = 40  # characters of a value in a message
LARGEST_TEXT = 100_000  # characters; the longest entries of our files are hashes and notes


class Misfit(ValueError):
    """An entry that is not of its kind; the text names it, what was expected and found."""

    def __init__(self, place: str, expected: str, found: Any) -> None:
        super().__init__(f"{place or 'the file'}: expected {expected}, found {_short(found)}")


class _Optional:
    """A kind of which the entry may be missing from its record."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def __call__(self, value: Any, place: str) -> Any:
        return self.kind(value, place)


def read_record(path: str | Path, entries: Mapping[str, Kind], what: str = "") -> dict[str, Any]:
    """Reads a JSON object and checks its entries; entries that are not listed are kept unchecked.

    Args:
        entries: name -> kind; a kind wrapped by `optional` may be missing.
        what: the name of this kind of file for the message, such as "calibration".

    Raises:
        InputError: missing, not JSON, no object, an entry missing or of another kind.
    """
    return checked(read_json(path), entries, path, what)


def checked(
    payload: Any, entries: Mapping[str, Kind], path: str | Path, what: str = ""
) -> dict[str, Any]:
    """Checks a payload that was read already; otherwise as `read_record`."""
    try:
        return record(entries)(payload, "")
    except Misfit as misfit:
        kind = f"{what} " if what else ""
        raise InputError(
            f"{path} is not a valid {kind}file: {misfit}; restore it, or delete it and make it "
            "again"
        ) from None


def record(entries: Mapping[str, Kind]) -> Kind:
    """An object with these entries at least."""

    def check(value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(place, "an object {...}", value)
        result = dict(value)
        for name, kind in entries.items():
            where = f"{place}.{name}" if place else name
            if name in value:
                result[name] = kind(value[name], where)
            elif not isinstance(kind, _Optional):
                raise Misfit(where, "an entry", None)
        return result

    return check


def optional(kind: Kind) -> Kind:
    """An entry of a record that may be missing."""
    return _Optional(kind)


def maybe(kind: Kind) -> Kind:
    """A value of that kind, or null."""
    return lambda value, place: None if value is None else kind(value, place)


def number(
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> Kind:
    """A finite number as a float: `least <= x <= most` and `above < x < below`."""

    def check(value: Any, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Misfit(place, "a number", value)
        try:
            value_as_float = float(value)
        except OverflowError:
            raise Misfit(place, "a number of usual size", value) from None
        if not math.isfinite(value_as_float):
            raise Misfit(place, "a finite number", value)
        if not (least <= value_as_float <= most and above < value_as_float < below):
            raise Misfit(place, _limits(least, most, above, below), value)
        return value_as_float

    return check


def whole(least: int | None = None, most: int | None = None) -> Kind:
    """A whole number, not a float and not true or false."""

    def check(value: Any, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Misfit(place, "a whole number", value)
        if (least is not None and value < least) or (most is not None and value > most):
            low = "" if least is None else f" of at least {least}"
            high = "" if most is None else f" of at most {most}"
            raise Misfit(place, f"a whole number{low}{high}", value)
        return value

    return check


def text(longest: int = LARGEST_TEXT) -> Kind:
    """A text of at most so many characters."""

    def check(value: Any, place: str) -> str:
        if not isinstance(value, str):
            raise Misfit(place, "a text", value)
        if len(value) > longest:
            raise Misfit(place, f"a text of at most {longest} characters", value)
        return value

    return check


def flag() -> Kind:
    """The value true or false."""

    def check(value: Any, place: str) -> bool:
        if not isinstance(value, bool):
            raise Misfit(place, "true or false", value)
        return value

    return check


def one_of(*allowed: Any) -> Kind:
    """One of some values, of exactly their types."""

    def check(value: Any, place: str) -> Any:
        if not any(type(value) is type(choice) and value == choice for choice in allowed):
            raise Misfit(place, " or ".join(map(repr, allowed)), value)
        return value

    return check


def list_of(kind: Kind, length: int | None = None, least: int = 0) -> Kind:
    """A list whose items are of one kind."""

    def check(value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise Misfit(place, "a list [...]", value)
        if length is not None and len(value) != length:
            raise Misfit(place, f"{length} items", f"{len(value)} items")
        if len(value) < least:
            raise Misfit(place, f"at least {least} items", f"{len(value)} items")
        return [kind(item, f"{place}[{index}]") for index, item in enumerate(value)]

    return check


def mapping_of(kind: Kind) -> Kind:
    """An object of any names whose values are of one kind."""

    def check(value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(place, "an object {...}", value)
        return {name: kind(item, f"{place}.{_short(name)}") for name, item in value.items()}

    return check


def anything() -> Kind:
    """Any value; the entry must be there."""
    return lambda value, place: value


def _limits(least: float, most: float, above: float, below: float) -> str:
    limits = (
        ("at least", least, -math.inf),
        ("above", above, -math.inf),
        ("at most", most, math.inf),
        ("below", below, math.inf),
    )
    parts = [f"{word} {limit:g}" for word, limit, none in limits if limit != none]
    return f"a number {' and '.join(parts)}"


def _short(value: Any) -> str:
    """A value for a message: one short line, whatever it holds."""
    if value is None:
        return "nothing"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a whole number of over 60 digits"  # Python refuses to print the longest ones
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)} entries"
    shown = value if isinstance(value, str) and value.endswith(" items") else repr(value)
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 3] + "..."
