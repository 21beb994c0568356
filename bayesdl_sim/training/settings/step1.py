"""Settings of step 1: the network, the way to its members, the energy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bayesdl_sim.training.settings.checks import (
    require_choice,
    require_positive,
    require_within,
)
from bayesdl_sim.training.settings.shared import (
    DataSettings,
    InputSettings,
    NumericsSettings,
    RunSettings,
)
from bayesdl_sim.utils.errors import InputError

__all__ = ["EnergySettings", "NetworkSettings", "SamplerSettings", "Step1Settings"]

OUTLIER_GAIN, OUTLIER_BATCH_SIZE = 0.15, 3
BACKBONE_OPTIONS = {  # per backbone: setting -> argument of the generator, default
    "unet": {"n_feat": ("width", 32), "levels": ("levels", 3), "nBlocks": ("blocks", 2)},
    "rcan": {"n_feat": ("width", 64), "nGroups": ("groups", 5), "nBlocks": ("blocks", 10)},
    "dfcan": {"n_feat": ("width", 64), "nGroups": ("groups", 4), "nBlocks": ("blocks", 4)},
}


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The generator. Sizes that are None take the default of the backbone, if it has them.

    Attributes:
        backbone: name of the generator.
        n_feat: features at full resolution.
        levels: resolutions of the U-Net.
        nGroups: groups of the RCAN or DFCAN.
        nBlocks: blocks per level or group.
        drop: dropout rate of elements within the network.
        drop2d: dropout rate of channels before the last convolution.
        init_from: member to start from: a file, or a folder's first.
    """

    backbone: Literal["unet", "rcan", "dfcan"] = "unet"
    n_feat: int | None = None
    levels: int | None = None
    nGroups: int | None = None
    nBlocks: int | None = None
    drop: float = 0.0
    drop2d: float = 0.0
    init_from: Path | None = None

    def __post_init__(self) -> None:
        require_choice(self, "backbone")
        for name in ("n_feat", "levels", "nGroups", "nBlocks"):
            self._settle_size(name)
        for name in ("drop", "drop2d"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"{name}: expected a share, 0 to below 1, found {getattr(self, name)}"
                )
        if self.drop + self.drop2d > 0 and self.backbone == "dfcan":
            raise InputError("drop, drop2d: dfcan has no dropout; choose another backbone")

    def _settle_size(self, name: str) -> None:
        sizes, value = BACKBONE_OPTIONS[self.backbone], getattr(self, name)
        if name in sizes:
            object.__setattr__(self, name, sizes[name][1] if value is None else value)
            require_positive(self, name)
        elif value is not None:
            others = " or ".join(b for b, options in BACKBONE_OPTIONS.items() if name in options)
            raise InputError(
                f"{name}: not for the backbone {self.backbone}; leave it out, or choose the "
                f"backbone {others}"
            )

    @property
    def options(self) -> dict[str, float]:
        """Sizes and dropout rates as arguments of the generator."""
        options = BACKBONE_OPTIONS[self.backbone]
        return {
            argument: getattr(self, name) for name, (argument, _) in options.items()
        } | self.dropout

    @property
    def dropout(self) -> dict[str, float]:
        """The dropout rates above 0."""
        rates = {"drop": self.drop, "drop2d": self.drop2d}
        return {name: rate for name, rate in rates.items() if rate > 0}


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """How step 1 obtains its members.

    Attributes:
        posterior: the way to the members, a key of `training.posteriors.POSTERIORS`.
        members: networks of an ensemble or passes of MC-dropout; None: as many as SGLD draws.
        epoch: epochs of step 1.
        lr: Adam's largest step size.
        burn_in: share of the epochs with Adam before SGLD.
        cycles: restarts of SGLD.
        members_per_cycle: members of each.
        period: epochs from member to member of the released rule.
        lr_sgld: largest step size h of SGLD.
        explore: share of a cycle without noise.
        temperature: temperature of the Gibbs posterior; of several, the one with the best held-out
            likelihood is taken.
        trial_steps: steps of the trial of each temperature.
        prior_precision: prior precision of every weight.
    """

    posterior: Literal["sgld", "ensemble", "mc_dropout", "released", "point estimate"] = "sgld"
    members: int | None = None
    epoch: int = 60
    lr: float = 6e-4
    burn_in: float = 0.6
    cycles: int = 4
    members_per_cycle: int = 2
    period: int = 50
    lr_sgld: float = 1e-4
    explore: float = 0.5
    temperature: tuple[float, ...] = (1.0,)
    trial_steps: int = 200
    prior_precision: float = 1.0

    def __post_init__(self) -> None:
        require_choice(self, "posterior")
        require_positive(self, "epoch", "lr", "cycles", "members_per_cycle", "period")
        require_positive(self, "lr_sgld", "trial_steps")
        if self.members is None:
            object.__setattr__(self, "members", self.cycles * self.members_per_cycle)
        require_positive(self, "members")
        if not 0 <= self.burn_in <= 1:
            raise InputError(
                f"burn_in: expected a share of the epochs, 0 to 1; found {self.burn_in}"
            )
        require_within(self, "explore", 0, 1)
        require_within(self, "temperature", 0)
        require_within(self, "prior_precision", 0)


@dataclass(frozen=True, kw_only=True)
class EnergySettings:
    """Weights of the energy of step 1, and the outliers of its prior on functions.

    Attributes:
        mae_lambda: weight of the absolute error.
        fft_lambda: weight of the Fourier error.
        ssim_lambda: weight of the structural dissimilarity.
        outlier_dir: data set of stacks unlike the others; None for no prior on functions.
        outlier_gain: how much brighter (negative: darker) this chain shows outliers, as a share.
        outlier_batch_size: outliers per step.
    """

    mae_lambda: float = 1.0
    fft_lambda: float = 0.01
    ssim_lambda: float = 0.1
    outlier_dir: Path | None = None
    outlier_gain: float | None = None
    outlier_batch_size: int | None = None

    @property
    def weights(self) -> tuple[float, float, float]:
        """Weights of the absolute error, the Fourier error and the structural dissimilarity."""
        return self.mae_lambda, self.fft_lambda, self.ssim_lambda

    def __post_init__(self) -> None:
        for name in ("mae_lambda", "fft_lambda", "ssim_lambda"):
            require_within(self, name, 0)
        if not any(self.weights):
            raise InputError(
                "mae_lambda, fft_lambda, ssim_lambda: all are 0, so that nothing would be fitted; "
                "set one above 0"
            )
        self._settle_outliers()

    def _settle_outliers(self) -> None:
        chosen = self.outlier_gain, self.outlier_batch_size
        if self.outlier_dir is None:
            if chosen != (None, None):
                raise InputError("outlier_gain, outlier_batch_size: they need an outlier_dir")
            return
        gain, size = chosen
        object.__setattr__(self, "outlier_gain", OUTLIER_GAIN if gain is None else gain)
        object.__setattr__(self, "outlier_batch_size", OUTLIER_BATCH_SIZE if size is None else size)
        require_positive(self, "outlier_batch_size")
        if not self.outlier_gain > -1:
            raise InputError(
                f"outlier_gain: expected a number above -1, found {self.outlier_gain:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Step1Settings:
    """All of step 1."""

    data: DataSettings
    numerics: NumericsSettings
    input: InputSettings
    network: NetworkSettings
    sampler: SamplerSettings
    energy: EnergySettings
    run: RunSettings

    def __post_init__(self) -> None:
        if self.sampler.posterior == "mc_dropout" and not self.network.dropout:
            raise InputError("posterior mc_dropout: it needs drop or drop2d above 0")
