"""Patches are pieces of whole spot images, and slopes are their derivatives."""

import numpy as np
import pytest

from bayesdl_sim.dlbi.fhmm import spot_images
from bayesdl_sim.dlbi.inference.spots import patches_of, spot_slopes

SHAPE = (14, 17)
POSITIONS = np.array([[6.3, 7.8], [0.2, 16.4], [-2.0, 5.0], [13.4, -0.4], [7.0, 9.2]])
WIDTH = np.array([1.0, 1.3, 0.9, 1.1, 1.2])


def painted(patches, radius):
    """Spots of one-member blocks on the field."""
    padded = (SHAPE[0] + 4 * radius, SHAPE[1] + 4 * radius)
    images = np.zeros((len(patches.members), padded[0] * padded[1]))
    for image, pixels, spots in zip(images, patches.pixels, patches.spots, strict=True):
        image[pixels] = spots.sum(0)
    pad = 2 * radius
    return images.reshape(-1, *padded)[:, pad : pad + SHAPE[0], pad : pad + SHAPE[1]]


def test_patches_are_pieces_of_spot_images():
    members = np.arange(len(POSITIONS))[:, None]
    images = painted(patches_of(members, POSITIONS, WIDTH, 8, SHAPE), 8)
    np.testing.assert_allclose(images, spot_images(POSITIONS, 1.0, WIDTH, SHAPE), atol=1e-8)


def test_blocks_hold_the_spots_of_all_members():
    members = np.array([[0, 4], [1, 0]])
    images = painted(patches_of(members, POSITIONS, WIDTH, 8, SHAPE), 8)
    whole = spot_images(POSITIONS, 1.0, WIDTH, SHAPE)
    np.testing.assert_allclose(images, whole[members].sum(1), atol=1e-8)


def test_spots_are_cut_off_at_the_radius_in_blocks_too():
    alone = painted(patches_of(np.array([[0], [4]]), POSITIONS, WIDTH, 3, SHAPE), 3)
    images = painted(patches_of(np.array([[0, 4]]), POSITIONS, WIDTH, 3, SHAPE), 3)
    np.testing.assert_allclose(images[0], alone.sum(0), atol=1e-15)


def test_a_fluorophore_far_outside_has_an_empty_patch():
    far = np.array([[-50.0, 3.0], [5.0, 90.0]])
    patches = patches_of(np.array([[0], [1]]), far, np.ones(2), 5, SHAPE)
    assert np.all(painted(patches, 5) == 0)


@pytest.mark.parametrize("axis", ["y", "x", "width"])
def test_slopes_equal_differences(axis):
    step = 1e-6
    shift = {"y": [step, 0], "x": [0, step]}.get(axis, [0, 0])
    wider = step if axis == "width" else 0
    after = spot_images(POSITIONS + shift, 1.0, WIDTH + wider, SHAPE)
    before = spot_images(POSITIONS - shift, 1.0, WIDTH - wider, SHAPE)
    slopes = getattr(spot_slopes(POSITIONS, WIDTH, SHAPE), axis)
    np.testing.assert_allclose(slopes, (after - before) / (2 * step), atol=1e-8)
