"""Shared by all rooms' tests: one thread, and a small simulated set on disk."""

import pytest
import torch

from DatasetGenerate import from_simulation


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    """Six cells, two levels, 48 px, random microscopes."""
    root = tmp_path_factory.mktemp("set") / "F-actin"
    options = ["--cells", "6", "--levels", "2", "--size", "48", "--workers", "1"]
    from_simulation.main(["--sample", "F-actin", "--save_path", str(root), *options])
    return root
