"""Richardson-Lucy: sharper than wide field, in place, and nothing negative."""

import numpy as np
import pytest
import torch

from bayesdl_sim.metrics.images import pearson, quality
from bayesdl_sim.physics.optics import Optics, apply_otf, frequency_grid, otf, target_otf
from bayesdl_sim.physics.reconstruction.deconvolution import deconvolved_wide_field, sharpened


@pytest.fixture(scope="module")
def scene():
    """Points seen through an ideal OTF: counts of nine equal frames, the truth, the optics."""
    optics = Optics(1.3, 520.0, 65.0)
    truth = torch.zeros(128, 128, dtype=torch.float64)
    rows, columns = torch.randint(8, 120, (2, 60), generator=torch.Generator().manual_seed(0))
    truth[rows, columns] = 1.0
    blurred = apply_otf(truth, otf(optics, (128, 128)).double())
    camera = 20_000 * torch.nn.functional.avg_pool2d(blurred[None, None], 2)[0] + 100
    sharp = apply_otf(truth, otf(Optics(2.6, 520.0, 65.0), (128, 128)).double())
    return camera.repeat(9, 1, 1).float(), sharp.numpy(), optics


def test_it_is_nearer_to_the_truth_than_wide_field(scene):
    raw, truth, optics = scene
    image = deconvolved_wide_field(raw, optics, 100.0)
    wide = torch.nn.functional.interpolate(raw[:1][None], scale_factor=2, mode="bicubic")[0, 0]
    assert image.shape == (128, 128)
    assert image.min() >= 0
    assert quality(image, truth).psnr > quality(wide.numpy(), truth).psnr + 1


def test_it_moves_nothing(scene):
    raw, truth, optics = scene
    image = deconvolved_wide_field(raw, optics, 100.0)
    at_home = pearson(image, truth)
    for shift in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        assert pearson(np.roll(image, shift, (0, 1)), truth) < at_home


def test_sharpening_undoes_the_blur_of_sim_in_place():
    """Points through the OTF of SIM come back: more of them beyond the wide-field cut-off."""
    optics, frequency = Optics(1.3, 520.0, 65.0), 0.3
    points = torch.zeros(128, 128, dtype=torch.float64)
    rows, columns = torch.randint(8, 120, (2, 40), generator=torch.Generator().manual_seed(1))
    points[rows, columns] = 1.0
    blurred = apply_otf(points, target_otf(optics, frequency, (128, 128)).double()).clamp(min=0)
    sharp = sharpened(blurred.numpy(), optics, frequency, 20)
    assert sharp.min() >= 0
    assert pearson(sharp, points.numpy()) > pearson(blurred.numpy(), points.numpy()) + 0.1
    fine = frequency_grid((128, 128)) > optics.cutoff
    power = [
        (torch.fft.rfft2(torch.from_numpy(np.array(image))).abs()[fine] ** 2).sum() / image.sum()
        for image in (blurred.numpy(), sharp)
    ]
    assert power[1] > 2 * power[0]
    assert sharp.sum() / sharp.max() < blurred.sum() / blurred.max()


def test_more_steps_are_sharper():
    picture = torch.rand(64, 64, generator=torch.Generator().manual_seed(2)).double().numpy()
    one = sharpened(picture, Optics(1.3, 520.0, 65.0), 0.3, 1)
    many = sharpened(picture, Optics(1.3, 520.0, 65.0), 0.3, 15)
    assert one.std() < many.std()
