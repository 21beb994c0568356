"""A field of 320 x 448 pixels that counts as a large one, and two random members."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference import maps as maps_module
from bayesdl_sim.inference.large import scratch as scratch_module
from bayesdl_sim.inference.prepared import large_field as field_module
from tests.conftest import save_random_members

SIDE = 448
GAP = (24, 40)  # rows and columns in the last corner that hold no data


@pytest.fixture(scope="session")
def members(tmp_path_factory):
    """Two random networks with tails that take nine frames and a first guess."""
    return save_random_members(tmp_path_factory.mktemp("members"), guess=True)


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    """Its file."""
    path = tmp_path_factory.mktemp("large") / "field.tif"
    (cell,) = simulated_cells(20261, 1, 1, SIDE)
    frames = cell.raw[0].numpy().round().astype(np.uint16)[:, :320]
    frames[:, -GAP[0] :, -GAP[1] :] = 0
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


@pytest.fixture(scope="module")
def small_blocks():
    """Any field is a large one, of blocks of 160 pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field_module, "LARGEST_WHOLE", 1)
        patch.setattr(field_module, "BLOCK", 160)
        patch.setattr(maps_module, "BLOCK", 160)
        patch.setattr(field_module, "PROBE", 128)
        patch.setattr(field_module, "BAND", 100)
        patch.setattr(scratch_module, "BAND", 128)
        yield
