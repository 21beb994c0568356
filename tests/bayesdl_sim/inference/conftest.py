"""Small posteriors and stacks on which every path of the inference can be walked in a second."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint

ROOT = Path(__file__).resolve().parents[3]
CRISTAE = ROOT / "data" / "cristae" / "raw.tif"


def _save_members(folder, count=2, likelihood="gauss", guess=False):
    """Tiny random networks, whose maps mean nothing but go the whole way."""
    inputs = {"frames": None, "first_guess": guess}
    options = {"in_channels": 9 + 4 * guess, "width": 4, "levels": 2, "blocks": 1}
    config = network_config("unet", likelihood, inputs, **options)
    for index in range(1, count + 1):
        network = build_network(config, seed=index)
        if network.tail is not None:
            generator = torch.Generator().manual_seed(index)
            with torch.no_grad():
                network.tail.output.weight.normal_(generator=generator)
        payload = member_payload(network, {"kind": "sgld", "temperature": 2.0}, {})
        save_checkpoint(member_path(folder, index), payload)
    return folder


@pytest.fixture(scope="session")
def members(tmp_path_factory):
    """Two members with tails that take nine frames."""
    return _save_members(tmp_path_factory.mktemp("members"))


@pytest.fixture(scope="session")
def guess_members(tmp_path_factory):
    """Two members with tails that take nine frames and a first guess."""
    return _save_members(tmp_path_factory.mktemp("guessing"), guess=True)


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
    return _save_members


@pytest.fixture(scope="session")
def stack_of():
    return _stack_of
