"""Aligned crops of a raw stack and its target, and the symmetries that may be applied to them."""

import numpy as np

from utils.checks import InputError

__all__ = ["augment_pair", "crop_pair"]


def crop_pair(
    raw: np.ndarray, target: np.ndarray, top: int, left: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same square of the field from both images, as views.

    Raw pixel (i, j) covers target pixels (2i, 2i+1) x (2j, 2j+1), so the target crop starts at
    (2 top, 2 left) and is twice as wide.

    Args:
        raw: (9, H, W).
        target: (..., 2H, 2W).
        top, left, size: in raw pixels.

    Raises:
        InputError: the square leaves the field.
    """
    height, width = raw.shape[-2:]
    if top < 0 or left < 0 or top + size > height or left + size > width:
        raise InputError(
            f"a patch of {size} px at ({top}, {left}) leaves the field of {height}x{width} px: "
            "choose a smaller patch"
        )
    rows, columns = slice(top, top + size), slice(left, left + size)
    target_rows = slice(2 * top, 2 * (top + size))
    target_columns = slice(2 * left, 2 * (left + size))
    return raw[..., rows, columns], target[..., target_rows, target_columns]


def augment_pair(
    raw: np.ndarray, target: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one symmetry of SIM and applies it to both images, as views or small copies.

    One of the 8 flips and quarter turns of the square; one of the 6 orders of the three
    orientations; one of the 6 orders of the three phases within each orientation. Order and
    handedness are the microscope's own, so this is legal only where the microscope is random:
    a fixed one never shows the network a turned pattern.

    Args:
        raw: (9, P, P), orientation-major.
        target: (..., 2P, 2P).
        rng: the only source of chance.
    """
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    orientations = rng.permutation(3)
    order = np.concatenate([3 * orientation + rng.permutation(3) for orientation in orientations])
    raw = np.rot90(raw[order], turns, axes=(-2, -1))
    target = np.rot90(target, turns, axes=(-2, -1))
    if flip:
        raw, target = raw[..., ::-1], target[..., ::-1]
    return raw, target
