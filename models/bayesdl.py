"""BayesDL: a generator with an uncertainty tail, and how a member is stored and loaded."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bayesdl_sim.models.dfcan import DFCAN
from bayesdl_sim.models.dropout import fix_dropout
from bayesdl_sim.models.rcan import RCAN, ReleasedTail
from bayesdl_sim.models.stored_shapes import UNFIT, require_fitting
from bayesdl_sim.models.unet import UNet
from bayesdl_sim.utils.checkpoints import load_checkpoint
from bayesdl_sim.utils.errors import InputError, require_file

__all__ = [
    "BACKBONES",
    "DISTILLED",
    "BayesDL",
    "Member",
    "UncertaintyTail",
    "build_network",
    "load_member",
    "member_payload",
    "network_config",
    "with_inputs",
    "with_tail",
]

BACKBONES = {"unet": UNet, "rcan": RCAN, "dfcan": DFCAN}
LOG_VAR_RANGE = (-14.0, 2.0)  # of the normalised intensity: sigma from 1e-3 to 2.7
# Per map of the tail, its value where the data are certain and where they are not.
TAIL_RANGES = {
    "gauss": (LOG_VAR_RANGE,),
    "laplace": (tuple(0.5 * (log_var - math.log(2)) for log_var in LOG_VAR_RANGE),),
    # Precision, and degrees of freedom from 150 down to 2.1: the deviation exists above 2.
    "student": ((14.0, -2.0), (5.0, 0.75)),
    # Log-variances of the data and of the model: members may agree to 5e-5.
    "distilled": (LOG_VAR_RANGE, (-20.0, 2.0)),
}
DISTILLED = "distilled"
MEMBER_FORMAT = "BayesDL-SIM member"
REASON_LENGTH = 160  # characters of what does not fit
WIDENED = "head.weight"  # of the U-Net: the one layer that sees the input


class Output(NamedTuple):
    """Mean and log-variance (B, 1, 2H, 2W), in normalised intensity; no tail: None.

    Of other likelihoods than "gauss", `log_var` holds their parameters, (B, 1 or 2, 2H, 2W).
    """

    mean: Tensor
    log_var: Tensor | None


class UncertaintyTail(nn.Module):
    """Reads the trunk's features and mean, returns the parameters of a likelihood.

    Gaussian: the log-variance; see `bayes.likelihoods` for the others. Every map is bounded softly
    to its range of `TAIL_RANGES`: `low + (high - low) sigmoid(x)`.
    """

    def __init__(self, width: int, likelihood: str = "gauss") -> None:
        super().__init__()
        low, high = torch.tensor(TAIL_RANGES[likelihood]).T[..., None, None]
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("range", high - low, persistent=False)
        self.coarse = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ELU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ELU(inplace=True),
            nn.PixelShuffle(2),
        )
        self.fine = nn.Sequential(
            nn.Conv2d(width // 4 + 1, width // 2, 3, padding=1),
            nn.ELU(inplace=True),
        )
        self.output = nn.Conv2d(width // 2, len(low), 1)
        nn.init.zeros_(self.output.weight)
        nn.init.constant_(self.output.bias, 0.5)  # sigma of 0.08 to start with

    def forward(self, features: Tensor, mean: Tensor) -> Tensor:
        """(B, C, H, W), (B, 1, 2H, 2W) -> (B, 1 or 2, 2H, 2W) in float32."""
        fine = self.fine(torch.cat([self.coarse(features), mean.to(features.dtype)], dim=1))
        with torch.autocast(fine.device.type, enabled=False):
            return self.low + self.range * torch.sigmoid(self.output(fine.float()))


TAILS = {"rcan": ReleasedTail}  # of the other backbones: `UncertaintyTail`


class BayesDL(nn.Module):
    """One member: the trunk gives the mean, the tail (after step 2) the log-variance.

    Args:
        backbone: name of the generator in `BACKBONES`.
        likelihood: "" without a tail, or a key of `TAIL_RANGES`.
        inputs: what the network is shown, as `network_config` stores it.
        options: arguments of the generator.
    """

    def __init__(
        self,
        backbone: str = "unet",
        likelihood: str = "",
        inputs: dict[str, Any] | None = None,
        **options: float,
    ) -> None:
        super().__init__()
        self.config = network_config(backbone, likelihood, inputs, **options)
        self.trunk = BACKBONES[backbone](**options)
        tail = TAILS.get(backbone, UncertaintyTail)
        self.tail = tail(self.trunk.out_width, likelihood) if likelihood else None

    @property
    def stride(self) -> int:
        """Stride of the trunk, in raw pixels."""
        return self.trunk.stride

    @property
    def is_local(self) -> bool:
        """Whether a pixel sees no farther than `receptive_radius`, so that tiles equal the field.

        A network that is not local has no receptive radius.
        """
        return self.trunk.is_local

    @property
    def receptive_radius(self) -> int:
        """Receptive radius of the trunk with its heads, in raw pixels."""
        return self.trunk.receptive_radius

    def forward(self, raw: Tensor) -> Output:
        """(B, F, H, W) normalised frames -> `Output` on the doubled grid."""
        features = self.trunk.features(raw)
        mean = self.trunk.mean(features, raw)
        if self.tail is None:
            return Output(mean, None)
        if self.config["likelihood"] == DISTILLED:  # its trunk is trained for both uncertainties
            return Output(mean, self.tail(features, mean.detach()))
        # The tail never moves the trunk, whatever the flags: no gradient goes back through it.
        return Output(mean, self.tail(features.detach(), mean.detach()))


class Member(NamedTuple):
    """A loaded draw: the network in evaluation mode, and how it was sampled and trained."""

    network: BayesDL
    sampler: dict[str, Any]
    training: dict[str, Any]


def network_config(
    backbone: str, likelihood: str, inputs: dict[str, Any] | None = None, **options: float
) -> dict[str, Any]:
    """Configuration that a checkpoint must store for the network to be built again.

    `inputs` describes the channels of its input; the network itself does not need it.
    """
    config = {"model": "BayesDL", "backbone": backbone, "likelihood": likelihood}
    return config | {"inputs": inputs, "options": options}


def build_network(config: dict[str, Any], seed: int = 0) -> BayesDL:
    """The network of a stored configuration, with initial weights that the seed determines.

    Raises:
        InputError: when the configuration names a network that this version does not have.
    """
    if config.get("model") != "BayesDL" or config.get("backbone") not in BACKBONES:
        raise InputError(
            f"unknown network {config.get('model')}/{config.get('backbone')}: expected "
            f"BayesDL with the backbone {' or '.join(BACKBONES)}; "
            "use the version that wrote the checkpoint"
        )
    if config.get("likelihood") not in ("", *TAIL_RANGES):
        raise InputError(
            f"unknown likelihood {config.get('likelihood')!r} of a network: expected none ('') or "
            f"{', '.join(TAIL_RANGES)}; use the version that wrote the checkpoint"
        )
    # torch's initialisers use the global generator only, which is given back untouched. Of the
    # generators only the CPU's is seeded: torch.manual_seed would reseed every GPU's as well.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return BayesDL(
            config["backbone"], config["likelihood"], config.get("inputs"), **config["options"]
        )


def with_inputs(
    member: "Member", inputs: dict[str, Any], in_channels: int, seed: int, **changes: float
) -> BayesDL:
    """The member's trunk without a tail, shown more channels than before; at first it ignores them.

    Args:
        inputs, in_channels: inputs of the new network; the channels of the old one come first.
        changes: changes of the generator's options, such as its dropout.

    Raises:
        InputError: fewer channels than the member has, or a backbone that cannot be widened.
    """
    config = member.network.config
    old = member.network.trunk.state_dict()
    before = config["options"].get("in_channels", 9)
    if in_channels < before or (in_channels > before and WIDENED not in old):
        raise InputError(
            f"the member takes {before} input channels and cannot be made to take {in_channels}: "
            "train without init_from, or with the inputs of the member"
        )
    options = {**config["options"], "in_channels": in_channels, **changes}
    new = network_config(config["backbone"], "", inputs, **options)
    network = build_network(new, seed)
    if in_channels > before:
        weight = old[WIDENED]
        more = weight.new_zeros(weight.shape[0], in_channels - before, *weight.shape[2:])
        old = {**old, WIDENED: torch.cat([weight, more], dim=1)}
    network.trunk.load_state_dict(old)
    return network


def with_tail(member: "Member", likelihood: str, seed: int) -> BayesDL:
    """The member's trunk, bit by bit, with a new uncertainty tail."""
    network = build_network({**member.network.config, "likelihood": likelihood}, seed)
    network.trunk.load_state_dict(member.network.trunk.state_dict())
    _as_sampled(network, member.sampler)
    return network


