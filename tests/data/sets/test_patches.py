"""Crops of raw and target show the same place, whatever is done to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesdl_sim.data.sets.patches import crop_pair, draw_symmetry
from bayesdl_sim.utils.errors import InputError

FACTORS = np.arange(1, 10, dtype=np.float64)
TARGET = np.random.default_rng(0).random((1, 52, 64))
BINNED = TARGET.reshape(26, 2, 32, 2).mean(axis=(1, 3))
RAW = FACTORS[:, None, None] * BINNED  # frame n is n times the binned target


def augmented(raw, target, rng):
    symmetry = draw_symmetry(rng)
    return symmetry.pose(raw[symmetry.order]), symmetry.pose(target)


def bin2(target):
    size = target.shape[-1] // 2
    return target.reshape(size, 2, size, 2).mean(axis=(1, 3))


@given(st.data())
def test_crops_are_aligned_at_every_place_and_size(data):
    size = data.draw(st.integers(1, 26))
    top, left = data.draw(st.integers(0, 26 - size)), data.draw(st.integers(0, 32 - size))
    raw, target = crop_pair(RAW, TARGET, top, left, size)
    assert raw.shape == (9, size, size)
    assert target.shape == (1, 2 * size, 2 * size)
    np.testing.assert_allclose(raw, FACTORS[:, None, None] * bin2(target))


@pytest.mark.parametrize(("top", "left", "size"), [(-1, 0, 8), (0, -1, 8), (20, 0, 8), (0, 30, 8)])
def test_a_crop_outside_the_field_is_refused(top, left, size):
    with pytest.raises(InputError, match="leaves the field"):
        crop_pair(RAW, TARGET, top, left, size)


def test_every_symmetry_keeps_the_pair_aligned_and_the_phases_together():
    rng = np.random.default_rng(1)
    raw, target = crop_pair(RAW, TARGET, 3, 5, 16)
    poses, orders = set(), set()
    for _ in range(600):
        new_raw, new_target = augmented(raw, target, rng)
        factors = (new_raw / bin2(new_target)).mean(axis=(1, 2))
        np.testing.assert_allclose(new_raw, factors[:, None, None] * bin2(new_target))
        order = np.round(factors).astype(int) - 1
        assert sorted(order) == list(range(9))
        groups = order.reshape(3, 3) // 3
        assert (groups == groups[:, :1]).all()  # three phases of one orientation stay together
        poses.add(new_target.tobytes())
        orders.add(tuple(order))
    assert len(poses) == 8
    assert len(orders) > 400  # of 6 * 6^3 = 1296
    np.testing.assert_array_equal(raw, RAW[:, 3:19, 5:21])  # the input is left alone


def test_the_draw_depends_on_the_generator_alone():
    first = augmented(RAW[:, :8, :8], TARGET[:, :16, :16], np.random.default_rng(4))
    second = augmented(RAW[:, :8, :8], TARGET[:, :16, :16], np.random.default_rng(4))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
