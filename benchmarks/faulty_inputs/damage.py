"""Damage: bytes flipped, cut, spliced; JSON with entries removed, of other types, far too large."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

__all__ = ["DAMAGES", "damaged"]

BRACKETS, DIGITS = 100_000, 5000
HEAD = 2500  # bytes at the start of a file in which headers lie
LARGEST_BLOCK = 4096  # bytes that are spliced
_NUMBERS = (0, 1, -1, 2**63, 10**30, -1e308, 0.5)
_TEXTS = ("", "x", "\x1b[2J", "9" * 300)
_CONTAINERS = ([], [1], ["a", None], {}, {"a": 1}, [[[]]])
OTHERS = (None, True, False, *_NUMBERS, *_TEXTS, *_CONTAINERS, float("nan"), float("inf"))


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    data = np.frombuffer(content, np.uint8).copy()
    reach = min(len(data), HEAD) if rng.random() < 0.5 else len(data)
    places = rng.integers(0, max(reach, 1), rng.choice([1, 2, 8, 64]))
    if len(data):
        data[places] = rng.integers(0, 256, len(places))
    return data.tobytes()


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(len(content) + 1)]


def _spliced(content: bytes, rng: np.random.Generator) -> bytes:
    """A block of the file, or zeros, put over, into or instead of another place."""
    size = int(rng.integers(1, min(LARGEST_BLOCK, max(len(content), 2))))
    source, target = rng.integers(0, len(content) + 1, 2)
    block = bytes(size) if rng.random() < 0.3 else content[source : source + size]
    skipped = int(rng.choice([0, size, 2 * size]))
    return content[:target] + block + content[target + skipped :]


def _places(value: Any, parents: tuple = ()) -> list[tuple]:
    """The path of every entry; of a long list the first three."""
    children: list = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value[:3]))
    here = [(*parents, key) for key, _ in children]
    return here + [place for key, child in children for place in _places(child, (*parents, key))]


def _changed(payload: Any, change: Callable[[Any, Any], None], rng: np.random.Generator) -> Any:
    """Changes one entry of the payload, in place."""
    places = _places(payload)
    # Entries near the top first: a file has few of them, and many below.
    depth = int(rng.integers(1, 1 + max(len(place) for place in places)))
    near = [place for place in places if len(place) <= depth]
    *parents, key = near[int(rng.integers(len(near)))]
    entry = payload
    for parent in parents:
        entry = entry[parent]
    change(entry, key)
    return payload


def _in_json(content: bytes, change: Callable[[Any, Any], None], rng: np.random.Generator) -> bytes:
    return json.dumps(_changed(json.loads(content), change, rng)).encode()


def _without(content: bytes, rng: np.random.Generator) -> bytes:
    return _in_json(content, lambda entry, key: entry.pop(key), rng)


def _of_other_type(content: bytes, rng: np.random.Generator) -> bytes:
    other = OTHERS[int(rng.integers(len(OTHERS)))]
    return _in_json(content, lambda entry, key: entry.__setitem__(key, other), rng)


def _member_without(content: bytes, rng: np.random.Generator) -> bytes:
    """A member whose checksums are right, since it was written again."""
    payload = torch.load(io.BytesIO(content), weights_only=True)
    return _written(_changed(payload, lambda entry, key: entry.pop(key), rng))


def _member_of_other_type(content: bytes, rng: np.random.Generator) -> bytes:
    tensors = (
        torch.zeros(3),
        torch.zeros(1).expand(10**6, 10**6),
        torch.zeros((), dtype=torch.int8),
    )
    others = (*OTHERS, 10**5, 10**7, 2**9999, *tensors)
    other = others[int(rng.integers(len(others)))]
    payload = torch.load(io.BytesIO(content), weights_only=True)
    return _written(_changed(payload, lambda entry, key: entry.__setitem__(key, other), rng))


def _written(payload: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    return buffer.getvalue()


def _too_large(content: bytes, rng: np.random.Generator) -> bytes:
    """An entry of 100,000 brackets, or a number of 5,000 digits."""
    mark = "here it goes"
    huge = ("[" * BRACKETS + "]" * BRACKETS, '{"a":' * BRACKETS + "1" + "}" * BRACKETS)
    text = (*huge, "[" * BRACKETS, "7" * DIGITS, "0." + "7" * DIGITS)[int(rng.integers(5))]

    def replace(entry: Any, key: Any) -> None:
        entry[key] = mark

    return _in_json(content, replace, rng).replace(json.dumps(mark).encode(), text.encode())


def _another(content: bytes, rng: np.random.Generator) -> bytes:
    """JSON, but no object."""
    return json.dumps(OTHERS[int(rng.integers(len(OTHERS)))]).encode()


_BINARY = {"bytes flipped": _flipped, "cut": _cut, "block spliced": _spliced}
DAMAGES = {
    "binary": _BINARY,
    "checkpoint": _BINARY
    | {"entry missing": _member_without, "entry of another type": _member_of_other_type},
    "json": _BINARY
    | {
        "entry missing": _without,
        "entry of another type": _of_other_type,
        "entry too large": _too_large,
        "no object": _another,
    },
}  # form of a file -> kind of damage -> (content, generator) -> damaged content


def damaged(content: bytes, form: str, kind: str, rng: np.random.Generator) -> bytes:
    """The content of a file of some form with one damage, a key of `DAMAGES[form]`."""
    return DAMAGES[form][kind](content, rng)
