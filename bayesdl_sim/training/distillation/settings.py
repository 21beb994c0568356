"""Settings of a distillation.

This module does not load PyTorch, so that a command line is read quickly.
"""

from dataclasses import dataclass
from pathlib import Path

from bayesdl_sim.training.settings.checks import require_positive
from bayesdl_sim.utils.errors import InputError

__all__ = ["DistilSettings"]


@dataclass(frozen=True, kw_only=True)
class DistilSettings:
    """The training data and the schedule of a student.

    Attributes:
        pretrained_G: folder of the members: the teacher.
        root_dirs: data sets whose stacks are shown to both; their training cells.
        save_path: folder of the student.
        work: folder of the teacher's predictions and of the state of an interrupted run.
        start_from: numbers of the members, from 1, whose mean weights the student starts with.
        init_from: folder of an earlier student that is fitted further instead; None: none.
        patches: per data set, how many.
        held_out: patches of the first set that are only scored.
        patch_size: side, raw pixels.
        steps: steps of Adam.
        batch_size: patches per step.
        lr: largest step size.
        blend: share of the fitted weights in the student; the rest is of those that it started
            with, whose mean is better than the uncertainties of the fit. 1: as fitted.
        seed: seed of patches and batches.
        sample: name of the structure, stored with the student.
        device, gpu_id, precision: where and how both are computed.
    """

    pretrained_G: Path
    root_dirs: tuple[Path, ...]
    save_path: Path
    work: Path
    patches: tuple[int, ...]
    start_from: tuple[int, ...] = (1,)
    init_from: Path | None = None
    held_out: int = 48
    patch_size: int = 96
    steps: int = 3000
    batch_size: int = 4
    lr: float = 4e-4
    blend: float = 1.0
    seed: int = 0
    sample: str = "F-actin"
    device: str = "auto"
    gpu_id: int | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        require_positive(self, "held_out", "patch_size", "steps", "batch_size", "lr")
        if not 0 < self.blend <= 1:
            raise InputError(f"blend: expected a share above 0 and up to 1, found {self.blend}")
        if len(self.patches) != len(self.root_dirs):
            raise InputError(
                f"patches: expected one number per data set, {len(self.root_dirs)}, found "
                f"{len(self.patches)}"
            )
        if min(self.patches) < 1:
            raise InputError(f"patches: expected 1 or more of each set, found {min(self.patches)}")
        if self.patches[0] <= self.held_out:
            raise InputError(
                f"held_out: expected fewer than the {self.patches[0]} patches of the first set, "
                f"found {self.held_out}"
            )
