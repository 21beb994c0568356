"""Progress of a training: what is stored comes back, what is damaged or foreign is refused."""

import pytest
import torch

from bayesdl_sim.utils.checkpoints import load_checkpoint, save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.resume import load_progress, require_same, save_progress

IDENTITY = {"data": {"sample": "MT"}, "sampler": {"epoch": 6}}


def parts(width=3):
    network = torch.nn.Linear(width, 2)
    return {"network": network, "adam": torch.optim.Adam(network.parameters())}


@pytest.fixture
def path(tmp_path):
    save_progress(tmp_path / "latest.pth", parts(), IDENTITY, epoch=2, trunk="abc")
    return tmp_path / "latest.pth"


def test_states_and_progress_come_back(path):
    stored = load_checkpoint(path)["states"]["network"]["weight"]
    again = parts()
    assert load_progress(path, again, IDENTITY, ("epoch",)) == {"epoch": 2, "trunk": "abc"}
    assert torch.equal(again["network"].weight, stored)


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("states", [1], "states: expected an object"),
        ("identity", None, "identity: expected an object"),
        ("identity", {"data": {"sample": torch.zeros(3)}}, "was begun with sample tensor"),
        ("progress", {"epoch": "2"}, "epoch: expected a whole number"),
        ("progress", {}, "epoch: expected an entry"),
        ("progress", {"epoch": -1}, "epoch: expected a whole number of at least 0"),
        ("states", {"network": {}, "adam": {}}, "the state of the network does not fit this run"),
        ("states", {"network": 5, "adam": 5}, "the state of the network does not fit this run"),
    ],
)
def test_damaged_progress_ends_in_one_line(path, entry, value, words):
    save_checkpoint(path, {**load_checkpoint(path), entry: value})
    with pytest.raises(InputError, match=words) as caught:
        load_progress(path, parts(), IDENTITY, ("epoch",))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_states_of_another_network_are_refused(path):
    with pytest.raises(InputError, match="the state of the network does not fit"):
        load_progress(path, parts(width=4), IDENTITY)


def test_another_setting_is_refused_by_name(path):
    with pytest.raises(InputError, match="begun with sample MT, now it is ER"):
        load_progress(path, parts(), {**IDENTITY, "data": {"sample": "ER"}})


def test_a_setting_that_became_a_tensor_is_one_line():
    stored = {"root_dir": torch.zeros(40, 40)}
    with pytest.raises(InputError, match=r"root_dir tensor\(\[\[0\., ") as refused:
        require_same(stored, {"root_dir": "runs/set"}, "latest.pth")
    assert len(str(refused.value).splitlines()) == 1
