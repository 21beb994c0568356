"""A large field is one microscope's, and test.py is held to its limit of addresses."""

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.benchmarks.scale.large import limited
from bayesdl_sim.benchmarks.scenes import large_field
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "field.tif"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_field, "PIECE", 80)
        patch.setattr(large_field, "DRAWN", 128)
        return path, large_field.simulate_field(path, 160, seed=5)


def test_fringes_run_through_the_whole_field(field):
    path, light = field
    raw = torch.from_numpy(tifffile.imread(path).astype(np.float32))
    assert raw.shape == (9, 160, 160)
    estimated = estimate(raw)
    assert min(estimated.probability) > 0.9
    np.testing.assert_allclose(estimated.illumination.frequency, light.frequency, atol=1e-3)
    turns = np.array(estimated.illumination.phase) - np.array(light.phase)
    assert np.abs(np.angle(np.exp(1j * turns))).max() < 0.5


def test_too_little_memory_is_an_error_of_one_line(field, tmp_path):
    path, _ = field
    with pytest.raises(InputError, match="test.py failed"):
        limited(path, tmp_path / "out", 0.05)
