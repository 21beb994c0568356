"""The smooth background: flat where it is told to be, and too smooth to hold a spot."""

import pytest
import torch

from bayesdl_sim.dlbi.moments.likelihood.background import smooth_background
from bayesdl_sim.dlbi.simulation.spots import spots


@pytest.mark.parametrize("shape", [(16, 20), (60, 45), (8, 300)])
def test_equal_weights_are_flat(shape):
    smooth = smooth_background(shape)
    weights = torch.full((smooth.rows.shape[1], smooth.columns.shape[1]), 3.0)
    torch.testing.assert_close(smooth.image(weights), torch.full(shape, 3.0))
    torch.testing.assert_close(smooth.average(torch.full(shape, 3.0)), weights)
    assert bool((smooth.rows >= 0).all())


def test_a_spot_does_not_fit_into_it():
    smooth = smooth_background((60, 60))
    spot = spots(torch.tensor([[30.0, 31.0]]), 3.0, (60, 60))[0]
    design = torch.einsum("hk,wl->hwkl", smooth.rows, smooth.columns).flatten(2).flatten(0, 1)
    fit = torch.linalg.lstsq(design, spot.flatten()[:, None]).solution
    left = spot.flatten() - (design @ fit)[:, 0]
    assert float(left.square().sum() / spot.square().sum()) > 0.7


def test_a_tilted_background_fits_into_it():
    smooth = smooth_background((40, 30))
    tilted = 5 + torch.arange(40)[:, None] * 0.1 + torch.arange(30) * 0.2
    design = torch.einsum("hk,wl->hwkl", smooth.rows, smooth.columns).flatten(2).flatten(0, 1)
    fit = torch.linalg.lstsq(design, tilted.flatten()[:, None]).solution
    torch.testing.assert_close((design @ fit)[:, 0], tilted.flatten(), rtol=1e-3, atol=1e-3)
