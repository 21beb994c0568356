"""Blocks that change values in place: the same values and gradients, and inputs left alone."""

import pytest
import torch

from bayesdl_sim.models.bayesdl import UncertaintyTail
from bayesdl_sim.models.layers import ResidualBlock

torch.set_num_threads(1)


def fields(channels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, channels, 12, 10), generator=generator, dtype=torch.float64)


def as_written(block, x):
    """The formula of a residual block, every value in a place of its own."""
    y = block.second(torch.relu(block.first(x)))
    gate = torch.sigmoid(block.attention.excite(torch.relu(block.attention.squeeze(y))))
    return x + y * gate


def gradients(function, block, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x).square().sum(), [x, *block.parameters()])


def test_a_residual_block_is_its_formula_and_so_are_its_gradients():
    block = ResidualBlock(8).double()
    x = fields(8)
    before = x.clone()
    assert torch.equal(block(x), as_written(block, x))
    assert torch.equal(x, before)
    ours = gradients(block, block, x)
    expected = gradients(lambda inputs: as_written(block, inputs), block, x)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("likelihood", ["gauss", "distilled"])
def test_a_tail_leaves_features_and_mean_as_they_are(likelihood):
    tail, features, mean = (
        UncertaintyTail(8, likelihood),
        fields(8).float(),
        torch.rand(2, 1, 24, 20),
    )
    before = features.clone(), mean.clone()
    tail(features, mean)
    assert torch.equal(features, before[0])
    assert torch.equal(mean, before[1])
