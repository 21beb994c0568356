"""Round numbers along an axis, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["tick_texts", "ticks"]

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
POWERS = (-3, 5)  # from these powers of ten on, a common power is written apart
MOST_DIGITS = 10


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Multiples of a round step from low to high, at most `most` steps."""
    least = (high - low) / most
    decade = 10.0 ** math.floor(math.log10(least))
    step = next(decade * s for s in STEPS if decade * s >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * n for n in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> tuple[list[str], str]:
    """The values with the same number of digits, and the power of ten that they leave out.

    Returns:
        The power as 1e-5; empty where there is none.
    """
    largest = max((abs(value) for value in values), default=0.0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    power = 0 if POWERS[0] < power < POWERS[1] else power
    scaled = [value / 10.0**power + 0.0 for value in values]
    digits = next((d for d in range(MOST_DIGITS) if _are_exact(scaled, d)), MOST_DIGITS)
    texts = [_with_minus(f"{value:.{digits}f}") for value in scaled]
    return texts, _with_minus(f"1e{power}") if power else ""


def _are_exact(values: Sequence[float], digits: int) -> bool:
    return all(abs(round(v, digits) - v) <= 1e-9 * max(abs(v), 1e-3) for v in values)


def _with_minus(number: str) -> str:
    return number.replace("-", "−")
