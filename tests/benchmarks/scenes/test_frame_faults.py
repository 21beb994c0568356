"""Faults of frames change what they say they change, and keep the shape of a stack."""

import pytest
import torch

from bayesdl_sim.benchmarks.scenes.frame_faults import FRAME_FAULTS
from bayesdl_sim.evaluation.scenes import simulated_cells


@pytest.fixture(scope="module")
def scene():
    return next(simulated_cells(seed=77, cells=1, levels=2, size=96))


@pytest.mark.parametrize("name", FRAME_FAULTS)
def test_a_fault_gives_counts_of_the_same_shape(scene, name):
    raw = scene.raw[1].clone()
    faulty, scored = FRAME_FAULTS[name](scene, raw, torch.Generator().manual_seed(1))
    assert torch.equal(raw, scene.raw[1])
    assert faulty.shape == raw.shape
    assert scored.all()
    assert torch.equal(faulty, faulty.round())
    assert not torch.equal(faulty, raw)


def test_a_torn_frame_leaves_the_others_and_the_rows_above(scene):
    raw = scene.raw[1]
    faulty, _ = FRAME_FAULTS["one frame torn by 6 px"](scene, raw, torch.Generator())
    changed = (faulty != raw).any(dim=2)
    assert changed.any(dim=1).nonzero().flatten().tolist() == [4]
    assert int(changed[4].nonzero()[0]) == round(0.6 * raw.shape[1])
