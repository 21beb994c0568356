"""One scale per field: invertible, robust to hot pixels, equivariant, target tied to counts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from bayesdl_sim.data.normalise import (
    Normalisation,
    min_max_of,
    normalisation_in_pieces,
    normalisation_of,
    target_normalisation,
)
from bayesdl_sim.utils.errors import InputError


def field(height, width, seed=0):
    """An SR structure with both fine and coarse contrast, (2 height, 2 width)."""
    rng = np.random.default_rng(seed)
    fine = rng.random((2 * height, 2 * width)) ** 4
    return gaussian_filter(fine, 1) + gaussian_filter(rng.random(fine.shape), 8)


def bin2(image):
    height, width = image.shape
    return image.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


@given(
    image=arrays(np.float64, (9, 4, 5), elements=st.floats(0, 65535)),
    low=st.floats(0, 500),
    scale=st.floats(1, 60000),
)
def test_invert_undoes_apply(image, low, scale):
    norm = Normalisation(low, low + scale)
    back = norm.invert(norm.apply(image))
    np.testing.assert_allclose(back, image, rtol=1e-9, atol=1e-6)
    tensor = torch.from_numpy(image)
    assert torch.equal(norm.apply(tensor), torch.from_numpy(norm.apply(image)))


def test_integers_become_float32_and_float32_stays():
    norm = Normalisation(100.0, 300.0)
    counts = np.array([100, 200, 300], np.uint16)
    for image in (counts, counts.astype(np.float32)):
        assert norm.apply(image).dtype == np.float32
        np.testing.assert_array_equal(norm.apply(image), [0, 0.5, 1])
    tensor = torch.tensor([100, 300], dtype=torch.int16)
    assert norm.apply(tensor).tolist() == [0.0, 1.0]
    assert norm.invert(norm.apply(tensor)).tolist() == [100.0, 300.0]


@pytest.mark.parametrize("hot", [65535, 10**6])
def test_a_hot_pixel_does_not_move_it(hot):
    rng = np.random.default_rng(0)
    raw = rng.poisson(30 + 400 * field(251, 251)[None], (9, 502, 502)).astype(np.float32)
    clean = normalisation_of(raw)
    raw[:, 250, 250] = hot  # stuck in every frame
    dirty = normalisation_of(raw)
    assert abs(dirty.low - clean.low) < 0.01 * clean.scale
    assert abs(dirty.high - clean.high) < 0.01 * clean.scale


@settings(max_examples=40, deadline=None)
@given(gain=st.floats(0.1, 20), offset=st.floats(0, 1000), seed=st.integers(0, 99))
def test_affine_equivariance(gain, offset, seed):
    raw = np.random.default_rng(seed).gamma(2, 50, (9, 24, 20))
    norm, moved = normalisation_of(raw), normalisation_of(gain * raw + offset)
    np.testing.assert_allclose(moved.low, gain * norm.low + offset, rtol=1e-9)
    np.testing.assert_allclose(moved.high, gain * norm.high + offset, rtol=1e-9)
    np.testing.assert_allclose(moved.apply(gain * raw + offset), norm.apply(raw), atol=1e-9)


def test_array_and_tensor_agree(counts):
    assert normalisation_of(counts) == normalisation_of(torch.from_numpy(counts.astype("f4")))


@pytest.mark.parametrize("value", [0, 117])
def test_a_constant_stack_is_refused(value):
    with pytest.raises(InputError, match="raw.tif is constant"):
        normalisation_of(np.full((9, 20, 20), value, np.uint16), "raw.tif")


@pytest.mark.parametrize("size", [32, 33, 200])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (320.0, 100.0), (0.002, -3.0)])
def test_the_target_comes_into_the_units_of_the_counts(size, gain, offset):
    """Counts = gain * structure + offset, so the fit must find exactly that scale."""
    structure = field(size, size + 4)
    counts = gain * bin2(structure) + offset
    raw_norm = Normalisation(offset + 0.1 * gain, offset + 2.1 * gain)
    norm = target_normalisation(structure, counts, raw_norm)
    np.testing.assert_allclose(norm, (0.1, 2.1), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bin2(norm.apply(structure)), raw_norm.apply(counts), atol=1e-6)


def test_the_units_of_the_target_do_not_matter():
    structure = field(64, 64)
    counts = np.random.default_rng(1).poisson(20 * bin2(structure)) + 100.0
    raw_norm = normalisation_of(counts)
    first = target_normalisation(structure, counts, raw_norm)
    second = target_normalisation(7 * structure - 3, counts, raw_norm)
    np.testing.assert_allclose(
        first.apply(structure), second.apply(7 * structure - 3), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("photons", [2, 30, 400])
def test_the_raw_frames_may_be_blurred_and_dim(photons):
    """Wide field is blurred and noisy; at low resolution that costs a few per cent."""
    structure = np.maximum(field(128, 128) - 0.65, 0)
    structure /= structure.max()
    rng = np.random.default_rng(2)
    expected = photons * gaussian_filter(bin2(structure), 1.3) / structure.mean()
    counts = 100 + 2 * np.mean([rng.poisson(expected) for _ in range(9)], axis=0)
    raw_norm = Normalisation(100.0, 100.0 + 2 * photons / structure.mean())
    norm = target_normalisation(structure, counts, raw_norm)
    np.testing.assert_allclose(norm, (0.0, 1.0), atol=0.05)


@pytest.mark.parametrize("wrong", ["flipped", "other", "constant"])
def test_a_target_of_another_field_is_refused(wrong):
    structure = field(64, 64)
    target = {
        "flipped": structure[::-1],
        "other": field(64, 64, seed=9),
        "constant": np.ones_like(structure),
    }[wrong]
    with pytest.raises(InputError, match="gt.tif .* do not show the same field"):
        target_normalisation(target, bin2(structure), Normalisation(0.0, 1.0), "gt.tif")


def test_an_inverted_target_is_called_inverted():
    structure = field(64, 64)
    with pytest.raises(InputError, match="gt.tif is dark where .* bright .*: invert the target"):
        target_normalisation(-structure, bin2(structure), Normalisation(0.0, 1.0), "gt.tif")


def test_pixels_that_do_not_count_do_not_move_the_scale():
    rng = np.random.default_rng(0)
    raw = (rng.poisson(200 * field(96, 96), (9, 192, 192)) + 100).astype(np.float32)
    usual = normalisation_of(raw)
    spoilt, valid = raw.copy(), np.ones(raw.shape[1:], bool)
    spoilt[:, :12] = 0  # a border without data
    spoilt[:, 90:104, 90:104] = 20 * raw.max()  # one bright spot, half a per cent of the field
    valid[:12] = valid[90:104, 90:104] = False
    low, high = normalisation_of(spoilt)
    assert low == 0
    assert high > 10 * usual.high
    for mask in (valid, torch.from_numpy(valid)):
        np.testing.assert_allclose(normalisation_of(spoilt, valid=mask), usual, rtol=0.02)
    spoilt[:, :12] = np.nan
    np.testing.assert_allclose(normalisation_of(spoilt, valid=valid), usual, rtol=0.02)
    raw[:, :12] = np.nan
    np.testing.assert_allclose(normalisation_of(raw), usual, rtol=0.02)


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.float64])
def test_the_scale_of_an_ordinary_stack_is_bit_identical_with_a_mask(kind):
    raw = np.random.default_rng(0).poisson(200 * field(48, 48), (9, 96, 96)).astype(kind)
    plain = np.percentile(raw if kind == np.float64 else raw.astype(np.float32), (0.1, 99.9))
    for valid in (None, np.ones((96, 96), bool), torch.ones(96, 96, dtype=torch.bool)):
        assert tuple(normalisation_of(raw, valid=valid)) == tuple(map(float, plain))
    with pytest.raises(InputError, match="raw.tif holds no pixel with data"):
        normalisation_of(raw, "raw.tif", np.zeros((96, 96), bool))


def test_pieces_have_the_scale_of_the_whole():
    rng = np.random.default_rng(8)
    raw = rng.gamma(2.0, 100.0, (9, 40, 30)).astype(np.float32)
    raw[:, 5, 5] = np.nan
    whole = normalisation_of(raw)
    pieces = normalisation_in_pieces(lambda: np.array_split(raw, 4, axis=1), "a.tif")
    np.testing.assert_allclose(pieces, whole, rtol=1e-5)


def test_what_is_wrong_with_a_file_that_is_read_in_pieces_is_said():
    def pieces():
        raise InputError("a.tif became shorter while it was read")

    with pytest.raises(InputError, match="became shorter"):
        normalisation_in_pieces(pieces, "a.tif")


def test_the_released_scale_leaves_out_pixels_without_data(counts):
    raw = counts.astype(np.float32)
    raw[:, :2] = np.nan
    assert min_max_of(raw).low == counts[:, 2:].min()
    with pytest.raises(InputError, match="holds no pixel with data"):
        min_max_of(np.full((9, 4, 4), np.nan))


def test_pieces_without_data_or_contrast_are_refused():
    with pytest.raises(InputError, match=r"a\.tif holds no pixel with data"):
        normalisation_in_pieces(lambda: [np.full((9, 4, 4), np.nan, np.float32)], "a.tif")
    with pytest.raises(InputError, match=r"a\.tif is constant"):
        normalisation_in_pieces(lambda: [np.full((9, 4, 4), 3.0, np.float32)] * 2, "a.tif")
