"""Both steps on another device than the CPU: no tensor is made in the wrong place."""

import pytest
import torch

from bayesdl_sim.training import run, step1, step2
from bayesdl_sim.utils.checkpoints import list_members, load_checkpoint

# torch takes the other device for its own `meta`, on which copies do nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
WAYS = {
    "sgld": "--temperature 1 5 --trial_steps 8 --burn_in 0.5 --cycles 1",
    "ensemble": "--posterior ensemble --members 2",
    "mc_dropout": "--posterior mc_dropout --members 2 --drop 0.1 --drop2d 0.2",
    "released": "--posterior released --period 1",
    "point estimate": "--SGLD False",
}


@pytest.fixture
def elsewhere(other_device, monkeypatch):
    """Runs take the other device; what they store is brought to the CPU, as torch.save does."""
    monkeypatch.setattr(run, "choose_device", lambda *words: other_device.device)
    for step in (step1, step2):
        real = step.save_progress

        class OnCpu:
            def __init__(self, part):
                self.part = part

            def state_dict(self):
                return other_device.on_cpu(self.part.state_dict())

        def save(path, parts, identity, real=real, kind=OnCpu, **progress):
            real(path, {name: kind(part) for name, part in parts.items()}, identity, **progress)

        monkeypatch.setattr(step, "save_progress", save)
    return other_device


def states(folder):
    return [load_checkpoint(path)["state"] for path in list_members(folder)]


@pytest.mark.parametrize("way", list(WAYS))
def test_step_1_stays_on_its_device(trainer, outlier_set, tmp_path, monkeypatch, elsewhere, way):
    """And gives what the CPU gives, since the numbers are the same."""
    words = ["--epoch", "2", *WAYS[way].split(), "--outlier_dir", outlier_set]
    with elsewhere.refusing():
        folder = trainer.step_1(tmp_path / "there", *words)
    monkeypatch.setattr(run, "choose_device", lambda *words: torch.device("cpu"))
    reference = trainer.step_1(tmp_path / "here", *words)
    for a, b in zip(states(folder), states(reference), strict=True):
        assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in b)


@pytest.mark.parametrize("likelihood", ["gauss", "student"])
def test_step_2_stays_on_its_device(trainer, finished, tmp_path, elsewhere, likelihood):
    with elsewhere.refusing():
        folder = trainer.step_2(
            tmp_path, "--pretrained_G", finished / "before", "--likehood", likelihood
        )
    assert all(any(name.startswith("tail.") for name in state) for state in states(folder))


def test_resuming_brings_states_to_the_device(trainer, finished, tmp_path, elsewhere):
    with elsewhere.refusing():
        trainer.step_1(tmp_path, "--stop_after", "2")
        folder = trainer.step_1(tmp_path, "--resume")
    for a, b in zip(states(folder), states(finished), strict=True):
        trunk = [name for name in a if name.startswith("trunk.")]
        assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in trunk)


def test_a_tensor_in_the_wrong_place_is_noticed(other_device):
    with other_device.refusing() as device:
        on_host, on_device = torch.ones(3), torch.ones(3).to(device)
        assert (on_device * 2 + 1).cpu().tolist() == [3, 3, 3]
        assert torch.zeros(2, device=device).device == on_device.device
        with pytest.raises(AssertionError, match="CPU tensors"):
            on_device + on_host


@pytest.mark.parametrize("step", [1, 2])
def test_both_steps_compute_in_true_float32(trainer, finished, tmp_path, monkeypatch, step):
    module, name = {1: (step1, "validate"), 2: (step2, "validate_tail")}[step]
    real, precisions = getattr(module, name), []

    def watched(*words):
        precisions.append(torch.backends.cudnn.conv.fp32_precision)
        return real(*words)

    before = torch.backends.cudnn.conv.fp32_precision
    monkeypatch.setattr(module, name, watched)
    if step == 1:
        trainer.step_1(tmp_path, "--SGLD", "False", "--epoch", "1")
    else:
        trainer.step_2(tmp_path, "--pretrained_G", finished / "before" / "member_01.pth")
    assert set(precisions) == {"ieee"}
    assert torch.backends.cudnn.conv.fp32_precision == before
