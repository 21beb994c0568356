"""Stacks on disk and a small posterior for the plugin; windows only where napari is installed."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.napari.samples import sample_path
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint

PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]
SIDE = 72  # raw pixels of a stack: above the smallest field that is judged


@pytest.fixture(scope="session")
def frames():
    """Nine frames (9, 72, 72) of the measured mitochondria, uint16."""
    return tifffile.imread(sample_path("cristae"))[:, :SIDE, :SIDE]


@pytest.fixture
def write(tmp_path):
    """Writes frames as a TIFF with pixels of 65 nm, and gives its path."""

    def write(name, images):
        tags = {"resolution": (1000 / 65,) * 2, "metadata": {"unit": "um"}, "imagej": True}
        tifffile.imwrite(tmp_path / name, np.asarray(images), **tags)
        return tmp_path / name

    return write


@pytest.fixture
def good(write, frames):
    return write("good.tif", frames)


@pytest.fixture
def phase_major(write, frames):
    return write("phase_major.tif", frames[PHASE_MAJOR])


@pytest.fixture
def refused(write, frames):
    """The last exposure is stored twice; no other order of the frames cures that."""
    return write("refused.tif", frames[[0, 1, 2, 3, 4, 5, 6, 8, 8]])


@pytest.fixture(scope="session")
def small_posterior(tmp_path_factory):
    """Two members of a tiny network with tails, whose maps mean nothing but go the whole way."""
    folder = tmp_path_factory.mktemp("members")
    inputs = {"frames": None, "first_guess": True}
    options = {"in_channels": 13, "width": 4, "levels": 2, "blocks": 1}
    config = network_config("unet", "gauss", inputs, **options)
    for index in (1, 2):
        payload = member_payload(build_network(config, seed=index), {"kind": "sgld"}, {})
        save_checkpoint(member_path(folder, index), payload)
    return Posterior.load(folder, "cpu", precision="fp32")


@pytest.fixture
def opener(small_posterior):
    return lambda: small_posterior


@pytest.fixture
def silent():
    return lambda done, total, part: None
