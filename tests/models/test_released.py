"""Released files: recognised by names and shapes, read without running code, refused by name."""

from collections import OrderedDict

import pytest
import torch

from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.models.members import open_members
from bayesdl_sim.models.released import (
    list_released,
    load_released,
    network_from_released,
    released_state,
)
from bayesdl_sim.utils.checkpoints import load_state, member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError

OPTIONS = {"in_channels": 9, "width": 16, "groups": 2, "blocks": 3, "reduction": 8}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def state_of(seed=0, likelihood="gauss", **changes):
    config = network_config("rcan", likelihood, **OPTIONS | changes)
    return released_state(build_network(config, seed))


def save(folder, count=3, prefix="", likelihood="gauss", **changes):
    folder.mkdir(exist_ok=True)
    for index in range(1, count + 1):
        state = state_of(index, likelihood, **changes)
        state = OrderedDict((prefix + name, value) for name, value in state.items())
        name = "_".join(part for part in ("SGLD", likelihood, f"#{index}.pth") if part)
        torch.save(state, folder / name)
    return folder


@pytest.mark.parametrize("likelihood", ["", "gauss", "student"])
def test_network_is_recognised(likelihood):
    state = state_of(4, likelihood)
    network = network_from_released(state)
    assert network.config == network_config("rcan", likelihood, **OPTIONS)
    assert all(torch.equal(value, state[name]) for name, value in released_state(network).items())


def test_numbers_doubled_by_dropout_are_counted_anew():
    state = state_of()

    def apart(name):
        room, number, *rest = name.split(".")
        return ".".join([room, str(2 * int(number)), *rest]) if room == "body" else name

    network = network_from_released({apart(name): value for name, value in state.items()})
    assert network.config["options"] == OPTIONS
    assert all(torch.equal(value, state[name]) for name, value in released_state(network).items())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_folder_of_released_members(tmp_path, prefix):
    save(tmp_path, 3, prefix)
    assert [path.name for path in list_released(tmp_path)] == [
        f"SGLD_gauss_#{index}.pth" for index in (1, 2, 3)
    ]
    facts = [member.facts for member in open_members(tmp_path)]
    assert [fact.path.name for fact in facts] == [f"SGLD_gauss_#{k}.pth" for k in (1, 2, 3)]
    assert facts[0].network == network_config("rcan", "gauss", **OPTIONS)
    assert facts[0].sampler == {"kind": "released"}
    assert facts[0].training == {"normalisation": "min-max"}
    assert not facts[0].is_local
    raw = torch.rand(1, 9, 10, 8, generator=torch.Generator().manual_seed(1))
    for index, member in enumerate(open_members(tmp_path, tile=32), start=1):
        expected = network_from_released(state_of(index))(raw)
        torch.testing.assert_close(member.function(raw).mean, expected.mean.detach())
        torch.testing.assert_close(member.function(raw).log_var, expected.log_var.detach())


def test_members_are_sorted_by_number(tmp_path):
    for index in (10, 2, 1):
        (tmp_path / f"SGLD_gauss_#{index}.pth").touch()
    (tmp_path / "SGLD_gauss_#3.pth.part").touch()
    (tmp_path / "best_G.pth").touch()
    names = [path.name for path in list_released(tmp_path)]
    assert names == ["SGLD_gauss_#1.pth", "SGLD_gauss_#2.pth", "SGLD_gauss_#10.pth"]


def test_the_file_name_tells_laplace_from_gauss(tmp_path):
    save(tmp_path, 1, likelihood="laplace")
    member = load_released(tmp_path / "SGLD_laplace_#1.pth")
    assert member.network.config["likelihood"] == "laplace"
    assert not member.network.training


def test_files_of_the_old_format_are_read(tmp_path):
    state = state_of()
    torch.save(state, tmp_path / "SGLD_gauss_#1.pth", _use_new_zipfile_serialization=False)
    loaded = load_state(tmp_path / "SGLD_gauss_#1.pth")
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_two_posteriors_in_one_folder_are_refused(tmp_path):
    save(tmp_path, 1)
    network = build_network(network_config("rcan", "gauss", **OPTIONS))
    save_checkpoint(member_path(tmp_path, 1), member_payload(network, {}, {}))
    with pytest.raises(InputError, match=r"SGLD_gauss_#1.pth .* member_01.pth .*two posteriors"):
        [member.facts for member in open_members(tmp_path)]


class Code:
    """Unpickled, it would leave a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (type(self.trace).touch, (self.trace,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_with_code_is_refused_and_not_run(tmp_path, zipped):
    trace = tmp_path / "trace"
    path = tmp_path / "SGLD_gauss_#1.pth"
    torch.save({**state_of(), "x": Code(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"SGLD_gauss_#1.pth holds program code"):
        [member.facts for member in open_members(tmp_path)]
    assert not trace.exists()


def changed(**changes):
    return {**state_of(), **changes}


def without(name):
    state = state_of()
    del state[name]
    return state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"conv.weight": torch.ones(3)}, "head.0.weight is missing"),
        (without("body.1.body.2.body.0.bias"), "body.1.body.2.body.0.bias"),
        (without("tail.2.weight"), "tail.2.weight"),
        (changed(extra=torch.ones(2)), "extra"),
        (changed(**{"tail.0.0.weight": torch.ones(9 * 16, 16, 3, 3)}), "tail.0.0.weight"),
        (changed(**{"head.0.weight": torch.ones(3)}), "no network of the released"),
        ({"best_psnr": 30.0}, "expected a bare state dict"),
        ([torch.ones(2)], "found a list"),
        ({}, "found an empty one"),
    ],
)
def test_other_networks_are_refused_by_name(tmp_path, state, words):
    path = tmp_path / "SGLD_gauss_#1.pth"
    torch.save(state, path)
    with pytest.raises(InputError, match="SGLD_gauss_#1.pth") as refusal:
        load_released(path)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_group_is_not_counted_away():
    state = {n: v for n, v in state_of(groups=3).items() if not n.startswith("body.1.")}
    with pytest.raises(InputError, match="no network of the released"):
        network_from_released(state)


def test_truncated_file_is_refused(tmp_path):
    save(tmp_path, 1)
    path = tmp_path / "SGLD_gauss_#1.pth"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"SGLD_gauss_#1.pth .*truncated"):
        [member.facts for member in open_members(tmp_path)]
