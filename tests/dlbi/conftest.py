"""A movie on disk and an untrained posterior that the tests of the commands share."""

import pytest
import torch

from bayesdl_sim.dlbi import simulate
from bayesdl_sim.dlbi.network.unrolled import MomentsGenerator
from bayesdl_sim.utils.checkpoints import save_checkpoint


@pytest.fixture(scope="session")
def movie_folder(tmp_path_factory):
    """Two movies of 40 x 20 x 24 with their truth."""
    folder = tmp_path_factory.mktemp("blinking")
    size = ["--size", "20", "24", "--frames", "40", "--movies", "2", "--fluorophores_per_px", "1"]
    simulate.main(["--save_path", str(folder), "--density", "0.7", *size])
    return folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """Folder of two members without any training: the estimate of stage 2, slightly blurred."""
    folder = tmp_path_factory.mktemp("untrained")
    for number in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(number)
            network = MomentsGenerator(16)
        state = {name: value.half() for name, value in network.state_dict().items()}
        payload = {
            "format": "BayesDL-SIM DLBI member",
            "network": {"generator": "moments", **network.settings},
            "state": state,
        }
        save_checkpoint(folder / f"member_{number:02d}.pth", payload)
    return folder
