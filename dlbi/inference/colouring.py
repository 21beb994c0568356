"""Which fluorophores may be drawn together: those whose patches share no pixel."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["colour_classes", "disjoint_blocks", "neighbours", "random_blocks"]

FIRST_COLOURS = 64  # room for so many at first


def colour_classes(corners: NDArray[np.int64], side: int) -> list[NDArray[np.int64]]:
    """Splits squares into few classes within which none overlap (greedy, in the order given).

    Args:
        corners: (N, 2), first row and column of each square.
        side: side of the squares, in pixels.

    Returns:
        Indices of each class, in rising order.
    """
    if not len(corners):
        return []
    places = corners - corners.min(axis=0) + side - 1
    extent = places.max(axis=0) + side
    # Colours that are no longer allowed for a square with this corner.
    taken = np.zeros((*extent, FIRST_COLOURS), dtype=bool)
    colours = np.empty(len(corners), dtype=np.int64)
    for index, (row, column) in enumerate(places.tolist()):
        colour = int(taken[row, column].argmin())
        if taken[row, column, colour]:
            colour = taken.shape[2]
            taken = np.concatenate([taken, np.zeros_like(taken)], axis=2)
        colours[index] = colour
        taken[row - side + 1 : row + side, column - side + 1 : column + side, colour] = True
    order = np.argsort(colours, kind="stable")
    return np.split(order, np.cumsum(np.bincount(colours))[:-1])


def neighbours(positions: NDArray, reach: NDArray | float) -> NDArray[np.int64]:
    """Pairs (K, 2) of points that are at most `reach` apart, first index smaller, sorted."""
    if len(positions) < 2:
        return np.empty((0, 2), dtype=np.int64)
    pairs = cKDTree(positions).query_pairs(float(np.max(reach)), output_type="ndarray")
    return pairs[np.lexsort(pairs.T[::-1])].astype(np.int64)


def random_blocks(
    positions: NDArray, reach: float, largest: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Random blocks of neighbours, each fluorophore in at most one.

    Fluorophores are visited in random order; one that is still free takes up to `largest` - 1
    of its free neighbours, at random.

    Returns:
        One array (blocks, size) for each size from 2 to `largest`.
    """
    pairs = neighbours(positions, reach)
    lists: list[list[int]] = [[] for _ in range(len(positions))]
    for first, second in pairs.tolist():
        lists[first].append(second)
        lists[second].append(first)
    free = np.ones(len(positions), dtype=bool)
    blocks: list[list[list[int]]] = [[] for _ in range(largest + 1)]
    order = generator.permutation(len(positions)) if len(pairs) else ()
    for index in order:
        if not free[index]:
            continue
        others = [other for other in lists[index] if free[other]]
        if others:
            taken = generator.permutation(others)[: largest - 1].tolist()
            free[[index, *taken]] = False
            blocks[1 + len(taken)].append([int(index), *taken])
    return [np.array(b, dtype=np.int64).reshape(-1, k) for k, b in enumerate(blocks) if k > 1]


def disjoint_blocks(
    blocks: NDArray[np.int64], corners: NDArray[np.int64], side: int
) -> list[NDArray[np.int64]]:
    """Groups blocks of fluorophores so that within a group no two blocks share a pixel.

    Args:
        blocks: (K, k), indices of fluorophores.
        corners: (N, 2), of the fluorophores' squares.
        side: side of the squares, in pixels.

    Returns:
        Indices into `blocks`, group after group.
    """
    if not len(blocks):
        return []
    low = corners[blocks].min(axis=1)
    extent = (corners[blocks].max(axis=1) - low).max(initial=0)
    return colour_classes(low, side + int(extent))
