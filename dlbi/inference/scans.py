"""Associative scans over the frames of many chains: products of pairs, pairs of pairs and so on.

The matrix of frame t is the transition matrix with its first column times the odds of emission in
t. Products are rescaled as they are formed, so that no logarithms are needed.
"""

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.dlbi.conventions import BLEACHED, STATES

__all__ = ["sample_in_scans"]

# Likelihood of bleached against living states beyond which the draws do not change.
LARGEST_CORNER = 1e120


def sample_in_scans(
    odds: NDArray, table: NDArray, initial: NDArray, uniform: NDArray
) -> NDArray[np.int8]:
    """States (T, chains) from odds and uniform numbers (T, chains), and first laws (3, chains)."""
    beta = _frame_suffixes(odds[1:], table)  # (3, T, chains)

    first = initial * beta[:, 0]
    first[0] *= odds[0]
    total = first.sum(0)
    state = (uniform[0] * total > first[0]).astype(np.int8)
    state += uniform[0] * total > first[0] + first[1]
    # The weight of bleached against living states may be too small for float64, but where no
    # fluorophore lives in the first frame, it is all there is.
    state[(initial[:BLEACHED] == 0).all(0)] = BLEACHED

    columns = table[:2, :, None, None]
    emitting = columns[:, 0] * (odds[1:] * beta[0, 1:])
    alive = columns[:, 1] * beta[1, 1:]
    alive += emitting
    point = columns[:, 2] * beta[2, 1:]
    point += alive
    point *= uniform[1:]
    after = (point > emitting).view(np.int8)
    after += point > alive
    maps = after[0] + STATES * after[1]  # codes 0 .. 8
    return _images(maps, state)


def _frame_suffixes(odds: NDArray, table: NDArray) -> NDArray[np.float64]:
    """The `_suffixes` of the matrices of frames, and of the vector of ones.

    The matrix of a frame is [[a o, b, c], [d o, e, f], [0, 0, 1]]: the transition matrix, its first
    column times the odds. Its products are written out, which takes a third of the time of general
    matrices.

    Args:
        odds: (n, chains).
        table: (3, 3).

    Returns:
        (3, n + 1, chains).
    """
    n, chains = odds.shape
    suffixes = np.empty((STATES, n + 1, chains))
    suffixes[:, n] = 1
    even = n - n % 2
    if even < n:
        vector = _frame_applied(odds[even], table, suffixes[:, n])
        suffixes[:, even] = vector / np.maximum(vector[0], vector[1])
    if even:
        pairs = _frame_products(odds[0:even:2], odds[1:even:2], table)
        suffixes[:, 0 : even + 1 : 2] = _suffixes(*pairs, suffixes[:, even])
        suffixes[:, 1:even:2] = _frame_applied(odds[1:even:2], table, suffixes[:, 2 : even + 1 : 2])
    return suffixes


def _frame_products(odds: NDArray, right: NDArray, table: NDArray) -> tuple[NDArray, NDArray]:
    """The `_products` of the matrices of frames with the odds (n, chains) each."""
    first, constant = table[:2, 0], table[:2, 1:] @ table[1:]
    product = np.empty((2, STATES, *odds.shape))
    for row in range(2):
        for column in range(STATES):
            np.multiply(odds, first[row] * table[0, column], out=product[row, column])
            product[row, column] += constant[row, column]
    product[:, 0] *= right
    return _scaled(product, np.ones(odds.shape))


def _frame_applied(odds: NDArray, table: NDArray, vector: NDArray) -> NDArray[np.float64]:
    """`_applied` of the matrices of frames with the odds (..., chains)."""
    result = np.empty(vector.shape)
    light = odds * vector[0]
    for row in range(2):
        np.multiply(light, table[row, 0], out=result[row])
        result[row] += table[row, 1] * vector[1]
        result[row] += table[row, 2] * vector[2]
    np.minimum(vector[2], LARGEST_CORNER, out=result[2])
    return result


