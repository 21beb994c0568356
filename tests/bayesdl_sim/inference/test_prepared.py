"""What is measured of a stack is measured once, and is what the rooms measure alone."""

import torch

from bayesdl_sim.data.normalise import min_max_of, normalisation_of
from bayesdl_sim.inference import prepared as module
from bayesdl_sim.inference.prepared import PreparedStack
from bayesdl_sim.physics.reconstruction.resimulation import examine


def test_scales_are_those_of_the_normalisation(stack):
    assert PreparedStack(stack).norm(0) == normalisation_of(stack.raw[0])
    assert PreparedStack(stack, min_max=True).norm(0) == min_max_of(stack.raw[0])


def test_scales_are_measured_once(stack, monkeypatch):
    calls = []
    real = module.normalisation_of
    monkeypatch.setattr(module, "normalisation_of", lambda *a: calls.append(1) or real(*a))
    prepared = PreparedStack(stack)
    assert prepared.norm(0) is prepared.norm(0)
    assert calls == [1]


def test_examination_is_that_of_the_physics(stack):
    prepared, sr = (
        PreparedStack(stack),
        torch.rand(160, 192, generator=torch.Generator().manual_seed(0)),
    )
    found, expected = prepared.examine(0, sr), examine(torch.from_numpy(stack.raw[0]), sr)
    assert found.square == expected.square == prepared.square(0)
    assert prepared.judged_field(0) == (80, 96)
    assert found.fine_square == prepared.fine_square(0)
    assert found.checks.groups == expected.checks.groups
    assert found.misfit().keys() == expected.misfit().keys()
