"""A whole posterior as one `nn.Module`: counts in, maps out, for programs that use PyTorch alone.

Weights and configuration of all members lie in one state dictionary and one set of keyword
arguments, so that a package of the BioImage Model Zoo can hold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bayesdl_sim.bayes.calibration.image_features import FeatureScale, ImageFeatures
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.data.inputs import input_spec
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.gaps import gaps_of, structure_range, with_gaps
from bayesdl_sim.inference.maps import with_trust
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.series import predict_stack
from bayesdl_sim.inference.settings import MapSettings
from bayesdl_sim.models.bayesdl import build_network
from bayesdl_sim.models.fields.poses import UPRIGHT
from bayesdl_sim.models.members import TILE, MemberFacts, apply_member, open_member
from bayesdl_sim.utils.errors import InputError

__all__ = ["OUTPUTS", "PosteriorModule", "module_arguments", "module_state"]

OUTPUTS = ("mean", "aleatoric", "epistemic", "credibility", "calibrated")
_SOURCE = Path("the batch")


class PosteriorModule(nn.Module):
    """All members of a posterior, with normalisation, first guess and calibration inside.

    `forward` takes raw counts and returns what `test.py` writes of them: it estimates the fringe
    patterns, so it needs whole fields. There is no verdict; `test.py` gives one.

    Args:
        network: configuration of the members, as they store it.
        members: their number, at least 2.
        scale, by_features: factors of the calibration, as `module_arguments` gives them.
        poses: in which each member is shown the field, see `models.fields.poses`; None: upright.
        delta: tolerated error of the credibility, as a share of the range of the structure.
        tile: side of the pieces of a large field, raw pixels.

    Raises:
        InputError: members that predict no total uncertainty.
    """

    def __init__(
        self,
        network: Mapping[str, Any],
        members: int,
        scale: float = 1.0,
        by_features: Mapping[str, Any] | None = None,
        poses: Sequence[Sequence[int]] | None = None,
        delta: float = DELTA,
        tile: int = TILE,
    ) -> None:
        super().__init__()
        if members < 2 or not network["likelihood"]:
            raise InputError(
                "expected two or more members with uncertainty tails, since all of their "
                f"uncertainties are outputs; found {members}, likelihood {network['likelihood']!r}"
            )
        networks = [build_network(dict(network)) for _ in range(members)]
        self.members = nn.ModuleList(networks)
        self.to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self.calibration = Calibration(scale=scale, by_features=_feature_scale(by_features))
        self.settings, self.tile = MapSettings(delta=delta), tile
        self.poses = [tuple(own) for own in poses or [UPRIGHT] * members]

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Counts (B, 9, H, W) -> the maps of `OUTPUTS`, each (B, 1, 2H, 2W) float32.

        Every stack of the batch is one time point with an intensity scale of its own: 0 and 1 are
        the smallest and the largest value of its mean. `aleatoric`, `epistemic` and `calibrated`,
        their total, are standard deviations on that scale, after calibration; `credibility` is a
        probability. Pixels without data are NaN.

        Raises:
            InputError: not nine frames, or frames that cannot be a stack.
        """
        if raw.ndim != 4 or raw.shape[1] != 9:
            raise InputError(
                f"expected raw counts (batch, 9, y, x), nine frames in orientation-major order, "
                f"found {tuple(raw.shape)}"
            )
        device = next(self.parameters()).device
        counts = raw.detach().float().cpu().numpy()
        stacks = [self.reconstruct(one[None], device) for one in counts]
        columns = zip(*map(_maps_of, stacks), strict=True)
        return tuple(torch.from_numpy(np.stack(column)).to(raw.device) for column in columns)

    def reconstruct(self, raw: np.ndarray, device: torch.device) -> Reconstruction:
        """The maps of one stack of counts (1, 9, H, W), without a verdict."""
        stack = RawStack(raw=raw, pixel_size_nm=None, name=str(_SOURCE), source=_SOURCE)
        prepared = PreparedStack(stack, device=device)
        result = predict_stack(self.posterior(device), prepared, lambda *_: None)
        gaps = gaps_of(prepared)
        tolerance = self.settings.delta * structure_range(result.sr, gaps)
        result = with_trust(result, self.settings, tolerance=tolerance)
        return result if gaps is None else with_gaps(result, gaps)

    def posterior(self, device: torch.device) -> Posterior:
        """The same members as the object that predicts."""
        config = self.members[0].config
        facts = MemberFacts(
            path=_SOURCE,
            sha256="",
            network=config,
            sampler={},
            training={},
            is_local=self.members[0].is_local,
        )
        apply = partial(apply_member, device=device, tile=self.tile)
        return Posterior(
            folder=_SOURCE,
            members=[facts] * len(self.members),
            functions=[
                partial(apply, network, poses=poses)
                for network, poses in zip(self.members, self.poses, strict=True)
            ],
            inputs=input_spec(config),
            device=device,
            tile=self.tile,
            convention="total_variance",
            calibration=self.calibration,
            gate=None,
            facts={},
            notes=[],
        )


def module_arguments(posterior: Posterior) -> dict[str, Any]:
    """The keyword arguments of the module with this posterior, of plain numbers and text.

    Raises:
        InputError: members that the module cannot hold.
    """
    kinds = {str(member.sampler.get("kind")) for member in posterior.members}
    if posterior.min_max or "mc_dropout" in kinds:
        raise InputError(
            f"{posterior.folder}: members of the released code and of MC dropout need more than "
            "their weights and cannot be one module: export others"
        )
    calibration = posterior.calibration
    scale = calibration.by_features
    return {
        "network": posterior.members[0].network,
        "members": len(posterior.members),
        "scale": calibration.scale,
        "by_features": None if scale is None else _plain(asdict(scale)),
        "poses": [list(member.poses) for member in posterior.members],
        "tile": posterior.tile,
    }


def module_state(posterior: Posterior) -> dict[str, Tensor]:
    """The state dictionary of the module with the members of this posterior, on the CPU."""
    state = {}
    for index, member in enumerate(posterior.members):
        network = open_member(member.path).network
        for name, tensor in network.state_dict().items():
            state[f"members.{index}.{name}"] = tensor.contiguous()
    return state


def _feature_scale(stored: Mapping[str, Any] | None) -> FeatureScale | None:
    if stored is None:
        return None
    lit = stored["lit_weights"]
    return FeatureScale(
        weights=tuple(stored["weights"]),
        low=ImageFeatures(*stored["low"]),
        high=ImageFeatures(*stored["high"]),
        lit_weights=None if lit is None else tuple(lit),
    )


def _plain(fields: Mapping[str, Any]) -> dict[str, list[float] | None]:
    """Tuples as lists, which YAML has."""
    return {
        name: None if values is None else [float(value) for value in values]
        for name, values in fields.items()
    }


def _maps_of(result: Reconstruction) -> tuple[np.ndarray, ...]:
    """The maps of `OUTPUTS`, each (1, 2H, 2W)."""
    credible = result.channels["Credibility"]
    return result.sr, result.aleatoric, result.epistemic, credible, result.total