def _suffixes(upper: NDArray, corner: NDArray, last: NDArray) -> NDArray[np.float64]:
    """M_k M_(k+1) ... M_(n-1) v for k = 0 .. n, up to a factor for each k.

    Args:
        upper: (2, 3, n, chains), the first two rows of the matrices.
        corner: (n, chains), their third row being (0, 0, corner).
        last: (3, chains), the vector v.

    Returns:
        (3, n + 1, chains).
    """
    n = upper.shape[2]
    suffixes = np.empty((STATES, n + 1, last.shape[1]))
    suffixes[:, n] = last
    even = n - n % 2
    if even < n:
        vector = _applied(upper[:, :, even], corner[even], last)
        suffixes[:, even] = vector / np.maximum(vector[0], vector[1])
    if even:
        pairs = _products(
            upper[:, :, 0:even:2], corner[0:even:2], upper[:, :, 1:even:2], corner[1:even:2]
        )
        suffixes[:, 0 : even + 1 : 2] = _suffixes(*pairs, suffixes[:, even])
        suffixes[:, 1:even:2] = _applied(
            upper[:, :, 1:even:2], corner[1:even:2], suffixes[:, 2 : even + 1 : 2]
        )
    return suffixes


def _products(
    upper: NDArray, corner: NDArray, right: NDArray, right_corner: NDArray
) -> tuple[NDArray, NDArray]:
    """Matrix products, scaled."""
    product = upper[:, 0, None] * right[None, 0]
    product += upper[:, 1, None] * right[None, 1]
    product[:, 2] += upper[:, 2] * right_corner
    return _scaled(product, corner * right_corner)


def _scaled(product: NDArray, corner: NDArray) -> tuple[NDArray, NDArray]:
    """Scales matrices, in place, to a largest element of 1 in the first two rows.

    Where nothing bleaches, the corner could still grow without limit: it is capped.
    """
    scale = np.maximum(product[0], product[1])
    scale = 1 / np.maximum(np.maximum(scale[0], scale[1]), scale[2])
    product *= scale
    corner *= scale
    return product, np.minimum(corner, LARGEST_CORNER, out=corner)


def _applied(upper: NDArray, corner: NDArray, vector: NDArray) -> NDArray[np.float64]:
    """Matrix times vector."""
    result = np.empty(vector.shape)
    np.multiply(upper[:, 0], vector[0], out=result[:2])
    result[:2] += upper[:, 1] * vector[1]
    result[:2] += upper[:, 2] * vector[2]
    np.minimum(corner * vector[2], LARGEST_CORNER, out=result[2])
    return result


def _composition() -> NDArray[np.int8]:
    """Code of 'first a, then b' at 9 a + b; a map f has the code f(0) + 3 f(1), and f(2) = 2."""
    images = np.array([[code % STATES, code // STATES, BLEACHED] for code in range(9)])
    composed = images[None, :, :2]  # (1, b, 2)
    composed = np.stack([np.stack([images[b][images[a][:2]] for b in range(9)]) for a in range(9)])
    return (composed[..., 0] + STATES * composed[..., 1]).ravel().astype(np.int8)


COMPOSED = _composition()
IMAGE = np.array(
    [(c % STATES, c // STATES, BLEACHED) for c in range(9)], dtype=np.int8
).ravel()  # of state s under the map c, at 3 c + s


def _images(maps: NDArray, state: NDArray) -> NDArray[np.int8]:
    """States (n + 1, chains) that follow a first state (chains,) under n maps."""
    n = len(maps)
    states = np.empty((n + 1, maps.shape[1]), dtype=np.int8)
    states[0] = state
    even = n - n % 2
    if even:
        pairs = COMPOSED.take(9 * maps[0:even:2] + maps[1:even:2])
        states[0 : even + 1 : 2] = _images(pairs, state)
        states[1:even:2] = IMAGE.take(STATES * maps[0:even:2] + states[0:even:2])
    if even < n:
        states[n] = IMAGE.take(STATES * maps[even] + states[even])
    return states
