"""Pieces of an axis cover it once, and read what surrounds them."""

import numpy as np
import pytest

from bayesdl_sim.utils.pieces.spans import blocks_of, doubled, spans_of


@pytest.mark.parametrize("length", [1, 7, 64, 65, 200])
@pytest.mark.parametrize("step", [1, 4])
def test_they_cover_the_axis_once(length, step):
    axis, out = np.arange(length), []
    for span in spans_of(length, 64, 5, step):
        assert span.write.start % step == 0
        assert span.write.stop - span.write.start <= 64
        piece = axis[span.read]
        assert span.read.start == max(span.write.start - 5, 0)
        assert span.read.stop == min(span.write.stop + 5, length)
        out += piece[span.keep].tolist()
    assert out == axis.tolist()


def test_blocks_put_a_field_together():
    field, out = np.random.default_rng(0).random((90, 70)), np.zeros((90, 70))
    for block in blocks_of(field.shape, 32, 6):
        out[block.write] = field[block.read][block.keep]
    np.testing.assert_array_equal(out, field)
    assert doubled(slice(3, 8)) == slice(6, 16)
