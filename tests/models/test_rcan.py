"""The released generator: its size, and an evaluation that shares nothing but the state dict."""

import pytest
import torch
import torch.nn.functional as F

from bayesdl_sim.models.bayesdl import BACKBONES, build_network, member_payload, network_config
from bayesdl_sim.models.fields.tiling import predict_tiled
from bayesdl_sim.models.rcan import RCAN, ReleasedTail
from bayesdl_sim.models.released import network_from_released, released_state
from bayesdl_sim.utils.checkpoints import load_checkpoint, save_checkpoint


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def shapes(width=64, groups=5, blocks=10, frames=9, hidden=4, tails=("uncer_tail",)):
    """Names and shapes of a released state dict, spelled out."""
    square = (width, width, 3, 3)
    sizes = {"head.0.weight": (width, frames, 3, 3)}
    for g in range(groups):
        for b in range(blocks):
            block = f"body.{g}.body.{b}"
            for layer in (0, 2):
                sizes[f"{block}.body.{layer}.weight"] = square
                sizes[f"{block}.body.{layer}.bias"] = (width,)
            sizes[f"{block}.CA.conv_du.0.weight"] = (hidden, width, 1, 1)
            sizes[f"{block}.CA.conv_du.0.bias"] = (hidden,)
            sizes[f"{block}.CA.conv_du.2.weight"] = (width, hidden, 1, 1)
            sizes[f"{block}.CA.conv_du.2.bias"] = (width,)
        sizes[f"body.{g}.body.{blocks}.weight"] = square
    sizes[f"body.{groups}.weight"] = square
    sizes["tail.0.0.weight"] = (4 * width, width, 3, 3)
    sizes["tail.0.0.bias"] = (4 * width,)
    sizes["tail.2.weight"] = (1, width, 3, 3)
    for tail in tails:
        sizes |= {f"{tail}.{layer}.weight": square for layer in (0, 2, 4, 6)}
        sizes[f"{tail}.8.weight"] = (1, width, 3, 3)
    return sizes


def random_state(seed=0, **sizes):
    """Weights about as large as torch's initial ones, which keeps the output of order 1."""
    g = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes(**sizes).items():
        fan_in = max(1, torch.tensor(shape[1:]).prod().item())
        state[name] = torch.randn(shape, generator=g) / (3 * fan_in) ** 0.5
    return state


def independent(state, raw, groups, blocks):
    """Mean and tail maps from the state dict alone; float64 in, float64 out."""

    def conv(x, name):
        weight = state[f"{name}.weight"].to(x)
        bias = state.get(f"{name}.bias")
        bias = None if bias is None else bias.to(x)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def block(x, name):
        y = conv(F.relu(conv(x, f"{name}.body.0")), f"{name}.body.2")
        pooled = F.adaptive_avg_pool2d(y, 1)
        gate = conv(F.relu(conv(pooled, f"{name}.CA.conv_du.0")), f"{name}.CA.conv_du.2")
        return x + y * gate.sigmoid()

    shallow = conv(raw, "head.0")
    x = shallow
    for g in range(groups):
        start = x
        for b in range(blocks):
            x = block(x, f"body.{g}.body.{b}")
        x = start + conv(x, f"body.{g}.body.{blocks}")
    features = shallow + conv(x, f"body.{groups}")
    mean = conv(F.pixel_shuffle(conv(features, "tail.0.0"), 2), "tail.2")
    maps = []
    for tail in ("uncer_tail", "uncer_tail_precision", "uncer_tail_df"):
        if f"{tail}.0.weight" in state:
            y = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            for layer in (0, 2, 4, 6):
                y = F.elu(conv(y, f"{tail}.{layer}"))
            maps.append(conv(y, f"{tail}.8"))
    return mean, torch.cat(maps, dim=1) if maps else None


