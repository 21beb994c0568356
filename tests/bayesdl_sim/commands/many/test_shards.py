"""Parts of the work: each stack and each time point is in exactly one."""

import pytest

from bayesdl_sim.commands.many.shards import WHOLE, Shard, parse_shard
from bayesdl_sim.utils.errors import InputError


@pytest.mark.parametrize(("count", "times"), [(1, 5), (3, 5), (4, 100), (7, 3)])
def test_every_stack_and_time_point_is_in_one_part(count, times):
    parts = [Shard(number, count) for number in range(1, count + 1)]
    assert sorted(t for part in parts for t in part.points(times)) == list(range(times))
    for index in range(times):
        assert sum(part.takes(index) for part in parts) == 1
    sizes = [len(part.points(times)) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_words():
    assert parse_shard("2/8") == (2, 8)
    assert parse_shard("1/1") == WHOLE


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="shard: expected part/parts such as 2/8, found"):
        parse_shard(text)
