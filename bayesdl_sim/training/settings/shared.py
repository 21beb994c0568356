"""Settings that both steps have: data, numerics, input, and where the run takes place.

`asdict` of all themes but `RunSettings`, with the hash of what a path names in place of the path,
is what config.json and every member hold and what a resumed run must share (see
`training.identity`). Only `RunSettings` may change on resume.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bayesdl_sim.training.settings.checks import require_choice, require_positive
from bayesdl_sim.utils.errors import InputError

__all__ = ["DataSettings", "InputSettings", "NumericsSettings", "RunSettings"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The training data, and how they are cut into batches.

    Attributes:
        root_dir: data set, or the folder that holds it under the name of the sample.
        sample: name of the structure.
        batch_size: patches per step.
        patch_size: side of a patch in raw pixels.
        patches_per_stack: crops per stack and epoch.
        val_stacks: stacks of each validation.
        train_cells: learn from that many training cells only, the first ones; None: from all.
        tell_optics: whether the first guess is given the optics of half of the stacks, some of
            them wrongly, so that networks can use what a user states and need not rely on it.
    """

    root_dir: Path = Path("DatasetGenerate/Trainingdata")
    sample: str = "F-actin"
    batch_size: int = 8
    patch_size: int = 64
    patches_per_stack: int = 4
    val_stacks: int = 16
    train_cells: int | None = None
    tell_optics: bool = False

    def __post_init__(self) -> None:
        require_positive(self, "batch_size", "patch_size", "patches_per_stack", "val_stacks")
        if self.train_cells is not None:
            require_positive(self, "train_cells")


@dataclass(frozen=True, kw_only=True)
class NumericsSettings:
    """Random seed and arithmetic.

    Attributes:
        seed: seed of initial weights, patches, noise and masks.
        precision: precision of the network's arithmetic; "auto" is settled when the run is opened.
    """

    seed: int = 42
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        require_choice(self, "precision")
        if self.seed < 0:
            raise InputError(f"seed: expected a number from 0 up, found {self.seed}")


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """The input of the network for a stack.

    Attributes:
        input_frames: the wide field and these frames only, such as "1,2,3"; None for all nine.
        SISR_or_SIM: "SISR" for the wide field alone.
        first_guess: whether a Wiener reconstruction follows the frames; None: as the member that
            training starts from, else for the U-Net with all nine frames.
    """

    input_frames: str | None = None
    SISR_or_SIM: Literal["SIM", "SISR"] | None = None
    first_guess: bool | None = None

    def __post_init__(self) -> None:
        from bayesdl_sim.data.inputs import chosen_frames  # loads torch, which --help never needs

        require_choice(self, "SISR_or_SIM")
        frames = chosen_frames(self.SISR_or_SIM, self.input_frames)
        if frames is not None and self.first_guess:
            raise InputError(
                "first_guess: a Wiener reconstruction needs all nine frames; leave it out, or "
                "leave out input_frames and SISR_or_SIM"
            )
        if frames == ():
            object.__setattr__(self, "SISR_or_SIM", "SISR")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Where and how long: all that may differ when a run is resumed.

    Attributes:
        folder: folder of the results.
        device: auto, cpu, cuda or cuda:n.
        gpu_id: number of the GPU.
        cache_dir: where copies of data sets are kept; None: `.cache` in each set.
        stop_after: end step 1 after this epoch.
        chains: so many runs of these settings side by side, each with a seed of its own.
        resume: go on after an interruption.
    """

    folder: Path
    device: str = "auto"
    gpu_id: int | None = None
    cache_dir: Path | None = None
    stop_after: int | None = None
    chains: int = 1
    resume: bool = False

    def __post_init__(self) -> None:
        require_positive(self, "chains")
        if self.stop_after is not None:
            require_positive(self, "stop_after")
