"""Tiles give the whole field, to rounding, for any field, network and tile."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdl_sim.models.bayesdl import build_network, network_config
from bayesdl_sim.models.fields.tiling import predict_tiled


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def network(likelihood="gauss", levels=2, blocks=1, width=4):
    options = {"in_channels": 9, "width": width, "levels": levels, "blocks": blocks}
    built = build_network(network_config("unet", likelihood, **options), seed=1).eval()
    if built.tail is not None:
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            built.tail.output.weight.normal_(generator=generator)
    return built


def frames(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


NETWORKS = {levels: network(levels=levels) for levels in (1, 2, 3)}


@given(
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    tile=st.integers(8, 50),
    levels=st.sampled_from(sorted(NETWORKS)),
)
@settings(max_examples=25, deadline=None)
def test_equal_for_any_field_and_tile(height, width, tile, levels):
    raw = frames(1, 9, height, width, seed=height * width)
    with torch.no_grad():
        whole = NETWORKS[levels](raw)
        tiled = predict_tiled(NETWORKS[levels], raw, tile)
    for expected, image in zip(whole, tiled, strict=True):
        assert image.shape == expected.shape
        torch.testing.assert_close(image, expected, atol=1e-5, rtol=1e-5)


def test_equal_for_the_default_network_in_batches():
    """Three levels and two blocks, as shipped; an odd field of two, in the layout of the GPU."""
    built = network(levels=3, blocks=2)
    raw = frames(2, 9, 131, 70).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        whole, tiled = built(raw), predict_tiled(built, raw, 40)
    for expected, image in zip(whole, tiled, strict=True):
        torch.testing.assert_close(image, expected, atol=1e-5, rtol=1e-5)


def test_a_halo_that_is_too_narrow_shows(monkeypatch):
    """The test above can fail: with half the halo the seams are there."""
    built = network(levels=3, blocks=2)
    monkeypatch.setattr(type(built), "receptive_radius", 8)
    raw = frames(1, 9, 120, 64)
    with torch.no_grad():
        difference = (built(raw).mean - predict_tiled(built, raw, 40).mean).abs().max().item()
    assert difference > 1e-4


def test_network_without_a_tail():
    built, raw = network(""), frames(1, 9, 40, 30)
    with torch.no_grad():
        tiled = predict_tiled(built, raw, 16)
        torch.testing.assert_close(tiled.mean, built(raw).mean, atol=1e-5, rtol=1e-5)
    assert tiled.log_var is None


def test_a_small_field_is_not_cut():
    calls = []
    built = network()
    built.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[0].shape[-2:]))
    with torch.no_grad():
        predict_tiled(built, frames(1, 9, 32, 20), 32)
        assert calls == [(32, 20)]
        calls.clear()
        predict_tiled(built, frames(1, 9, 33, 20), 32)
    # Two tiles of about equal size, not 32 and 1, each with its halo.
    assert len(calls) == 2
    assert max(rows for rows, _ in calls) <= 18 + built.receptive_radius


def test_no_tile_is_larger_than_asked_for():
    """What bounds the memory: the tile and its halo, whatever the field."""
    calls = []
    built = network()
    built.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[0].shape[-2:]))
    with torch.no_grad():
        predict_tiled(built, frames(1, 9, 150, 101), 25)
    limit = 26 + 2 * built.receptive_radius  # 25, to whole strides
    assert max(max(shape) for shape in calls) <= limit
