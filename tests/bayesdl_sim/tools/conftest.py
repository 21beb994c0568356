"""Tiny members with tails and a first guess, and stacks to show them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.models.fields.poses import note_poses
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint

CRISTAE = Path(__file__).resolve().parents[3] / "data" / "cristae" / "raw.tif"
INPUTS = {"frames": None, "first_guess": True}


@pytest.fixture(scope="session")
def save_tiny_members():
    """Writes two members, whose maps mean nothing but go the whole way, to a folder.

    Each is shown two poses of the field.
    """

    def save(folder):
        options = {"in_channels": 13, "width": 4, "levels": 2, "blocks": 1}
        config = network_config("unet", "gauss", INPUTS, **options)
        for index in (1, 2):
            network = build_network(config, seed=index)
            with torch.no_grad():
                generator = torch.Generator().manual_seed(index)
                network.tail.output.weight.normal_(generator=generator)
            payload = member_payload(network, {"kind": "sgld", "temperature": 2.0}, {})
            save_checkpoint(member_path(folder, index), payload)
        note_poses(folder, True, each=2)
        return folder

    return save


@pytest.fixture(scope="session")
def cristae():
    """The real stack of mitochondria, (9, 120, 120) counts."""
    return tifffile.imread(CRISTAE).astype(np.float32)


@pytest.fixture(scope="session")
def stack_of():
    """Frames (9, H, W) as `read_stack` gives them."""

    def made(frames):
        raw = np.ascontiguousarray(frames, np.float32)[None]
        return RawStack(raw=raw, pixel_size_nm=65.0, name="cell", source=Path("cell.tif"))

    return made
