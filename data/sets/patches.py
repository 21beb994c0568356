"""Aligned crops of a raw stack and its target, and the symmetries that may be applied to them."""

from typing import NamedTuple

import numpy as np

from bayesdl_sim.utils.errors import InputError

__all__ = ["Symmetry", "crop_pair", "draw_symmetry"]


def crop_pair(
    raw: np.ndarray, target: np.ndarray, top: int, left: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same square of the field from both images, as views.

    Raw pixel (i, j) covers target pixels (2i, 2i+1) x (2j, 2j+1), so the target crop starts at
    (2 top, 2 left) and is twice as wide.

    Args:
        raw: (9, H, W).
        target: (..., 2H, 2W).
        top, left, size: place and side of the crop, in raw pixels.

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


class Symmetry(NamedTuple):
    """One symmetry of SIM: a pose of the square, and an order of orientations and phases.

    Attributes:
        turns, flip: quarter turns, then left and right exchanged.
        orientations: their new order (3,).
        order: order of all nine frames (9,); the phases of an orientation stay together.
    """

    turns: int
    flip: bool
    orientations: np.ndarray
    order: np.ndarray

    def pose(self, image: np.ndarray) -> np.ndarray:
        """Turns and flips the last two axes, as a view."""
        image = np.rot90(image, self.turns, axes=(-2, -1))
        return image[..., ::-1] if self.flip else image


def draw_symmetry(rng: np.random.Generator) -> Symmetry:
    """One of 8 poses of the square, of 6 orders of the orientations and of 6^3 of their phases.

    Order and handedness are the microscope's own, so a symmetry is legal only where the microscope
    is random: a fixed one never shows the network a turned pattern.

    Args:
        rng: the only source of chance.
    """
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    orientations = rng.permutation(3)
    order = np.concatenate([3 * orientation + rng.permutation(3) for orientation in orientations])
    return Symmetry(turns, flip, orientations, order)
