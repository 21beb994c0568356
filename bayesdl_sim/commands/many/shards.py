"""A part of the work, for array jobs: `2/8` is the second of eight calls that share it."""

from __future__ import annotations

import re
from typing import NamedTuple

from bayesdl_sim.utils.errors import InputError

__all__ = ["WHOLE", "Shard", "parse_shard"]


class Shard(NamedTuple):
    """The part `number`, from 1, of `count` parts."""

    number: int
    count: int

    def takes(self, index: int) -> bool:
        """Whether the stack of that index, from 0, is in this part."""
        return index % self.count == self.number - 1

    def points(self, times: int) -> range:
        """Its time points of a series: each part has a run of neighbours."""
        first, stop = (times * n // self.count for n in (self.number - 1, self.number))
        return range(first, stop)


WHOLE = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """`i/n` -> the part. Raises `InputError` for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise InputError(
            f"shard: expected part/parts such as 2/8, found {text!r}; the parts count from 1"
        )
    return shard
