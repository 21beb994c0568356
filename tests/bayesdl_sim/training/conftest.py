"""Runs of train.py that several modules of tests share."""

from pathlib import Path

import pytest

from bayesdl_sim.commands import train
from bayesdl_sim.training import tail_part
from bayesdl_sim.training.step1 import fit_reconstruction
from bayesdl_sim.training.step2 import fit_uncertainty_tail

COMMON = "--patch_size 24 --batch_size 4 --val_stacks 1 --precision fp32 --device cpu"
STEP_1 = f"{COMMON} --n_feat 4 --levels 2 --nBlocks 1 --epoch 3 --burn_in 0.34 --cycles 2"
STEP_1 += " --members_per_cycle 1"
STEP_2 = f"{COMMON} --train_type uncertainty_tail --likehood gauss --epoch 2"


class Trainer:
    """Both steps on one set, with the settings of the command line at their smallest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def words(self, folder: Path, *more: str) -> list[str]:
        return ["--root_dir", str(self.root), "--save_model_dir", str(folder), *map(str, more)]

    def settings(self, folder: Path, *more: str, step: int = 1):
        """Settings as the command line builds them."""
        return train.parse_args(
            self.words(folder, *(STEP_1 if step == 1 else STEP_2).split(), *more)
        )

    def step_1(self, folder: Path, *more: str) -> Path:
        train.main(self.words(folder, *STEP_1.split(), *more))
        return folder / "F-actin" / "BayesDL-SIM"

    def step_2(self, folder: Path, *more: str) -> Path:
        train.main(self.words(folder, *STEP_2.split(), *more))
        return folder / "F-actin" / "BayesDL-SIM"

    @staticmethod
    def fit(settings) -> int:
        """The step of these settings."""
        return (fit_uncertainty_tail if hasattr(settings, "tail") else fit_reconstruction)(settings)


@pytest.fixture(autouse=True)
def _few_batches_decide(monkeypatch):
    """Fewer batches than in use decide where tails are fitted; most of the time goes there."""
    monkeypatch.setattr(tail_part, "BATCHES", 8)


@pytest.fixture(scope="session")
def trainer(small_set):
    """Trains on the small set."""
    return Trainer(small_set)


@pytest.fixture(scope="session")
def finished(trainer, tmp_path_factory):
    """A folder after both steps; `before/` in it holds the members as step 1 left them."""
    folder = tmp_path_factory.mktemp("finished")
    run = trainer.step_1(folder)
    before = run / "before"
    before.mkdir()
    for path in run.glob("member_*.pth"):
        (before / path.name).write_bytes(path.read_bytes())
    trainer.step_2(folder)
    return run


@pytest.fixture(scope="session")
def started(trainer, tmp_path_factory, finished):
    """Folders in which step 1 was stopped, and step 2 begun on members of another run."""
    folders = {step: tmp_path_factory.mktemp(f"step{step}") for step in (1, 2)}
    trainer.step_1(folders[1], "--stop_after", "1")
    trainer.step_2(folders[2], "--pretrained_G", finished / "before")
    return folders
