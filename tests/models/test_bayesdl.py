"""BayesDL: the tail never moves the trunk, members survive the disk, errors name the file."""

import resource

import pytest
import torch

from bayesdl_sim.models.bayesdl import (
    LOG_VAR_RANGE,
    build_network,
    load_member,
    member_payload,
    network_config,
    with_inputs,
    with_tail,
)
from bayesdl_sim.utils.checkpoints import save_checkpoint
from bayesdl_sim.utils.errors import InputError

OPTIONS = {"in_channels": 9, "width": 4, "levels": 2, "blocks": 1}
PLAIN = network_config("unet", "", **OPTIONS)
GAUSS = network_config("unet", "gauss", **OPTIONS)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def frames(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def save(path, config=GAUSS, seed=0, **changes):
    network = build_network(config, seed)
    save_checkpoint(path, member_payload(network, {"temperature": 2.0}, {"epoch": 3}) | changes)
    return network


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (9, 5)])
def test_output_on_the_doubled_grid(size):
    output = build_network(GAUSS)(frames(2, 9, *size))
    assert output.mean.shape == output.log_var.shape == (2, 1, 2 * size[0], 2 * size[1])
    assert output.mean.dtype == output.log_var.dtype == torch.float32


def test_without_a_tail_there_is_no_log_variance():
    assert build_network(PLAIN)(frames(1, 9, 8, 8)).log_var is None


