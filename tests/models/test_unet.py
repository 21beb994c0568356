"""The trunk: any field, strictly local, starts from the wide field."""

import pytest
import torch

from bayesdl_sim.models.layers import upsampled_frame_mean
from bayesdl_sim.models.unet import UNet, pad_to_multiple


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def unet(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNet(**{"width": 4, "levels": 2, "blocks": 1} | options).eval()


def frames(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (31, 45), (1, 3), (5, 64)])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_any_field_is_doubled(size, levels):
    with torch.no_grad():
        mean = unet(levels=levels)(frames(2, 9, *size))
    assert mean.shape == (2, 1, 2 * size[0], 2 * size[1])
    assert mean.dtype == torch.float32
    assert mean.isfinite().all()


def test_other_numbers_of_frames():
    with torch.no_grad():
        assert unet(in_channels=15)(frames(1, 15, 10, 12)).shape == (1, 1, 20, 24)


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize(("levels", "blocks"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_receptive_radius_is_honest(levels, blocks):
    """NaN spreads to every output that a raw pixel touches, and to no other."""
    network = unet(levels=levels, blocks=blocks)
    radius, side = network.receptive_radius, 2 * network.receptive_radius + 12
    assert radius % network.stride == 0
    reached = 0
    for offset in range(network.stride):
        raw = frames(1, 9, side, side)
        y, x = side // 2 + offset, side // 2 - offset
        raw[0, 4, y, x] = float("nan")
        # Winograd and FFT kernels mix neighbouring windows in their rounding; plain ones do not.
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
            mean = network(raw)
        rows, columns = mean[0, 0].isnan().nonzero(as_tuple=True)
        assert len(rows)
        distance = torch.maximum((rows // 2 - y).abs(), (columns // 2 - x).abs()).max().item()
        assert distance <= radius
        reached = max(reached, distance)
    assert reached >= radius / 2  # no halo wider than need be


def test_starts_from_the_wide_field():
    """The trunk without its last convolution returns the upsampled mean of the frames."""
    network = unet()
    torch.nn.init.zeros_(network.output.weight)
    torch.nn.init.zeros_(network.output.bias)
    raw = frames(1, 9, 12, 15)
    with torch.no_grad():
        torch.testing.assert_close(network(raw), upsampled_frame_mean(raw))


def test_upsampling_keeps_the_grids_aligned():
    """Raw pixel (i, j) covers SR pixels (2i, 2i+1) x (2j, 2j+1): a ramp stays that ramp."""
    raw = torch.arange(8.0).expand(1, 9, 6, 8)
    fine = upsampled_frame_mean(raw)[0, 0, 3]
    torch.testing.assert_close(fine[1:-1], (torch.arange(1.0, 15.0) - 0.5) / 2)
    binned = upsampled_frame_mean(raw).reshape(6, 2, 8, 2).mean(dim=(1, 3))
    torch.testing.assert_close(binned[:, 1:-1], raw[0, 0, :, 1:-1])


def test_padding_repeats_the_edge():
    raw = frames(1, 9, 5, 6)
    padded = pad_to_multiple(raw, 4)
    assert padded.shape == (1, 9, 8, 8)
    assert torch.equal(padded[..., :5, :6], raw)
    assert torch.equal(padded[..., 7, :6], raw[..., 4, :])
    assert pad_to_multiple(raw, 1) is raw


def test_mean_is_float32_under_mixed_precision():
    network, raw = unet(width=8), frames(1, 9, 24, 24)
    with torch.no_grad():
        exact = network(raw)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert network.features(raw).dtype == torch.bfloat16
            rounded = network(raw)
    assert rounded.dtype == torch.float32
    # The mean does not lie on the steps of bfloat16, which are 2^-8 wide just below 1.
    assert not torch.equal(rounded, rounded.bfloat16().float())
    assert (rounded - exact).abs().max().item() < 5e-3
