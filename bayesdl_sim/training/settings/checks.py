"""Checks that settings of every theme share, in one wording."""

import math
from typing import Any, get_args, get_type_hints

from bayesdl_sim.utils.errors import InputError

__all__ = ["choices_of", "require_choice", "require_positive", "require_within"]


def choices_of(kind: type, name: str) -> tuple[str, ...]:
    """The values that a setting with a `Literal` type may have; an empty tuple for other types."""
    annotation = get_type_hints(kind)[name]
    # `Literal[...] | None` has the literal as its first argument.
    inner = get_args(annotation)
    texts = get_args(inner[0]) if inner and get_args(inner[0]) else inner
    return texts if all(isinstance(text, str) for text in texts) else ()


def require_choice(settings: Any, name: str) -> None:
    """Raises `InputError` unless the setting is None or one of its choices."""
    value, choices = getattr(settings, name), choices_of(type(settings), name)
    if value is not None and value not in choices:
        raise InputError(f"{name}: expected {', '.join(choices)}, found {value!r}")


def require_positive(settings: Any, *names: str) -> None:
    """Raises `InputError` for the first of these settings that is not above 0."""
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise InputError(f"{name}: expected a positive number, found {value}")


def require_within(settings: Any, name: str, lowest: float, below: float = math.inf) -> None:
    """Raises `InputError` unless all values of this setting are in `lowest <= value < below`."""
    values = getattr(settings, name)
    for value in values if isinstance(values, tuple) else (values,):
        if not lowest <= value < below:
            end = "" if below == math.inf else f" to below {below:g}"
            raise InputError(f"{name}: expected a number from {lowest:g}{end}, found {value:g}")
