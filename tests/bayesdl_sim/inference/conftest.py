"""Small posteriors and stacks on which every path of the inference can be walked in a second."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.posterior import Posterior
from tests.conftest import save_random_members

ROOT = Path(__file__).resolve().parents[3]
CRISTAE = ROOT / "data" / "cristae" / "raw.tif"


@pytest.fixture(scope="session")
def members(tmp_path_factory):
    """Two members with tails that take nine frames."""
    return save_random_members(tmp_path_factory.mktemp("members"))


@pytest.fixture(scope="session")
def guess_members(tmp_path_factory):
    """Two members with tails that take nine frames and a first guess."""
    return save_random_members(tmp_path_factory.mktemp("guessing"), guess=True)


@pytest.fixture(scope="session")
def posterior(members):
    return Posterior.load(members, "cpu", precision="fp32")


@pytest.fixture(scope="session")
def cristae():
    """The real stack of mitochondria, (9, 120, 120) counts."""
    return tifffile.imread(CRISTAE).astype(np.float32)


@pytest.fixture
def stack(cristae):
    """The real stack, cut to 80 x 96 pixels."""
    return _stack_of(cristae[:, :80, :96])


@pytest.fixture
def movie(cristae):
    """Three time points that get brighter; 64 x 72 pixels."""
    first = cristae[:, :64, :72]
    return _stack_of(np.concatenate([first, 1.1 * first, 1.2 * first]))


def _stack_of(frames, pixel_size_nm=65.0):
    """(9 T, H, W) counts as `read_stack` gives them."""
    raw = np.ascontiguousarray(frames, np.float32).reshape(-1, 9, *frames.shape[-2:])
    return RawStack(raw=raw, pixel_size_nm=pixel_size_nm, name="cell", source=Path("cell.tif"))


@pytest.fixture(scope="session")
def save_members():
    return save_random_members


@pytest.fixture(scope="session")
def stack_of():
    return _stack_of