def test_the_tail_never_moves_the_trunk():
    network = build_network(GAUSS)  # the trunk is trainable: nothing but the forward protects it
    before = {name: value.clone() for name, value in network.trunk.state_dict().items()}
    tail_before = [weight.clone() for weight in network.tail.parameters()]
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.0)
    for step in range(3):
        network(frames(1, 9, 12, 12, seed=step)).log_var.square().mean().backward()
        assert all(weight.grad is None for weight in network.trunk.parameters())
        optimiser.step()
        optimiser.zero_grad()
    for name, value in network.trunk.state_dict().items():
        assert torch.equal(value, before[name])
    pairs = zip(network.tail.parameters(), tail_before, strict=True)
    assert any(not torch.equal(now, then) for now, then in pairs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_log_variance_is_bounded_softly(dtype):
    network, raw = build_network(GAUSS), frames(1, 9, 16, 16)
    low, high = LOG_VAR_RANGE
    for bias, limit in ((-1e4, low), (1e4, high)):
        torch.nn.init.constant_(network.tail.output.bias, bias)
        with torch.no_grad(), torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            log_var = network(raw).log_var
        torch.testing.assert_close(log_var, torch.full_like(log_var, limit))
    torch.nn.init.constant_(network.tail.output.bias, 0.5)
    start = network(raw).log_var
    assert low < start.min().item()
    assert start.max().item() < high
    start.sum().backward()
    assert network.tail.output.bias.grad.abs().item() > 0


def test_the_seed_decides_the_weights_and_nothing_else_changes():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    one, same, other = (build_network(GAUSS, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(one.trunk.head.weight, other.trunk.head.weight)


def test_the_generators_of_gpus_are_left_alone(monkeypatch):
    """`torch.manual_seed` would reseed them, and `fork_rng` of no devices not give them back."""
    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda seed: pytest.fail("a GPU was seeded"))
    build_network(GAUSS, 1)


def test_another_network_is_refused():
    for config in (
        {**GAUSS, "backbone": "transformer"},
        {**GAUSS, "model": "CycleGAN"},
        {"options": {}},
    ):
        with pytest.raises(InputError, match="unknown network"):
            build_network(config)


def test_a_member_survives_the_disk(tmp_path):
    network = save(tmp_path / "member_01.pth", seed=5).eval()
    member = load_member(tmp_path / "member_01.pth")
    raw = frames(1, 9, 13, 10)
    with torch.no_grad():
        for loaded, expected in zip(member.network(raw), network(raw), strict=True):
            torch.testing.assert_close(loaded, expected)
    assert member.sampler == {"temperature": 2.0}
    assert member.training == {"epoch": 3}
    assert not member.network.training
    assert not any(weight.requires_grad for weight in member.network.parameters())


def test_a_payload_is_a_snapshot():
    """A member collected during training must not change with the next step."""
    network = build_network(PLAIN)
    payload = member_payload(network, {}, {})
    with torch.no_grad():
        network.trunk.head.bias += 1
    stored = payload["state"]["trunk.head.bias"]
    torch.testing.assert_close(stored + 1, network.trunk.head.bias.detach())


def test_a_tail_for_a_member_keeps_its_trunk(tmp_path):
    save(tmp_path / "member_01.pth", PLAIN, seed=3)
    member = load_member(tmp_path / "member_01.pth")
    network = with_tail(member, "gauss", seed=9)
    assert network.config == GAUSS
    for name, value in member.network.trunk.state_dict().items():
        assert torch.equal(network.trunk.state_dict()[name], value)
    raw = frames(1, 9, 10, 10)
    torch.testing.assert_close(network(raw).mean.detach(), member.network(raw).mean)
    # Fitted again, the member gets a new tail instead of one on top of the other.
    save_checkpoint(tmp_path / "member_01.pth", member_payload(network, {}, {}))
    again = with_tail(load_member(tmp_path / "member_01.pth"), "gauss", seed=10)
    assert again.config == GAUSS
    assert not torch.equal(again.tail.coarse[0].weight, network.tail.coarse[0].weight)


def test_wrong_checkpoints(tmp_path):
    path = tmp_path / "member_01.pth"
    with pytest.raises(InputError, match="no file"):
        load_member(path)
    save_checkpoint(path, {"epoch": 3})
    with pytest.raises(InputError, match=r"member_01.pth: expected a BayesDL-SIM member"):
        load_member(path)
    wider = network_config("unet", "gauss", **OPTIONS | {"width": 8})
    save(path, network=wider)
    with pytest.raises(InputError, match=r"member_01.pth: the parameters do not fit"):
        load_member(path)


def test_a_widened_member_ignores_the_new_channels_until_it_is_trained(tmp_path):
    old = save(tmp_path / "member_01.pth", PLAIN, seed=3)
    inputs = {"frames": None, "first_guess": True}
    wide = with_inputs(load_member(tmp_path / "member_01.pth"), inputs, 13, seed=0)
    assert wide.config["inputs"] == inputs
    raw = frames(1, 13, 12, 16)
    torch.testing.assert_close(wide(raw).mean, old(raw[:, :9]).mean)
    wide(raw).mean.square().mean().backward()
    assert float(wide.trunk.head.weight.grad[:, 9:].abs().max()) > 0


def test_a_member_cannot_lose_channels_or_widen_another_backbone(tmp_path):
    save(tmp_path / "unet.pth", PLAIN)
    rcan = network_config("rcan", "", in_channels=9, width=4, groups=1, blocks=1)
    save(tmp_path / "rcan.pth", rcan)
    for name, channels in (("unet", 4), ("rcan", 13)):
        with pytest.raises(InputError, match="cannot be made to take"):
            with_inputs(load_member(tmp_path / f"{name}.pth"), {}, channels, seed=0)


def doctored(path, **changes):
    """A member file whose payload was changed after the check that its writer makes."""
    save(path)
    payload = torch.load(path, weights_only=True)
    for place, value in changes.items():
        *parents, last = place.split("__")
        entry = payload
        for parent in parents:
            entry = entry[parent]
        entry[last] = value
    torch.save(payload, path)
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network__options__width": 10**7}, "expected the shape"),
        ({"network__options__levels": 12}, "is missing"),
        ({"network__options__levels": 10**5}, "fewer parameters than its layers"),
        ({"network__options__blocks": 10**5}, "fewer parameters than its layers"),
        ({"network__options__width": 10**30}, "do not fit"),
        ({"network__options": None}, "do not fit"),
        ({"network": [1]}, "network: expected named entries"),
        ({"network__backbone": []}, "do not fit"),
        ({"sampler": 3}, "sampler: expected named entries"),
        ({"sampler": {"kind": "mc_dropout", "seed": -1}}, "do not fit"),
        ({"training": {2: 2}}, "training: expected named entries"),
        ({"state": {"head.weight": 4}}, "found a int"),
        ({"state__trunk.head.weight": torch.zeros(1).expand(10**7, 10**7)}, "more numbers than"),
        ({"state__trunk.head.weight": torch.zeros(4, 9, 3, 3, dtype=torch.int8)}, "floating-point"),
    ],
)
def test_a_member_that_lies_about_its_network_takes_no_memory(tmp_path, changes, words):
    path = doctored(tmp_path / "member_01.pth", **changes)
    before = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises(InputError, match=words) as caught:
        load_member(path)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert str(path) in str(caught.value)
    assert after.ru_maxrss - before.ru_maxrss < 200_000  # kB
    assert after.ru_utime - before.ru_utime < 1.0
