"""The step-1 energy: each term against an independent formula."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from bayesdl_sim.bayes.energy import Energy, reconstruction_energy, ssim
from bayesdl_sim.utils.errors import InputError


def pair(*shape, seed=0, noise=0.2, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    target = torch.rand(shape, generator=g, dtype=dtype)
    return target + noise * torch.randn(shape, generator=g, dtype=dtype), target


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (11, 11)])
@pytest.mark.parametrize("data_range", [1.0, 2.5])
def test_ssim_equals_scikit_image(size, data_range):
    mean, target = pair(2, 1, *size, dtype=torch.float64)
    expected = [
        structural_similarity(
            a[0].numpy(),
            b[0].numpy(),
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(mean, target, strict=True)
    ]
    ours = ssim(mean, target, data_range)
    assert float(ours) == pytest.approx(np.mean(expected), abs=1e-10)
    assert float(ssim(mean.float(), target.float(), data_range)) == pytest.approx(
        float(ours), abs=1e-5
    )


def test_terms_equal_numpy_and_the_total_is_their_weighted_sum():
    mean, target = pair(2, 1, 24, 30, dtype=torch.float64)
    energy = reconstruction_energy(mean, target, mae=2.0, fft=0.5, ssim=0.25)
    difference = (mean - target).numpy()
    spectrum = np.fft.rfft2(difference, norm="ortho")
    assert float(energy.mae) == pytest.approx(np.abs(difference).mean())
    assert float(energy.fft) == pytest.approx(
        np.abs(np.stack([spectrum.real, spectrum.imag])).mean()
    )
    assert float(energy.ssim) == pytest.approx(float(ssim(mean, target)))
    total = 2 * energy.mae + 0.5 * energy.fft + 0.25 * (1 - energy.ssim)
    assert float(energy.total.detach()) == pytest.approx(float(total))


def test_equal_images_have_no_energy_and_finite_gradients():
    _, target = pair(1, 1, 20, 20)
    mean = target.clone().requires_grad_()
    energy = reconstruction_energy(mean, target)
    energy.total.backward()
    assert isinstance(energy, Energy)
    assert float(energy.total.detach()) == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(mean.grad).all()


def test_gradient_is_that_of_the_formula():
    mean, target = pair(1, 1, 13, 12, dtype=torch.float64)
    mean.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: reconstruction_energy(x, target).total, (mean,))


def test_descent_reaches_the_target():
    mean, target = pair(1, 1, 24, 24, noise=0.5)
    mean.requires_grad_()
    optimiser = torch.optim.Adam([mean], 0.02)
    for _ in range(150):
        optimiser.zero_grad()
        energy = reconstruction_energy(mean, target)
        energy.total.backward()
        optimiser.step()
    assert float(energy.ssim.detach()) > 0.98
    assert float(energy.mae.detach()) < 0.03


def test_bf16_and_autocast_are_computed_in_float32():
    mean, target = pair(1, 1, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = reconstruction_energy(mean, target)
    outside = reconstruction_energy(mean, target)
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))
    rounded = mean.bfloat16().requires_grad_()
    energy = reconstruction_energy(rounded, target)
    energy.total.backward()
    assert energy.total.dtype == torch.float32
    assert rounded.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("mean", "target", "message"),
    [
        ((1, 1, 20, 20), (1, 1, 20, 21), "must both be"),
        ((1, 2, 20, 20), (1, 2, 20, 20), "must both be"),
        ((20, 20), (20, 20), "must both be"),
        ((1, 1, 10, 20), (1, 1, 10, 20), "at least 11 x 11"),
    ],
)
def test_wrong_shapes_are_refused(mean, target, message):
    for function in (reconstruction_energy, ssim):
        with pytest.raises(InputError, match=message):
            function(torch.zeros(mean), torch.zeros(target))