def _as_sampled(network: BayesDL, sampler: dict[str, Any]) -> None:
    """A pass of MC-dropout has masks besides its weights."""
    if sampler.get("kind") == "mc_dropout":
        fix_dropout(network.trunk, sampler["seed"])


def member_payload(
    network: BayesDL, sampler: dict[str, Any], training: dict[str, Any]
) -> dict[str, Any]:
    """The dictionary that `utils.checkpoints` stores for one draw."""
    state = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    return {
        "format": MEMBER_FORMAT,
        "version": 1,
        "network": network.config,
        "state": state,
        "sampler": sampler,
        "training": training,
    }


def load_member(
    path: Path, device: torch.device | str = "cpu", content: bytes | None = None
) -> Member:
    """One draw, ready to predict.

    Args:
        content: the file's bytes, where they were read already.

    Raises:
        InputError: not a member, or parameters that do not fit its own configuration.
    """
    if content is None:
        content = require_file(path, "checkpoint").read_bytes()
    payload = load_checkpoint(path, content)
    if payload.get("format") != MEMBER_FORMAT:
        raise InputError(f"{path}: expected a {MEMBER_FORMAT}, found a {payload.get('format')}")
    try:
        config, sampler, training = (
            _entries(payload, n) for n in ("network", "sampler", "training")
        )
        require_fitting(payload["state"], config, build_network, len(content))
        network = build_network(config)
        network.load_state_dict(payload["state"])
        _as_sampled(network, sampler)
    except UNFIT as error:  # an `InputError` too: it does not name the file
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise InputError(
            f"{path}: the parameters do not fit a network of this version ({reason}); "
            "copy or train the member again"
        ) from None
    network = network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    return Member(network, sampler, training)


def _entries(payload: dict[str, Any], name: str) -> dict[str, Any]:
    value = payload[name]
    if not (isinstance(value, dict) and all(isinstance(key, str) for key in value)):
        raise TypeError(f"{name}: expected named entries, found a {type(value).__name__}")
    return value
