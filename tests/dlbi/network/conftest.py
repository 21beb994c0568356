"""Two small scenes that all tests of this folder share."""

import pytest

from bayesdl_sim.dlbi.network.samples import load_sample, write_sample


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Folder of two scenes of 24 x 24 camera pixels, and their files."""
    folder = tmp_path_factory.mktemp("scenes")
    return folder, [write_sample(folder, 7, number, 24) for number in range(2)]


@pytest.fixture
def samples(scenes):
    return [load_sample(path) for path in scenes[1]]
