"""Settings of step 2: the uncertainty tail. The network is that of the members."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bayesdl_sim.training.settings.checks import require_choice, require_positive
from bayesdl_sim.training.settings.shared import (
    DataSettings,
    InputSettings,
    NumericsSettings,
    RunSettings,
)

__all__ = ["Step2Settings", "TailSettings"]


@dataclass(frozen=True, kw_only=True)
class TailSettings:
    """How step 2 fits the uncertainty tail of every member.

    Attributes:
        likelihood: what the tail parametrises, a key of `bayes.likelihoods.LIKELIHOODS`.
        epoch: epochs per member.
        lr: Adam's step size.
        pretrained_G: folder (or file) of the members of step 1; None: the run folder.
    """

    likelihood: Literal["gauss", "laplace", "student"] = "gauss"
    epoch: int = 20
    lr: float = 2e-3
    pretrained_G: Path | None = None

    def __post_init__(self) -> None:
        require_choice(self, "likelihood")
        require_positive(self, "epoch", "lr")


@dataclass(frozen=True, kw_only=True)
class Step2Settings:
    """All of step 2; the network is that of the members."""

    data: DataSettings
    numerics: NumericsSettings
    input: InputSettings
    tail: TailSettings
    run: RunSettings
