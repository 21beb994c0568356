"""Dropout: off in evaluation, a stream in training, a mask that stays in a pass of MC-dropout."""

import numpy as np
import pytest
import torch

from bayesdl_sim.models.bayesdl import (
    build_network,
    load_member,
    member_payload,
    network_config,
    with_tail,
)
from bayesdl_sim.models.dropout import Dropout, fix_dropout, seed_dropout
from bayesdl_sim.models.fields.tiling import predict_tiled
from bayesdl_sim.utils.checkpoints import save_checkpoint

SMALL = {
    "unet": {"width": 8, "levels": 2, "blocks": 1},
    "rcan": {"width": 8, "groups": 2, "blocks": 1, "reduction": 4},
}


def network(backbone="unet", likelihood="", **rates):
    config = network_config(backbone, likelihood, in_channels=9, **SMALL[backbone], **rates)
    return build_network(config, seed=1).eval()


def frames(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [True, False])
def test_share_and_mean_are_kept(channels):
    layer = Dropout(0.3, channels).train()
    y = layer(torch.ones(40, 50, 4, 4))
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert y.mean().item() == pytest.approx(1.0, abs=0.06)
    whole = (y == 0).all(dim=(2, 3)) | (y != 0).all(dim=(2, 3))
    assert bool(whole.all()) == channels


@pytest.mark.parametrize("backbone", ["unet", "rcan"])
@pytest.mark.parametrize("rates", [{"drop": 0.4}, {"drop2d": 0.4}])
def test_evaluation_is_that_of_a_network_without(backbone, rates):
    with_dropout, without, raw = network(backbone, **rates), network(backbone), frames(1, 9, 12, 14)
    assert with_dropout.state_dict().keys() == without.state_dict().keys()
    with torch.no_grad():
        plain = without(raw).mean
        assert torch.equal(with_dropout(raw).mean, plain)
        with_dropout.train()
        assert not torch.equal(with_dropout(raw).mean, plain)


def test_masks_of_training_follow_from_their_seed_alone():
    net, raw = network(drop=0.3, drop2d=0.3).train(), frames(2, 9, 12, 12)
    before = torch.random.get_rng_state()
    drawn = []
    for entropy in [(5, 1), (5, 1), (5, 2)]:
        seed_dropout(net, *entropy)
        with torch.no_grad():
            drawn.append([net(raw).mean, net(raw).mean])
    assert not torch.equal(*drawn[0])  # a stream
    assert all(torch.equal(a, b) for a, b in zip(drawn[0], drawn[1], strict=True))
    assert not torch.equal(drawn[1][0], drawn[2][0])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("rates", [{"drop": 0.3}, {"drop2d": 0.5}])
def test_a_pass_is_a_function(rates):
    net, raw = network(**rates), frames(2, 9, 16, 16)
    with torch.no_grad():
        fix_dropout(net, 1)
        first = net(raw).mean
        assert torch.equal(net(raw).mean, first)
        # An image gets the same mask beside others as alone.
        torch.testing.assert_close(net(raw[1:]).mean, first[1:])
        fix_dropout(net, 2)
        assert not torch.equal(net(raw).mean, first)


def test_average_of_many_passes_is_near_the_network_without():
    """Before a linear layer the mean over masks is exact: `drop2d` stands before the last one."""
    net, raw = network(drop2d=0.3), frames(1, 9, 10, 10)
    with torch.no_grad():
        plain = net(raw).mean
        passes = []
        for seed in range(300):
            fix_dropout(net, seed)
            passes.append(net(raw).mean)
    spread = torch.stack(passes).std(dim=0)
    gap = (torch.stack(passes).mean(dim=0) - plain).abs() / (spread / np.sqrt(300) + 1e-6)
    assert gap.median() < 1.5
    assert spread.mean() > 1e-3


def test_masks_of_channels_are_cut_into_tiles_and_those_of_pixels_are_not():
    raw = frames(1, 9, 72, 60)
    for rates, is_local in [({"drop2d": 0.4}, True), ({"drop": 0.4}, False)]:
        net = network(likelihood="gauss", **rates)
        assert net.is_local
        fix_dropout(net, 3)
        assert net.is_local == is_local
        with torch.no_grad():
            whole, tiles = net(raw), predict_tiled(net, raw, 32)
        for a, b in zip(whole, tiles, strict=True):
            torch.testing.assert_close(a, b, atol=2e-6, rtol=0)


def test_a_stored_pass_predicts_as_before_and_keeps_its_masks_under_a_tail(tmp_path):
    net, raw = network(drop=0.2, drop2d=0.2), frames(1, 9, 16, 18)
    fix_dropout(net, 7)
    with torch.no_grad():
        expected = net(raw).mean
    save_checkpoint(tmp_path / "a.pth", member_payload(net, {"kind": "mc_dropout", "seed": 7}, {}))
    member = load_member(tmp_path / "a.pth")
    with torch.no_grad():
        # Loaded weights are channels-last: other kernels, another rounding.
        torch.testing.assert_close(member.network(raw).mean, expected, atol=1e-6, rtol=0)
        tailed = with_tail(member, "gauss", 0)
        torch.testing.assert_close(tailed(raw).mean, expected, atol=1e-6, rtol=0)
