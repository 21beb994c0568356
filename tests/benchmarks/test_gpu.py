"""benchmarks.gpu without a GPU: its refusal, its arithmetic, and its ways on the CPU."""

import pytest
import torch

from bayesdl_sim.benchmarks import gpu
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    config = network_config("unet", "gauss", None, in_channels=9, width=4, levels=2, blocks=1)
    for seed in (1, 2):
        payload = member_payload(build_network(config, seed), {"kind": "sgld"}, {})
        save_checkpoint(member_path(folder, seed), payload)
    return folder


def test_without_a_gpu_it_says_so(members):
    with pytest.raises(InputError, match="needs a CUDA GPU and PyTorch finds none.*benchmarks.spe"):
        gpu.main(["--pretrained_G", str(members), "--device", "cpu"])


@pytest.mark.parametrize("minutes", ["0", "9"])
def test_it_never_takes_more_than_eight_minutes(minutes):
    with pytest.raises(InputError, match="--minutes: expected more than 0 and at most 8"):
        gpu.parse_args(["--minutes", minutes])


def test_arithmetic_of_convolutions():
    """2 x taps x channels in x channels out x pixels."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(9, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1)
    )
    operations = gpu.multiplications(network, torch.zeros(1, 9, 8, 10))
    assert operations == 2 * 80 * (9 * 9 * 4 + 4 * 2)
    assert not network[0]._forward_hooks


def test_what_a_device_has_is_measured_and_what_it_lacks_is_named(members, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "REPEATS", 1)
    monkeypatch.setitem(gpu.WAYS, "compiled", gpu.one_by_one)  # a compiler takes half a minute
    words = ["--pretrained_G", str(members), "--size", "32", "--patch_size", "24"]
    args = gpu.parse_args([*words, "--batch_sizes", "2", "--save_path", str(tmp_path)])
    networks = [gpu.open_member(path).network for path in gpu.list_members(members)]
    clock = gpu.Clock(torch.device("cpu"), 8.0)
    rows = {(r["members"], r["precision"]): r for r in gpu.inference_rows(networks, args, clock)}
    for way in ("one by one", "vmap"):
        row = rows[f"2 {way}", "fp32"]
        assert row["ms"] > 0
        assert row["largest difference"] < 1e-5
    assert rows["2 CUDA graph", "fp32"]["not measured"]
    trained = gpu.training_rows(networks[0].train().requires_grad_(True), args, clock)
    assert [row["precision"] for row in trained] == ["fp32", "bf16"]
    assert all(row["patches per s"] > 0 for row in trained)
    late = gpu.inference_rows(networks, args, gpu.Clock(torch.device("cpu"), 0.1))
    assert {row["not measured"] for row in late} == {"no time left"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(members, tmp_path):
    sizes = ["--size", "64", "--batch_sizes", "2", "--patch_size", "32"]
    gpu.main(["--pretrained_G", str(members), *sizes, "--save_path", str(tmp_path)])
    assert (tmp_path / "gpu.md").is_file()
