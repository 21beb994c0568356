"""Small real data sets on disk for the tests of the room `data/`."""

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import gaussian_filter

from bayesdl_sim.data.sets.layout import DatasetSpec, DatasetTree, split_cells

FACTORS = np.arange(1, 10, dtype=np.float32)  # tells the nine frames apart


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


def blobs(size, seed):
    """A smooth random structure in [0, 1000], (2 size, 2 size) float32, asymmetric."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.random((2 * size, 2 * size)), 6) + gaussian_filter(
        rng.random((2 * size, 2 * size)), 1
    )
    field -= field.min()
    return (1000 * field / field.max()).astype(np.float32)


def binned(target):
    """2x2 mean over the last two axes."""
    height, width = target.shape[-2:]
    shape = (*target.shape[:-2], height // 2, 2, width // 2, 2)
    return target.reshape(shape).mean(axis=(-3, -1))


@pytest.fixture
def write_tree(tmp_path):
    """A function that writes a data set whose frame n is n times the binned target."""

    def write(
        cells=(1, 2, 3), levels=(1, 2), size=32, dtype=np.float32, microscope=None, name="set"
    ):
        tree = DatasetTree(tmp_path / name)
        for cell in cells:
            target = blobs(size, cell)
            tree.gt_path(cell).parent.mkdir(parents=True)
            tifffile.imwrite(tree.gt_path(cell), target)
            for level in levels:
                tree.raw_folder(cell, level).mkdir(parents=True)
                frames = FACTORS[:, None, None] * level * binned(target) + 100
                for path, frame in zip(tree.raw_paths(cell, level), frames, strict=True):
                    tifffile.imwrite(path, frame.astype(dtype))
        if microscope is not None:
            DatasetSpec(
                sample="blobs",
                microscope=microscope,
                size=(size, size),
                levels=len(levels),
                cells=len(cells),
                pixel_size_nm=62.6,
                seed=3,
                splits=split_cells(list(cells)),
                details={"note": "a test"},
            ).to_json(tree.spec_path)
        return tree

    return write


@pytest.fixture
def counts():
    """Raw counts (9, 40, 48) uint16, as a camera gives them."""
    rng = np.random.default_rng(5)
    return rng.poisson(60, (9, 40, 48)).astype(np.uint16) + 100
