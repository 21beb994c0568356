"""Faults at a place change the stack there, and leave the pixels that are scored as they were."""

import numpy as np
import pytest
import torch

from bayesdl_sim.benchmarks.scenes.local_faults import LOCAL_FAULTS
from bayesdl_sim.evaluation.scenes import simulated_cells


@pytest.fixture(scope="module")
def scene():
    (one,) = simulated_cells(20301, 1, 1, 96)
    return one


@pytest.mark.parametrize("name", LOCAL_FAULTS)
def test_a_fault_stays_at_its_place(name, scene):
    raw = scene.raw[0]
    changed, away = LOCAL_FAULTS[name](scene, raw, torch.Generator().manual_seed(3))
    assert changed.shape == raw.shape
    assert away.shape == raw.shape[1:]
    assert 0.1 < away.mean() < 1.0
    difference = (changed - raw).abs().nan_to_num(nan=1e6)
    far = difference[:, torch.from_numpy(away)]
    if "bead" in name or "aggregate" in name:  # their haze and its noise reach far
        assert float(far.max()) < 0.2 * float(difference.max())
    else:
        assert float(far.max()) == 0.0
    assert float(difference.max()) > 0.0


@pytest.mark.parametrize("times", [4, 15])
def test_a_bead_is_as_bright_as_stated(times, scene):
    name = next(name for name in LOCAL_FAULTS if name.startswith("a bead") and f"{times} t" in name)
    raw = scene.raw[0]
    changed, _ = LOCAL_FAULTS[name](scene, raw, torch.Generator().manual_seed(4))
    added = (changed - raw).mean(dim=0)
    above = raw.mean(dim=0) - raw.mean(dim=0).median()
    assert float(added.max() / above.max()) == pytest.approx(times, rel=0.35)


def test_the_same_generator_makes_the_same_fault(scene):
    name = "four beads, 10 times"
    stacks = [
        LOCAL_FAULTS[name](scene, scene.raw[0], torch.Generator().manual_seed(seed)).raw.numpy()
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(stacks[0], stacks[1])
    assert not np.array_equal(stacks[0], stacks[2])


def added_by(name, scene):
    raw = scene.raw[0]
    changed, _ = LOCAL_FAULTS[name](scene, raw, torch.Generator().manual_seed(5))
    return changed - raw


def test_a_bead_at_the_border_lies_there_and_one_without_fringes_shines_alike(scene):
    border = added_by("a bead at the border, 10 times", scene).mean(dim=0)
    assert int(border.argmax()) // border.shape[1] <= 6
    fringes, none = (
        added_by(f"a bead{words}, 10 times", scene).amax(dim=(1, 2))
        for words in (" without haze", " without fringes")
    )
    assert float(none.std() / none.mean()) < 0.1 < float(fringes.std() / fringes.mean())
