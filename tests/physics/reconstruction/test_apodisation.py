"""The sharp convention brings back what the soft one damped, and is linear."""

import numpy as np
import pytest
import torch

from bayesdl_sim.physics.optics import Optics, apply_otf, frequency_grid, target_otf
from bayesdl_sim.physics.reconstruction.apodisation import FLAT, sharp_transfer, sharper
from bayesdl_sim.utils.errors import InputError

OPTICS, PATTERN = Optics(1.3, 520.0, 65.0), 0.25
EXTENDED = OPTICS.cutoff + PATTERN
SHAPE = (128, 144)


@pytest.fixture(scope="module")
def density():
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)).double() ** 4


@pytest.fixture(scope="module")
def soft(density):
    return apply_otf(density, target_otf(OPTICS, PATTERN, SHAPE).double())


def test_transfer_is_one_inside_and_zero_at_the_edge():
    transfer = sharp_transfer(torch.tensor([0.0, FLAT, 0.8, 1.0, 1.5]))
    assert transfer.tolist() == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0], abs=1e-6)


def test_soft_image_becomes_the_sharp_one(density, soft):
    share = (frequency_grid(SHAPE) / EXTENDED).double()
    sharp_image = apply_otf(density, sharp_transfer(share))
    made = sharper(soft, EXTENDED)
    inner = (slice(16, -16),) * 2  # the mirrored border is not the periodic one
    before = (soft - sharp_image)[inner].square().mean().sqrt()
    after = (made - sharp_image)[inner].square().mean().sqrt()
    assert after < 0.25 * before


def test_low_frequencies_and_the_mean_stay(soft):
    made = sharper(soft, EXTENDED)
    assert made.mean().item() == pytest.approx(soft.mean().item(), rel=2e-3)


def test_filter_is_linear_so_that_members_can_be_filtered_one_by_one(soft):
    members = torch.stack([soft, soft.flip(0), soft**2]).float()[:, None]
    one_by_one = torch.stack([sharper(member, EXTENDED) for member in members])
    together = sharper(members, EXTENDED)
    torch.testing.assert_close(one_by_one, together)
    torch.testing.assert_close(
        sharper(members.mean(dim=0), EXTENDED), together.mean(dim=0), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("shape", [(64, 64), (63, 65), (20, 31)])
def test_any_shape_goes_through(shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    made = sharper(image, EXTENDED)
    assert made.shape == image.shape
    assert torch.isfinite(made).all()


def test_noise_beyond_the_support_is_not_amplified():
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    made = sharper(noise, EXTENDED)
    window = np.outer(np.hanning(96), np.hanning(112))
    spectrum = torch.fft.rfft2(made[16:-16, 16:-16] * torch.from_numpy(window))
    beyond = frequency_grid((96, 112)) > 1.15 * EXTENDED
    assert (spectrum.abs()[beyond] ** 2).mean() < 0.01 * (spectrum.abs()[~beyond] ** 2).mean()


@pytest.mark.parametrize("cutoff", [0.0, -0.1, 1.2, float("nan")])
def test_impossible_cutoffs_are_refused(cutoff, soft):
    with pytest.raises(InputError, match="extended_cutoff"):
        sharper(soft, cutoff)
