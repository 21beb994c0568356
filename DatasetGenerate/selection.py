"""The cells of a measured set to convert, and the part that each belongs to (`--cells`)."""

from bayesdl_sim.data.sets.layout import PARTS, split_cells
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.number_list import ranges_in

__all__ = ["CELLS_HELP", "numbers_in", "share_out"]

TEST_UP_TO, VALIDATION_UP_TO = 5, 10
ENOUGH_CELLS = 15
CELLS_HELP = (
    "cells to convert, such as 1-20,23 or 11- ; or the parts themselves: "
    "train=11- validation=6-10 test=1-5 (default: all cells, by the rule of the docstring)"
)


def numbers_in(text: str, available: list[int], option: str) -> list[int]:
    """The numbers of a list such as `1-5,8,11-`; each must exist, but a range may have gaps.

    Raises:
        InputError: not such a list, or nothing of it available.
    """
    try:
        ranges = ranges_in(text)
    except ValueError:
        raise InputError(f"{option}: expected numbers such as 1-5,8,11- ; found {text!r}") from None
    chosen = set()
    for piece, (first, last) in zip(text.split(","), ranges, strict=True):
        last = max(available) if last is None else last
        numbers = {number for number in available if first <= number <= last}
        if not numbers:
            raise InputError(
                f"{option}: there is no {piece.strip()}; the numbers are {available[0]} to "
                f"{available[-1]} ({len(available)} in all)"
            )
        chosen |= numbers
    return sorted(chosen)


def share_out(words: list[str] | None, available: list[int]) -> tuple[dict[str, list[int]], bool]:
    """The cells of each part, and whether the user named the parts.

    Without parts, the rule for BioSR: cells 1 to 5 test, 6 to 10 validation, the rest train;
    below 15 cells, or where that leaves a part empty, `data.sets.layout.split_cells`.

    Args:
        words: the words of `--cells`; None takes all cells.
        available: cell numbers on disk, ascending.

    Raises:
        InputError: unreadable, unknown or doubly used cells, a missing part, under three cells.
    """
    named_parts = [word for word in words or [] if "=" in word]
    if not named_parts:
        chosen = numbers_in(",".join(words), available, "--cells") if words else available
        return _by_rule(chosen), False
    if len(named_parts) < len(words):
        raise InputError("--cells: name a part for all cells (train=... validation=...) or none")
    parts = {}
    for word in named_parts:
        part, _, text = word.partition("=")
        if part not in PARTS or part in parts:
            raise InputError(f"--cells: expected {', '.join(PARTS)} once each, found {word!r}")
        parts[part] = numbers_in(text, available, f"--cells {part}")
    missing_parts = [part for part in PARTS if part not in parts]
    if missing_parts:
        raise InputError(
            f"--cells: no cells for {missing_parts[0]}; name all of {', '.join(PARTS)}"
        )
    listed = [cell for cells in parts.values() for cell in cells]
    repeated = sorted({cell for cell in listed if listed.count(cell) > 1})
    if repeated:
        raise InputError(f"--cells: cell {repeated[0]} is in two parts; a cell belongs to one")
    return parts, True


def _by_rule(cells: list[int]) -> dict[str, list[int]]:
    parts = {
        "train": [cell for cell in cells if cell > VALIDATION_UP_TO],
        "validation": [cell for cell in cells if TEST_UP_TO < cell <= VALIDATION_UP_TO],
        "test": [cell for cell in cells if cell <= TEST_UP_TO],
    }
    if len(cells) < ENOUGH_CELLS or not all(parts.values()):
        return split_cells(cells)
    return parts
