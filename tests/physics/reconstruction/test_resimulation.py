"""The frames tell what an image has too much or too little of, without ground truth."""

import math
from dataclasses import replace

import pytest
import torch

from bayesdl_sim.metrics.images import auroc
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, raw_counts, target_image
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.reconstruction.resimulation import (
    examine,
    resimulate,
    resimulate_field,
)
from bayesdl_sim.physics.structures.mixture import draw
from tests.physics.conftest import LIGHT, MICROSCOPE

torch.set_num_threads(1)

SIZE = 96


@pytest.fixture(scope="module")
def made():
    """Counts and target of one field at 60 electrons, and the patterns within the field."""
    grid = grid_for((SIZE, SIZE))
    structure = draw("MT", grid.shape, 32.5, torch.Generator().manual_seed(3))
    expected = expected_frames(structure, MICROSCOPE, grid)
    raw = raw_counts(expected, 60.0, MICROSCOPE, torch.Generator().manual_seed(4))
    margin = grid.top / 2
    phase = tuple(
        tuple(p + 2 * math.pi * k * margin * (math.cos(a) + math.sin(a)) for p in LIGHT.phase[o])
        for o, (k, a) in enumerate(zip(LIGHT.frequency, LIGHT.angle, strict=True))
    )
    return raw, target_image(structure, MICROSCOPE, grid), replace(LIGHT, phase=phase)


def spot(y, x, fwhm=9.0):
    rows, columns = torch.arange(2 * SIZE)[:, None] - y, torch.arange(2 * SIZE)[None] - x
    return torch.exp(-4 * math.log(2) * (rows**2 + columns**2) / fwhm**2)


def test_true_image_explains_the_frames(made):
    raw, target, light = made
    comparison = resimulate(target, raw, light)
    assert comparison.unexplained < 0.02
    assert comparison.fringes_unexplained < 0.2
    assert float(comparison.chi2[8:-8, 8:-8].median()) == pytest.approx(1.0, abs=0.3)


def test_units_and_background_of_the_image_do_not_matter(made):
    raw, target, light = made
    one, other = (resimulate(image, raw, light) for image in (target, 37.0 * target + 5.0))
    assert torch.allclose(one.frames, other.frames, atol=1e-3 * float(one.frames.std()))


def test_wrong_image_does_not(made):
    raw, target, light = made
    assert resimulate(target.flip(0), raw, light).unexplained > 0.3


def test_wrong_fringes_are_left_over(made):
    """Frames that were recorded without fringes, or with other ones, than the patterns say."""
    raw, target, light = made
    right = resimulate(target, raw, light).fringes_unexplained
    shuffled = resimulate(target, raw[[0, 3, 6, 1, 4, 7, 2, 5, 8]], light).fringes_unexplained
    assert shuffled > 0.5
    assert shuffled > 3 * right


def test_invented_and_missing_light_have_their_signs_and_places(made):
    raw, target, light = made
    # Where there is structure, so that light can be missing as well.
    inner = target[40:-40, 40:-40]
    y, x = (40 + i for i in divmod(int(inner.argmax()), inner.shape[1]))
    added = resimulate(target + 0.5 * spot(y, x), raw, light).invented
    taken = resimulate(target * (1 - spot(y, x)), raw, light).invented
    assert float(added[y // 2, x // 2]) > 5
    assert float(taken[y // 2, x // 2]) < -2
    row, column = divmod(int(added.argmax()), SIZE)
    assert math.hypot(row - y / 2, column - x / 2) < 3


def test_faint_blobs_are_told_from_the_same_places_without_them(made):
    raw, target, light = made
    plain = resimulate(target, raw, light).invented
    generator = torch.Generator().manual_seed(0)
    without, with_blob = [], []
    for _ in range(12):
        y, x = (int(torch.randint(24, 2 * SIZE - 24, (), generator=generator)) for _ in range(2))
        image = target + 0.06 * spot(y, x)
        without.append(float(plain[y // 2, x // 2]))
        with_blob.append(float(resimulate(image, raw, light).invented[y // 2, x // 2]))
    assert auroc(without, with_blob) > 0.9


def test_all_of_a_large_stack_is_examined(made):
    """An error far from the brightest part counts, too."""
    raw, target, _ = made
    wide = torch.cat([raw, (raw - 100) * 0.5 + 100], dim=2)
    image = torch.cat([target, 0.5 * target], dim=1)
    right = examine(wide, image)
    assert right.resimulation.invented.shape == (SIZE, 2 * SIZE)
    assert image[right.fine_square].shape == image.shape
    inner = target[40:-40, 40:-40]
    y, x = (40 + i for i in divmod(int(inner.argmax()), inner.shape[1]))
    wrong = image * (1 - torch.nn.functional.pad(spot(y, x), (2 * SIZE, 0)))
    assert set(right.misfit()) == {"unexplained", "fringes_unexplained", "invented"}
    there = (y // 2, SIZE + x // 2)
    before, now = (
        float(examined.resimulation.invented[there]) for examined in (right, examine(wide, wrong))
    )
    assert now < before - 1.5


def test_gaps_and_spots_are_not_compared(made):
    raw, target, light = made
    right = resimulate(target, raw, light)
    harmed = raw.clone()
    harmed[:, :9], harmed[:, :, 40] = 0, 100
    harmed[:, 60:63, 70:73] += 40 * float(raw.max())
    comparison = resimulate(target, harmed, light)
    assert comparison.unexplained < right.unexplained + 0.05
    assert float(comparison.invented[:9].abs().max()) == 0


def test_patterns_handed_in_are_those_that_would_be_found(made):
    raw, target, _ = made
    patterns = estimate(raw)
    alone, shared = resimulate_field(raw, target), resimulate_field(raw, target, patterns=patterns)
    assert torch.equal(alone.frames, shared.frames)
    # The brightest square of so small a field is all of it.
    one, other = examine(raw, target), examine(raw, target, patterns=patterns)
    assert str(one.checks) == str(other.checks)  # text: NaN equals itself
    assert torch.equal(one.resimulation.invented, other.resimulation.invented)
