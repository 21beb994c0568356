"""Shared by all rooms' tests: one thread, and a small simulated set on disk."""

import pytest
import torch

from bayesdl_sim.DatasetGenerate import from_simulation
from bayesdl_sim.DatasetGenerate.outliers import ODDITIES, OUTLIERS


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


def simulated(root, sample, cells=6, levels=2):
    """A set on disk, 48 px, random microscopes."""
    size = ["--cells", str(cells), "--levels", str(levels), "--size", "48", "--workers", "1"]
    from_simulation.main(["--sample", sample, "--save_path", str(root), *size])
    return root


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    """Six cells, two levels."""
    return simulated(tmp_path_factory.mktemp("set") / "F-actin", "F-actin")


@pytest.fixture(scope="session")
def outlier_set(tmp_path_factory):
    """One cell of each oddity, one level."""
    root = tmp_path_factory.mktemp("unlike") / OUTLIERS
    return simulated(root, OUTLIERS, cells=len(ODDITIES), levels=1)
