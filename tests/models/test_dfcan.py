"""DFCAN: its size, and an evaluation that shares nothing but the state dict."""

import pytest
import torch
import torch.nn.functional as F

from bayesdl_sim.models.bayesdl import build_network, network_config
from bayesdl_sim.models.dfcan import DFCAN
from bayesdl_sim.models.fields.tiling import predict_tiled
from bayesdl_sim.models.released import network_from_released, released_state
from bayesdl_sim.utils.errors import InputError

OPTIONS = {"in_channels": 9, "width": 16, "groups": 2, "blocks": 2, "reduction": 8}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def frames(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def independent(state, raw):
    """The mean from the state dict alone, in float64."""

    def conv(x, name):
        weight, bias = state[f"{name}.weight"].to(x), state[f"{name}.bias"].to(x)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    x = F.gelu(conv(raw, "head.0"))
    for g in range(OPTIONS["groups"]):
        start = x
        for b in range(OPTIONS["blocks"]):
            name = f"body.{g}.body.{b}.body"
            y = F.gelu(conv(F.gelu(conv(x, f"{name}.0")), f"{name}.2"))
            height, width = y.shape[-2:]
            power = (torch.fft.fft2(y).abs() + 1e-8).pow(0.8)
            power = power.roll((height // 2, width // 2), dims=(-2, -1))
            pooled = F.adaptive_avg_pool2d(F.relu(conv(power, f"{name}.4.conv1.0")), 1)
            gate = conv(F.relu(conv(pooled, f"{name}.4.conv2.0")), f"{name}.4.conv2.2")
            x = x + y * gate.sigmoid()
        x = start + x
    return conv(F.pixel_shuffle(F.gelu(conv(x, "tail.0")), 2), "tail.3")


def test_size_of_the_released_form():
    with torch.device("meta"):
        network = DFCAN()
    assert sum(p.numel() for p in network.parameters()) == 1_935_361


def test_equals_an_independent_evaluation():
    state = released_state(build_network(network_config("dfcan", "", **OPTIONS), seed=2))
    raw = frames(1, 9, 13, 10)
    network = network_from_released(state).eval()
    assert network.config == network_config("dfcan", "", **OPTIONS)
    with torch.no_grad():
        output, expected = network(raw), independent(state, raw.double())
    assert output.log_var is None
    assert output.mean.shape == (1, 1, 26, 20)
    assert (output.mean - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)


def test_it_is_not_cut_into_tiles():
    network = build_network(network_config("dfcan", "gauss", **OPTIONS), seed=2).eval()
    raw = frames(1, 9, 40, 36)
    with torch.no_grad():
        assert torch.equal(network(raw).mean, predict_tiled(network, raw, 16).mean)


def test_mixed_precision_and_gradients():
    network = build_network(network_config("dfcan", "gauss", **OPTIONS), seed=2)
    raw = frames(2, 9, 12, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(raw)
    assert output.mean.dtype == output.log_var.dtype == torch.float32
    output.mean.square().mean().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.trunk.parameters())


def test_an_incomplete_state_is_refused():
    state = released_state(build_network(network_config("dfcan", "", **OPTIONS)))
    del state["body.1.body.1.body.4.conv1.0.bias"]
    with pytest.raises(InputError, match=r"body.1.body.1.body.4.conv1.0.bias"):
        network_from_released(state)
