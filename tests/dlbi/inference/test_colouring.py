"""Classes and blocks: nothing that is drawn at once may share a pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdl_sim.dlbi.inference.colouring import (
    colour_classes,
    disjoint_blocks,
    neighbours,
    random_blocks,
)
from bayesdl_sim.dlbi.inference.spots import corners_of, patches_of


def overlapping(first, second, side):
    return np.all(np.abs(first - second) < side)


@given(count=st.integers(0, 60), side=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_classes_are_a_partition_without_overlap(count, side, seed):
    corners = np.random.default_rng(seed).integers(0, 25, size=(count, 2))
    classes = colour_classes(corners, side)
    members = np.sort(np.concatenate([*classes, np.empty(0, dtype=int)]))
    np.testing.assert_array_equal(members, np.arange(count))
    for members in classes:
        for place, first in enumerate(members):
            for second in members[place + 1 :]:
                assert not overlapping(corners[first], corners[second], side)


def test_distant_squares_share_one_class():
    corners = np.stack(np.mgrid[0:40:10, 0:40:10], axis=-1).reshape(-1, 2)
    assert len(colour_classes(corners, 10)) == 1
    assert len(colour_classes(corners, 11)) == 4


def test_neighbours_are_all_pairs_within_reach():
    positions = np.random.default_rng(0).random((40, 2)) * 10
    distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
    expected = np.argwhere((distance <= 2) & np.triu(np.ones((40, 40), dtype=bool), 1))
    np.testing.assert_array_equal(neighbours(positions, 2.0), expected)


@pytest.mark.parametrize("largest", [2, 3])
def test_blocks_hold_each_fluorophore_at_most_once(largest):
    generator = np.random.default_rng(0)
    positions = generator.random((80, 2)) * 20
    blocks = random_blocks(positions, 3.0, largest, generator)
    assert [b.shape[1] for b in blocks] == list(range(2, largest + 1))
    members = np.concatenate([b.ravel() for b in blocks])
    assert len(members) == len(set(members.tolist()))
    for group in blocks:
        for block in group:
            assert np.all(np.linalg.norm(positions[block] - positions[block[0]], axis=1) <= 3)


def test_all_pairs_are_blocks_at_some_time():
    generator = np.random.default_rng(0)
    positions = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    drawn_pairs = set()
    for _ in range(60):
        for group in random_blocks(positions, 3.0, 2, generator):
            drawn_pairs |= {tuple(sorted(block)) for block in group.tolist()}
    assert len(drawn_pairs) == 6


def test_groups_of_blocks_share_no_pixel():
    generator = np.random.default_rng(1)
    positions = generator.random((60, 2)) * 40
    width = np.full(60, 1.2)
    corners = corners_of(positions, 4, (40, 40))
    for blocks in random_blocks(positions, 3.6, 3, generator):
        groups = disjoint_blocks(blocks, corners, 9)
        assert sum(map(len, groups)) == len(blocks)
        for group in groups:
            pixels = patches_of(blocks[group], positions, width, 4, (40, 40)).pixels
            assert len(np.unique(pixels)) == pixels.size


def test_one_fluorophore_has_no_blocks():
    blocks = random_blocks(np.zeros((1, 2)), 3.0, 3, np.random.default_rng(0))
    assert [len(b) for b in blocks] == [0, 0]
    assert disjoint_blocks(blocks[0], np.zeros((1, 2), dtype=int), 9) == []
