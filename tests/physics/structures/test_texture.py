"""A second structure below the first: sometimes, fainter, and reproducible."""

import pytest
import torch

from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.physics.structures.texture import TEXTURED_SHARE, with_texture

SHAPE = (64, 72)


@pytest.fixture(scope="module")
def cell():
    return draw("MT", SHAPE, 40.0, torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def textured(cell):
    return [with_texture(cell, 40.0, torch.Generator().manual_seed(seed)) for seed in range(60)]


def test_some_cells_get_a_texture_and_the_others_stay_as_they_are(cell, textured):
    changed = sum(not torch.equal(image, cell) for image in textured)
    assert changed / len(textured) == pytest.approx(TEXTURED_SHARE, abs=0.15)


def test_densities_stay_valid_and_keep_the_structure(cell, textured):
    for image in textured:
        assert image.max().item() == pytest.approx(1)
        assert (image >= 0).all()
        pair = torch.stack([image.flatten(), cell.flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.3


def test_same_generator_same_texture(cell):
    one, again = (with_texture(cell, 40.0, torch.Generator().manual_seed(11)) for _ in range(2))
    assert torch.equal(one, again)