def frames(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_size_of_the_released_network():
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes().items()}
    counts = {name: value.numel() for name, value in state.items()}
    assert sum(n for name, n in counts.items() if "uncer" not in name) == 4_096_456
    with torch.device("meta"):
        generator, tail, student = RCAN(), ReleasedTail(64, "gauss"), ReleasedTail(64, "student")
    assert sum(p.numel() for p in generator.parameters()) == 4_096_456
    assert sum(p.numel() for p in tail.parameters()) == 148_032
    assert sum(p.numel() for p in student.parameters()) == 2 * 148_032
    ours = {**generator.state_dict(), **tail.state_dict()}
    assert {name: tuple(value.shape) for name, value in ours.items()} == shapes()


STUDENT = ("uncer_tail_precision", "uncer_tail_df")
SIZES = {
    "small": {"width": 16, "groups": 2, "blocks": 2, "hidden": 1},
    "released": {"width": 64, "groups": 5, "blocks": 10, "hidden": 4},
}


@pytest.mark.parametrize(
    ("size", "tails"),
    [("small", ("uncer_tail",)), ("small", STUDENT), ("small", ()), ("released", ("uncer_tail",))],
)
def test_equals_an_independent_evaluation(size, tails):
    sizes = SIZES[size]
    state = random_state(**sizes, tails=tails)
    raw = frames(1, 9, 13, 10)
    network = network_from_released(state).eval()
    with torch.no_grad():
        output = network(raw)
        mean, parameters = independent(state, raw.double(), sizes["groups"], sizes["blocks"])
    assert output.mean.shape == (1, 1, 26, 20)
    assert output.mean.dtype == torch.float32
    assert mean.std() > 0.01  # nothing vanished on the way
    assert (output.mean - mean).abs().max() < 1e-5
    if not tails:
        assert output.log_var is None
        return
    assert output.log_var.shape == parameters.shape
    assert (output.log_var - parameters).abs().max() < 1e-5


def test_it_is_not_local_and_not_cut_into_tiles():
    network = network_from_released(random_state(**SIZES["small"])).eval()
    assert not network.is_local
    raw = frames(1, 9, 40, 36)
    calls = []
    network.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[0].shape[-2:]))
    with torch.no_grad():
        whole, tiled = network(raw), predict_tiled(network, raw, 16)
        assert calls == [(40, 36)] * 2
        assert torch.equal(whole.mean, tiled.mean)
        # Why: a far corner moves every pixel.
        raw[..., :4, :4] += 500
        assert (network(raw).mean - whole.mean)[..., -8:, -8:].abs().max() > 1e-4


def test_released_names_survive_our_members(tmp_path):
    state = random_state(**SIZES["small"], tails=STUDENT)
    network = network_from_released(state)
    save_checkpoint(tmp_path / "member_01.pth", member_payload(network, {}, {}))
    stored = load_checkpoint(tmp_path / "member_01.pth")
    again = build_network(stored["network"])
    again.load_state_dict(stored["state"])
    back = released_state(again)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("likelihood", ["gauss", "laplace", "student"])
def test_step_2_leaves_the_trunk_alone(likelihood):
    config = network_config("rcan", likelihood, width=16, groups=1, blocks=1)
    network = build_network(config, seed=3)
    network(frames(1, 9, 8, 8)).log_var.square().mean().backward()
    assert all(weight.grad is None for weight in network.trunk.parameters())
    assert all(weight.grad is not None for weight in network.tail.parameters())


def test_mixed_precision_gives_float32_maps():
    network = network_from_released(random_state(**SIZES["small"])).eval()
    raw = frames(1, 9, 12, 12)
    with torch.no_grad():
        exact = network(raw)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = network(raw)
    assert rounded.mean.dtype == rounded.log_var.dtype == torch.float32
    assert (rounded.mean - exact.mean).abs().max() < 0.05 * exact.mean.abs().max()


def test_backbone_is_offered():
    assert BACKBONES["rcan"] is RCAN
